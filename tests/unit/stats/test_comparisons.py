import math
import warnings

import numpy as np
import pytest
from scipy import stats

from robust_select.core.errors import InputError
from robust_select.stats.comparisons import COMPARISONS, comparison

INF = math.inf
SCIPY = {
    "welch": lambda x, y: stats.ttest_ind(x, y, equal_var=False).pvalue,
    "ks": lambda x, y: stats.ks_2samp(x, y).pvalue,
    "mann-whitney": lambda x, y: stats.mannwhitneyu(x, y).pvalue,
    "paired-t": lambda x, y: stats.ttest_rel(x, y).pvalue,
    "wilcoxon": lambda x, y: stats.wilcoxon(x, y).pvalue,
    "bartlett": lambda x, y: stats.bartlett(x, y).pvalue,
    "levene": lambda x, y: stats.levene(x, y).pvalue,
    "fligner": lambda x, y: stats.fligner(x, y).pvalue,
    "pitman-morgan": lambda x, y: pitman_morgan(x, y),
}
RANKS = ("ks", "mann-whitney", "wilcoxon")
NO_RANKS = tuple(name for name in SCIPY if name not in RANKS)


def pitman_morgan(x, y):
    """Morgan's statistic from the ratio of variances and the correlation; spreads that are equal give 1."""
    if np.var(x) < 1e-20 or np.var(y) < 1e-20:
        return 1.0 if np.var(x) < 1e-20 and np.var(y) < 1e-20 else 0.0
    ratio, r = np.var(x) / np.var(y), np.corrcoef(x, y)[0, 1]
    if abs(ratio - 1) < 1e-9:
        return 1.0
    t = abs(ratio - 1) * math.sqrt(len(x) - 2) / math.sqrt(max(4 * ratio * (1 - r**2), 0.0))
    return 2 * stats.t.sf(t, len(x) - 2)


def by_scipy(name, losses, reference):
    """One call of SciPy for each row; no evidence where it gives no number, and none in one signed rank."""
    if name == "wilcoxon" and len(reference) == 1:
        return np.ones(len(losses))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = np.array([float(SCIPY[name](row, reference)) for row in losses])
    return np.where(np.isnan(found), 1.0, found)


def random_losses(kind, n, seed):
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(12, n)) * rng.uniform(0.2, 3, size=(12, 1)) + rng.normal(size=(12, 1))
    if kind == "ties":
        losses = np.round(losses)
    if kind == "few values":
        losses = rng.integers(0, 2, size=(12, n)).astype(float)
    if kind == "constants":
        losses[:4] = np.arange(4)[:, None] // 2 * 0.5
    if kind == "shifted":
        losses = rng.normal(size=(1, n)) + np.arange(12)[:, None] * 0.25
    return losses


def test_the_list_of_tests_is_whole():
    assert set(SCIPY) == set(COMPARISONS)
    assert {name for name in COMPARISONS if comparison(name).kind == "width"} == {
        "bartlett",
        "levene",
        "fligner",
        "pitman-morgan",
    }
    assert {name for name in COMPARISONS if comparison(name).is_paired} == {
        "paired-t",
        "wilcoxon",
        "pitman-morgan",
    }


@pytest.mark.parametrize("name", SCIPY)
@pytest.mark.parametrize("kind", ["normal", "ties", "few values", "constants", "shifted"])
@pytest.mark.parametrize("n", range(1, 13))
def test_p_values_are_those_of_scipy(name, kind, n):
    made = comparison(name)
    losses = random_losses(kind, n, seed=n)
    if name == "wilcoxon" and n > 8:
        losses = losses[3 : 4 if n > 10 else 5]  # SciPy lists 2**n flips of signs for each candidate with ties
    for reference in random_losses(kind, n, seed=n)[: 4 if n <= 6 else 1]:
        found = made(losses, reference)
        expected = by_scipy(name, losses, reference) if n >= made.min_instances else np.ones(len(losses))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SCIPY)
