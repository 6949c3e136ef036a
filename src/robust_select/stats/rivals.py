"""How likely each candidate is to beat the leader, and what another training of each would tell.

Called by the TopTwo rule. Knows nothing of how a rule uses it.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special
from scipy.stats import qmc

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.stats.criteria import criterion
from robust_select.stats.posteriors import Posterior, posterior

_N_NODES = 64
_NODES = special.ndtri(qmc.Sobol(2, scramble=False).random(_N_NODES) * (1 - 1 / _N_NODES) + 0.5 / _N_NODES).T
"""(2, nodes) a fixed even covering of two independent standard normals."""

_PRIOR_PAIRS = 10.0  # so many pairs of replicates is the common correlation worth against a pair's own
_PRIOR_REPLICATES = 4.0  # so many replicates is no correlation at all worth against the common one
_LARGEST_CORRELATION = 0.95
_LEAST_SKEWNESS = -0.5
_BENT_FROM = 2.0  # standard deviations of the leader: so far above its value losses begin to count by their logarithm


@dataclass(frozen=True)
class Rivals:
    """Every candidate against the leader, on the loss side.

    Attributes:
        leader: its position.
        probabilities: (C,) that the candidate's criterion is below the leader's by more than the tolerance; 0 for the
            leader itself.
        correlations: (C,) between scores of the same replicate of the candidate and of the leader, shrunken.
        tolerance: in units of the losses.
        posterior: what all this rests on.
    """

    leader: int
    probabilities: Floats
    correlations: Floats
    tolerance: float
    posterior: Posterior

    def within_tolerance(self) -> Bools:
        """(C,) which candidates are more likely than not within the tolerance of the leader."""
        values = self.posterior.values
        with np.errstate(invalid="ignore"):
            return np.asarray(np.isfinite(values) & (values - values[self.leader] <= self.tolerance))

    def information(self, counts: Ints) -> Floats:
        """Say how much one more instance of each candidate would tell.

        The share by which it lowers the standard errors of the differences, weighted by the probabilities to beat the
        leader: an instance of the leader lowers all of them, one of another candidate its own. The weight is the
        probability itself and not what a smaller error would do to it: that would favour candidates that are almost
        ruled out over those that may well be the best (docs/adr/0007-top-two.md).

        Args:
            counts: (C,) instances of each, those in training included.

        Returns:
            (C,) each at least 0.
        """
        found, leader = self.posterior, self.leader
        n, leaders = counts.astype(float), float(counts[leader])
        grown = counts - found.counts
        now = self._variance(n, leaders, grown, float(grown[leader]))
        own = self._variance(n + 1, leaders, grown + 1, float(grown[leader]))
        of_leader = self._variance(n, leaders + 1, grown, float(grown[leader]) + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            gains = np.where(now > 0, self.probabilities * (1 - np.sqrt(own / now)), 0.0)
            of_leader = np.where(now > 0, self.probabilities * (1 - np.sqrt(of_leader / now)), 0.0)
        gains[leader] = of_leader.sum()  # the leader itself is no rival: its own probability is 0
        return gains

    def _variance(self, n: Floats, leaders: float, grown: Floats | Ints, leaders_grown: float) -> Floats:
        """Variance of the estimated difference, as if the counts were these."""
        found, leader = self.posterior, self.leader
        shape, rho = found.shape, self.correlations
        free, leaders_free = found.freedoms + grown, float(found.freedoms[leader]) + leaders_grown
        if shape.location == 0:
            return (0.5 / free + 0.5 / leaders_free) * (1 - rho**2)
        scale, leaders_scale = found.scales, float(found.scales[leader])
        mean = mean_variance(scale, leaders_scale, rho, n, leaders)
        spread = shape.k**2 / 2 * (scale**2 / free + leaders_scale**2 / leaders_free)
        return mean + spread


def mean_variance(scale: Floats, leaders_scale: Floats | float, rho: Floats, n: Floats, leaders: float) -> Floats:
    """Variance of the difference of two means when the candidate with fewer instances shares all of them.

    The best linear estimate under known covariance: the extra instances of one candidate correct the mean of the
    other by regression (Anderson 1957, doi 10.1080/01621459.1957.10501379).

    Args:
        scale: standard deviation of the candidate.
        leaders_scale: of the leader.
        rho: their correlation.
        n: instances of the candidate.
        leaders: instances of the leader.
    """
    leader_has_more = leaders >= n
    more = np.where(leader_has_more, leaders, n)
    fewer = np.where(leader_has_more, n, leaders)
    of_more = np.where(leader_has_more, leaders_scale, scale)
    of_fewer = np.where(leader_has_more, scale, leaders_scale)
    return (of_more - rho * of_fewer) ** 2 / more + of_fewer**2 * (1 - rho**2) / fewer


def rivals(found: Posterior, leader: int, tolerance: float = 0.0) -> Rivals:
    """Compare every candidate with the leader.

    Given the two scales and their correlation the difference of the means is normal; the scales are integrated out
    over a fixed set of nodes of their posteriors, so that few instances give the heavy tails of a t distribution,
    unequal variances included. The correlation is that of the common replicates, shrunken towards what all
    candidates together show, and that towards none.

    Assumes: what ``posterior`` does; and that replicate r of every candidate shares its random numbers, or that they
    are independent (then the correlation found is near zero and pairing does nothing).

    Args:
        found: posterior of all candidates.
        leader: position of the leader, with a finite value.
        tolerance: in units of the losses.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return _compare(found, leader, tolerance)


