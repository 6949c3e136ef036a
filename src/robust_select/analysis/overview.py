"""The overview of a result: what was selected, how sure that is, and what it cost, as one small record.

Called by the page and the command line. Knows nothing of words or drawing.
"""

import math
from dataclasses import dataclass

import numpy as np

from robust_select.analysis.winner import Winner, winner
from robust_select.core.protocols import Direction, Floats
from robust_select.select.result import Result
from robust_select.stats.outliers import far_outliers


@dataclass(frozen=True)
class Margin:
    """How far the selected candidate is ahead of its closest rival, on the replicates that both have.

    Attributes:
        rival: the second in the order of the summary.
        n_shared: on how many replicates both have a usable score.
        difference: mean of rival minus selected on the loss side, so positive where the selected one is better.
        standard_error: of that mean; nan below two shared replicates.
    """

    rival: str
    n_shared: int
    difference: float
    standard_error: float


@dataclass(frozen=True)
class Overview:
    """A result in numbers.

    Attributes:
        n_candidates: C.
        selected: the best of those left.
        remaining: those left, the best first.
        equivalent: candidates that the rule calls as good as the selected one, where it says so.
        confidence: that the selected one is the best (within the tolerance), where the rule gives it.
        stop_reason: why the selection ended.
        rule: its name.
        criterion: its name.
        direction: of the scores.
        value: the criterion of the selected candidate, in units of the score; may be infinite or nan.
        mean: of its scores.
        std: of its scores (ddof=1).
        n_instances: how often the selected candidate was trained.
        trainings: how many trainings there were.
        exhaustive: how many it takes to train every candidate as often as the one trained most.
        seconds: how long the trainings took together; nan if a time is not known.
        exhaustive_seconds: how long the exhaustive ones would, at each candidate's own pace; nan if not known.
        n_unusable: how many trainings diverged or failed.
        n_candidates_unusable: of how many candidates.
        margin: to the closest rival; None if there is none, or no usable score in common.
        winner: what the selected candidate is like, free of the winner's curse.
        tolerance: differences of the criterion below it did not matter to the rule; None where it knows no tolerance.
        n_ahead: candidates with fewer instances whose criterion is better than that of the selected one.
        n_far: how many instances of the selected one are far worse than the others, where the criterion ignores them.
        far: those equally good, the selected one apart, of which some instances are.
    """

    n_candidates: int
    selected: str
    remaining: tuple[str, ...]
    equivalent: tuple[str, ...]
    confidence: float | None
    stop_reason: str
    rule: str
    criterion: str
    direction: Direction
    value: float
    mean: float
    std: float
    n_instances: int
    trainings: int
    exhaustive: int
    seconds: float
    exhaustive_seconds: float
    n_unusable: int
    n_candidates_unusable: int
    margin: Margin | None
    winner: Winner
    tolerance: float | None = None
    n_ahead: int = 0
    n_far: int = 0
    far: tuple[str, ...] = ()


def overview(result: Result) -> Overview:
    """Put a result into numbers.

    Args:
        result: of a selection, finished or not.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1], [5.0, 5.0, 5.0]]))
        >>> found = overview(replay(table, Halving(warmup=2), criterion("mean")))
        >>> found.selected, found.trainings, found.margin.n_shared
        ('a', 4, 2)
    """
    table = result.table
    losses = table.losses(result.direction)
    counts = np.count_nonzero(~np.isnan(losses), axis=1)
    unusable = np.isposinf(losses).sum(axis=1)
    row = table.candidates.index(result.selected)
    summary = result.summary()
    rivals = [str(name) for name in summary["candidate"] if name != result.selected]
    first = summary.iloc[0]
    most = int(counts.max(initial=0))
    values = result.criterion(losses)
    equal = [table.candidates.index(name) for name in result.equivalent if name != result.selected]
    n_far = far_outliers(losses[[row, *equal]], result.criterion)
    return Overview(
        n_candidates=table.n_candidates,
        selected=result.selected,
        remaining=result.remaining,
        equivalent=result.equivalent,
        confidence=result.confidence,
        stop_reason=result.stop_reason,
        rule=result.rule,
        criterion=result.criterion.name,
        direction=result.direction,
        value=float(first[result.criterion.name]),
        mean=float(first["mean"]),
        std=float(first["std"]),
        n_instances=int(counts[row]),
        trainings=result.trainings,
        exhaustive=most * table.n_candidates,
        seconds=result.seconds,
        exhaustive_seconds=_exhaustive_seconds(table.seconds, losses, most),
        n_unusable=int(unusable.sum()),
        n_candidates_unusable=int(np.count_nonzero(unusable)),
        margin=_margin(losses, row, table.candidates.index(rivals[0]), rivals[0]) if rivals else None,
        winner=winner(result),
        tolerance=result.tolerance,
        n_ahead=int(((values < values[row]) & (counts < counts[row])).sum()),
        n_far=int(n_far[0]),
        far=tuple(table.candidates[at] for at, n in zip(equal, n_far[1:], strict=True) if n),
    )


def _exhaustive_seconds(seconds: Floats | None, losses: Floats, n_each: int) -> float:
    """Extrapolate each candidate's mean training time; nan where one has none."""
    if seconds is None:
        return math.nan
    known = ~np.isnan(losses) & ~np.isnan(seconds)
    n_known = known.sum(axis=1)
    if not n_known.all():
        return math.nan
    return float((np.where(known, seconds, 0.0).sum(axis=1) / n_known).sum() * n_each)


def _margin(losses: Floats, row: int, rival_row: int, rival: str) -> Margin | None:
    shared = np.isfinite(losses[row]) & np.isfinite(losses[rival_row])
    if not shared.any():
        return None
    differences = losses[rival_row, shared] - losses[row, shared]
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Margin(rival, n, float(differences.mean()), error)
