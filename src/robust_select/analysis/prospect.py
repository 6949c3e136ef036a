"""Prospects: what the candidates of a study to come may be like, from a pilot or from assumptions.

Called by planning. Knows nothing of rules or criteria but to say what is true of a population.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats
from robust_select.core.tables import Table
from robust_select.select.rules.base import check_count
from robust_select.stats.criteria import Criterion, criterion
from robust_select.stats.posteriors import Posterior, posterior
from robust_select.stats.winner import MeansPrior, prior_of_means

_N_LEVELS = 999  # equally likely normal values that stand for a candidate's population
_MORE_REPLICATES = 16
_MOST_CANDIDATES = 100_000  # of each a thousand losses are held at once
_LARGEST_CORRELATION = 0.95


@dataclass(frozen=True)
class Prospect:
    """What the candidates of a study to come may be like, on the loss side.

    A candidate's losses are normal; replicates correlate equally between any two candidates.

    Attributes:
        means: (C,) as observed in the pilot; 0 where nothing was.
        errors: (C,) standard errors of these, but for the part that all share; 0 where nothing was observed.
        scales: (C,) standard deviations.
        freedoms: (C,) degrees of freedom of these; infinite where they are given.
        correlation: between the losses of two candidates in the same replicate.
        unusable: (C,) share of instances that diverge or fail.
        seconds: (C,) mean training time; nan if not known.
        prior: of the true means where there is a pilot, with the luck of the observed ones taken out.
        gap_spread: standard deviation of the true means over candidates, where there is none.
    """

    means: Floats
    errors: Floats
    scales: Floats
    freedoms: Floats
    correlation: float
    unusable: Floats
    seconds: Floats
    prior: MeansPrior | None
    gap_spread: float

    @property
    def n_candidates(self) -> int:
        """How many candidates, C."""
        return len(self.means)

    def draw(self, rng: np.random.Generator) -> "World":
        """Draw true means and standard deviations, as likely as they are."""
        free = np.minimum(self.freedoms, 1e6)
        scales = self.scales * np.sqrt(free / rng.chisquare(free))
        if self.prior is None:
            means = self.gap_spread * rng.standard_normal(self.n_candidates)
        else:
            means, some = self.means.copy(), self.errors > 0
            means[some] = self.prior.draw(means[some], self.errors[some], rng)
        return World(means, scales, self.correlation, self.unusable, rng)


class World:
    """One set of true candidates, from which any number of replicates can be had.

    Args:
        means: (C,) true means of the losses.
        scales: (C,) true standard deviations.
        correlation: between two candidates in the same replicate.
        unusable: (C,) share of instances that diverge.
        rng: draws.
    """

    def __init__(
        self, means: Floats, scales: Floats, correlation: float, unusable: Floats, rng: np.random.Generator
    ) -> None:
        self.means, self.scales, self.correlation, self.unusable = means, scales, correlation, unusable
        self._rng = rng
        self._losses: Floats = np.empty((len(means), 0))

    def losses(self, n_replicates: int) -> Floats:
        """Give (C, R) losses, of so many replicates at least; those given before stay as they were."""
        n_missing = n_replicates - self._losses.shape[1]
        if n_missing > 0:
            size = (len(self.means), max(n_missing, _MORE_REPLICATES))
            noise = math.sqrt(1 - self.correlation) * self._rng.standard_normal(size)
            noise += math.sqrt(self.correlation) * self._rng.standard_normal((1, size[1]))
            more = self.means[:, None] + self.scales[:, None] * noise
            more[self._rng.random(size) < self.unusable[:, None]] = np.inf
            self._losses = np.concatenate([self._losses, more], axis=1)
        return self._losses

    def truth(self, by: Criterion) -> Floats:
        """(C,) the criterion of each candidate's population (min and max: of a thousand instances)."""
        shares = (np.arange(_N_LEVELS) + 0.5) / _N_LEVELS
        losses = self.means[:, None] + self.scales[:, None] * ndtri(shares)
        losses[shares[None, :] >= 1 - self.unusable[:, None]] = np.inf
        return by(losses)


