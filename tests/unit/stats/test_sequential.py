import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from robust_select.core.errors import InputError
from robust_select.stats.comparisons import COMPARISONS, comparison
from robust_select.stats.criteria import criterion
from robust_select.stats.sequential import (
    LARGEST_LEVEL,
    LEAST_INSTANCES,
    discarded_at,
    one_sided_p_values,
    smallest_p_value,
    spend,
    welch_level,
    worse_than_leader,
)

RANK_TESTS = ("ks", "mann-whitney", "wilcoxon", "fligner")
LOCATION = ("welch", "ks", "mann-whitney", "paired-t", "wilcoxon")


@pytest.mark.parametrize("test", COMPARISONS)
@given(
    alpha=st.floats(0.001, 0.5),
    n_rivals=st.integers(1, 500),
    first=st.integers(1, 12),
    last=st.integers(1, 40),
)
def test_no_more_than_alpha_is_spent_and_only_where_it_can_matter(test, alpha, n_rivals, first, last):
    spending = spend(test, alpha, n_rivals, first, last)
    assert n_rivals * len(spending.looks) * spending.level <= alpha * (1 + 1e-12)
    assert list(spending.looks) == sorted(set(spending.looks))
    for look in spending.looks:
        assert max(first, LEAST_INSTANCES) <= look <= last
        assert smallest_p_value(test, look) < spending.level <= LARGEST_LEVEL


def test_looks_grow_by_a_fifth_and_end_with_the_last_instance():
    spending = spend("paired-t", 0.05, 1, 2, 50)
    assert spending.looks == (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 22, 26, 31, 37, 44, 50)
    assert spending.level == 0.05 / 18
    assert spend("paired-t", 0.05, 1, 20, 30).looks == (20, 24, 28, 30)


def test_levene_looks_at_odd_numbers_only():
    assert all(look % 2 == 1 for look in spend("levene", 0.05, 19, 2, 50).looks)
    assert spend("levene", 0.05, 1, 10, 10).looks == ()


@pytest.mark.parametrize("n_instances", [3, 4, 6, 9])
def test_rank_tests_go_down_to_one_in_the_number_of_arrangements(n_instances):
    assert smallest_p_value("wilcoxon", n_instances) == pytest.approx(2.0**-n_instances)
    if n_instances <= 8:  # SciPy takes the normal approximation for more
        assert smallest_p_value("mann-whitney", n_instances) == pytest.approx(
            1 / math.comb(2 * n_instances, n_instances)
        )
    assert smallest_p_value("ks", n_instances) == pytest.approx(1 / math.comb(2 * n_instances, n_instances))


@pytest.mark.parametrize("test", ["welch", "paired-t", "bartlett"])
def test_tests_without_ranks_can_reach_any_level(test):
    assert smallest_p_value(test, LEAST_INSTANCES) < 1e-9


@pytest.fixture(scope="module")
def pairs():
    random = np.random.default_rng(5)
    return random.normal(size=(60, 9)) * random.uniform(0.5, 3, (60, 1)) + 1, random.normal(size=(60, 9))


@pytest.mark.parametrize(
    ("test", "by_scipy"),
    [
        ("welch", lambda x, y: stats.ttest_ind(x, y, equal_var=False, alternative="greater").pvalue),
        ("paired-t", lambda x, y: stats.ttest_rel(x, y, alternative="greater").pvalue),
        ("wilcoxon", lambda x, y: stats.wilcoxon(x, y, alternative="greater").pvalue),
        ("mann-whitney", lambda x, y: stats.mannwhitneyu(x, y, alternative="greater").pvalue),
        ("ks", lambda x, y: stats.ks_2samp(x, y, alternative="less").pvalue),
        ("bartlett", lambda x, y: stats.f.sf(np.var(x, ddof=1) / np.var(y, ddof=1), 8, 8)),
        ("pitman-morgan", lambda x, y: stats.pearsonr(x + y, x - y, alternative="greater").pvalue),
    ],
)
def test_small_p_values_are_scipys_one_sided_ones(pairs, test, by_scipy):
    found = one_sided_p_values(test, *pairs)
    expected = np.array([by_scipy(x, y) for x, y in zip(*pairs, strict=True)])
    is_small = expected < 0.2
    assert is_small.sum() > 10
    assert found[is_small] == pytest.approx(expected[is_small], rel=0.01 if test == "ks" else 1e-9)
    assert (found[~is_small] > 0.15).all()


def test_bartletts_own_p_value_is_near_the_exact_one(pairs):
    exact = one_sided_p_values("bartlett", *pairs)
    published = comparison("bartlett").p_values(*pairs)
    assert 2 * np.minimum(exact, 1 - exact) == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize("test", ["levene", "fligner", "pitman-morgan"])
def test_width_tests_ask_who_is_the_wider(pairs, test):
    losses, references = pairs
    p_values = one_sided_p_values(test, losses, references)
    swapped = one_sided_p_values(test, references, losses)
    assert p_values + swapped == pytest.approx(np.ones(60))
    wider = losses.std(axis=1) > 2 * references.std(axis=1)
    assert wider.sum() > 10
    assert (p_values[wider] < 0.5).all()


