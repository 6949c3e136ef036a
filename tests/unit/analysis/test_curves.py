import numpy as np
import pytest

from robust_select.analysis.curves import curve_band
from robust_select.core.errors import InputError


def test_quartiles_of_each_epoch():
    curves = np.random.default_rng(0).normal(size=(9, 5))
    found = curve_band(curves)
    np.testing.assert_allclose([found.q1, found.median, found.q3], np.quantile(curves, [0.25, 0.5, 0.75], axis=0))
    assert found.n_broken == 0


def test_a_diverged_curve_counts_as_far_as_it_goes():
    curves = np.array([[4.0, 3.0, np.nan, np.nan], [2.0, np.inf, 1.0, 1.0], [np.nan] * 4, [np.inf] * 4])
    found = curve_band(curves)
    assert len(found.curves) == 3
    np.testing.assert_array_equal(found.median, [3, 3, 1, 1])
    assert found.n_broken == 2  # one with a gap, one that never was finite; the one that ends early is whole
    assert not np.isinf(found.curves).any()


@pytest.mark.parametrize(
    ("curves", "words"),
    [(np.zeros(3), "came shape"), (np.zeros((2, 0)), "came shape"), (np.full((2, 3), np.nan), "came none")],
)
def test_refuses(curves, words):
    with pytest.raises(InputError, match=words):
        curve_band(curves)
