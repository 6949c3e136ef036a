"""The selection path: the criterion of every candidate at each step for as long as it was alive.

Called by the page and by figure 10. Knows nothing of drawing, nor of why a rule decided what it decided.
"""

from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.select.result import Result

_MOST_BETWEEN = 60
_MOST_STEPS = 120


@dataclass(frozen=True)
class SelectionPath:
    """What the rule looked at, point by point; S points: the steps, those of the warm-up included.

    Where candidates have unequal numbers of instances there are points between the steps, too.

    Attributes:
        candidates: (C,) names.
        steps: (S,) number of each step, ascending; of a point between two, that of the one before (0 if none was).
        instances: (S,) how many instances each alive candidate had at least.
        trainings: (S,) how many trainings were known, of all candidates together.
        counts: (S, C) how many of them were of each candidate.
        values: (S, C) the criterion of these instances in units of the score; nan where the candidate is not alive
            or its criterion is not known, infinite where a diverged or failed instance makes it so.
        is_alive: (S, C) whether the candidate took part; one that was discarded may come back, if the rule says so.
        is_warmup: (S,) whether the point belongs to the warm-up, in which nobody is discarded.
    """

    candidates: tuple[str, ...]
    steps: Ints
    instances: Ints
    trainings: Ints
    counts: Ints
    values: Floats
    is_alive: Bools
    is_warmup: Bools

    @property
    def n_alive(self) -> Ints:
        """(S,) how many candidates took part in each step."""
        return np.asarray(self.is_alive.sum(axis=1), dtype=np.int64)

    @property
    def n_shown(self) -> Ints:
        """(C,) how many points there are up to the last one in which each candidate took part."""
        points = np.arange(1, len(self.steps) + 1)
        return np.asarray(np.where(self.is_alive, points[:, None], 0).max(axis=0, initial=0), dtype=np.int64)

    @property
    def is_even(self) -> bool:
        """Whether all alive candidates had equally many instances, at every point."""
        return bool((~self.is_alive | (self.counts == self.instances[:, None])).all())

    @property
    def progress(self) -> Ints:
        """(S,) along what to draw: the instances of each candidate where these are equal, else all trainings."""
        return self.instances if self.is_even else self.trainings


def selection_path(result: Result) -> SelectionPath:
    """Follow the criterion of every candidate through a selection.

    Each point is evaluated on the instances that were known then, the first ones of the history. The warm-up comes
    first, from the fewest instances that the criterion can do with. Where a rule trains some alive candidates more
    often than others, at most 60 more points are spread evenly over its trainings, and of more than 120 steps every
    so many are left out; the last point is what the rule knows now.

    Args:
        result: of a selection, finished or not; one without steps gives a path without steps.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0], [5.0, 5.0]]))
        >>> selection_path(replay(table, Halving(warmup=2), criterion("mean"))).values
        array([[1., 5.],
               [2., 5.]])
    """
    if not result.steps:
        return _path(result, [])
    at_steps = [_Point(step.step, step.trainings, (*step.kept, *step.removed), False) for step in result.steps]
    points = [*_warmup(result), *at_steps]
    return _path(result, points if _are_even(result, points) else _evenly_spread(result, at_steps))


@dataclass(frozen=True)
class _Point:
    """A moment of a selection: the number to show, how many trainings were known, and who was alive."""

    step: int
    trainings: int
    alive: tuple[str, ...]
    is_warmup: bool


def _warmup(result: Result) -> list[_Point]:
    """List the moments before the first step at which each candidate had one instance more."""
    first, everybody = result.steps[0], result.entered
    before = first.step - first.instances_used
    return [
        _Point(before + n, _trained_at_least(result, n), everybody, True)
        for n in range(result.criterion.min_instances, first.instances_used)
    ]


def _evenly_spread(result: Result, at_steps: list[_Point]) -> list[_Point]:
    """List steps, and between them moments from everybody's first instance to all that the rule may know."""
    trainings = np.array([point.trainings for point in at_steps])
    first = min(_trained_at_least(result, 1), int(trainings[0]))
    shown = np.linspace(0, len(at_steps) - 1, min(len(at_steps), _MOST_STEPS)).round().astype(np.int64)
    points = [at_steps[row] for row in shown]
    last = max(_n_known(result) - result.fresh, int(trainings[-1]))
    evenly = np.linspace(first, last, _MOST_BETWEEN).round().astype(np.int64)
    for n in np.setdiff1d(evenly, trainings).tolist():
        n_after = int(np.searchsorted(trainings, n))
        if n_after:
            points.append(_Point(at_steps[n_after - 1].step, n, result.steps[n_after - 1].kept, False))
        else:
            points.append(_Point(0, n, result.entered, True))
    return sorted(points, key=lambda point: point.trainings)  # stable: steps at the same moment keep their order


def _trained_at_least(result: Result, n: int) -> int:
    """Count the trainings after which every candidate had ``n`` instances."""
    return int(np.flatnonzero(result.history[:, 1] == n - 1).max(initial=-1)) + 1


def _n_known(result: Result) -> int:
    """Count the trainings that are known without a gap in the history."""
    scores = result.table.scores
    rows, replicates = result.history.T
    is_missing = replicates >= scores.shape[1]
    is_missing[~is_missing] = np.isnan(scores[rows[~is_missing], replicates[~is_missing]])
    return int(np.argmax(is_missing)) if is_missing.any() else len(is_missing)


def _counts(result: Result, point: _Point) -> Ints:
    """(C,) how many instances of each candidate were known."""
    return np.bincount(result.history[: point.trainings, 0], minlength=result.table.n_candidates)


def _are_even(result: Result, points: list[_Point]) -> bool:
    position = {name: row for row, name in enumerate(result.table.candidates)}
    for point in points:
        counts = _counts(result, point)[[position[name] for name in point.alive]]
        if (counts != counts[0]).any():
            return False
    return True


def _path(result: Result, points: list[_Point]) -> SelectionPath:
    names = result.table.candidates
    position = {name: row for row, name in enumerate(names)}
    losses = result.table.losses(result.direction)
    shape = (len(points), len(names))
    values, counts, is_alive = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    for row, point in enumerate(points):
        alive = np.sort([position[name] for name in point.alive])
        is_alive[row, alive] = True
        counts[row] = _counts(result, point)
        values[row, alive] = _values(result, losses[alive], counts[row, alive])
    return SelectionPath(
        candidates=names,
        steps=np.array([point.step for point in points], dtype=np.int64),
        instances=np.min(counts, axis=1, where=is_alive, initial=np.iinfo(np.int64).max),
        trainings=np.array([point.trainings for point in points], dtype=np.int64),
        counts=counts,
        values=values,
        is_alive=is_alive,
        is_warmup=np.array([point.is_warmup for point in points], dtype=bool),
    )


def _values(result: Result, losses: Floats, counts: Ints) -> Floats:
    """Evaluate the criterion on the first ``counts`` replicates of each candidate."""
    known = losses[:, : int(counts.max(initial=0))]
    is_later = np.arange(known.shape[1]) >= counts[:, None]
    found = result.criterion(np.where(is_later, np.nan, known))
    return np.asarray(result.criterion.in_score_units(found, result.direction), dtype=float)
