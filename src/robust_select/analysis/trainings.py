"""How often each candidate was trained, and how many were at each step: where a rule puts its effort.

Called by figure 12. Knows nothing of drawing, nor of why a rule trained whom it trained.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Bools, Ints
from robust_select.select.result import Result


@dataclass(frozen=True)
class TrainingCounts:
    """The trainings of all candidates, in the order of the summary: the selected first, who was discarded first last.

    Attributes:
        candidates: (C,) names.
        counts: (C,) how often each was trained; diverged and failed instances count.
        is_left: (C,) whether it is left.
    """

    candidates: tuple[str, ...]
    counts: Ints
    is_left: Bools


def training_counts(result: Result) -> TrainingCounts:
    """Count the trainings of each candidate.

    Args:
        result: of a selection, finished or not.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(tuple("abcd"), np.arange(4.0)[:, None] + np.zeros(4))
        >>> training_counts(replay(table, Halving(warmup=2), criterion("mean"))).counts
        array([3, 3, 2, 2])
    """
    summary = result.summary()
    names = tuple(str(name) for name in summary["candidate"])
    left = set(result.remaining)
    return TrainingCounts(
        candidates=names,
        counts=summary["instances"].to_numpy(dtype=np.int64),
        is_left=np.array([name in left for name in names], dtype=bool),
    )


@dataclass(frozen=True)
class StepCounts:
    """How many candidates were trained at each step, those of the warm-up included.

    Attributes:
        steps: (S,) numbers of the steps, ascending.
        counts: (S,) how many different candidates got an instance for it.
    """

    steps: Ints
    counts: Ints


def trained_by_step(result: Result) -> StepCounts:
    """Count the candidates that were trained at each step.

    A step of the warm-up is one more instance of everybody; each later one is what was trained since the step before.
    A rule that counts its decisions (top-two) has one step for all of the warm-up.
    Trainings after the last step (final and fresh ones, of the selected candidate alone) belong to none.

    Args:
        result: of a selection, finished or not; one without steps gives no counts.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(tuple("abcd"), np.arange(4.0)[:, None] + np.zeros(4))
        >>> trained_by_step(replay(table, Halving(warmup=2), criterion("mean")))
        StepCounts(steps=array([1, 2, 3]), counts=array([4, 4, 2]))
    """
    if not result.steps:
        return StepCounts(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    first, history = result.steps[0], result.history
    n_warmup = min(first.step, first.instances_used)  # a rule that counts decisions begins with step 1
    rounds = np.minimum(history[: first.trainings, 1], n_warmup - 1)
    warmup = [len(np.unique(history[: first.trainings][rounds == n, 0])) for n in range(n_warmup)]
    later = [
        len(np.unique(history[before.trainings : step.trainings, 0]))
        for before, step in itertools.pairwise(result.steps)
    ]
    before = range(first.step - n_warmup + 1, first.step + 1)
    return StepCounts(
        steps=np.array([*before, *(step.step for step in result.steps[1:])], dtype=np.int64),
        counts=np.array([*warmup, *later], dtype=np.int64),
    )
