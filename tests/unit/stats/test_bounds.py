import math

import numpy as np
import pytest
from scipy import optimize, stats

from robust_select.core.errors import InputError
from robust_select.stats.bounds import characteristic_time, least_trainings, relative_entropy, variance_factor
from robust_select.stats.criteria import CRITERIA, criterion


def by_brute_force(values, variances, tolerance):
    """Maximise over the simplex, written as softmax, the cost of the likeliest mistake; no use of its structure."""
    found = []
    for answer in np.flatnonzero(values <= values.min() + tolerance):
        others = [j for j in range(len(values)) if j != answer]
        gaps = values[others] - values[answer] + tolerance

        def worst(x, answer=answer, others=others, gaps=gaps):
            shares = np.exp(x - x.max())
            shares /= shares.sum()
            return -np.min(gaps**2 / (2 * (variances[answer] / shares[answer] + variances[others] / shares[others])))

        starts = np.vstack([np.zeros(len(values)), np.random.default_rng(0).normal(size=(3, len(values)))])
        options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20_000, "maxfev": 20_000}
        best = min(optimize.minimize(worst, x, method="Nelder-Mead", options=options).fun for x in starts)
        found.append(-1 / best)
    return min(found)


@pytest.mark.parametrize(("one", "two", "gap"), [(1.0, 1.0, 1.0), (0.3, 2.0, 0.5), (1e-8, 1.0, 3.0), (0.0, 1.0, 2.0)])
def test_two_candidates_have_a_closed_form(one, two, gap):
    found = characteristic_time(np.array([5.0, 5.0 + gap]), np.array([one, two]) ** 2)
    assert found == pytest.approx(2 * (one + two) ** 2 / gap**2, rel=1e-9)


@pytest.mark.parametrize("n_candidates", [3, 4])
@pytest.mark.parametrize("tolerance", [0.0, 0.4])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_best_allocation_on_the_simplex(n_candidates, tolerance, seed):
    rng = np.random.default_rng(seed)
    values, variances = rng.normal(size=n_candidates), rng.uniform(0.2, 3.0, n_candidates)
    wanted = by_brute_force(values, variances, tolerance)
    assert characteristic_time(values, variances, tolerance) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("n_candidates", [2, 10, 300])
def test_equal_variances_lie_between_the_known_bounds(n_candidates):
    """Garivier and Kaufmann 2016, section 2.2: between the sum of 2 s^2 / gap^2, the best one's the smallest, and
    twice that."""
    values = np.concatenate([[0.0], np.random.default_rng(4).uniform(0.5, 2, n_candidates - 1)])
    gaps = np.concatenate([[values[1:].min()], values[1:]])
    complexity = (2 * 1.7 / gaps**2).sum()
    assert complexity <= characteristic_time(values, np.full(n_candidates, 1.7)) <= 2 * complexity * (1 + 1e-12)


def test_units_and_order_do_not_matter():
    rng = np.random.default_rng(5)
    values, variances, order = rng.normal(size=20), rng.uniform(1, 2, 20), rng.permutation(20)
    found = characteristic_time(values, variances, 0.1)
    assert characteristic_time(7 + 1e-4 * values[order], 1e-8 * variances[order], 1e-5) == pytest.approx(found)


def test_a_noisy_best_may_leave_the_answer_to_an_equivalent_one():
    values, variances = np.array([0.0, 0.01, 1.0]), np.array([100.0, 0.01, 0.01])
    both = characteristic_time(values, variances, tolerance=0.5)
    assert both == pytest.approx(by_brute_force(values, variances, 0.5), rel=1e-5)


def test_what_is_certain_and_what_is_undecidable():
    assert characteristic_time(np.array([1.0]), np.array([1.0])) == 0
    assert characteristic_time(np.array([1.0, 2.0]), np.zeros(2)) == 0
    assert characteristic_time(np.array([1.0, 1.0, 2.0]), np.ones(3)) == math.inf
    assert characteristic_time(np.array([1.0, 1.0]), np.ones(2), tolerance=0.5) == pytest.approx(8 / 0.25)
    assert characteristic_time(np.array([1.0, np.inf, 2.0]), np.array([1.0, np.nan, 1.0])) == pytest.approx(8.0)
    assert characteristic_time(np.array([np.inf, np.inf]), np.ones(2)) == math.inf


def test_a_rival_without_spread_costs_the_best_one_alone():
    assert characteristic_time(np.array([0.0, 1.0, 1.0]), np.array([2.0, 0.0, 0.0])) == pytest.approx(4.0)


def test_relative_entropy_is_that_of_scipy():
    for confidence in (0.6, 0.85, 0.95, 0.999):
        delta = 1 - confidence
        wanted = stats.entropy([delta, 1 - delta], [1 - delta, delta])
        assert relative_entropy(confidence) == pytest.approx(wanted)
    assert relative_entropy(0.5) == relative_entropy(0.2) == 0
    assert least_trainings(np.array([0.0, 1.0]), np.ones(2), 0.95) == pytest.approx(8 * 0.9 * math.log(19))
    assert least_trainings(np.zeros(2), np.ones(2), 0.4) == 0  # nothing is promised: 0, not infinity times 0


@pytest.mark.parametrize("name", ["mean", "median", "q3", "q3+iqr", "cvar", "std", "iqr"])
def test_variance_factors_are_those_of_normal_scores(name):
    """mean + k std, both estimated from many normal scores; k from a long normal sample's criterion."""
    by = criterion(name)
    k = float(by(stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)))
    rng = np.random.default_rng(6)
    n = 100
    samples = rng.normal(size=(10_000, n))
    location = samples.mean(axis=1) if by.kind == "location" else 0.0
    wanted = n * np.var(location + k * samples.std(axis=1, ddof=1))
    assert variance_factor(by) == pytest.approx(wanted, rel=0.05)


def test_criteria_without_a_factor():
    assert {name for name in CRITERIA if variance_factor(criterion(name, 0.1)) is None} == {
        *("min", "max", "std-within-tolerance")
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([0, 1], [1, 1], -0.1), "tolerance=-0.1"),
        (([0, 1], [1, 1], math.inf), "tolerance=inf"),
        (([0, 1], [1], 0.0), "shapes"),
        (([0, 1], [1, -1], 0.0), "variances of 0 or more"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(InputError, match=text):
        characteristic_time(*arguments)
    with pytest.raises(InputError, match="confidence=1"):
        relative_entropy(1)
