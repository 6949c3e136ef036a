"""Score against training time at the steps of a selection: who was kept and who removed.

Called by figure 15. Knows nothing of drawing, nor of why a rule decided what it decided.
"""

from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.select.result import Result
from robust_select.select.selection import Step

_MOST_STEPS = 4


@dataclass(frozen=True)
class StepTimes:
    """What was known of each candidate at S steps.

    Attributes:
        candidates: (C,) names.
        steps: (S,) their numbers.
        trainings: (S,) how many trainings were known, of all candidates together.
        values: (S, C) the criterion in units of the score; nan where the candidate was not alive, infinite where a
            diverged instance makes it so.
        seconds: (S, C) mean time of one training so far; nan where the candidate was not alive or it is not known.
        is_removed: (S, C) whether the step removed the candidate.
    """

    candidates: tuple[str, ...]
    steps: Ints
    trainings: Ints
    values: Floats
    seconds: Floats
    is_removed: Bools


def step_times(result: Result, n_most: int = _MOST_STEPS) -> StepTimes | None:
    """Look at the steps that removed somebody, the first and the last of them and others evenly between.

    Args:
        result: of a selection, finished or not.
        n_most: so many steps at most.

    Returns:
        What was known then; None if no step removed anybody, or no time is known.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> scores = np.array([[1.0, 1.2, 1.1], [5.0, 5.0, 5.0]])
        >>> table = Table(("a", "b"), scores, np.array([[1.0] * 3, [2.0] * 3]))
        >>> result = replay(table, Halving(2), criterion("mean"))
        >>> step_times(result).seconds.tolist(), step_times(result).is_removed.tolist()
        ([[1.0, 2.0]], [[False, True]])
    """
    table = result.table
    deciding = [step for step in result.steps if step.removed]
    if not deciding or table.seconds is None or not np.isfinite(table.seconds).any():
        return None
    rows = np.unique(np.linspace(0, len(deciding) - 1, min(n_most, len(deciding))).round().astype(np.int64))
    steps = [deciding[row] for row in rows]
    losses = table.losses(result.direction)
    found = [_at_step(result, losses, table.seconds, step) for step in steps]
    return StepTimes(
        candidates=table.candidates,
        steps=np.array([step.step for step in steps], dtype=np.int64),
        trainings=np.array([step.trainings for step in steps], dtype=np.int64),
        values=np.array([values for values, _, _ in found]),
        seconds=np.array([seconds for _, seconds, _ in found]),
        is_removed=np.array([is_removed for _, _, is_removed in found], dtype=bool),
    )


def _at_step(result: Result, losses: Floats, seconds: Floats, step: Step) -> tuple[Floats, Floats, Bools]:
    """(C,) criterion, mean time of a training, and who was removed, from what the step knew."""
    names = np.array(result.table.candidates, dtype=object)
    is_removed = np.isin(names, np.array(step.removed, dtype=object))
    is_alive = is_removed | np.isin(names, np.array(step.kept, dtype=object))
    counts = np.bincount(result.history[: step.trainings, 0], minlength=len(names))
    is_known = (np.arange(losses.shape[1]) < counts[:, None]) & is_alive[:, None]
    values = result.criterion(np.where(is_known, losses, np.nan))
    timed = is_known & np.isfinite(seconds)
    sums = np.where(timed, seconds, 0.0).sum(axis=1)
    mean = np.divide(sums, timed.sum(axis=1), out=np.full(len(names), np.nan), where=timed.any(axis=1))
    return result.criterion.in_score_units(values, result.direction), mean, is_removed
