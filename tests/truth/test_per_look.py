import numpy as np
import pytest
from scipy import stats

from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import Significance
from robust_select.stats.comparisons import COMPARISONS, comparison
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.truth


@pytest.mark.parametrize("name", COMPARISONS)
def test_one_look_at_equal_candidates_rejects_about_as_often_as_said(name):
    n_pairs = 400
    pairs = np.random.default_rng(20).normal(size=(n_pairs, 2, 10))
    p_values = np.array([comparison(name)(pair[:1], pair[1])[0] for pair in pairs])
    for alpha in (0.05, 0.2):
        error = np.sqrt(alpha * (1 - alpha) / n_pairs)
        # of two samples of ten, ks can only give 0.012 below 0.05
        assert 0.1 * alpha < (p_values < alpha).mean() < alpha + 3 * error


def test_the_published_rule_discards_one_of_two_equal_candidates_more_often_than_alpha():
    n_studies, n_instances, alpha = 150, 12, 0.05
    losses = np.random.default_rng(21).normal(size=(n_studies, 2, n_instances))
    found = [
        bool(replay(Table(("a", "b"), study), Significance("welch", alpha), criterion("mean")).steps[-1].removed)
        for study in losses
    ]
    looks = [
        stats.ttest_ind(losses[:, 0, :n], losses[:, 1, :n], axis=1, equal_var=False).pvalue < alpha
        for n in range(2, n_instances + 1)
    ]
    assert found == np.any(looks, axis=0).tolist()
    assert np.mean(found) > 2 * alpha  # eleven looks at the same pair


@pytest.mark.parametrize("test", ["welch", "mann-whitney", "paired-t", "wilcoxon", "ks"])
def test_a_better_mean_is_found(test):
    rng = np.random.default_rng(22)
    found = []
    for _ in range(60):
        scores = rng.normal(size=(4, 20)) + np.array([[0.0], [3.0], [3.0], [4.0]])
        result = replay(Table(tuple("abcd"), scores), Significance(test, warmup=5), criterion("mean"))
        found.append(result.remaining == ("a",))
    assert np.mean(found) > 0.95


@pytest.mark.parametrize("test", ["bartlett", "levene", "fligner", "pitman-morgan"])
def test_a_smaller_spread_is_found(test):
    rng = np.random.default_rng(23)
    found = []
    for _ in range(40):
        scores = rng.normal(size=(3, 30)) * np.array([[1.0], [8.0], [10.0]])
        result = replay(Table(tuple("abc"), scores), Significance(test, warmup=5), criterion("std"))
        found.append(result.selected == "a" and len(result.remaining) == 1)
    assert np.mean(found) > 0.9
