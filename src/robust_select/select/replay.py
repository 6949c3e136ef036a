"""Replay: run a rule on a table of scores that exist already, as if they came one by one.

Called by the command line and by benchmarks. Knows nothing of files or figures.
"""

from collections.abc import Sequence

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction
from robust_select.core.tables import Table
from robust_select.select.result import Result, result_of
from robust_select.select.rules import Rule
from robust_select.select.selection import Selection
from robust_select.stats.criteria import Criterion
from robust_select.stats.criteria import criterion as criterion_named


def replay(
    table: Table,
    rule: Rule,
    criterion: str | Criterion,
    direction: Direction = "minimize",
    order: Sequence[int] | None = None,
    fresh: int = 0,
) -> Result:
    """Run a rule on a table.

    Args:
        table: the scores.
        rule: who goes on.
        criterion: by which candidates are ranked, or its name.
        direction: of the scores.
        order: in which each candidate's replicates, counted from 0, are revealed; those not named stay hidden.
            By default all of them, as they come.
        fresh: how many further replicates of the selected candidate are revealed when the rule has stopped.

    Returns:
        The result; it ends early, and says so, where an instance that the rule asks for is not in the table.

    Raises:
        InputError: an order that does not fit the table, or a candidate that was not even trained for the
            warm-up.

    Example:
        >>> from robust_select.select.rules import Significance
        >>> table = Table(("a", "b"), np.array([[1.0, 1.1, 0.9], [5.0, 5.2, 5.1]]))
        >>> replay(table, Significance("welch"), "mean").steps[0].removed
        ('b',)
    """
    order = check_order(order, table.n_replicates)
    scores = table.scores[:, order]
    seconds = np.full(scores.shape, np.nan) if table.seconds is None else table.seconds[:, order]
    by = criterion_named(criterion) if isinstance(criterion, str) else criterion
    selection = Selection(table.candidates, rule, by, direction, n_available=len(order), fresh=fresh)
    _set_aside_stopped(selection, table)
    while asked := selection.ask():
        for candidate, replicate in asked:
            score = scores[candidate, replicate]
            if np.isnan(score):
                _stop_short(selection, table, candidate, order[replicate], replicate)
                break
            selection.tell(candidate, replicate, score, seconds[candidate, replicate])
    return result_of(
        selection,
        Table(
            table.candidates,
            selection.scores,
            None if table.seconds is None else selection.seconds,
            table.params,
            stopped=selection.stopped,
        ),
    )


def _set_aside_stopped(selection: Selection, table: Table) -> None:
    """Leave out who was stopped by its epochs in the study that the table is of, as that study did."""
    rows, replicates = np.nonzero(table.is_stopped)
    if table.stopped is None or not len(rows):
        return
    if len(np.unique(rows)) == table.n_candidates:
        raise InputError("expected a candidate that was not stopped by its epochs, came a table without any")
    for row, replicate in zip(rows.tolist(), replicates.tolist(), strict=True):
        seconds = np.nan if table.seconds is None else float(table.seconds[row, replicate])
        selection.set_aside(row, int(table.stopped[row, replicate]), seconds)


def check_order(order: Sequence[int] | None, n_replicates: int) -> list[int]:
    """Check the order in which replicates are revealed.

    Raises:
        InputError: empty, a replicate twice, or one that the table does not have.
    """
    if order is None:
        return list(range(n_replicates))
    found = [int(replicate) for replicate in order]
    if not found or len(set(found)) < len(found) or min(found) < 0 or max(found) >= n_replicates:
        raise InputError(
            f"expected order to name replicates among 0 to {n_replicates - 1}, each at most once, came "
            f"{','.join(map(str, found)) or 'nothing'}"
        )
    return found


def _stop_short(selection: Selection, table: Table, candidate: int, replicate: int, position: int) -> None:
    name = table.candidates[candidate]
    if position < selection.rule.warmup:
        raise InputError(
            f"expected a score for every candidate in each of the first {selection.rule.warmup} replicates "
            f"(warm-up), came none for candidate {name!r}, replicate {replicate}: lower the warm-up or leave the "
            "candidate out"
        )
    selection.stop(f"the replicates are used up: the table has no replicate {replicate} of candidate {name!r}")
