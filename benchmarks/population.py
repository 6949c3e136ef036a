"""A table of few replicates made into a population of which any number of fresh columns can be drawn: a model.

Called by the benchmark of rules, which needs far more replicates than the 3 to 5 that the real tables have.
Knows nothing of rules, of peers or of where a table comes from.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma, ndtri, polygamma

from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.core.tables import Table
from robust_select.stats.criteria import Criterion

N_LEVELS = 2000
"""In how many equally likely values a score's noise is cut: for the margins and for the truth."""

_GROUP_EDGES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Where the groups end, as shares of the candidates from the best mean on."""
_MIN_GROUP = 200
_MOST_GRID_POINTS = 400
_GRID_STEP = 0.4
"""Distance of the grid of true means, in standard errors of an observed mean."""
_N_EM_STEPS = 50
_N_NOISE_STEPS = 12
_N_SIMULATED = 20_000


@dataclass(frozen=True)
class Population:
    """Candidates whose losses can be drawn without end: a model of a table, not the table.

    The loss of candidate c in replicate r is ``exp(location[c] + scale[c] * z) - offset``, cut to lie between
    ``lowest`` and ``highest``, with ``z = sqrt(rho) * f + sqrt(1 - rho) * e`` for the group g that c belongs to
    (candidates of similar quality) and ``rho = correlation[g, g]``. f is the effect of the replicate on the group:
    standard normal, shared by all candidates of the group, and between groups g and h correlated by
    ``correlation[g, h] / sqrt(rho_g rho_h)``. e is the candidate's own noise: independent, drawn from
    ``margins[g]``. Replicates are independent of each other.

    What the model leaves out: scores take few distinct values where the validation set is small, ours are
    continuous; candidates with similar parameters correlate more than others of the same quality; the effect
    of a replicate is taken as normal, because a handful of replicates cannot show its shape.

    Attributes:
        candidates: (C,) names.
        locations: (C,) true mean of log(loss + offset) of each candidate.
        scales: (C,) true standard deviation of log(loss + offset); 0 for a candidate that never varies.
        groups: (C,) the group of each candidate.
        correlation: (G, G) between two candidates of the groups g and h; positive semidefinite.
        margins: (G, K) equally likely values of the candidates' own noise; mean 0, standard deviation 1.
        offset: 0 unless the table has losses of 0.
        lowest: no loss is below it: the lowest one of the table, which no lucky bad candidate may beat.
        highest: no loss is above it.

    Example:
        >>> noise = ndtri((np.arange(100) + 0.5) / 100)
        >>> noise = noise / noise.std()
        >>> one = Population(("a",), np.zeros(1), np.ones(1), np.zeros(1, int), np.zeros((1, 1)), noise[None])
        >>> one.draw(3, seed=0).shape
        (1, 3)
    """

    candidates: tuple[str, ...]
    locations: Floats
    scales: Floats
    groups: Ints
    correlation: Floats
    margins: Floats
    offset: float = 0.0
    lowest: float = 0.0
    highest: float = np.inf

    @property
    def n_candidates(self) -> int:
        """How many candidates, C."""
        return len(self.candidates)

    def take(self, rows: Ints) -> "Population":
        """Keep only the candidates at some positions, in the given order."""
        return replace(
            self,
            candidates=tuple(self.candidates[row] for row in rows),
            locations=self.locations[rows],
            scales=self.scales[rows],
            groups=self.groups[rows],
        )

    def draw(self, n_replicates: int, seed: int) -> Floats:
        """Draw fresh replicates of every candidate, whole columns.

        Args:
            n_replicates: how many, R.
            seed: the same seed draws the same losses.

        Returns:
            (C, R) losses.
        """
        losses: Floats = self.draw_studies(1, n_replicates, seed)[0]
        return losses

    def draw_studies(self, n_studies: int, n_replicates: int, seed: int) -> Floats:
        """Draw fresh replicates for several independent studies of the same candidates.

        Args:
            n_studies: how many studies, S.
            n_replicates: how many replicates in each, R.
            seed: the same seed draws the same losses.

        Returns:
            (S, C, R) losses.

        Raises:
            InputError: no study or no replicate asked for.
        """
        if n_studies < 1 or n_replicates < 1:
            raise InputError(
                f"expected at least one study and one replicate, came n_studies={n_studies}, "
                f"n_replicates={n_replicates}"
            )
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.correlation)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        shared = root @ rng.standard_normal((n_studies, len(root), n_replicates))  # (S, G, R), variance rho
        own = rng.integers(self.margins.shape[1], size=(n_studies, self.n_candidates, n_replicates))
        noise = shared[:, self.groups] + self._own_shares()[:, None] * self.margins[self.groups[:, None], own]
        return self._losses(self.locations[:, None], self.scales[:, None], noise)

    def truth(self, criterion: Criterion) -> Floats:
        """Give the value of the criterion that ever more replicates would converge to.

        The criterion is taken of the ``N_LEVELS`` equally likely values of each candidate's loss, so min and max
        are those of that discrete distribution, not the values of a sample of any size.

        Args:
            criterion: of robust_select, on the loss side.

        Returns:
            (C,) values.
        """
        levels = np.stack([self._levels(group) for group in range(len(self.margins))])
        values = np.empty(self.n_candidates)
        for first in range(0, self.n_candidates, 2000):  # 32 MB at a time
            rows = slice(first, first + 2000)
            noise = levels[self.groups[rows]]
            values[rows] = criterion(self._losses(self.locations[rows, None], self.scales[rows, None], noise))
        if criterion.tolerance is not None and self.n_candidates > 2000:
            raise InputError(
                f"expected at most 2000 candidates for criterion {criterion.name!r}, came {self.n_candidates}: "
                "take some of them first"
            )
        return values

    def _losses(self, locations: Floats, scales: Floats, noise: Floats) -> Floats:
        losses: Floats = np.clip(np.exp(locations + scales * noise) - self.offset, self.lowest, self.highest)
        return losses

    def _own_shares(self) -> Floats:
        """(C,) standard deviation of a candidate's own noise, of a scale of 1."""
        shares: Floats = np.sqrt(1.0 - np.diag(self.correlation))[self.groups]
        return shares

    def _levels(self, group: int) -> Floats:
        """(K,) equally likely values of z: the shared normal effect convolved with the group's margin."""
        rho = self.correlation[group, group]
        own: Floats = self.margins[group]
        if rho > 0:
            n_shared = 401
            shared = np.sqrt(rho) * _normal_levels(n_shared)
            sums = np.sort((shared[:, None] + np.sqrt(1 - rho) * own).ravel())
            own = sums[((np.arange(N_LEVELS) + 0.5) / N_LEVELS * len(sums)).astype(np.int64)]
        return own


