"""What a selection ends with: the selected candidate, the evidence for it, and what it cost.

Made by studies and replays, read by analysis, report and the command line. Knows nothing of how the scores came.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from robust_select.core.protocols import Direction, Ints
from robust_select.core.tables import Table
from robust_select.select.selection import Selection, Step
from robust_select.stats.criteria import PUBLISHED_CRITERIA, Criterion, criterion


@dataclass(frozen=True)
class Result:
    """What a selection ended with.

    Attributes:
        selected: the best of those left, by the criterion.
        remaining: those left, the best first.
        stop_reason: why it ended, in words.
        steps: what each step did.
        discarded_at: (C,) the step that discarded each candidate; None for those left.
        table: all scores, candidates in the order of the study.
        criterion: by which candidates were ranked.
        direction: of the scores.
        rule: the name of the rule.
        history: (N, 2) candidate and replicate of every instance, in the order in which they were asked for; the
            first ``Step.trainings`` of them are what a step knew.
        confidence: the probability that the selected one is within the tolerance of the best; None where the rule
            gives none.
        equivalent: candidates as good as the selected one within the tolerance, itself among them; empty where the
            rule does not say.
    """

    selected: str
    remaining: tuple[str, ...]
    stop_reason: str
    steps: tuple[Step, ...]
    discarded_at: tuple[int | None, ...]
    table: Table
    criterion: Criterion
    direction: Direction
    rule: str
    history: Ints
    confidence: float | None = None
    equivalent: tuple[str, ...] = ()

    @property
    def trainings(self) -> int:
        """How many trainings it took."""
        return int(np.count_nonzero(~np.isnan(self.table.scores)))

    @property
    def seconds(self) -> float:
        """How long these took together; nan if a time is not known."""
        if self.table.seconds is None:
            return math.nan
        return float(self.table.seconds[~np.isnan(self.table.scores)].sum())

    def to_frame(self) -> pd.DataFrame:
        """Give all scores in long form, one row an instance."""
        return self.table.to_frame()

    def summary(self) -> pd.DataFrame:
        """Give one row a candidate, the selected first, with every caveat as a column.

        The columns: ``instances`` and ``unusable`` (diverged or failed, counted as the worst possible score);
        the six published criteria, ``std`` and ``iqr`` in units of the score; ``discarded_at`` (the step, empty
        for those left); ``caveats`` in words.
        """
        losses = self.table.losses(self.direction)
        names = list(dict.fromkeys((*PUBLISHED_CRITERIA, "std", "iqr", self.criterion.name)))
        columns = {
            name: made.in_score_units(made(losses), self.direction)
            for name in names
            for made in [self.criterion if name == self.criterion.name else criterion(name)]
        }
        counts = np.count_nonzero(~np.isnan(losses), axis=1)
        unusable = np.isposinf(losses).sum(axis=1)
        are_left = set(self.remaining)
        frame = pd.DataFrame(
            {
                "candidate": self.table.candidates,
                "instances": counts,
                "unusable": unusable,
                **columns,
                "discarded_at": pd.array(self.discarded_at, dtype="Int64"),
                "caveats": [
                    "; ".join(_caveats(int(n), int(n_bad), name in are_left, len(are_left)))
                    for n, n_bad, name in zip(counts, unusable, self.table.candidates, strict=True)
                ],
            }
        )
        position = {name: row for row, name in enumerate(self.table.candidates)}
        left = [position[name] for name in self.remaining]
        values = columns[self.criterion.name]
        signed = -values if self.direction == "maximize" and self.criterion.kind == "location" else values
        last_step = [-(step or 0) for step in self.discarded_at]
        order = np.lexsort((signed, np.array(last_step))).tolist()
        others = [row for row in order if self.table.candidates[row] not in are_left]
        return frame.iloc[left + others].reset_index(drop=True)


def _caveats(n_instances: int, n_unusable: int, is_left: bool, n_left: int) -> list[str]:
    found = []
    if n_instances == 0:
        found.append("not trained")
    elif n_instances < 5:
        found.append(f"only {n_instances} instance{'s' if n_instances > 1 else ''}: the spread is hardly known")
    if n_unusable:
        found.append(f"{n_unusable} of {n_instances} diverged or failed")
    if is_left and n_left > 1:
        found.append(f"the rule did not tell the {n_left} left apart")
    if is_left:
        found.append("chosen on these scores, so they flatter it")
    return found


def result_of(selection: Selection, table: Table | None = None) -> Result:
    """Make the result of a selection.

    Args:
        selection: finished, or as far as it got.
        table: with parameters and seconds, if there are any; by default the scores told.
    """
    if table is None:
        table = Table(selection.candidates, selection.scores, selection.seconds)
    return Result(
        selected=selection.selected,
        remaining=selection.remaining,
        stop_reason=selection.stop_reason or "not finished",
        steps=tuple(selection.steps),
        discarded_at=selection.discarded_at,
        table=table,
        criterion=selection.criterion,
        direction=selection.direction,
        rule=selection.rule.name,
        history=selection.history,
        confidence=selection.confidence,
        equivalent=selection.equivalent,
    )
