import numpy as np
import pytest
from scipy import stats

from robust_select.stats.criteria import criterion
from robust_select.stats.outliers import far_outliers

USUAL = np.linspace(0.9, 1.1, 20)


def with_bad(*bad):
    return np.concatenate([USUAL[: 20 - len(bad)], bad])[None, :]


@pytest.mark.parametrize("name", ["median", "q3", "q3+iqr", "min", "iqr"])
def test_what_a_quantile_does_not_see_is_counted(name):
    assert far_outliers(with_bad(5.0, 7.0), criterion(name)).tolist() == [2]


@pytest.mark.parametrize("name", ["mean", "max", "std", "cvar"])
def test_a_criterion_that_sees_them_needs_no_warning(name):
    assert far_outliers(with_bad(5.0, 7.0), criterion(name)).tolist() == [0]


def test_the_limit_is_ten_interquartile_ranges_above_the_third_quartile():
    low, high = np.quantile(np.append(USUAL[:19], 9.0), [0.25, 0.75])
    limit = high + 10 * (high - low)  # the quartiles are the same wherever the bad one is
    assert far_outliers(with_bad(limit + 1e-9), criterion("q3+iqr")).tolist() == [1]
    assert far_outliers(with_bad(limit - 1e-9), criterion("q3+iqr")).tolist() == [0]


def test_few_instances_diverged_ones_and_constants_are_not_asked():
    few = np.array([[1.0, 1.1, 0.9, 1.0, 1.05, 1.02, 50.0, np.nan]])
    assert far_outliers(few, criterion("q3+iqr")).tolist() == [0]
    assert far_outliers(with_bad(np.inf), criterion("q3+iqr")).tolist() == [0]
    constant = np.array([[1.0] * 19 + [2.0]])
    assert far_outliers(constant, criterion("q3+iqr")).tolist() == [0]


@pytest.mark.parametrize(("law", "most"), [(stats.norm, 0.001), (stats.expon, 0.01), (stats.gumbel_r, 0.004)])
def test_usual_scores_are_rarely_called_far(law, most):
    shares = [
        (far_outliers(law.rvs(size=(20_000, n), random_state=5), criterion("q3+iqr")) > 0).mean() for n in (8, 20)
    ]
    assert shares[1] <= shares[0] <= most