def assumed(
    n_candidates: int, spread: float, gap_spread: float, correlation: float = 0.0, seconds: float = math.nan
) -> Prospect:
    """Make a prospect from assumptions.

    Args:
        n_candidates: C.
        spread: standard deviation among the instances of a candidate, in units of the score.
        gap_spread: standard deviation of the candidates' true means, normally distributed, in units of the score.
        correlation: between two candidates in the same replicate.
        seconds: of one training.

    Raises:
        InputError: a number out of range.

    Example:
        >>> assumed(3, spread=1.0, gap_spread=2.0).scales
        array([1., 1., 1.])
    """
    check_count("candidates", n_candidates, 1)
    if n_candidates > _MOST_CANDIDATES:
        raise InputError(f"expected at most {_MOST_CANDIDATES:,} candidates to simulate, came {n_candidates:,}")
    for name, value in (("spread", spread), ("gap_spread", gap_spread)):
        if not 0 < value < math.inf:
            raise InputError(f"expected {name} above 0, in units of the score, came {name}={value!r}")
    if not 0 <= correlation <= _LARGEST_CORRELATION:
        raise InputError(f"expected correlation from 0 to {_LARGEST_CORRELATION}, came correlation={correlation!r}")
    if seconds <= 0:
        raise InputError(f"expected the seconds of a training above 0, came seconds={seconds!r}")
    ones = np.ones(n_candidates)
    return Prospect(
        means=0 * ones,
        errors=0 * ones,
        scales=spread * ones,
        freedoms=math.inf * ones,
        correlation=correlation,
        unusable=0 * ones,
        seconds=seconds * ones,
        prior=None,
        gap_spread=gap_spread,
    )


def from_pilot(table: Table, direction: Direction) -> Prospect:
    """Fit a prospect to a few replicates of the candidates.

    Standard deviations are shrunken towards a common one (``shrunken_variances``). The true means are not the
    observed ones, which look further apart than they are: each simulated study draws them from their posterior
    (``MeansPrior``), so that the pilot's luck does not enter. The correlation is the mean one over all pairs. A
    candidate's share of diverged instances is the one seen.

    Assumes: normal losses; the same replicate of every candidate shares its random numbers, or none does.

    Args:
        table: of the pilot; every candidate trained once at least, one of them twice.
        direction: of the scores.

    Raises:
        InputError: a candidate that was not trained, or no spread to be seen.

    Example:
        >>> found = from_pilot(Table(("a", "b"), np.array([[1.0, 1.2], [3.0, 3.1]])), "minimize")
        >>> found.n_candidates, found.means
        (2, array([1.1 , 3.05]))
    """
    losses = table.losses(direction)
    n_trained = np.count_nonzero(~np.isnan(losses), axis=1)
    if not n_trained.all():
        name = table.candidates[int(np.argmin(n_trained))]
        raise InputError(f"expected every candidate to be trained in the pilot, came none of {name!r}: leave it out")
    usable = np.where(np.isinf(losses), np.nan, losses)
    n_usable = np.count_nonzero(~np.isnan(usable), axis=1)
    rows = n_usable > 0
    if n_usable.max() < 2:
        raise InputError(
            "expected two usable instances of a candidate in the pilot, to see the spread, came one of each at most"
        )
    found = posterior(usable[rows], criterion("mean"))
    if not (found.scales > 0).all():
        raise InputError("expected scores that vary among a candidate's instances in the pilot, came constant ones")
    correlation = _mean_correlation(found, ~np.isnan(usable[rows]))
    own_errors = found.scales * np.sqrt((1 - correlation) / found.counts)
    n_candidates = table.n_candidates
    means, errors, scales, freedoms = (
        np.zeros(n_candidates),
        np.zeros(n_candidates),
        np.ones(n_candidates),
        np.ones(n_candidates),
    )
    means[rows], errors[rows], scales[rows], freedoms[rows] = found.means, own_errors, found.scales, found.freedoms
    return Prospect(
        means=means,
        errors=errors,
        scales=scales,
        freedoms=freedoms,
        correlation=correlation,
        unusable=1 - n_usable / n_trained,
        seconds=_mean_seconds(table),
        prior=prior_of_means(found.means, own_errors),
        gap_spread=math.nan,
    )


def _mean_correlation(found: Posterior, is_known: Floats) -> float:
    """Average over all pairs of candidates, each weighted by its common replicates less one."""
    standardised = found.residuals / found.scales[:, None]
    products = float((standardised.sum(axis=0) ** 2 - (standardised**2).sum(axis=0)).sum())
    n_known = is_known.sum(axis=0).astype(float)
    free = float((n_known * (n_known - 1)).sum()) - len(standardised) * (len(standardised) - 1)
    return min(max(products / free, 0.0), _LARGEST_CORRELATION) if free > 0 else 0.0


def _mean_seconds(table: Table) -> Floats:
    """(C,) each candidate's mean; the mean of all where it has none."""
    if table.seconds is None:
        return np.full(table.n_candidates, math.nan)
    known = ~np.isnan(table.scores) & ~np.isnan(table.seconds)
    total = np.where(known, table.seconds, 0.0).sum(axis=1)
    common = float(total.sum()) / known.sum() if known.any() else math.nan
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), common)