def _normal_levels(n: int) -> Floats:
    """(n,) equally likely values with mean 0 and standard deviation 1 that look normal."""
    levels = ndtri((np.arange(n) + 0.5) / n)
    standardised: Floats = levels / levels.std()
    return standardised


def fit(table: Table, seed: int = 0) -> Population:
    """Fit a population to a table: a model, because 3 to 5 scores a candidate say little.

    All is done on the logarithm of the losses (plus the 1 % quantile of the positive ones, where some are 0):
    spread there hardly depends on the mean, and no bad candidate with a large spread beats all the good ones.

    1. Candidates are grouped by their mean: the best 1 %, up to 5 %, 10 %, 20 %, 40 %, 60 %, 80 % and the rest;
       groups of fewer than 200 are joined. The correlation within and between groups is the mean over pairs of
       candidates (``mean_correlations``).
    2. A candidate's log-variance is shrunk towards a moving average over candidates of similar mean, by as much
       as the spread of the log-variances in its group shows that it is noise (what a sample of this size of
       the fitted noise gives), and then drawn from its posterior: shrunk values themselves would spread too little.
    3. The candidates' own noise has the shape of the group's pooled residuals, corrected step by step until
       simulated samples of this size show the same residuals (each residual holds the sample's mean, which
       makes it look more normal than the noise is).
    4. A true mean is drawn from its posterior: the prior is the distribution of all true means, found by EM
       (Kiefer and Wolfowitz 1956) from the observed ones, whose own noise is removed. Otherwise
       the best ones would be those that were lucky, further ahead than they are.
    5. A candidate whose scores are all equal never varies.

    The effect of the few replicates is shared by all candidates of a group: how large the correlation is, and with
    a large correlation how large all scales of the group are, is known as badly as a variance from 3 to 5 numbers.

    Args:
        table: of losses of 0 or more, each candidate with a score in every replicate; at least 3 replicates.
        seed: of the draws from the posteriors.

    Returns:
        A population with the table's candidates.

    Raises:
        InputError: too few replicates, or a score that is missing, infinite or negative.
    """
    scores, n = table.scores, table.n_replicates
    is_usable = np.isfinite(scores) & (scores >= 0)
    if n < 3 or not is_usable.all():
        raise InputError(
            "expected a finite loss of 0 or more for every candidate in at least 3 replicates, came shape "
            f"{scores.shape} with {np.count_nonzero(~is_usable)} others: leave these candidates out"
        )
    if not scores.any():
        raise InputError("expected a table with a loss above 0, came one with none")
    offset = float(np.quantile(scores[scores > 0], 0.01)) if (scores == 0).any() else 0.0
    losses = np.log(scores + offset)
    rng = np.random.default_rng(seed)
    means = losses.mean(axis=1)
    varies = losses.max(axis=1) > losses.min(axis=1)
    groups = quality_groups(means)
    n_groups = int(groups.max()) + 1
    correlation = mean_correlations(losses, groups)
    log_variances = np.log(losses.var(axis=1, ddof=1), where=varies, out=np.zeros(len(means)))
    trend = _moving_average(means, log_variances, varies)
    margins = np.tile(_normal_levels(N_LEVELS), (n_groups, 1))
    scales, errors = np.zeros(len(means)), np.zeros(len(means))
    for group in range(n_groups):
        rows = np.flatnonzero((groups == group) & varies)
        if len(rows) < 2:
            continue
        rho = float(correlation[group, group])
        noise = _fit_noise(losses[rows] - means[rows, None], log_variances[rows] - trend[rows], trend[rows], rho, rng)
        margins[group] = noise.margin
        spread = np.sqrt(noise.heterogeneity * (1 - noise.weight)) * rng.standard_normal(len(rows))
        scales[rows] = noise.scales * np.exp(0.5 * spread)
        errors[rows] = noise.scales * np.sqrt((1 - rho) / n)
    locations = means.copy()
    some = errors > 0
    locations[some] = _draw_locations(means[some], errors[some], rng)
    lowest, highest = float(scores.min()), float(scores.max())
    return Population(table.candidates, locations, scales, groups, correlation, margins, offset, lowest, highest)


