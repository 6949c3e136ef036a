"""Which fraction of the candidates has a criterion below a loss, for several criteria at once.

Called by figure 4. Knows nothing of drawing, nor of who was selected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Direction, Floats, Ints
from robust_select.core.tables import Table
from robust_select.stats.criteria import PUBLISHED_CRITERIA, criterion


@dataclass(frozen=True)
class Fractions:
    """The values of K criteria over all candidates.

    Attributes:
        criteria: (K,) names.
        values: (K, C) in units of the score, the best first; infinite where a diverged instance makes it so, nan (at
            the end) where a candidate has too few scores.
        n_known: (K,) how many candidates have a value, infinite ones among them.
    """

    criteria: tuple[str, ...]
    values: Floats
    n_known: Ints


def criterion_fractions(
    table: Table, direction: Direction = "minimize", by: Sequence[str] = PUBLISHED_CRITERIA
) -> Fractions:
    """Sort the candidates by each of several criteria.

    Where candidates have unequal numbers of instances, those of few have the more extreme values by luck.

    Args:
        table: the scores.
        direction: of the scores.
        by: names of the criteria.

    Example:
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0], [2.0, 2.0]]))
        >>> criterion_fractions(table, by=["mean", "max"]).values.tolist()
        [[2.0, 2.0], [2.0, 3.0]]
    """
    losses = table.losses(direction)
    rows = []
    for made in map(criterion, by):
        values = np.sort(made(losses))  # nan sorts last
        rows.append(made.in_score_units(values, direction))
    found = np.array(rows, dtype=float)
    return Fractions(tuple(by), found, np.asarray((~np.isnan(found)).sum(axis=1), dtype=np.int64))
