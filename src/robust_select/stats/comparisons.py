"""Two-sided tests of many candidates against one, all from scipy.stats.

Called by the Significance rule and by measure. Knows nothing of steps or of who is alive.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats

_PValues = Callable[[Floats, Floats], Any]


@dataclass(frozen=True)
class Comparison:
    """A two-sided test of candidates against a reference candidate.

    Attributes:
        name: as users write it.
        kind: "location" asks for a shift, "width" for another spread.
        is_paired: scores of the same replicate are compared.
        uses_ranks: infinite losses have their natural place, the worst rank.
        min_instances: with fewer scores a candidate the test says nothing (p = 1).
        p_values: from losses (C, R) and reference (1, R) to p-values (C,).
    """

    name: str
    kind: Literal["location", "width"]
    is_paired: bool
    uses_ranks: bool
    min_instances: int
    p_values: _PValues

    def __call__(self, losses: Floats, reference: Floats) -> Floats:
        """Compare candidates with a reference.

        Equal to scipy.stats wherever SciPy gives a number. Defined beyond that: no evidence (p = 1) where
        SciPy gives nan (constant and equal scores) and below ``min_instances`` (Levene's statistic of two
        scores has no spread to divide by, and would discard everybody); and a diverged instance (+inf) is
        infinitely bad for the tests that do not use ranks: p = 0 between candidates of which one alone has
        diverged instances, p = 1 where both have.

        Assumes: that scores of different replicates are independent; ``welch``, ``paired-t``, ``bartlett`` and
        ``pitman-morgan`` further assume them normal. One look at fixed data: repeated looks at growing data
        reject more often than the p-value says.

        Args:
            losses: (C, R) no nan; +inf where diverged or failed.
            reference: (R,) losses of the reference candidate.

        Returns:
            (C,) two-sided p-values.

        Raises:
            InputError: nan among the losses.

        Example:
            >>> comparison("welch")(np.array([[1.0, 1.1], [5.0, 5.2]]), np.array([1.0, 1.1])).round(4)
            array([1.    , 0.0038])
        """
        losses = np.asarray(losses, dtype=float)
        reference = np.asarray(reference, dtype=float)[None, :]
        if np.isnan(losses).any() or np.isnan(reference).any():
            raise InputError("expected losses without nan: compare candidates on replicates that both have")
        if losses.shape[1] < self.min_instances or losses.shape[0] == 0:
            return np.ones(losses.shape[0])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # SciPy warns of constant scores; they are defined above
            if self.uses_ranks:
                return _no_evidence_is_one(self.p_values(losses, reference))
            diverged = np.asarray(np.isinf(losses).any(axis=1))
            if bool(np.isinf(reference).any()):
                return np.where(diverged, 1.0, 0.0)
            p_values = self.p_values(np.where(np.isinf(losses), 0.0, losses), reference)
            return np.where(diverged, 0.0, _no_evidence_is_one(p_values))


def _no_evidence_is_one(p_values: Any) -> Floats:
    values = np.asarray(p_values, dtype=float)
    return np.where(np.isnan(values), 1.0, values)


def _welch(losses: Floats, reference: Floats) -> Any:
    return stats.ttest_ind(losses, reference, axis=1, equal_var=False).pvalue


def _paired_t(losses: Floats, reference: Floats) -> Any:
    return stats.ttest_rel(losses, np.broadcast_to(reference, losses.shape), axis=1).pvalue


def _kolmogorov_smirnov(losses: Floats, reference: Floats) -> Any:
    """Two-sample Kolmogorov-Smirnov; the p-value depends on the distance alone, so each is looked up once."""
    n = losses.shape[1]
    pooled = np.concatenate([losses, np.broadcast_to(reference, losses.shape)], axis=1)
    order = np.argsort(pooled, axis=1)
    pooled = np.take_along_axis(pooled, order, axis=1)
    ahead = np.abs(np.cumsum(np.where(order < n, 1, -1), axis=1))
    ends = np.ones(pooled.shape, dtype=bool)
    ends[:, :-1] = pooled[:, 1:] != pooled[:, :-1]
    distances = np.where(ends, ahead, 0).max(axis=1)
    found = np.ones(len(losses))
    for distance in np.unique(distances[distances > 0]):
        shifted = np.arange(n) + float(distance)  # two samples of n at this distance, whatever their values
        found[distances == distance] = stats.ks_2samp(shifted, np.arange(n)).pvalue
    return found


def _mann_whitney(losses: Floats, reference: Floats) -> Any:
    """Mann-Whitney U; SciPy's automatic choice (exact for few scores without ties) made row by row."""
    everything = np.sort(np.concatenate([losses, np.broadcast_to(reference, losses.shape)], axis=1), axis=1)
    tied = (everything[:, 1:] == everything[:, :-1]).any(axis=1)
    found = np.ones(len(losses))
    for rows in (tied, ~tied):
        if rows.any():
            ranks = stats.rankdata(
                np.concatenate([losses[rows], np.broadcast_to(reference, losses[rows].shape)], axis=1), axis=1
            )
            n = losses.shape[1]
            found[rows] = stats.mannwhitneyu(ranks[:, :n], ranks[:, n:], axis=1).pvalue
    return found