def quality_groups(means: Floats) -> Ints:
    """Group candidates by the rank of their mean.

    Returns:
        (C,) number of the group, 0 is the best.

    Example:
        >>> np.bincount(quality_groups(np.arange(10_000.0))).tolist()
        [500, 500, 1000, 2000, 2000, 2000, 2000]
    """
    ends: list[int] = []
    for share in (*_GROUP_EDGES, 1.0):
        end = round(share * len(means))
        if end - (ends[-1] if ends else 0) >= _MIN_GROUP:
            ends.append(end)
    ends[-1:] = [len(means)]
    ranks = np.empty(len(means), dtype=np.int64)
    ranks[np.argsort(means, kind="stable")] = np.arange(len(means))
    return np.searchsorted(np.array(ends), ranks, side="right").astype(np.int64)


def mean_correlations(losses: Floats, groups: Ints) -> Floats:
    """Average the correlation coefficient over all pairs of candidates, within and between groups.

    Assumes: the same column is the same replicate of every candidate. From few replicates a single coefficient
    is almost worthless; the mean over many pairs is nearly unbiased (a few per cent too small near 0.5), but all
    pairs share the same few replicates, so its own error does not vanish.

    Args:
        losses: (C, R) finite.
        groups: (C,) numbers from 0.

    Returns:
        (G, G) the nearest positive semidefinite matrix with the same diagonal; where a group's own correlation
        is not above 0, its row and column are 0.

    Example:
        >>> mean_correlations(np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]]), np.zeros(2, int)).round(2)
        array([[0.95]])
    """
    centred = losses - losses.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1)
    varies = losses.max(axis=1) > losses.min(axis=1)
    units = centred[varies] / lengths[varies, None]
    n_groups = int(groups.max()) + 1
    sums = np.zeros((n_groups, losses.shape[1]))
    np.add.at(sums, groups[varies], units)
    counts = np.bincount(groups[varies], minlength=n_groups).astype(float)
    products = sums @ sums.T - np.diag(counts)
    pairs = np.outer(counts, counts) - np.diag(counts)
    found = np.divide(products, pairs, out=np.zeros_like(products), where=pairs > 0)
    diagonal = np.clip(np.diag(found), 0.0, _MOST_CORRELATION)
    found[:, diagonal == 0] = 0.0
    found[diagonal == 0, :] = 0.0
    np.fill_diagonal(found, diagonal)
    values, vectors = np.linalg.eigh(found)
    near = (vectors * np.maximum(values, 0.0)) @ vectors.T
    kept = np.sqrt(np.divide(diagonal, np.diag(near), out=np.zeros(n_groups), where=diagonal > 0))
    result: Floats = near * np.outer(kept, kept)
    return result