def test_larger_samples_are_those_of_scipy_too(name):
    for n in (25, 60):
        losses = random_losses("normal", n, seed=n)
        np.testing.assert_allclose(
            comparison(name)(losses, losses[3]), by_scipy(name, losses, losses[3]), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("name", SCIPY)
@pytest.mark.parametrize("with_infinity", [False, True])
def test_many_at_once_equal_one_at_a_time(name, with_infinity):
    rng = np.random.default_rng(8)
    for n in (1, 2, 3, 5, 8):
        losses = np.round(rng.normal(size=(40, n)), 1)
        if with_infinity:
            losses[rng.random(losses.shape) < 0.2] = INF
        reference = losses[0]
        together = comparison(name)(losses, reference)
        alone = [comparison(name)(row[None, :], reference)[0] for row in losses]
        np.testing.assert_allclose(together, alone, rtol=1e-12)
        assert ((together >= 0) & (together <= 1)).all()


@pytest.mark.parametrize("name", SCIPY)
def test_a_candidate_does_not_differ_from_itself(name):
    for row in ([1.0, 2.0, 4.0], [0.1, 0.1, 0.1], [1.0, INF, 2.0], [INF, INF, INF]):
        losses = np.array([row])
        assert comparison(name)(losses, losses[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("name", SCIPY)
def test_nan_is_refused(name):
    good, bad = np.ones((2, 3)), np.array([[1.0, math.nan, 2.0]])
    for losses, reference in ((bad, good[0]), (good, bad[0])):
        with pytest.raises(InputError, match="replicates that both have"):
            comparison(name)(losses, reference)


@pytest.mark.parametrize("name", SCIPY)
def test_nobody_to_compare_and_too_few_scores(name):
    made = comparison(name)
    assert made(np.empty((0, 4)), np.ones(4)).shape == (0,)
    assert made(np.empty((3, 0)), np.empty(0)).tolist() == [1, 1, 1]
    for n in range(1, made.min_instances):
        assert made(np.arange(3.0)[:, None] * np.ones(n), np.zeros(n)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", NO_RANKS)
def test_without_ranks_a_diverged_instance_is_infinitely_bad(name):
    losses = np.array([[1.0, 2.0, 4.0], [1.0, INF, 2.0], [INF, INF, INF]])
    against_finite = comparison(name)(losses, losses[0])
    assert against_finite.tolist() == [1.0, 0.0, 0.0]
    assert comparison(name)(losses, losses[1]).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["ks", "mann-whitney"])
def test_with_ranks_a_diverged_instance_is_a_very_large_loss(name):
    rng = np.random.default_rng(4)
    for n in (3, 6, 9):
        losses = np.round(rng.normal(size=(30, n)), 1)
        diverged = rng.random(losses.shape) < 0.3
        infinite, large = np.where(diverged, INF, losses), np.where(diverged, 1e6, losses)
        for reference in range(2):
            np.testing.assert_allclose(
                comparison(name)(infinite, infinite[reference]),
                by_scipy(name, large, large[reference]),
                rtol=1e-9,
                atol=1e-12,
            )


def test_signed_ranks_of_diverged_instances_are_the_largest_and_cancel_where_both_diverged():
    rng = np.random.default_rng(4)
    losses = np.round(rng.normal(size=(30, 6)), 1)
    losses[rng.random(losses.shape) < 0.3] = INF
    reference = losses[0]
    assert np.isinf(reference).any()
    infinite, both = np.isinf(losses), np.isinf(losses) & np.isinf(reference)
    differences = np.where(
        infinite, 1e6, np.where(infinite, 0, losses) - np.where(np.isinf(reference), 1e6, reference)
    )
    differences = np.where(both, 0.0, np.where(infinite, 1e6, np.where(np.isinf(reference), -1e6, differences)))
    expected = [stats.wilcoxon(row).pvalue if row.any() else 1.0 for row in differences]
    np.testing.assert_allclose(comparison("wilcoxon")(losses, reference), expected, rtol=1e-12)


def test_constant_scores_are_the_same_width_whatever_their_rounding():
    values = np.array([0.1, 0.2, 0.7, 1 / 3, 1e9 + 0.1])
    losses = values[:, None] * np.ones(3)
    for name in ("bartlett", "levene", "fligner", "pitman-morgan"):
        for reference in losses:
            assert comparison(name)(losses, reference).tolist() == [1, 1, 1, 1, 1]


def test_a_constant_candidate_differs_in_width_from_one_that_varies():
    losses = np.array([[0.1] * 6, [0.1, 0.2, 0.3, 0.1, 0.5, 0.9]])
    assert comparison("bartlett")(losses, losses[0]).tolist() == [1.0, 0.0]
    assert comparison("bartlett")(losses, losses[1]).tolist() == [0.0, 1.0]


def test_constant_scores_at_different_places_differ_in_location():
    losses = np.array([[0.1] * 6, [0.2] * 6])
    for name in ("welch", "paired-t"):
        assert comparison(name)(losses, losses[0])[1] == pytest.approx(0, abs=1e-12)
    assert comparison("ks")(losses, losses[0])[1] == pytest.approx(2 / math.comb(12, 6))
    assert comparison("wilcoxon")(losses, losses[0])[1] == pytest.approx(2 / 2**6)


def test_the_smallest_p_value_of_exact_tests_is_that_of_counting():
    for n in range(1, 9):
        low, high = np.arange(float(n)), np.arange(100.0, 100.0 + 3 * n, 3)[None, :]
        assert comparison("mann-whitney")(high, low)[0] == pytest.approx(2 / math.comb(2 * n, n))
        assert comparison("ks")(high, low)[0] == pytest.approx(min(1, 2 / math.comb(2 * n, n)))
        assert comparison("wilcoxon")(high, low)[0] == pytest.approx(2 / 2**n)


@pytest.mark.parametrize("n", [13, 14, 30, 51])
def test_signed_ranks_with_ties_switch_where_scipy_switches(n):
    rng = np.random.default_rng(n)
    losses, reference = rng.integers(0, 5, size=(4, n)).astype(float), rng.integers(0, 4, size=n).astype(float)
    rows = losses[: 1 if n == 13 else 4]
    np.testing.assert_allclose(
        comparison("wilcoxon")(losses, reference)[: len(rows)], by_scipy("wilcoxon", rows, reference), rtol=1e-9
    )


def test_an_unknown_test_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"among welch, ks, .*, pitman-morgan, came 'anova'"):
        comparison("anova")
