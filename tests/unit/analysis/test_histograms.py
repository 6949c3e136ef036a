import numpy as np
import pytest

from robust_select.analysis.histograms import score_histograms
from robust_select.core.errors import InputError
from robust_select.stats.criteria import PUBLISHED_CRITERIA


def test_all_finite_scores_are_in_a_bin_and_the_others_counted():
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(5, 2, 300), rng.normal(5, 0.5, 200)
    narrow[:3], narrow[3] = np.inf, np.nan
    found = score_histograms({"wide": wide, "narrow": narrow})
    assert found.counts.sum(axis=1).tolist() == [300, 196]
    assert found.n_instances.tolist() == [300, 199]
    assert found.n_unusable.tolist() == [0, 3]
    assert found.stds[1] == pytest.approx(narrow[4:].std(ddof=1))
    assert (found.edges[0], found.edges[-1]) == (wide.min(), wide.max())
    for row in range(len(found.edges) - 2):
        inside = (wide >= found.edges[row]) & (wide < found.edges[row + 1])
        assert found.counts[0, row] == inside.sum()


def test_bins_are_those_of_freedman_and_diaconis():
    scores = np.random.default_rng(1).normal(size=500)
    found = score_histograms({"a": scores})
    assert len(found.edges) == len(np.histogram_bin_edges(scores, "fd"))


def test_bins_are_fine_enough_for_the_narrowest_but_not_endless():
    rng = np.random.default_rng(2)
    assert len(score_histograms({"a": rng.normal(size=200), "b": 0.01 * rng.normal(size=200)}).edges) == 41
    assert len(score_histograms({"a": np.ones(50)}).edges) == 6


def test_criteria_are_those_of_the_losses():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 10.0])
    found = score_histograms({"a": scores})
    q1, q3 = np.quantile(scores, [0.25, 0.75])
    expected = {"min": 1, "median": 3, "mean": 4, "q3": q3, "q3+iqr": q3 + q3 - q1, "max": 10}
    assert dict(zip(found.criteria, found.values[0].tolist(), strict=True)) == expected
    turned = score_histograms({"a": scores}, "maximize")
    expected = {"min": 10, "median": 3, "mean": 4, "q3": q1, "q3+iqr": q1 - (q3 - q1), "max": 1}
    assert dict(zip(PUBLISHED_CRITERIA, turned.values[0].tolist(), strict=True)) == expected


@pytest.mark.parametrize("samples", [{}, {"a": np.array([np.inf, np.nan])}])
def test_refuses_what_holds_no_score(samples):
    with pytest.raises(InputError, match="none that is finite"):
        score_histograms(samples)
