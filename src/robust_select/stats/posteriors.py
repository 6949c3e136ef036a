"""Location-scale posteriors of many candidates at once, with shrunken scales and one common shape.

Called by the TopTwo rule, planning, the honest winner and whoever asks how likely the best is. Knows nothing of
steps, of who is trained next, or of the leader.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.stats.criteria import Criterion

PRIOR_FREEDOM = 5.0
"""Degrees of freedom of the common scale while little is known of how scales differ."""

EXTREME_OF = 50
"""``min`` and ``max`` are meant of so many instances: an extreme of ever more has no value to estimate."""

_PRIOR_CANDIDATES = 8.0  # so many candidates is PRIOR_FREEDOM worth against what the scales themselves say
_SHAPE_RESIDUALS = 100.0  # so many residuals is the normal shape worth against the pooled one
_OWN_SHAPE_INSTANCES = 40.0  # with so many instances a candidate's own shape weighs as much as the common one
_LEAST_OWN = 8
_FEW_DIVERGED = 4
_CLIP = 4.0  # scales from the median; farther out a criterion of quantiles does not see how far
_MOST_FREEDOM = 500.0
_UNKNOWN_VARIANCE = 1e12
_OWN_VARIANCES = {"median": 0.571, "q3": 0.629, "q3+iqr": 3.766, "cvar": 0.225, "iqr": 1.567}
"""Asymptotic variance of the criterion less that of mean + k x standard deviation, normal scores of variance 1."""

_ROBUST = frozenset({"min", "median", "q3", "q3+iqr", "iqr"})


@dataclass(frozen=True)
class Shape:
    """A criterion of the location-scale family: ``location * mean + k * standard deviation``.

    Attributes:
        location: 1 where the criterion moves with the losses, 0 for a spread.
        k: standard deviations above the mean; for a spread its value at a standard deviation of 1.
        skewness: of the residuals.
        inflation: variance of a sample variance against that of normal losses, (kurtosis - 1) / 2; at least 1.
        own_variance: of the criterion of a normal sample about that of its mean and standard deviation, times the
            instances: what believing a candidate's own shape costs.
    """

    location: float
    k: float
    skewness: float
    inflation: float
    own_variance: float


@dataclass(frozen=True)
class Posterior:
    """What is known of every candidate, on the loss side.

    Attributes:
        values: (C,) estimate of the criterion; +inf where a diverged instance makes it infinite.
        means: (C,) location; 0 where the value is infinite.
        scales: (C,) standard deviation, shrunken towards the common one.
        freedoms: (C,) degrees of freedom of the scale, those of the prior included.
        counts: (C,) instances.
        residuals: (C, R) deviations from the mean; 0 where not trained.
        is_undecided: (C,) whether all of few instances diverged, under a criterion that half of them may.
        own_shares: (C,) how far a candidate's own shape is believed against the common one, 0 to 1.
        shape: of the criterion, common to all.
        prior_freedom: how many degrees of freedom the common scale is worth; many if scales hardly differ.
    """

    values: Floats
    means: Floats
    scales: Floats
    freedoms: Floats
    counts: Ints
    residuals: Floats
    is_undecided: Bools
    own_shares: Floats
    shape: Shape
    prior_freedom: float

    @property
    def offsets(self) -> Floats:
        """(C,) what the candidates' own shapes add to the criterion of the common shape."""
        return self.values - self.shape.location * self.means - self.shape.k * self.scales


