import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau

from robust_select.core.errors import InputError
from robust_select.stats.ranks import kendall_tau, overlap


@pytest.mark.parametrize("n_values", [3, 12, 1000])  # many ties, some, next to none
def test_tau_is_that_of_scipy(n_values):
    rng = np.random.default_rng(n_values)
    one = rng.integers(0, n_values, (4, 6, 25)).astype(float)
    other = rng.integers(0, n_values, (4, 1, 25)).astype(float)
    found = kendall_tau(one, other)
    assert found.shape == (4, 6)
    for row, column in np.ndindex(4, 6):
        assert found[row, column] == pytest.approx(kendalltau(one[row, column], other[row, 0]).statistic, abs=1e-12)


def test_tau_by_hand():
    # pairs ab, ac, bc: two in order, one tied in the first: (2 - 0) / sqrt(2 * 3)
    assert kendall_tau(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / np.sqrt(6))


def test_diverged_ones_are_tied_as_the_worst():
    one, other = np.array([0.1, np.inf, np.inf, 0.3]), np.array([0.2, 0.9, 0.9, 0.5])
    assert kendall_tau(one, other) == 1.0
    assert kendall_tau(one, np.array([0.2, 0.9, 0.8, 0.5])) == pytest.approx(
        kendalltau([1, 9, 9, 3], [2, 9, 8, 5])[0]
    )


def test_a_ranking_of_nobody_has_no_tau():
    assert np.isnan(kendall_tau(np.full(3, np.inf), np.array([1.0, 2.0, 3.0])))


def chosen_by_hand(one, other, n_top):
    """Mean over all orders in which tied candidates may be taken."""
    limit = sorted(other)[n_top - 1]
    ways = {order[:n_top] for order in itertools.permutations(range(len(one))) if is_sorted([one[i] for i in order])}
    sets = [frozenset(way) for way in ways]
    return np.mean([sum(other[i] <= limit for i in chosen) / n_top for chosen in set(sets)])


def is_sorted(values):
    return all(a <= b for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("n_top", [1, 2, 3, 6])
def test_overlap_is_the_mean_over_ways_to_break_ties(n_top):
    rng = np.random.default_rng(n_top)
    one, other = rng.integers(0, 4, (30, 6)).astype(float), rng.integers(0, 4, (30, 6)).astype(float)
    expected = [chosen_by_hand(a, b, n_top) for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(overlap(one, other, n_top), expected, atol=1e-12)


def test_overlap_with_itself_is_whole_in_spite_of_ties():
    assert overlap(np.array([1.0, 1.0, 1.0, np.inf]), np.array([1.0, 1.0, 1.0, np.inf]), 2) == 1.0


def test_refuses_what_cannot_be_ranked():
    with pytest.raises(InputError, match="two candidates"):
        kendall_tau(np.array([1.0]), np.array([1.0]))
    with pytest.raises(InputError, match="3 and 2"):
        kendall_tau(np.arange(3.0), np.arange(2.0))
    with pytest.raises(InputError, match="came nan"):
        overlap(np.array([1.0, np.nan]), np.array([1.0, 2.0]), 1)
    with pytest.raises(InputError, match="n_top=3"):
        overlap(np.arange(2.0), np.arange(2.0), 3)
    with pytest.raises(InputError, match="3 and 2"):
        overlap(np.arange(3.0), np.arange(2.0), 1)
