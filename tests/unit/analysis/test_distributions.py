import numpy as np
import pytest
from scipy.stats import gaussian_kde

from robust_select.analysis.distributions import boxes, score_densities


def test_boxes_are_tukeys():
    found = boxes(np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 20.0, np.nan], [7.0] * 7]))
    assert (found.q1[0], found.median[0], found.q3[0]) == (2.25, 3.5, 4.75)
    assert (found.lower[0], found.upper[0]) == (1.0, 5.0)
    assert (found.lower[1], found.q3[1], found.upper[1]) == (7.0, 7.0, 7.0)
    assert found.n_finite.tolist() == [6, 7]


def test_a_whisker_never_ends_inside_its_box():
    found = boxes(np.array([[0.0, 10.0, 10.0, 10.0, 10.0, 11.0]]))
    assert found.lower[0] <= found.q1[0]
    assert found.upper[0] >= found.q3[0]


def test_without_a_finite_score_there_is_no_box():
    found = boxes(np.array([[np.inf, np.nan], [1.0, np.inf]]))
    assert np.isnan(found.median[0])
    assert found.median[1] == 1.0
    assert found.n_finite.tolist() == [0, 1]


def test_densities_agree_with_scipy_and_integrate_to_one():
    rng = np.random.default_rng(3)
    scores = np.stack([rng.normal(0, 1, 40), rng.normal(5, 2, 40)])
    found = score_densities(scores)
    for row in range(2):
        np.testing.assert_allclose(found.densities[row], gaussian_kde(scores[row])(found.grid), rtol=1e-9)
    wide = score_densities(np.append(scores[:1], [[-30.0] * 20 + [30.0] * 20], axis=0), n_points=2000)
    assert np.trapezoid(wide.densities[0], wide.grid) == pytest.approx(1, abs=1e-3)


def test_constant_scores_give_a_narrow_peak_and_few_scores_none():
    found = score_densities(np.array([[2.0, 2.0, 2.0], [1.0, np.inf, np.nan], [0.0, 1.0, 3.0]]))
    assert found.grid[np.argmax(found.densities[0])] == pytest.approx(2.0, abs=0.02)
    assert np.isnan(found.densities[1]).all()
    assert found.n_finite.tolist() == [3, 1, 3]


def test_all_scores_equal_and_none_at_all():
    assert np.isfinite(score_densities(np.zeros((1, 4))).densities).all()
    assert np.isnan(score_densities(np.full((2, 3), np.nan)).densities).all()