def _compare(found: Posterior, leader: int, tolerance: float) -> Rivals:
    shape = found.shape
    n, leaders = found.counts, int(found.counts[leader])
    common = np.minimum(n, leaders)
    rho = _correlations(found, leader, common)
    z, leaders_z = _NODES
    scales = _scale_nodes(found.scales[:, None], found.freedoms[:, None], z[None, :])
    leaders_scales = _scale_nodes(found.scales[leader], found.freedoms[leader], leaders_z[None, :])
    if shape.location == 0:
        probabilities = _spread(found, leader, tolerance, rho, common, leaders_z)
    else:
        shift = _mean_shift(found, leader, rho, common)
        difference = shift + found.offsets - found.offsets[leader] + tolerance
        variance = mean_variance(scales, leaders_scales, rho[:, None], n[:, None].astype(float), leaders)
        own = shape.own_variance * found.own_shares**2 * found.scales**2 / n
        variance = variance + (own + own[leader])[:, None]
        skewed = shape.k * shape.skewness
        if skewed > 0:
            variance = variance + skewed * (scales**2 / n[:, None] + leaders_scales**2 / leaders)
        apart = difference[:, None] + shape.k * (scales - leaders_scales)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(variance > 0, -apart / np.sqrt(variance), np.where(apart > 0, -np.inf, 0.0))
        probabilities = special.ndtr(ratio).mean(axis=1)
        if shape.k >= 0 and shape.skewness >= _LEAST_SKEWNESS:
            probabilities = np.minimum(probabilities, _by_signs(found, leader, tolerance))
            probabilities = np.minimum(probabilities, _by_bending(found, leader, tolerance))
    hopeful = np.where(found.is_undecided, 0.5**n / len(n), 0.0)  # its median may be finite yet
    probabilities = np.where(np.isinf(found.values), hopeful, probabilities)
    probabilities[leader] = 0.0
    return Rivals(leader, probabilities, rho, tolerance, found)


def _by_signs(found: Posterior, leader: int, tolerance: float) -> Floats:
    """Bound the probability by how many scores of a candidate are as good as it must be to beat the leader.

    A wide candidate may have a mean far above the leader's and yet, for all that a normal posterior knows, be better.
    But losses have their tail on the bad side: the criterion is not below the median, so that half the scores of a
    candidate that beats the leader would lie below the leader's value. Not asked where the pooled residuals lean to
    the other side, nor for ``min``.

    Returns:
        (C,) p-values of one-sided sign tests.
    """
    n_good = (_scores(found) <= found.values[leader] - tolerance).sum(axis=1)  # nan is not below
    return np.asarray(special.bdtr(n_good, found.counts, 0.5))


def _by_bending(found: Posterior, leader: int, tolerance: float) -> Floats:
    """Bound the probability on a scale where losses far above the leader's value count by their logarithm.

    With f concave and increasing, E f(X) <= f(E X) (Jensen): a candidate whose mean is below the leader's value by
    more than the tolerance has a mean of f(X) below that, too, if f leaves values up to the leader's as they are. Far
    above it f is a logarithm of the distance. Losses scatter the more the worse they are; there they scatter much
    alike, so that the common scale says at once that a hopeless candidate is one. Asked where signs are: the
    criterion is not below the mean.

    Returns:
        (C,) probabilities that the mean of f(X) is below the leader's value by more than the tolerance.
    """
    level, width = float(found.values[leader]), _BENT_FROM * float(found.scales[leader])
    if not width > 0:
        return np.ones(len(found.means))
    scores = _scores(found)
    above = np.maximum(scores - level, 0.0)
    bent = np.where(above > 0, level + width * np.log1p(above / width), scores)
    bent[leader] = scores[leader]
    bent = np.where(np.isinf(found.values)[:, None] & ~np.isnan(scores), np.inf, bent)
    on = posterior(bent, criterion("mean"))
    k, n, leaders = found.shape.k, found.counts, int(found.counts[leader])
    means, scales, freedoms = on.means.copy(), on.scales.copy(), on.freedoms.copy()
    means[leader], scales[leader], freedoms[leader] = level, found.scales[leader], found.freedoms[leader]
    on = replace(on, means=means, scales=scales, freedoms=freedoms)
    common = np.minimum(n, leaders)
    rho = _correlations(on, leader, common)
    z, leaders_z = _NODES
    own = _scale_nodes(scales[:, None], freedoms[:, None], z[None, :])
    leaders_own = _scale_nodes(scales[leader], freedoms[leader], leaders_z[None, :])
    variance = mean_variance(own, leaders_own, rho[:, None], n[:, None].astype(float), leaders)
    variance = variance + leaders_own**2 * (
        k**2 / 2 / freedoms[leader] + found.shape.own_variance * found.own_shares[leader] ** 2 / leaders
    )
    apart = _mean_shift(on, leader, rho, common) + tolerance
    return np.asarray(special.ndtr(-apart[:, None] / np.sqrt(variance)).mean(axis=1))


