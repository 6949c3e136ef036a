"""What the selected candidate is really like: from fresh instances, or corrected for having been selected.

Called by ``Result`` and by analysis. Knows nothing of rules, names or units of the score.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from scipy.stats import qmc

from robust_select.core.protocols import Floats
from robust_select.stats.criteria import Criterion, Kind, criterion
from robust_select.stats.posteriors import Posterior, posterior

_SPAN, _N_GRID = 12.0, 961  # standard errors about the observed mean, and points of the grid there
_SHARES = np.array([0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7])
_SHARE_WEIGHTS = np.array([4.0, 1.0, 1.0, 1.0, 1.0, 0.7, 0.5])
"""Shares of candidates that may lie anywhere, and how much each share is believed before."""

_MOST_OTHERS = 200
_N_DRAWS = 1024
_PRIOR_REPLICATES = 1.0  # so many replicates is no correlation at all worth against the one seen
_LARGEST_CORRELATION = 0.95
_WITHOUT = frozenset({"min", "max"})  # extremes have no value that ever more instances converge to


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, on the loss side.

    Attributes:
        value: the estimate; infinite where a diverged or failed instance makes it so, nan where it is not known.
        low: lower end; nan where there is no interval.
        high: upper end; nan where there is no interval.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    def negated(self) -> "Estimate":
        """Give the estimate of the number times -1."""
        return Estimate(-self.value, -self.high, -self.low)


@dataclass(frozen=True)
class WinnerEstimate:
    """The selected candidate without the winner's curse.

    Attributes:
        mean: of its scores.
        std: standard deviation of its scores.
        criterion: by which it was selected; nan for the extremes min and max.
    """

    mean: Estimate
    std: Estimate
    criterion: Estimate

    def negated(self, kind: Kind) -> "WinnerEstimate":
        """Give the estimates in units of a score to be maximised; ``kind`` is that of the criterion."""
        by = self.criterion.negated() if kind == "location" else self.criterion
        return WinnerEstimate(self.mean.negated(), self.std, by)


def fresh_mean(losses: Floats, confidence: float = 0.95) -> Estimate:
    """Estimate a mean from instances that the choice did not look at, with the t interval.

    Assumes: independent instances; for few of them, normal scores.

    Args:
        losses: (n,) of the fresh instances.
        confidence: of the interval.

    Example:
        >>> found = fresh_mean(np.array([1.0, 2.0, 3.0]))
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (2.0, -0.484, 4.484)
    """
    n = len(losses)
    value = float(losses.mean()) if n else math.nan
    if n < 2 or not math.isfinite(value):
        return Estimate(value)
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1) * losses.std(ddof=1) / math.sqrt(n))
    return Estimate(value, value - reach, value + reach)


def fresh_std(losses: Floats, confidence: float = 0.95) -> Estimate:
    """Estimate a standard deviation from instances that the choice did not look at, with the chi-squared interval.

    Assumes: independent instances with normal scores.

    Args:
        losses: (n,) of the fresh instances.
        confidence: of the interval.

    Example:
        >>> found = fresh_std(np.array([1.0, 2.0, 3.0]))
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (1.0, 0.521, 6.285)
    """
    n = len(losses)
    if n < 2:
        return Estimate(math.nan)
    if not np.isfinite(losses).all():
        return Estimate(math.inf)
    value = float(losses.std(ddof=1))
    ends = np.sqrt((n - 1) / stats.chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], n - 1))
    return Estimate(value, float(value * ends[0]), float(value * ends[1]))


def shrunken_winner(losses: Floats, row: int, by: Criterion, confidence: float = 0.95) -> WinnerEstimate:
    """Estimate what the selected candidate is like from the scores by which it was selected.

    Its own scores flatter it; how much, the other candidates tell. True means are taken to be normally distributed
    over candidates, but for a share of candidates that may lie anywhere; centre, spread and share are integrated out
    over a grid, as the others' scores make them likely. Times the likelihood of the selected candidate's own
    scores (Student's t, its scale shrunken towards the common one) this is a posterior of its true mean: it does
    not depend on why the candidate was selected, nor on who was trained how often for what reason. A part of the
    error that all candidates share (correlated replicates) is not shrunk. The standard deviation is that of the
    shrunken scale, the criterion that of the location-scale family.

    Assumes: true means that are about normal over candidates, outliers apart; what ``posterior`` assumes of the
    scores. How often the intervals hold, there and elsewhere, is measured in docs/adr/0008-honest-winner.md: too
    rarely where a hundred candidates crowd at the best value there can be, too often where all are equal.

    Reference: Efron 2011, "Tweedie's formula and selection bias", JASA 106; Morris 1983, JASA 78.

    Args:
        losses: (C, R) all scores; nan where not trained, +inf where diverged or failed. Every candidate has one.
        row: the selected one.
        by: the criterion by which it was selected.
        confidence: of the intervals, equally much on both sides.

    Example:
        >>> losses = np.array([[1.0, 1.4, 1.2], [1.6, 1.2, 1.4], [1.7, 1.3, 1.8]])
        >>> found = shrunken_winner(losses, 0, criterion("mean"))
        >>> bool(1.2 < found.mean.value < 1.4), bool(found.mean.low < 1.2)
        (True, True)
    """
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    of_mean = posterior(losses, criterion("mean"))
    if np.isinf(of_mean.values[row]):
        mean = std = Estimate(math.inf)
    else:
        uniform = _uniform()
        center, means = _draw_mean(of_mean, row, uniform)
        mean = Estimate(center, *_ends(means, levels))
        scales = _draw_scale(of_mean, row, uniform[1])
        std = Estimate(float(of_mean.scales[row]), *_ends(scales, levels))
    return WinnerEstimate(mean, std, _criterion(losses, row, by, levels, mean, std))


def _criterion(losses: Floats, row: int, by: Criterion, levels: Floats, mean: Estimate, std: Estimate) -> Estimate:
    if by.name == "mean":
        return mean
    if by.name.startswith("std"):
        return std
    if by.name in _WITHOUT:
        return Estimate(math.nan)
    found = posterior(losses, by)
    if np.isinf(found.values[row]):
        return Estimate(math.inf)
    shape, uniform = found.shape, _uniform()
    center, means = _draw_mean(found, row, uniform)
    scales = _draw_scale(found, row, uniform[1])
    own = math.sqrt(shape.own_variance / found.counts[row]) * found.own_shares[row] * found.scales[row]
    values = shape.location * means + shape.k * scales + found.offsets[row] + own * special.ndtri(uniform[2])
    value = shape.location * center + shape.k * found.scales[row] + found.offsets[row]
    return Estimate(float(value), *_ends(values, levels))


def _uniform() -> Floats:
    """(4, draws) an even covering of the unit cube, without its faces."""
    return np.asarray(qmc.Sobol(4, scramble=False).random(_N_DRAWS).T * (1 - 1 / _N_DRAWS) + 0.5 / _N_DRAWS)


def _ends(draws: Floats, levels: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, levels)
    return float(low), float(high)


def _draw_scale(found: Posterior, row: int, uniform: Floats) -> Floats:
    """(draws,) standard deviations: scaled inverse chi-squared."""
    free = float(found.freedoms[row])
    return np.asarray(found.scales[row] * np.sqrt(free / stats.chi2.ppf(uniform, free)))


def _draw_mean(found: Posterior, row: int, uniform: Floats) -> tuple[float, Floats]:
    """Give the posterior mean of the selected candidate's location, and draws (draws,) from its posterior."""
    observed, scale, n = float(found.means[row]), float(found.scales[row]), int(found.counts[row])
    if not scale > 0:
        return observed, np.full(_N_DRAWS, observed)
    rho = shared_correlation(found, row)
    error = scale * math.sqrt((1 - rho) / n)
    others = np.isfinite(found.values)
    others[row] = False
    steps = np.linspace(-_SPAN, _SPAN, _N_GRID)
    points, free = observed + error * steps, float(found.freedoms[row])
    density = (1 + steps**2 / free) ** (-(free + 1) / 2)
    if others.any():
        errors = found.scales[others] * np.sqrt((1 - rho) / found.counts[others])
        density = density * prior_of_means(found.means[others], errors).density(points)
    cumulated = np.cumsum(density)
    cumulated /= cumulated[-1]
    center = float((density * points).sum() / density.sum())
    shared = scale * math.sqrt(rho / n) * special.stdtrit(max(n - 1, 1), uniform[3])  # of n common effects only
    return center, np.asarray(np.interp(uniform[0], cumulated, points) + shared)


@dataclass(frozen=True)
class MeansPrior:
    """What the true means of many candidates are like: a normal distribution, but for a share that lies anywhere.

    Attributes:
        weights: (S, H, K) how likely each spread, share and centre is; their sum is 1.
        spreads: (S,) standard deviation of the normal distribution.
        shares: (H,) share of candidates that may lie anywhere between the ends.
        centers: (K,) of the normal distribution.
        low: lower end.
        high: upper end.
        resolution: a spread of 0 stands for so much, as the centres are no closer.
    """

    weights: Floats
    spreads: Floats
    shares: Floats
    centers: Floats
    low: float
    high: float
    resolution: float

    def density(self, points: Floats) -> Floats:
        """Density (P,) of one more true mean."""
        of_normal = (self.weights * (1 - self.shares)[:, None]).sum(axis=1)
        rows, columns = np.nonzero(of_normal > 1e-6)
        widths = np.hypot(self.spreads[rows], self.resolution)
        away = (points - self.centers[columns, None]) / widths[:, None]
        normal = (of_normal[rows, columns] / widths / math.sqrt(2 * math.pi)) @ np.exp(-0.5 * away**2)
        anywhere = float((self.weights.sum(axis=(0, 2)) * self.shares).sum())
        return np.asarray(normal + anywhere / (self.high - self.low))

    def draw(self, means: Floats, errors: Floats, rng: np.random.Generator) -> Floats:
        """Draw true means (N,) from their joint posterior, given the observed ones (N,) and their errors (N,)."""
        drawn = rng.choice(self.weights.size, p=self.weights.ravel())
        of_spread, of_share, of_center = np.unravel_index(int(drawn), self.weights.shape)
        center, share = self.centers[of_center], self.shares[of_share]
        spread = math.hypot(self.spreads[of_spread], self.resolution)
        variances = errors**2 + spread * spread  # where ** would raise, * is infinite
        normal = np.exp(-0.5 * (means - center) ** 2 / variances) / np.sqrt(2 * np.pi * variances)
        anywhere = share / (self.high - self.low)
        is_anywhere = rng.random(len(means)) * ((1 - share) * normal + anywhere) < anywhere
        kept = np.where(is_anywhere, 1.0, spread * spread / variances)
        noise = errors * np.sqrt(kept) * rng.standard_normal(len(means))
        return np.asarray(center + kept * (means - center) + noise)


def prior_of_means(means: Floats, errors: Floats) -> MeansPrior:
    """Find what the true means are like by the likelihood of the observed ones, over a grid of settings.

    Assumes: independent errors, normal. Of more than 200 candidates 200 are used, evenly from best to worst.

    Args:
        means: (N,) observed; at least one.
        errors: (N,) their standard errors, above 0.

    Example:
        >>> found = prior_of_means(np.array([-1.0, 0.0, 1.0]), np.full(3, 0.1))
        >>> bool(abs((found.weights * found.centers).sum()) < 0.1)
        True
    """
    if len(means) > _MOST_OTHERS:
        chosen = np.argsort(means)[np.linspace(0, len(means) - 1, _MOST_OTHERS).astype(np.int64)]
        means, errors = means[chosen], errors[chosen]
    unit = float(np.median(errors))
    low, high = float(means.min() - 2 * errors.max()), float(means.max() + 2 * errors.max())
    centers = np.sort(np.concatenate([np.linspace(low, high, 24), np.quantile(means, np.linspace(0, 1, 25))]))
    spreads = np.concatenate([[0.0], np.geomspace(0.05 * unit, 3 * max(float(np.ptp(means)), unit), 24)])
    squares = (means - centers[:, None]) ** 2
    logs = np.empty((len(spreads), len(_SHARES), len(centers)))
    for position, spread in enumerate(spreads):
        variances = errors**2 + spread**2
        core = np.exp(-0.5 * squares / variances) / np.sqrt(2 * np.pi * variances)
        mixed = (1 - _SHARES[:, None, None]) * core + _SHARES[:, None, None] / (high - low)
        logs[position] = np.log(mixed + np.finfo(float).tiny).sum(axis=-1)
    weights = np.exp(logs - logs.max())
    weights *= (np.gradient(spreads) / (1 + spreads / unit))[:, None, None]
    weights *= _SHARE_WEIGHTS[:, None] * np.gradient(centers)
    largest = float(weights.max())
    weights = weights / largest if 0 < largest < math.inf else np.ones_like(weights)  # means too far apart to tell
    return MeansPrior(
        weights=weights / weights.sum(),
        spreads=spreads,
        shares=_SHARES,
        centers=centers,
        low=low,
        high=high,
        resolution=0.3 * unit / math.sqrt(len(means)),
    )


def shared_correlation(found: Posterior, row: int) -> float:
    """Correlation between a candidate and the others over common replicates, shrunken towards none; 0 to 0.95."""
    n = int(found.counts[row])
    residuals = found.residuals
    is_known = (np.arange(residuals.shape[1])[None, :] < np.minimum(found.counts, n)[:, None]).astype(float)
    common = is_known.sum(axis=1)
    products = ((residuals * is_known) @ residuals[row]) - (residuals * is_known).sum(axis=1) * (
        is_known @ residuals[row]
    ) / common
    size = found.scales * found.scales[row]
    used = (size > 0) & np.isfinite(found.values) & (np.arange(len(size)) != row)
    free = float((common[used] - 1).sum())
    if not free > 0:
        return 0.0
    rho = float((products[used] / size[used]).sum()) / free * (n - 1) / (n - 1 + _PRIOR_REPLICATES)
    return min(max(rho, 0.0), _LARGEST_CORRELATION)