def posterior(losses: Floats, by: Criterion) -> Posterior:
    """Estimate location, scale and criterion of every candidate.

    Scales are shrunken by empirical Bayes: the true variances are taken to follow a scaled inverse chi-squared
    distribution, its parameters fitted to all sample variances (Smyth 2004, doi 10.2202/1544-6115.1027). The shape
    (skewness, kurtosis, the criterion in standard deviations) is pooled from all standardised residuals and
    shrunken towards the normal one; as a candidate's instances grow its own shape takes over. Criteria of
    quantiles do not see how far an outlier lies: scores beyond four scales from the median are drawn in.

    Assumes: independent replicates within a candidate. Of the shape nothing once there are many instances; with few,
    that it is much the same for all candidates.

    Args:
        losses: (C, R); nan where not trained, +inf where diverged or failed. Every candidate has one at least.
        by: the criterion.

    Example:
        >>> from robust_select.stats.criteria import criterion
        >>> found = posterior(np.array([[1.0, 2.0, 3.0], [5.0, np.nan, np.nan]]), criterion("mean"))
        >>> found.values, found.counts
        (array([2., 5.]), array([3, 1]))
    """
    is_known = ~np.isnan(losses)
    counts = np.asarray(is_known.sum(axis=1), dtype=np.int64)
    used = _drawn_in(losses, counts) if by.name in _ROBUST else losses
    is_bad = np.asarray(np.isinf(np.where(is_known, used, 0.0)).any(axis=1))
    filled = np.where(is_known & ~is_bad[:, None], used, 0.0)
    means = filled.sum(axis=1) / counts
    residuals = np.where(is_known & ~is_bad[:, None], filled - means[:, None], 0.0)
    squares = (residuals**2).sum(axis=1)
    free = np.where(is_bad, 0, counts - 1)
    first_scale, _, _ = shrunken_variances(squares, free.astype(float))
    shape = _shape(residuals, is_known & ~is_bad[:, None], counts, np.sqrt(first_scale), by)
    effective = free / shape.inflation
    variances, freedoms, prior_freedom = shrunken_variances(
        np.where(free > 0, squares / np.maximum(free, 1) * effective, 0.0), effective
    )
    scales = np.sqrt(variances)
    own_shares, offsets = _own_shape(used, means, squares, counts, is_bad, shape, by)
    return Posterior(
        values=np.where(is_bad, np.inf, shape.location * means + shape.k * scales + offsets),
        means=means,
        scales=scales,
        freedoms=freedoms,
        counts=counts,
        residuals=residuals,
        is_undecided=is_bad & (by.name in _ROBUST) & (counts <= _FEW_DIVERGED),
        own_shares=own_shares,
        shape=shape,
        prior_freedom=prior_freedom,
    )


def shrunken_variances(squares: Floats, free: Floats) -> tuple[Floats, Floats, float]:
    """Shrink variances towards a common one, by empirical Bayes on their logarithms.

    The spread of the true log-variances is estimated by the method of DerSimonian and Laird (1986) with the known
    sampling variance of a log chi-squared, and itself shrunken towards that of ``PRIOR_FREEDOM``.

    Args:
        squares: (C,) sums of squared deviations.
        free: (C,) degrees of freedom of each; 0 where there is one score only.

    Returns:
        (C,) posterior variances, (C,) their degrees of freedom, and those of the prior.

    Example:
        >>> shrunken_variances(np.array([2.0, 4.0, 0.0]), np.array([2.0, 2.0, 0.0]))[0].round(1)
        array([1.2, 1.7, 1.5])
    """
    rows = free > 0
    if not rows.any():  # nothing is known of scales
        return np.full(len(squares), _UNKNOWN_VARIANCE), free + PRIOR_FREEDOM, PRIOR_FREEDOM
    if not (squares[rows] > 0).any():
        return np.zeros(len(squares)), free + PRIOR_FREEDOM, PRIOR_FREEDOM
    d = free[rows]
    usual = float(np.median((squares[rows] / d)[squares[rows] > 0]))  # not the mean: a hopeless candidate may rule it
    least = 1e-3 * usual  # equal scores, rounded ones say, are not infinitely good
    logs = np.log(np.maximum(squares[rows] / d, least)) - special.digamma(d / 2) + np.log(d / 2)
    sampling = special.polygamma(1, d / 2)
    weights = 1 / sampling
    center = float((weights * logs).sum() / weights.sum())
    total, total_squares = float(weights.sum()), float((weights**2).sum())
    between = 0.0
    n_between = total**2 / total_squares - 1
    if n_between > 0.5:
        q = float((weights * (logs - center) ** 2).sum())
        between = max(0.0, (q - (len(d) - 1)) / (total - total_squares / total))
    prior = float(special.polygamma(1, PRIOR_FREEDOM / 2))
    between = (n_between * between + _PRIOR_CANDIDATES * prior) / (n_between + _PRIOR_CANDIDATES)
    weights = 1 / (sampling + between)
    center = float((weights * logs).sum() / weights.sum())
    unsure = between + 1 / float(weights.sum())  # the common one is itself an estimate
    prior_freedom = min(2 * _trigamma_inverse(unsure), _MOST_FREEDOM)
    common = float(np.exp(center + special.digamma(prior_freedom / 2) - np.log(prior_freedom / 2)))
    freedoms = prior_freedom + free
    return (prior_freedom * common + squares) / freedoms, freedoms, prior_freedom


