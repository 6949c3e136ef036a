"""How many trainings each candidate got, by rank: where a rule has put its effort.

Called by figure 12. Knows nothing of drawing, nor of why a rule trained whom it trained.
"""

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