def _wilcoxon(losses: Floats, reference: Floats) -> Any:
    """Wilcoxon signed ranks; SciPy's automatic choice (it depends on zeros and ties) made row by row.

    With zeros or ties among up to 13 scores SciPy lists all flips of the signs, which takes up to a second a
    candidate; they are counted here, to the same p-value.
    """
    both_diverged = np.isinf(losses) & np.isinf(reference)
    differences = np.where(both_diverged, 0.0, np.where(both_diverged, 0.0, losses) - reference)
    ranks = np.sort(np.sign(differences) * stats.rankdata(np.abs(differences), axis=1), axis=1)
    patterns, index = np.unique(ranks, axis=0, return_inverse=True)
    sizes = np.sort(np.abs(patterns), axis=1)
    plain = (patterns != 0).all(axis=1) & (sizes[:, 1:] != sizes[:, :-1]).all(axis=1)
    found = np.ones(len(patterns))
    if plain.any():
        found[plain] = stats.wilcoxon(patterns[plain], axis=1).pvalue
    rest = ~plain & patterns.any(axis=1)
    if rest.any() and patterns.shape[1] <= _MOST_FLIPPED:
        found[rest] = _by_flipping_signs(patterns[rest])
    elif rest.any():
        found[rest] = stats.wilcoxon(patterns[rest], axis=1).pvalue
    return found[index.reshape(-1)]


_MOST_FLIPPED = 13


def _by_flipping_signs(patterns: Floats) -> Floats:
    """Count the flips of signs by their sum of positive ranks: exact p-values of signed ranks, zeros left out."""
    n_candidates, n = patterns.shape
    n_zeros = np.count_nonzero(patterns == 0, axis=1)[:, None]
    steps = np.where(patterns == 0, 0, np.rint(2 * (np.abs(patterns) - n_zeros))).astype(np.int64)  # ties: halves
    sums = np.arange(n * (n + 1) + 1)
    counts = np.broadcast_to((sums == 0).astype(float), (n_candidates, len(sums)))
    for column in range(n):
        before = sums - steps[:, column, None]
        flipped = np.take_along_axis(counts, np.maximum(before, 0), axis=1)
        counts = (counts + np.where(before >= 0, flipped, 0.0)) / 2
    observed = np.where(patterns > 0, steps, 0).sum(axis=1)[:, None]
    at_most = np.where(sums <= observed, counts, 0.0).sum(axis=1)
    at_least = np.where(sums >= observed, counts, 0.0).sum(axis=1)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(at_most, at_least)))


def _bartlett(losses: Floats, reference: Floats) -> Any:
    """Bartlett; constant scores moved to 0, so that their rounded mean does not look like a spread."""
    losses, reference = (
        np.where(np.ptp(scores, axis=1, keepdims=True) == 0, 0.0, scores) for scores in (losses, reference)
    )
    return stats.bartlett(losses, np.broadcast_to(reference, losses.shape), axis=1).pvalue


def _levene(losses: Floats, reference: Floats) -> Any:
    return stats.levene(losses, np.broadcast_to(reference, losses.shape), axis=1).pvalue


def _fligner(losses: Floats, reference: Floats) -> Any:
    return stats.fligner(losses, np.broadcast_to(reference, losses.shape), axis=1).pvalue


def _pitman_morgan(losses: Floats, reference: Floats) -> Any:
    """Pitman 1939 and Morgan 1939 (Biometrika 31): spreads are equal where sums and differences do not correlate.

    A sum or a difference that does not vary but for rounding says that the spreads are equal; scores of one that do
    not vary, where those of the other do, that they differ.
    """
    reference = np.broadcast_to(reference, losses.shape)
    sums, differences = losses + reference, losses - reference
    least = _ROUNDING * np.maximum(np.abs(losses).max(axis=1), np.abs(reference).max(axis=1))
    first, second, *both = (np.ptp(x, axis=1) > least for x in (losses, reference, sums, differences))
    found = np.where(first != second, 0.0, 1.0)
    varies = first & second & both[0] & both[1]
    if varies.any():
        found[varies] = stats.pearsonr(sums[varies], differences[varies], axis=1).pvalue
    return found


_ROUNDING = 1e-12  # a relative spread below it is rounding, not spread

_COMPARISONS: dict[str, Comparison] = {
    made.name: made
    for made in (
        Comparison("welch", "location", False, False, 2, _welch),
        Comparison("ks", "location", False, True, 1, _kolmogorov_smirnov),
        Comparison("mann-whitney", "location", False, True, 1, _mann_whitney),
        Comparison("paired-t", "location", True, False, 2, _paired_t),
        Comparison("wilcoxon", "location", True, True, 1, _wilcoxon),
        Comparison("bartlett", "width", False, False, 2, _bartlett),
        Comparison("levene", "width", False, False, 3, _levene),
        Comparison("fligner", "width", False, False, 2, _fligner),
        Comparison("pitman-morgan", "width", True, False, 3, _pitman_morgan),
    )
}

COMPARISONS: tuple[str, ...] = tuple(_COMPARISONS)
"""The names of all tests."""


def comparison(name: str) -> Comparison:
    """Look a test up.

    Raises:
        InputError: no test of that name.

    Example:
        >>> comparison("bartlett").kind
        'width'
    """
    if name not in _COMPARISONS:
        raise InputError(f"expected a test among {', '.join(COMPARISONS)}, came {name!r}")
    return _COMPARISONS[name]
