"""The least number of trainings that any rule needs: characteristic time times binary relative entropy.

Called by efficiency. Knows nothing of rules, of tables or of who pays.
"""

import math

import numpy as np
from scipy import optimize, special

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats
from robust_select.stats.criteria import Criterion

_QUARTILE = float(special.ndtri(0.75))
_K = {
    "mean": 0.0,
    "median": 0.0,
    "q3": _QUARTILE,
    "q3+iqr": 3 * _QUARTILE,
    "cvar": math.exp(-(_QUARTILE**2) / 2) / math.sqrt(2 * math.pi) / 0.25,
    "std": 1.0,
    "iqr": 2 * _QUARTILE,
}
"""Criteria of normal scores that are ``mean + k x standard deviation``; for a spread k times it alone."""


def variance_factor(by: Criterion) -> float | None:
    """Say how uncertain one instance leaves a criterion, in units of the variance of its score.

    That of the best estimate from normal scores, mean and standard deviation both unknown: 1 + k^2 / 2 for
    mean + k standard deviations (mean and median 1, q3 1.23, q3+iqr 3.05, cvar 1.81), k^2 / 2 for a spread (std 1/2,
    iqr 0.91). The usual estimate of a quantile is less exact, so what it needs is above the bound by more.

    Returns:
        The factor; None for ``min`` and ``max``, which have no value that more instances approach, and for
        ``std-within-tolerance``, which depends on all candidates.

    Example:
        >>> from robust_select.stats.criteria import criterion
        >>> variance_factor(criterion("std")), variance_factor(criterion("max"))
        (0.5, None)
    """
    if by.name not in _K or by.tolerance is not None:
        return None
    return (1.0 if by.kind == "location" else 0.0) + _K[by.name] ** 2 / 2


def relative_entropy(confidence: float) -> float:
    """Give kl(delta, 1 - delta) with delta = 1 - confidence: what being so sure takes.

    Returns:
        (1 - 2 delta) log((1 - delta) / delta); 0 for a confidence of one half or less, which guessing may reach.

    Raises:
        InputError: confidence not between 0 and 1.

    Example:
        >>> round(relative_entropy(0.95), 2)
        2.65
    """
    if not 0 < confidence < 1:
        raise InputError(f"expected confidence between 0 and 1, both excluded, came confidence={confidence}")
    return max(0.0, 2 * confidence - 1) * max(0.0, math.log(confidence / (1 - confidence)))


def characteristic_time(values: Floats, variances: Floats, tolerance: float = 0.0) -> float:
    """Give T*: trainings needed for each unit of relative entropy under the best possible allocation.

    Of candidate a as the answer, with shares w of the trainings and gaps d_j = value_j - value_a + tolerance,

        1 / T_a = max over w of min over j of d_j^2 / (2 (v_a / w_a + v_j / w_j)),

    the cost of the likeliest mistake: that rival j beats a by more than the tolerance. T* is the smallest T_a among
    the right answers, those within the tolerance of the best value (Degenne and Koolen 2019); without a tolerance
    it is that of the best candidate (Garivier and Kaufmann 2016, there with equal variances). At the optimum all
    rivals cost the same, which leaves one unknown: T_a = 2 min over u of 1 / u + sum of v_j / (d_j^2 - u v_a).

    Assumes: normal scores of known variances, and independent candidates. It knows no pairing: where the same
    replicate of several candidates correlates, a paired rule may need less.

    Args:
        values: (C,) of the criterion, on the loss side; +inf for one that nobody would take for the best.
        variances: (C,) of what one instance says about it.
        tolerance: in units of the values.

    Returns:
        T*; 0 for a single candidate, +inf where two candidates are equally good and there is no tolerance, or
        where no candidate has a finite value.

    Raises:
        InputError: a tolerance below 0, shapes that differ, or a variance below 0.

    Example:
        >>> characteristic_time(np.array([0.0, 1.0]), np.array([1.0, 4.0]))  # 2 (1 + 2)^2 / 1^2
        18.0
    """
    values, variances = np.asarray(values, dtype=float), np.asarray(variances, dtype=float)
    if values.shape != variances.shape or values.ndim != 1:
        raise InputError(f"expected one variance a value, came shapes {values.shape} and {variances.shape}")
    if not 0 <= tolerance < math.inf:
        raise InputError(f"expected a tolerance of 0 or more, came tolerance={tolerance}")
    if len(values) < 2:
        return 0.0
    finite = np.isfinite(values)
    if not finite.any():
        return math.inf
    values, variances = values[finite], variances[finite]
    if not (variances >= 0).all():
        raise InputError(f"expected variances of 0 or more, came {variances.min()}")
    answers = np.flatnonzero(values <= values.min() + tolerance)
    if tolerance == 0 and len(answers) > 1:
        return math.inf
    return min(_time_of(values, variances, int(answer), tolerance) for answer in answers)


def least_trainings(values: Floats, variances: Floats, confidence: float, tolerance: float = 0.0) -> float:
    """Bound the mean number of trainings of every rule that is right with this confidence whatever the scores.

    T* x kl(delta, 1 - delta), delta = 1 - confidence. It holds for rules with a guarantee; one that is right by luck
    on one table may need less. The arguments and what is assumed are those of ``characteristic_time``.

    Example:
        >>> round(least_trainings(np.array([0.0, 1.0]), np.array([1.0, 1.0]), 0.95), 1)
        21.2
    """
    needed = relative_entropy(confidence)
    return needed * characteristic_time(values, variances, tolerance) if needed else 0.0


def _time_of(values: Floats, variances: Floats, answer: int, tolerance: float) -> float:
    """Give T_a of one right answer."""
    others = np.arange(len(values)) != answer
    with np.errstate(over="ignore"):
        squares = (values[others] - values[answer] + tolerance) ** 2
    own, rivals = float(variances[answer]), variances[others]
    if len(squares) == 0:
        return 0.0
    nearest = float(squares.min())
    if nearest == 0:
        return math.inf
    if math.isinf(nearest):
        return 0.0
    if own == 0:
        return 2 * float((rivals / squares).sum())
    ratios = squares / nearest  # in t = u v_a / nearest, between 0 and 1, all is without units
    weights = rivals / own
    ratios, weights = ratios[weights > 0], weights[weights > 0]

    def slope(t: float) -> float:
        return float((weights * (t / (ratios - t)) ** 2).sum()) - 1

    last = 1.0 if (ratios > 1).all() else 1 - 1e-15
    t = last if slope(last) <= 0 else float(optimize.brentq(slope, 0.0, last, xtol=1e-15))
    return 2 * own / nearest * (1 / t + float((weights / (ratios - t)).sum()))