_MOST_CORRELATION = 0.95
"""A higher correlation leaves no noise of the candidates' own, and no few replicates can prove it."""


def _moving_average(means: Floats, values: Floats, varies: Bools) -> Floats:
    """(C,) average of the values over candidates of similar mean, among those that vary."""
    rows = np.flatnonzero(varies)
    rows = rows[np.argsort(means[rows], kind="stable")]
    half = max(5, len(rows) // 200)
    sums = np.concatenate([[0.0], np.cumsum(values[rows])])
    low = np.maximum(np.arange(len(rows)) - half, 0)
    high = np.minimum(np.arange(len(rows)) + half + 1, len(rows))
    averages = np.zeros(len(means))
    averages[rows] = (sums[high] - sums[low]) / (high - low)
    return averages


@dataclass(frozen=True)
class _Noise:
    """What the scores of one group say about its noise.

    Attributes:
        margin: (K,) shape of the candidates' own noise.
        scales: (N,) shrunk standard deviations.
        heterogeneity: variance of the true log-variances around the trend.
        weight: of a candidate's own log-variance against the trend.
    """

    margin: Floats
    scales: Floats
    heterogeneity: float
    weight: float


def _fit_noise(residuals: Floats, deviations: Floats, trend: Floats, rho: float, rng: np.random.Generator) -> _Noise:
    """Find scales, their heterogeneity and the shape of the noise that explain each other.

    Args:
        residuals: (N, n) losses minus the candidate's mean.
        deviations: (N,) log-variances minus their trend.
        trend: (N,) of the log-variances.
        rho: correlation within the group.
        rng: source of the simulated samples.
    """
    n = residuals.shape[1]
    levels = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    margin = _normal_levels(N_LEVELS)
    bias, error = float(digamma((n - 1) / 2) - np.log((n - 1) / 2)), float(polygamma(1, (n - 1) / 2))
    draws = rng.integers(N_LEVELS, size=(_N_SIMULATED, n))
    spread = rng.standard_normal(_N_SIMULATED)
    shift = float(deviations.mean())
    for _ in range(_N_NOISE_STEPS):
        heterogeneity = max(float(deviations.var()) - error, 0.0)
        weight = heterogeneity / (heterogeneity + error)
        scales = np.exp(0.5 * (trend + shift - bias + weight * (deviations - shift)))
        standardised = residuals / scales[:, None]
        effects = standardised.mean(axis=0)
        length = np.linalg.norm(effects)
        effects = effects * np.sqrt(rho * (n - 1)) / length if length > 0 else effects
        sample = effects + np.sqrt(1 - rho) * margin[draws]
        sample -= sample.mean(axis=1, keepdims=True)
        own_log = np.log(np.maximum(sample.var(axis=1, ddof=1), np.finfo(float).tiny))
        bias, error = float(own_log.mean()), float(own_log.var())
        seen_log = own_log - bias + np.sqrt(heterogeneity) * spread
        simulated = sample * np.exp(0.5 * (np.sqrt(heterogeneity) * spread - weight * seen_log))[:, None]
        wanted = np.quantile(standardised - effects, levels)
        margin = margin + (wanted - np.quantile(simulated - effects, levels)) / np.sqrt(1 - rho)
        margin = np.sort(margin - margin.mean())
        margin /= margin.std()
    return _Noise(margin, scales, heterogeneity, weight)


def _draw_locations(means: Floats, errors: Floats, rng: np.random.Generator) -> Floats:
    """Draw true means from their posterior under the prior that explains the observed ones.

    Args:
        means: (N,) observed.
        errors: (N,) their standard errors.
        rng: source of the draws.

    Returns:
        (N,) true means.
    """
    grid, edges = _grid(means, errors)
    cells = np.searchsorted(edges[1:-1], means)
    weights = np.bincount(cells, minlength=len(grid)) + 1.0
    weights = (weights / weights.sum()).astype(np.float32)
    seen = np.maximum(errors, 0.5 * np.diff(edges)[cells])  # the grid tells no smaller error from this one
    likelihood = means.astype(np.float32)[:, None] - grid.astype(np.float32)
    likelihood /= seen.astype(np.float32)[:, None]
    np.square(likelihood, out=likelihood)
    likelihood *= -0.5
    np.exp(likelihood, out=likelihood)  # the factor 1 / error is the same for all points of the grid
    for _ in range(_N_EM_STEPS):
        weights *= likelihood.T @ (1 / (likelihood @ weights)) / len(means)
    likelihood *= weights
    cumulated = np.cumsum(likelihood, axis=1, out=likelihood)
    picked = (cumulated < rng.random(len(means))[:, None] * cumulated[:, -1:]).sum(axis=1)
    picked = np.minimum(picked, len(grid) - 1)
    drawn: Floats = edges[picked] + rng.random(len(means)) * (edges[picked + 1] - edges[picked])
    return drawn


def _grid(means: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Give points (P,) that lie as close as the observed means are exact, and the edges (P + 1,) of their cells."""
    order = np.argsort(means)
    half = max(5, len(means) // 200)
    sorted_means = means[order]
    padded = np.pad(np.log(errors[order]), half, "edge")
    local = np.exp(np.convolve(padded, np.ones(2 * half + 1), "valid") / (2 * half + 1))
    density = np.diff(sorted_means) / (_GRID_STEP * 0.5 * (local[1:] + local[:-1]))
    depth = np.concatenate([[0.0], np.cumsum(np.minimum(density, 1.0))])  # a gap needs no points inside
    n_points = int(min(max(depth[-1], 8), _MOST_GRID_POINTS))
    edges = np.interp(np.linspace(0, depth[-1], n_points + 1), depth, sorted_means)
    return 0.5 * (edges[1:] + edges[:-1]), edges