@pytest.mark.parametrize("test", COMPARISONS)
def test_the_better_one_of_a_pair_is_never_worse(test):
    good = np.array([[1.0, 1.2, 0.9, 1.1, 1.05]])
    bad = np.array([[4.0, 8.1, 2.9, 6.2, 5.1]])
    assert one_sided_p_values(test, good, bad)[0] > 0.5 > one_sided_p_values(test, bad, good)[0]


@pytest.mark.parametrize("test", COMPARISONS)
def test_constant_and_equal_scores_are_no_evidence(test):
    constant = np.full((1, 5), 0.1)  # its mean is rounded: the variance of the numbers is not exactly 0
    assert one_sided_p_values(test, constant, constant)[0] == 1.0


def test_arrays_of_two_shapes_are_refused():
    with pytest.raises(InputError, match=r"losses=\(2, 3\), references=\(1, 3\)"):
        one_sided_p_values("welch", np.ones((2, 3)), np.ones((1, 3)))


@pytest.mark.parametrize(("n_instances", "level", "ratio"), [(3, 1e-3, 150.0), (12, 1e-4, 12.0)])
def test_welchs_true_size_stays_below_the_level(n_instances, level, ratio):
    """The size by another way: integrated over both sample variances, which are not known to make Student's t."""
    m = n_instances - 1
    grid = np.linspace(-40.0, 5.0, 701)
    chi_square = np.exp(grid)
    weight = stats.chi2.pdf(chi_square, m) * chi_square  # per unit of the logarithm
    first, second = ratio * chi_square[:, None] / m, chi_square[None, :] / m
    freedom = m * (first + second) ** 2 / (first**2 + second**2)

    def size(nominal):
        error = np.sqrt((first + second) / (ratio + 1))
        beyond = stats.norm.sf(stats.t.isf(nominal, freedom) * error)
        return float(np.trapezoid(np.trapezoid(beyond * weight, grid, axis=1) * weight, grid))

    assert size(level) > 1.3 * level
    assert 0.5 * level < size(welch_level(level, n_instances)) <= level


def test_with_many_instances_or_at_usual_levels_welch_is_nearly_right():
    assert welch_level(0.05, 300) == pytest.approx(0.05, rel=0.01)
    assert 0.24 < welch_level(0.25, 3) < 0.25
    assert 0.98e-6 < welch_level(1e-6, 2000) < 1e-6
    assert welch_level(1e-6, 4) < welch_level(1e-5, 4) < welch_level(1e-5, 8) < 1e-5


@pytest.mark.parametrize("test", COMPARISONS)
def test_the_leader_is_the_criterions_best(test):
    random = np.random.default_rng(3)
    losses = random.normal(size=(30, 7, 5)).round(1) + 5
    losses[random.random(losses.shape) < 0.08] = np.inf
    by = criterion("mean" if test in LOCATION else "std")
    _, leaders = worse_than_leader(test, losses, np.ones((30, 7), dtype=bool), 0.01)
    assert leaders.tolist() == [int(by.order(study)[0]) for study in losses]


def test_the_dead_neither_lead_nor_are_discarded_again():
    losses = np.array([[[0.0, 0.1, 0.2, 0.1], [5.0, 5.1, 5.2, 5.1], [9.0, 9.1, 9.2, 9.1]]])
    worse, leaders = worse_than_leader("welch", losses, np.array([[False, True, True]]), 0.01)
    assert (worse.tolist(), leaders.tolist()) == ([[False, False, True]], [1])


def test_studies_do_not_see_each_other():
    losses = np.random.default_rng(1).normal(size=(8, 5, 12)) * np.arange(1, 6)[:, None]
    for test in COMPARISONS:
        together = discarded_at(test, losses, 0.5)
        alone = np.concatenate([discarded_at(test, losses[[study]], 0.5) for study in range(8)])
        assert together.tolist() == alone.tolist()


@pytest.mark.parametrize("test", ["welch", "paired-t", "bartlett", "levene"])
def test_one_diverged_instance_is_no_proof_and_many_are(test):
    losses = np.random.default_rng(2).normal(size=(1, 2, 13))
    losses[0, 1, 3] = np.inf
    everybody = np.ones((1, 2), dtype=bool)
    assert not worse_than_leader(test, losses, everybody, 0.01)[0].any()
    losses[0, 1] = np.inf
    assert worse_than_leader(test, losses, everybody, 0.01)[0].tolist() == [[False, True]]


def test_diverged_instances_are_counted_by_fishers_exact_test():
    losses = np.random.default_rng(2).normal(size=(1, 2, 10))
    losses[0, 1, :6] = np.inf
    losses[0, 0, 9] = np.inf
    p_value = stats.fisher_exact([[6, 4], [1, 9]], alternative="greater").pvalue
    for level, expected in ((p_value * 1.001, True), (p_value * 0.999, False)):
        worse, _ = worse_than_leader("bartlett", losses, np.ones((1, 2), dtype=bool), level)
        assert worse[0, 1] == expected


def test_a_study_ends_when_one_is_left():
    losses = np.arange(3.0)[None, :, None] * 100 + np.random.default_rng(0).normal(size=(1, 3, 10))
    found = discarded_at("welch", losses, 0.05)[0]
    assert found[0] == 0
    assert (found[1:] >= LEAST_INSTANCES).all()
    assert discarded_at("welch", losses[:, :1], 0.05).tolist() == [[0]]
