"""What each rule costs at several confidences: the trainings of its cheapest setting that reaches each.

Called by figure 13. Knows nothing of drawing, nor of how rules were tried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robust_select.analysis.efficiency import Efficiency
from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats

SHOWN_CONFIDENCES = (0.85, 0.95)


@dataclass(frozen=True)
class RuleCosts:
    """The trainings of K rules at L confidences, the cheapest at the last confidence first.

    Attributes:
        rules: (K,) names.
        confidences: (L,) ascending.
        trainings: (K, L) mean number of the cheapest setting that reaches the confidence; nan where none does.
    """

    rules: tuple[str, ...]
    confidences: tuple[float, ...]
    trainings: Floats


def rule_costs(
    points: Efficiency | Mapping[str, Sequence[tuple[float, float]]],
    confidences: Sequence[float] = SHOWN_CONFIDENCES,
) -> RuleCosts:
    """Find the cheapest setting of each rule that reaches each confidence; nothing between settings is made up.

    Args:
        points: what ``efficiency`` found, or name of a rule to (mean trainings, share of right choices) of its
            settings.
        confidences: wanted shares.

    Raises:
        InputError: a confidence that is not between 0 and 1, or none.

    Example:
        >>> rule_costs({"halving": [(20.0, 0.8), (40.0, 0.9), (90.0, 0.96)]}).trainings.tolist()
        [[40.0, 90.0]]
    """
    wanted = tuple(sorted(confidences))
    if not wanted or not all(0 < confidence < 1 for confidence in wanted):
        raise InputError(f"expected confidences between 0 and 1, both excluded, came {confidences!r}")
    if isinstance(points, Efficiency):
        points = {
            name: [(point.trainings, point.probability) for point in made.curve]
            for name, made in points.rules.items()
        }
    found = np.full((len(points), len(wanted)), np.nan)
    for row, settings in enumerate(points.values()):
        for column, confidence in enumerate(wanted):
            reached = [trainings for trainings, probability in settings if probability >= confidence]
            found[row, column] = min(reached, default=np.nan)
    order = np.lexsort((found[:, 0], found[:, -1]))  # nan sorts last
    names = list(points)
    return RuleCosts(tuple(names[row] for row in order), wanted, found[order])
