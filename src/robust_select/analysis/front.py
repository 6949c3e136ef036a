"""Mean against spread: which candidates nobody beats in both at once (the Pareto front).

Called by the page, the card and figure 16. Knows nothing of drawing, nor of who was selected.
"""

from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Bools, Direction, Floats, Ints
from robust_select.core.tables import Table
from robust_select.stats.criteria import criterion

ENOUGH_INSTANCES = 5
"""From so many instances on a standard deviation is worth comparing (its own error is then about a third)."""


@dataclass(frozen=True)
class SpreadFront:
    """Typical quality and spread of every candidate.

    Attributes:
        candidates: (C,) names.
        means: (C,) in units of the score; nan where not trained, infinite where an instance diverged or failed.
        spreads: (C,) standard deviations (ddof=1); nan below two instances, infinite as above.
        instances: (C,) how many instances these rest on.
        is_compared: (C,) whether the candidate has enough usable instances to take part.
        is_on_front: (C,) whether no candidate that takes part is better in one and at least as good in the other.
        min_instances: how many instances were enough.
    """

    candidates: tuple[str, ...]
    means: Floats
    spreads: Floats
    instances: Ints
    is_compared: Bools
    is_on_front: Bools
    min_instances: int


def spread_front(table: Table, direction: Direction, min_instances: int | None = None) -> SpreadFront:
    """Find the candidates that nobody beats in mean and standard deviation at once.

    A standard deviation of two scores is small by luck easily, so candidates discarded early would crowd the
    front: only those with enough instances take part.

    Assumes: nothing of the distribution. The front is a description of these scores, not a test.

    Args:
        table: the scores.
        direction: of the scores.
        min_instances: how many are enough; by default ``ENOUGH_INSTANCES``, or 2 where nobody has that many.

    Example:
        >>> table = Table(("good", "steady", "bad"), np.array([[1.0, 2.0], [3.0, 3.1], [5.0, 9.0]]))
        >>> spread_front(table, "minimize").is_on_front
        array([ True,  True, False])
    """
    losses = table.losses(direction)
    means, spreads = criterion("mean")(losses), criterion("std")(losses)
    counts = np.asarray(np.count_nonzero(~np.isnan(losses), axis=1), dtype=np.int64)
    if min_instances is None:
        min_instances = ENOUGH_INSTANCES if counts.max(initial=0) >= ENOUGH_INSTANCES else 2
    is_compared = (counts >= min_instances) & np.isfinite(means) & np.isfinite(spreads)
    return SpreadFront(
        candidates=table.candidates,
        means=criterion("mean").in_score_units(means, direction),
        spreads=spreads,
        instances=counts,
        is_compared=is_compared,
        is_on_front=pareto_front(means, spreads, is_compared),
        min_instances=min_instances,
    )


def pareto_front(first: Floats, second: Floats, is_compared: Bools) -> Bools:
    """Mark the points that no other beats in both quantities; the smaller the better in each.

    Points with equal values are on the front together.

    Args:
        first: (C,) one quantity.
        second: (C,) the other.
        is_compared: (C,) which points take part; their values are finite.

    Returns:
        (C,) which points are on the front.

    Example:
        >>> pareto_front(np.array([1.0, 1.0, 2.0]), np.array([5.0, 5.0, 5.0]), np.ones(3, dtype=bool))
        array([ True,  True, False])
    """
    found = np.zeros(len(first), dtype=bool)
    positions = np.flatnonzero(is_compared)
    least = np.inf
    on_front = (np.nan, np.nan)
    for position in positions[np.lexsort((second[positions], first[positions]))]:
        point = (float(first[position]), float(second[position]))
        if point[1] < least or point == on_front:
            found[position] = True
            least, on_front = point[1], point
    return found
