"""How often the honest interval of the selected candidate's mean holds; table in docs/adr/0008-honest-winner.md."""

import numpy as np
import pytest
from scipy import stats

from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.truth

MEAN = criterion("mean")


def truth(name, n, rng):
    """(n,) true means and standard deviations."""
    if name == "equal":
        return np.zeros(n), np.ones(n)
    if name == "normal":
        return rng.normal(size=n), np.ones(n)
    return 0.5 * rng.normal(size=n), rng.lognormal(0, 0.5, n)


def selected(name, n, rule, n_studies, seed, rho=0.0, fresh=0):
    """Simulate studies: errors of the naive mean and of the honest one, and whether the honest interval holds."""
    rng = np.random.default_rng(seed)
    naive, honest, holds, naive_holds = [], [], [], []
    names = tuple(map(str, range(n)))
    for _ in range(n_studies):
        means, scales = truth(name, n, rng)
        noise = np.sqrt(rho) * rng.normal(size=(1, 60)) + np.sqrt(1 - rho) * rng.normal(size=(n, 60))
        result = replay(Table(names, means[:, None] + scales[:, None] * noise), rule, MEAN, fresh=fresh)
        row = int(result.selected)
        found = result.honest().mean
        scores = result.table.scores[row][~np.isnan(result.table.scores[row])]
        naive.append(scores.mean() - means[row])
        honest.append(found.value - means[row])
        holds.append(found.low <= means[row] <= found.high)
        reach = stats.t.ppf(0.975, len(scores) - 1) * stats.sem(scores)
        naive_holds.append(abs(naive[-1]) <= reach)
    return np.mean(naive), np.mean(honest), np.mean(holds), np.mean(naive_holds)


def band(n_studies):
    """Three standard errors of a share of 95 %."""
    return 3 * np.sqrt(0.95 * 0.05 / n_studies)


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("name", ["normal", "unequal"])
@pytest.mark.parametrize("rule", [Exhaustive(5), Halving(5)], ids=["exhaustive", "halving"])
def test_the_interval_holds_as_often_as_said(name, n, rule):
    n_studies = 150
    naive, honest, holds, naive_holds = selected(name, n, rule, n_studies, seed=1)
    assert abs(holds - 0.95) <= 0.02 + band(n_studies)
    assert naive_holds < holds
    assert naive < -0.15
    assert abs(honest) < 0.5 * abs(naive)


@pytest.mark.parametrize("n", [20, 100])
def test_where_all_are_equal_it_holds_more_often(n):
    naive, honest, holds, naive_holds = selected("equal", n, Exhaustive(5), 100, seed=2)
    assert holds >= 0.95
    assert naive_holds < 0.8
    assert abs(honest) < 0.3 * abs(naive)


@pytest.mark.parametrize(
    "rule", [TopTwo(tolerance=0.3, budget=120), Significance(max_instances=10)], ids=["top-two", "w"]
)
def test_an_allocation_that_follows_the_scores_is_allowed_for(rule):
    n_studies = 60
    naive, honest, holds, _ = selected("normal", 20, rule, n_studies, seed=3)
    assert abs(holds - 0.95) <= 0.02 + band(n_studies)
    assert abs(honest) < abs(naive)


def test_replicates_that_correlate_are_allowed_for():
    n_studies = 150
    _, _, holds, _ = selected("normal", 20, Halving(5), n_studies, seed=4, rho=0.5)
    assert abs(holds - 0.95) <= 0.02 + band(n_studies)


def test_fresh_instances_are_unbiased_and_their_interval_is_exact():
    n_studies = 800
    naive, honest, holds, _ = selected("equal", 10, Exhaustive(3), n_studies, seed=5, fresh=5)
    assert abs(holds - 0.95) <= band(n_studies)
    assert abs(honest) <= 3 / np.sqrt(5 * n_studies)
    assert naive < -0.2
