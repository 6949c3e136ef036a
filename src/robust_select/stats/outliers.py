"""Rare bad trainings: instances far worse than the others of their candidate, where the criterion does not see them.

Called by results, their overview and the card. Knows nothing of rules.
"""

import numpy as np

from robust_select.core.protocols import Floats, Ints
from robust_select.stats.criteria import Criterion, criterion

_FAR = 10.0  # interquartile ranges
_LEAST_INSTANCES = 8


def far_outliers(losses: Floats, by: Criterion) -> Ints:
    """Count the instances that are far worse than the others of their candidate, where the criterion ignores them.

    Far is more than ten interquartile ranges above the third quartile. Asked of candidates with at least eight
    instances: of those, one in a hundred has such an instance by chance where scores are exponential, one in a
    thousand at most where they are normal, and fewer with more instances. A criterion ignores them where it would
    stay finite if they had diverged: ``q3+iqr`` does, up to a quarter of the instances; ``mean``, ``max`` and ``std``
    do not.

    Args:
        losses: (C, R); nan where not trained, infinite where diverged or failed.
        by: the criterion.

    Returns:
        (C,) how many.

    Example:
        >>> losses = np.array([[1.0, 1.1, 0.9, 1.2, 1.0, 0.8, 1.1, 9.0]])
        >>> far_outliers(losses, criterion("q3+iqr")), far_outliers(losses, criterion("mean"))
        (array([1]), array([0]))
    """
    width = criterion("iqr")(losses)
    with np.errstate(invalid="ignore"):
        limit = np.where(width > 0, criterion("q3")(losses) + _FAR * width, np.inf)
        is_far = np.isfinite(losses) & (losses > limit[:, None])
    found = is_far.sum(axis=1)
    found[np.count_nonzero(~np.isnan(losses), axis=1) < _LEAST_INSTANCES] = 0
    rows = np.flatnonzero(found)
    if len(rows):
        found[rows] *= np.isfinite(by(np.where(is_far[rows], np.inf, losses[rows])))
    return np.asarray(found)
