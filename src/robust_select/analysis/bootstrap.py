"""Bootstrap intervals of a criterion from one candidate's losses: BCa, or percentiles where BCa fails.

Called by measure, sources and the honest winner. Knows nothing of tables, candidates or units.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats
from robust_select.stats.criteria import Criterion

Method = Literal["BCa", "percentile", "none"]

EXTREMES = ("min", "max")
"""Criteria for which no bootstrap holds: a resample never goes beyond the outermost score."""

_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Interval:
    """An interval on the loss side.

    Attributes:
        low: lower end; nan where there is no interval.
        high: upper end; nan where there is no interval, infinite where diverged instances reach it.
        method: "BCa", "percentile", or "none".
    """

    low: float
    high: float
    method: Method


NO_INTERVAL = Interval(math.nan, math.nan, "none")


def redraw(losses: Floats, n_resamples: int, rng: np.random.Generator) -> Floats:
    """Draw resamples with replacement.

    Args:
        losses: (R,) of one candidate, without nan.
        n_resamples: how many.
        rng: draws.

    Returns:
        (n_resamples, R) losses.
    """
    return losses[rng.integers(0, len(losses), (n_resamples, len(losses)))]


def bootstrap_interval(losses: Floats, resamples: Floats, statistic: Criterion, confidence: float = 0.95) -> Interval:
    """Give the bootstrap interval of a criterion.

    BCa (bias-corrected and accelerated) as ``scipy.stats.bootstrap`` computes it from the same resamples; plain
    percentiles where BCa is not defined: all resamples on one side of the value, all jackknife values equal, or
    infinite losses, among which percentiles are order statistics.

    Assumes: independent scores. From few instances the intervals are too narrow: of normal scores, nominal 95 %
    intervals hold the true mean in 84, 92 and 93 % and the true standard deviation in 63, 85 and 90 % of 600 cases
    with 5, 10 and 20 instances.

    Reference: Efron 1987, "Better bootstrap confidence intervals", JASA 82.

    Args:
        losses: (R,) of one candidate, without nan; +inf where diverged or failed.
        resamples: (B, R) from ``redraw``.
        statistic: the criterion.
        confidence: of the interval, between 0 and 1.

    Returns:
        The interval; none for the criteria in ``EXTREMES``, below two losses, or below the criterion's
        least number of instances.

    Raises:
        InputError: confidence out of range.

    Example:
        >>> from robust_select.stats.criteria import criterion
        >>> losses = np.arange(20.0)
        >>> found = bootstrap_interval(losses, redraw(losses, 999, np.random.default_rng(0)), criterion("mean"))
        >>> found.method, round(found.low), round(found.high)
        ('BCa', 7, 12)
    """
    if not 0 < confidence < 1:
        raise InputError(f"expected confidence between 0 and 1, both excluded, came confidence={confidence}")
    if statistic.name in EXTREMES or len(losses) < max(2, statistic.min_instances):
        return NO_INTERVAL
    values = statistic(resamples)
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if not np.isfinite(values).all():
        low, high = np.quantile(values, levels, method="inverted_cdf")
        return NO_INTERVAL if np.isinf(low) else Interval(float(low), float(high), "percentile")
    corrected = _bca_levels(losses, values, statistic, levels)
    low, high = np.quantile(values, levels if corrected is None else corrected)
    return Interval(float(low), float(high), "percentile" if corrected is None else "BCa")


def _bca_levels(losses: Floats, values: Floats, statistic: Criterion, levels: Floats) -> Floats | None:
    """Correct the levels for bias and acceleration; None where that is not defined."""
    value = float(statistic(losses))
    bias = float(ndtri(((values < value).mean() + (values <= value).mean()) / 2))
    if not math.isfinite(bias) or len(losses) - 1 < statistic.min_instances:
        return None
    deviations = _leave_one_out(losses, statistic)
    deviations = deviations.mean() - deviations
    largest = float(np.abs(deviations).max())
    if not 0 < largest < math.inf:
        return None
    deviations = np.ldexp(deviations, -math.frexp(largest)[1])  # the acceleration has no unit; squares then fit
    scale = float((deviations**2).sum()) ** 1.5
    acceleration = float((deviations**3).sum()) / (6 * scale)
    shifted = bias + ndtri(levels)
    denominator = 1 - acceleration * shifted
    if not (denominator > 0).all():
        return None
    return np.asarray(ndtr(bias + shifted / denominator))


def _leave_one_out(losses: Floats, statistic: Criterion) -> Floats:
    """(R,) values without each loss in turn, some rows at a time to spare memory."""
    n = len(losses)
    others = np.arange(n - 1)
    blocks = []
    for first in range(0, n, _ROWS_AT_ONCE):
        left_out = np.arange(first, min(first + _ROWS_AT_ONCE, n))[:, None]
        blocks.append(statistic(losses[others + (others >= left_out)]))
    return np.concatenate(blocks)