def _scores(found: Posterior) -> Floats:
    """(C, R) scores that the posterior rests on; nan where not trained."""
    known = np.arange(found.residuals.shape[1])[None, :] < found.counts[:, None]
    return np.where(known, found.residuals + found.means[:, None], np.nan)


def _scale_nodes(scale: Floats | float, free: Floats | float, z: Floats) -> Floats:
    """Posterior draws of a standard deviation, by Wilson and Hilferty's cube root of chi-squared."""
    spread = 2 / (9 * np.asarray(free))
    chi = np.maximum(1 - spread + z * np.sqrt(spread), 0.05) ** 3
    return np.asarray(scale / np.sqrt(chi))


def _spread(found: Posterior, leader: int, tolerance: float, rho: Floats, common: Ints, leaders_z: Floats) -> Floats:
    """Compare scales: the candidate's exactly, the leader's over the nodes."""
    shared = np.clip((common - 1) / np.maximum(found.freedoms, found.freedoms[leader]), 0, 1)
    sharpened = 1 / (1 - rho**2 * shared)
    free = found.freedoms * sharpened
    leaders_free = found.freedoms[leader] * sharpened
    k = found.shape.k
    leaders_scales = _scale_nodes(found.scales[leader], leaders_free[:, None], leaders_z[None, :])
    limit = leaders_scales - (tolerance + found.offsets - found.offsets[leader])[:, None] / k
    with np.errstate(invalid="ignore", divide="ignore"):
        chi = np.where(limit > 0, (found.scales[:, None] / limit) ** 2, np.inf)
        spread = 2 / (9 * free[:, None])
        z = (np.cbrt(chi) - (1 - spread)) / np.sqrt(spread)
        return np.asarray(np.nan_to_num(special.ndtr(-z).mean(axis=1)))


def _mean_shift(found: Posterior, leader: int, rho: Floats, common: Ints) -> Floats:
    """Difference of the means, each corrected by regression for the replicates that only the other one has."""
    means = found.means
    shift = means - means[leader]
    residuals = found.residuals
    ratio = found.scales / max(float(found.scales[leader]), 1e-300)
    leaders_sums = np.concatenate([[0.0], np.cumsum(residuals[leader])])
    leaders_common = leaders_sums[common] / common
    own_common = residuals[:, : int(found.counts[leader])].sum(axis=1) / common
    leader_has_more = found.counts[leader] >= found.counts
    correction = np.where(
        leader_has_more, -rho * ratio * leaders_common, rho / np.maximum(ratio, 1e-300) * own_common
    )
    return np.asarray(shift + correction)


def _correlations(found: Posterior, leader: int, common: Ints) -> Floats:
    """Correlate with the leader over the common replicates, shrunken."""
    n_leader = int(found.counts[leader])
    residuals = found.residuals[:, :n_leader]
    of_leader = residuals[leader]
    is_common = np.arange(n_leader)[None, :] < common[:, None]
    sums = np.where(is_common, residuals, 0.0).sum(axis=1)
    leaders_sums = np.cumsum(of_leader)[common - 1]
    products = (residuals * of_leader * is_common).sum(axis=1) - sums * leaders_sums / common
    size = found.scales * found.scales[leader]
    with np.errstate(invalid="ignore", divide="ignore"):
        products = np.where(size > 0, products / size, 0.0)
    free = (common - 1).astype(float)
    others = np.arange(len(free)) != leader
    total = float(free[others].sum())
    pooled = float(products[others].sum()) / total if total > 0 else 0.0
    pooled *= max(n_leader - 1, 0) / (max(n_leader - 1, 0) + _PRIOR_REPLICATES)
    rho = (products + _PRIOR_PAIRS * pooled) / (free + _PRIOR_PAIRS)
    return np.asarray(np.clip(rho, -0.5, _LARGEST_CORRELATION))
