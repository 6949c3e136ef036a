"""Familywise control over repeated looks: when to look, at which level, and who is then significantly worse.

Called by the Significance rule, and on many studies at once by efficiency, the playground, benchmarks and truth
tests. Knows nothing of trainings or of how a selection ends.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import interpolate, optimize, special, stats

from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.stats.comparisons import Comparison, comparison

LEAST_INSTANCES = 3
"""Two scores a candidate are never looked at: at the levels of familywise control they decide nothing."""

LOOK_GROWTH = 5
"""The next look comes when there are a fifth more instances (at least one more)."""

LARGEST_LEVEL = 0.25
"""No comparison is made at a larger one-sided level, however large alpha is."""


@dataclass(frozen=True)
class Spending:
    """When to look, and the one-sided level of each comparison at a look.

    Attributes:
        looks: numbers of instances at which candidates are compared, ascending; empty if the test can never reach
            the level with so few.
        level: a rival may beat the best candidate by chance at one look with this probability at most.
    """

    looks: tuple[int, ...]
    level: float


@lru_cache(maxsize=1024)
def spend(test: str, alpha: float, n_rivals: int, first: int, last: int) -> Spending:
    """Spend alpha equally over all rivals and over looks that grow further and further apart.

    The best candidate is discarded only if some rival beats it at some look. So by Bonferroni's inequality the
    probability of that is below alpha if one rival at one look does it with a probability of at most
    alpha / (rivals x looks), whatever the dependence. Looks come at every number of instances up to 10 and then
    a fifth further each, the last one at ``last``; none is wasted on so few instances that the test cannot reach
    the level.

    Args:
        test: one of ``COMPARISONS``.
        alpha: the probability that the best candidate is ever discarded.
        n_rivals: all candidates but one, those discarded already included.
        first: no look before so many instances.
        last: how many instances of a candidate there are at most.

    Returns:
        The looks and their level.

    Example:
        >>> spend("welch", 0.05, 1, 2, 12)
        Spending(looks=(3, 4, 5, 6, 7, 8, 9, 10, 12), level=0.005555555555555556)
        >>> spend("mann-whitney", 0.05, 99, 2, 12)
        Spending(looks=(8, 10, 12), level=0.00016835016835016836)
        >>> spend("mann-whitney", 0.05, 99, 2, 5).looks
        ()
    """
    n_rivals = max(n_rivals, 1)
    planned = _looks(test, max(first, LEAST_INSTANCES), last)
    for n_looks in range(len(planned), 0, -1):
        level = min(alpha / n_rivals / n_looks, LARGEST_LEVEL)
        able = [n for n in planned if smallest_p_value(test, n) < level]
        if len(able) >= n_looks:
            able.sort(key=lambda n: smallest_p_value(test, n))
            return Spending(tuple(sorted(able[:n_looks])), level)
    return Spending((), min(alpha / n_rivals, LARGEST_LEVEL))


def _looks(test: str, first: int, last: int) -> tuple[int, ...]:
    """Give the numbers of instances to look at; odd ones only for Levene's test (see ``one_sided_p_values``)."""
    found, n = [], first
    while n < last:
        found.append(n)
        n += max(1, n // LOOK_GROWTH)
    found.append(last)
    if test == "levene":
        found = [n - 1 + n % 2 for n in found]
    return tuple(sorted({n for n in found if first <= n <= last}))


@lru_cache(maxsize=1024)
def smallest_p_value(test: str, n_instances: int) -> float:
    """Give the smallest one-sided p-value that so many instances can have.

    Rank tests cannot go below one in the number of arrangements; the others can go as low as one likes.

    Example:
        >>> smallest_p_value("mann-whitney", 3)  # 1 of the 20 ways to share 6 ranks
        0.05
    """
    steps = np.arange(1.0, n_instances + 1.0) ** 1.5  # no two distances between them are equal
    if comparison(test).kind == "location":
        return float(one_sided_p_values(test, (1e6 + steps)[None, :], steps[None, ::-1])[0])
    return float(one_sided_p_values(test, 1e6 * steps[None, :], steps[None, ::-1])[0])


def worse_than_leader(test: str, losses: Floats, alive: Bools, level: float) -> tuple[Bools, Ints]:
    """Compare the alive candidates of each study with its leader at one look.

    The leader is the alive candidate of the smallest mean (tests of location) or standard deviation (tests of
    width); of equal ones that with the fewest diverged instances, then of the smallest mean of the finite
    losses, then the first one. A candidate is worse where its one-sided p-value is below ``level`` (Welch: below
    ``welch_level``).

    A diverged instance (+inf) has its place among ranks. The tests without ranks compare a pair that has one
    otherwise: for location by the ranks (Mann-Whitney, paired: Wilcoxon), for width by the number of diverged
    instances (Fisher's exact test). One unlucky training is then no proof.

    Args:
        test: one of ``COMPARISONS``.
        losses: (S, C, R) of S studies, no nan among the alive; +inf where diverged or failed.
        alive: (S, C) who is not discarded; at least one in each study.
        level: one-sided, of a single comparison.

    Returns:
        (S, C) which alive candidates are significantly worse, and (S,) the leaders.

    Example:
        >>> losses = np.array([[[1.0, 1.1, 0.9], [1.0, 1.2, 1.1], [50.0, 52.0, 51.0]]])
        >>> worse, leaders = worse_than_leader("welch", losses, np.ones((1, 3), dtype=bool), 0.01)
        >>> worse.tolist(), leaders.tolist()
        ([[False, False, True]], [0])
    """
    made = comparison(test)
    means = losses.mean(axis=2)
    is_finite: Bools = np.isfinite(means)
    finite = losses
    if not is_finite.all():
        finite = np.where(is_finite[:, :, None], losses, 0.0)
    variances = np.where(is_finite, _variances(finite), np.inf) if test == "welch" or made.kind == "width" else means
    leaders = _leaders(means if made.kind == "location" else variances, means, losses, alive, is_finite)
    studies = np.arange(len(losses))
    rivals = alive.copy()
    rivals[studies, leaders] = False
    with_divergence = rivals & ~(is_finite & is_finite[studies, leaders][:, None])
    if not made.uses_ranks:
        rivals &= ~with_divergence
    if test in ("welch", "paired-t"):
        rivals &= _may_be_worse(test, finite, means, variances, leaders, level)
    nominal = welch_level(level, losses.shape[2]) if test == "welch" else level
    worse = np.zeros(alive.shape, dtype=bool)
    rows, columns = np.nonzero(rivals)
    if len(rows):
        p_values = one_sided_p_values(test, losses[rows, columns], losses[rows, leaders[rows]])
        worse[rows, columns] = p_values < nominal
    if not made.uses_ranks and with_divergence.any():
        rows, columns = np.nonzero(with_divergence)
        p_values = _p_values_with_divergence(made, losses[rows, columns], losses[rows, leaders[rows]])
        worse[rows, columns] = p_values < level
    return worse, leaders


def discarded_at(test: str, losses: Floats, alpha: float, warmup: int = 2) -> Ints:
    """Run familywise significance on many studies at once; the rule does the same one look at a time.

    Args:
        test: one of ``COMPARISONS``.
        losses: (S, C, R) of S studies: every loss that could be trained; +inf where diverged or failed.
        alpha: the probability that the best candidate of a study is ever discarded.
        warmup: no look before so many instances.

    Returns:
        (S, C) the number of instances at which a candidate was discarded; 0 if never.

    Example:
        >>> losses = np.array([[[1.0, 1.1, 0.9, 1.0], [50.0, 52.0, 51.0, 53.0]]])
        >>> discarded_at("welch", losses, alpha=0.05).tolist()
        [[0, 3]]
    """
    n_studies, n_candidates, last = losses.shape
    found = np.zeros((n_studies, n_candidates), dtype=np.int64)
    spending = spend(test, alpha, n_candidates - 1, warmup, last)
    for n_instances in spending.looks:
        going = np.flatnonzero(np.count_nonzero(found == 0, axis=1) > 1)
        if len(going) == 0:
            break
        seen = (losses if len(going) == n_studies else losses[going])[:, :, :n_instances]
        worse, _ = worse_than_leader(test, seen, found[going] == 0, spending.level)
        found[going] = np.where(worse, n_instances, found[going])
    return found


def one_sided_p_values(test: str, losses: Floats, references: Floats) -> Floats:
    """Compare pairs of candidates: is the first one worse (a larger mean, later ranks, a larger width)?

    Half of SciPy's two-sided p-value where the test's own statistic says worse, else 1 - half (for ks: 1; half of
    its p-value is the one-sided one but for 1 % at p = 0.2, and far closer at small ones). Only ``bartlett`` is
    another than SciPy's: with two groups of equal size its statistic is a function of the ratio
    of variances, so its p-value is taken from the F distribution, exact for normal scores, where the published
    chi-square is an approximation.

    Assumes:
        Replicates are independent of each other. ``welch``: normal, see ``welch_level``. ``paired-t``: normal
        differences. ``wilcoxon``: differences symmetric about their mean. ``ks``, ``mann-whitney``: both have
        the same distribution but for a shift. ``bartlett``, ``pitman-morgan``: normal. ``levene``, ``fligner``:
        both the same distribution but for location and scale. SciPy's Levene statistic measures distances from the
        sample median; with an even number of scores two of them are always equal, and small p-values are too
        frequent (10 times at n = 4 and p = 1e-4): look at odd numbers only.

    Args:
        test: one of ``COMPARISONS``.
        losses: (B, R) of B candidates; +inf only for tests that use ranks.
        references: (B, R) of the candidate that each is compared with.

    Returns:
        (B,) p-values; 1 where the scores of both are constant and equal.

    Raises:
        InputError: two arrays of different shapes.

    Example:
        >>> one_sided_p_values("welch", np.array([[5.0, 5.2], [1.0, 1.1]]), np.array([[1.0, 1.1]] * 2)).round(4)
        array([0.0019, 1.    ])
    """
    if losses.shape != references.shape:
        raise InputError(
            f"expected as many losses as references, came losses={losses.shape}, references={references.shape}"
        )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # SciPy warns of constant scores; they are defined here
        if test == "bartlett":
            n = losses.shape[1]
            p_values = stats.f.sf(_variances(losses) / _variances(references), n - 1, n - 1)
        else:
            two_sided = _two_sided(test, losses, references)
            sign = _sign(test, losses, references)
            wrong_side = 1.0 if test == "ks" else 1.0 - two_sided / 2
            p_values = np.where(sign > 0, two_sided / 2, np.where(sign < 0, wrong_side, 1.0))
    return np.where(np.isnan(p_values), 1.0, p_values)


@lru_cache(maxsize=4096)
def welch_level(level: float, n_instances: int) -> float:
    """Find the one-sided p-value below which Welch's test is wrong with a probability of ``level`` at most.

    Welch's degrees of freedom are themselves estimated, and at small levels with few scores its p-value is far
    too optimistic where the variances differ: with 3 scores of each of two normal candidates, p < 1e-4 happens 7
    times as often as it should when one variance is 400 times the other. Given the ratio of the sample
    variances, the statistic is Student's t with 2(n-1) degrees of freedom but for a known factor, and that ratio
    is a beta variable; so the true size is one integral, here maximised over all ratios of variances.

    Assumes:
        Normal scores, independent candidates; scores that correlate positively make it conservative.

    Args:
        level: the wanted probability, below 0.5.
        n_instances: of each of the two candidates, at least 2.

    Returns:
        At most ``level``.

    Example:
        >>> round(welch_level(0.001, 3), 4), round(welch_level(0.001, 30), 4)
        (0.0002, 0.001)
    """

    def excess(log_nominal: float) -> float:
        return float(np.log(_welch_sizes(float(np.exp(log_nominal)), n_instances).max() / level))

    margin = 0.01  # pays for the root's tolerance and for the grid of ratios
    highest = float(np.log(level)) - margin
    if excess(highest) <= 0:
        return float(np.exp(highest))
    lowest = highest - 1.0
    while excess(lowest) > 0:
        lowest -= 2.0
    return float(np.exp(optimize.brentq(excess, lowest, highest, xtol=margin / 2) - margin))


def _welch_sizes(nominal: float, n_instances: int) -> Floats:
    """Give the true one-sided size of Welch's test for a grid of ratios of variances, from 1 upwards."""
    m = n_instances - 1
    reach = 60.0 / m + 16.0 / np.sqrt(m)
    logits = np.linspace(-reach, reach, 121)  # of the share that the first sample has of both sums of squares
    share, rest = special.expit(logits), special.expit(-logits)
    density = np.exp(m / 2 * (special.log_expit(logits) + special.log_expit(-logits)) - special.betaln(m / 2, m / 2))
    ratio = np.exp(np.linspace(0.0, 26.0, 66))[:, None]
    first = ratio * share
    freedom = m * (first + rest) ** 2 / (first**2 + rest**2)
    nodes = np.geomspace(m, 2.0 * m, 33)
    log_critical = interpolate.CubicSpline(nodes, np.log(-special.stdtrit(nodes, nominal)))
    critical = np.exp(log_critical(freedom))
    tail = special.stdtr(2.0 * m, -critical * np.sqrt(2 * (first + rest) / (ratio + 1)))
    return np.asarray(np.trapezoid(tail * density, logits, axis=1))


def _variances(losses: Floats) -> Floats:
    """Give variances (ddof=1) over the last axis; exactly 0 where constant, whatever the rounding of the mean."""
    centred = losses - losses.mean(axis=-1, keepdims=True)
    variances = np.einsum("...r,...r->...", centred, centred) / (losses.shape[-1] - 1)
    small = variances <= 1e-24 * (losses[..., 0] ** 2)
    if small.any():
        variances[small] = np.where(np.ptp(losses[small], axis=-1) == 0, 0.0, variances[small])
    return np.asarray(variances)


def _leaders(values: Floats, means: Floats, losses: Floats, alive: Bools, is_finite: Bools) -> Ints:
    """Find the smallest value among the alive of each study, ties resolved as ``Criterion.order`` does."""
    values = np.where(alive, values, np.inf)
    best = alive & (values == values.min(axis=1, keepdims=True))
    if not is_finite.all():
        n_diverged = np.where(best, np.isposinf(losses).sum(axis=2), losses.shape[2] + 1)
        best &= n_diverged == n_diverged.min(axis=1, keepdims=True)
        usable = np.isfinite(losses)
        sums = np.where(usable, losses, 0.0).sum(axis=2)
        means = np.divide(sums, usable.sum(axis=2), out=np.full(sums.shape, np.inf), where=usable.any(axis=2))
    means = np.where(best, means, np.inf)
    best &= means == means.min(axis=1, keepdims=True)
    return np.asarray(best.argmax(axis=1))


def _may_be_worse(test: str, losses: Floats, means: Floats, variances: Floats, leaders: Ints, level: float) -> Bools:
    """Leave out whom even a normal test would keep: Student's tails are longer. Saves most of the work."""
    n, studies = losses.shape[2], np.arange(len(leaders))
    with np.errstate(all="ignore"):
        above = means - means[studies, leaders][:, None]
        if test == "welch":
            variance = variances + variances[studies, leaders][:, None]
        else:
            differences = losses - losses[studies, leaders][:, None, :]
            squares = np.einsum("scr,scr->sc", differences, differences)
            variance = np.maximum(squares - n * above**2, 0.0) / (n - 1)
        return np.asarray(above > 0.99 * stats.norm.isf(level) * np.sqrt(variance / n))


def _two_sided(test: str, losses: Floats, references: Floats) -> Floats:
    p_values = comparison(test).p_values
    if test != "mann-whitney":
        return np.asarray(p_values(losses, references), dtype=float)
    pooled = np.sort(np.concatenate([losses, references], axis=1), axis=1)
    tied = (pooled[:, 1:] == pooled[:, :-1]).any(axis=1)
    found = np.ones(len(losses))
    for rows in (tied, ~tied):  # SciPy's choice between exact and normal is made for all rows of a call together
        if rows.any():
            found[rows] = p_values(losses[rows], references[rows])
    return found


def _sign(test: str, losses: Floats, references: Floats) -> Floats:
    """Give the side on which the test's own statistic lies: positive where the first one looks worse."""
    n = losses.shape[1]
    if test == "mann-whitney":
        ranks = stats.rankdata(np.concatenate([losses, references], axis=1), axis=1)
        return np.asarray(ranks[:, :n].sum(axis=1) - ranks[:, n:].sum(axis=1))
    if test == "wilcoxon":
        differences = np.where(losses == references, 0.0, losses - references)  # inf - inf is no difference
        return np.asarray((np.sign(differences) * stats.rankdata(np.abs(differences), axis=1)).sum(axis=1))
    if test == "ks":
        pooled = np.concatenate([losses, references], axis=1)
        order = np.argsort(pooled, axis=1)
        pooled = np.take_along_axis(pooled, order, axis=1)
        ahead = np.cumsum(np.where(order < n, -1, 1), axis=1)  # how many more references are smaller
        ends = np.ones(pooled.shape, dtype=bool)
        ends[:, :-1] = pooled[:, 1:] != pooled[:, :-1]
        ahead = np.where(ends, ahead, 0)
        return np.asarray(ahead.max(axis=1) + ahead.min(axis=1), dtype=float)
    if test in ("levene", "fligner"):
        distances = np.concatenate([np.abs(x - np.median(x, axis=1)[:, None]) for x in (losses, references)], axis=1)
        if test == "fligner":
            distances = special.ndtri(0.5 + stats.rankdata(distances, axis=1) / (2 * (2 * n + 1)))
        return np.asarray(distances[:, :n].sum(axis=1) - distances[:, n:].sum(axis=1))
    measure = np.mean if comparison(test).kind == "location" else np.var
    return np.asarray(measure(losses, axis=1) - measure(references, axis=1))


def _p_values_with_divergence(made: Comparison, losses: Floats, references: Floats) -> Floats:
    """Compare pairs of which at least one has a diverged instance, for tests that do not use ranks."""
    if made.kind == "location":
        return one_sided_p_values("wilcoxon" if made.is_paired else "mann-whitney", losses, references)
    n = losses.shape[1]
    n_diverged, n_reference = np.isinf(losses).sum(axis=1), np.isinf(references).sum(axis=1)
    return np.asarray(stats.hypergeom.sf(n_diverged - 1, 2 * n, n_diverged + n_reference, n))