def _trigamma_inverse(value: float) -> float:
    """Invert the trigamma function by Newton's iteration (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(20):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def _drawn_in(losses: Floats, counts: Ints) -> Floats:
    """Draw scores beyond ``_CLIP`` common scales from a candidate's median in to there."""
    ordered = np.sort(losses, axis=1)
    rows = np.arange(len(losses))
    with np.errstate(invalid="ignore"):
        median = (ordered[rows, (counts - 1) // 2] + ordered[rows, counts // 2]) / 2
        away = np.abs(losses - median[:, None]) * np.sqrt(counts / np.maximum(counts - 1, 1))[:, None]
    away = away[(counts > 1) & np.isfinite(median)]
    away = away[np.isfinite(away)]
    away = away[away > 0]
    if len(away) == 0:
        return losses
    reach = _CLIP * 1.4826 * float(np.median(away))
    is_usable = np.isfinite(median)
    center = np.where(is_usable, median, 0.0)[:, None]
    return np.where(is_usable[:, None], np.clip(losses, center - reach, center + reach), losses)


@functools.cache
def _normal_k(name: str) -> float:
    """Give the criterion of a standard normal population (of ``EXTREME_OF`` instances for min and max)."""
    quartile = float(stats.norm.ppf(0.75))
    if name in {"min", "max"}:
        most = float(stats.norm.expect(lambda x: x * EXTREME_OF * stats.norm.cdf(x) ** (EXTREME_OF - 1)))
        return most if name == "max" else -most
    known = {
        "median": 0.0,
        "mean": 0.0,
        "q3": quartile,
        "q3+iqr": 3 * quartile,
        "cvar": float(stats.norm.pdf(quartile)) / 0.25,
        "iqr": 2 * quartile,
    }
    return known.get(name, 1.0)


def _shape(residuals: Floats, is_known: Bools, counts: Ints, scales: Floats, by: Criterion) -> Shape:
    """Pool the standardised residuals of candidates with three instances or more."""
    location = 1.0 if by.kind == "location" else 0.0
    own_variance = _OWN_VARIANCES.get(by.name, 0.0)
    k = _normal_k(by.name)
    rows = (counts >= 3) & (scales > 0)
    grown = np.sqrt(counts[rows] / (counts[rows] - 1))[:, None]
    pooled = (residuals[rows] / scales[rows, None] * grown)[is_known[rows]]
    n = len(pooled)
    if n == 0 or not pooled.any():
        return Shape(location, k, 0.0, 1.0, own_variance)
    pooled = pooled / np.sqrt(np.mean(pooled**2))
    share = n / (n + _SHAPE_RESIDUALS)
    skewness = share * float(np.mean(pooled**3))
    inflation = 1 + share * max(0.0, (float(np.mean(pooled**4)) - 3) / 2)
    if by.name in {"min", "max"}:
        k += share * (_extreme(pooled if by.name == "max" else -pooled) * (1 if by.name == "max" else -1) - k)
    elif own_variance:
        k += share * (float(by(pooled)) - k)
    return Shape(location, k, skewness, inflation, own_variance)


def _extreme(pooled: Floats) -> float:
    """Expect the largest of ``EXTREME_OF`` draws from pooled residuals."""
    ranks = np.arange(len(pooled) + 1) / len(pooled)
    return float((np.sort(pooled) * np.diff(ranks**EXTREME_OF)).sum())


def _own_shape(
    used: Floats, means: Floats, squares: Floats, counts: Ints, is_bad: Bools, shape: Shape, by: Criterion
) -> tuple[Floats, Floats]:
    """Say how far each candidate's own criterion is from that of the common shape, and how far that is believed."""
    shares, offsets = np.zeros(len(means)), np.zeros(len(means))
    rows = ~is_bad & (counts >= _LEAST_OWN)
    if shape.own_variance and rows.any():
        own_scale = np.sqrt(squares[rows] / (counts[rows] - 1))
        expected = shape.location * means[rows] + shape.k * own_scale
        shares[rows] = counts[rows] / (counts[rows] + _OWN_SHAPE_INSTANCES)
        offsets[rows] = shares[rows] * (by(used[rows]) - expected)
    return shares, offsets
