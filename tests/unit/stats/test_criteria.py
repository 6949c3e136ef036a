import math

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from robust_select.core.errors import InputError
from robust_select.stats.criteria import CRITERIA, PUBLISHED_CRITERIA, criterion

INF, NAN = math.inf, math.nan
PLAIN = [name for name in CRITERIA if name != "std-within-tolerance"]


def quantile_by_hand(values, level):
    """Linear interpolation between order statistics; infinite only if an infinite one carries weight."""
    values = sorted(values)
    position = level * (len(values) - 1)
    low = math.floor(position)
    weight = position - low
    if weight == 0:
        return values[low]
    if math.isinf(values[low + 1]):
        return INF
    return (1 - weight) * values[low] + weight * values[low + 1]


def cvar_by_rockafellar(values):
    """Minimise t + E[(x - t)+] / (1 - beta) over t; the minimum is at one of the values."""
    if any(math.isinf(value) for value in values):
        return INF
    return min(t + sum(max(x - t, 0.0) for x in values) / (0.25 * len(values)) for t in values)


def iqr_by_hand(values):
    high = quantile_by_hand(values, 0.75)
    return INF if math.isinf(high) else high - quantile_by_hand(values, 0.25)


def std_by_hand(values):
    if any(math.isinf(value) for value in values):
        return INF
    return float(pd.Series(values).std())


BY_HAND = {
    "min": min,
    "max": max,
    "median": lambda values: quantile_by_hand(values, 0.5),
    "mean": lambda values: math.fsum(values) / len(values),
    "q3": lambda values: quantile_by_hand(values, 0.75),
    "q3+iqr": lambda values: quantile_by_hand(values, 0.75) + iqr_by_hand(values),
    "cvar": cvar_by_rockafellar,
    "std": std_by_hand,
    "iqr": iqr_by_hand,
}


def test_the_list_of_criteria_is_whole():
    assert set(BY_HAND) == set(PLAIN)
    assert PUBLISHED_CRITERIA == ("min", "median", "mean", "q3", "q3+iqr", "max")
    assert {name for name in PLAIN if criterion(name).kind == "spread"} == {"std", "iqr"}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("share_diverged", [0.0, 0.1, 0.5])
def test_each_criterion_is_its_definition(name, share_diverged):
    rng = np.random.default_rng(1)
    made = criterion(name)
    for n in range(1, 30):
        losses = rng.normal(3, 2, size=(20, n))
        losses[rng.random(losses.shape) < share_diverged] = INF
        expected = [BY_HAND[name](row.tolist()) if n >= made.min_instances else NAN for row in losses]
        np.testing.assert_allclose(made(losses), expected, rtol=1e-12, atol=1e-14)


def test_finite_losses_agree_with_numpy_and_pandas():
    losses = np.random.default_rng(2).lognormal(size=(50, 17))
    frame = pd.DataFrame(losses.T)
    q1, q2, q3 = np.quantile(losses, [0.25, 0.5, 0.75], axis=1)
    np.testing.assert_allclose(criterion("median")(losses), q2, rtol=1e-14)
    np.testing.assert_allclose(criterion("q3")(losses), q3, rtol=1e-14)
    np.testing.assert_allclose(criterion("iqr")(losses), q3 - q1, rtol=1e-12)
    np.testing.assert_allclose(criterion("q3+iqr")(losses), 2 * q3 - q1, rtol=1e-12)
    np.testing.assert_allclose(criterion("mean")(losses), frame.mean(), rtol=1e-14)
    np.testing.assert_allclose(criterion("std")(losses), frame.std(), rtol=1e-12)
    np.testing.assert_array_equal(criterion("min")(losses), frame.min())
    np.testing.assert_array_equal(criterion("max")(losses), frame.max())


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 11])
def test_cvar_is_the_minimum_of_rockafellar_and_uryasev(n):
    values = np.random.default_rng(n).normal(size=n)

    def objective(t):
        return t + np.maximum(values - t, 0).mean() / 0.25

    found = optimize.minimize_scalar(objective, bounds=(values.min() - 1, values.max() + 1), method="bounded")
    assert criterion("cvar")(values) == pytest.approx(found.fun, abs=1e-5)


def test_cvar_of_four_or_fewer_is_the_worst():
    for n in range(1, 5):
        assert criterion("cvar")(np.arange(float(n))) == n - 1
    assert criterion("cvar")(np.array([0.0, 0, 0, 1, 2])) == pytest.approx((2 + 0.25 * 1) / 1.25)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("min", 1.0),
        ("median", 3.0),
        ("mean", INF),
        ("q3", 4.0),
        ("q3+iqr", 6.0),
        ("max", INF),
        ("cvar", INF),
        ("std", INF),
        ("iqr", 2.0),
    ],
)
def test_one_diverged_instance_of_five(name, expected):
    assert criterion(name)(np.array([INF, 3.0, 1.0, 4.0, 2.0])) == expected


@pytest.mark.parametrize("name", PLAIN)
def test_all_diverged_is_infinitely_bad_and_warns_of_nothing(name):
    made = criterion(name)
    assert made(np.full(4, INF)) == INF
    losses = np.array([[INF, INF, INF], [INF, INF, NAN], [1.0, 1.0, 1.0]])
    assert np.isinf(made(losses)[:2]).all()
    assert made.order(losses)[0] == 2


@pytest.mark.parametrize("name", CRITERIA)
def test_candidates_may_have_different_numbers_of_scores_in_any_column(name):
    rng = np.random.default_rng(3)
    losses = rng.normal(size=(60, 12))
    losses[rng.random(losses.shape) < 0.2] = INF
    losses[rng.random(losses.shape) < 0.5] = NAN
    losses[0] = NAN
    losses[1, 1:] = NAN
    losses[1, 0] = 0.0
    made = criterion(name, tolerance=1e9)
    alone = [made(row[~np.isnan(row)]) if (~np.isnan(row)).any() else NAN for row in losses]
    if name == "std-within-tolerance":
        alone = [
            BY_HAND["std"](row[~np.isnan(row)].tolist()) if (~np.isnan(row)).sum() > 1 else NAN for row in losses
        ]
    np.testing.assert_allclose(made(losses), alone, rtol=1e-12)
    shuffled = rng.permuted(losses, axis=1)
    np.testing.assert_array_equal(made(shuffled), made(losses))


@pytest.mark.parametrize("name", PLAIN)
def test_a_single_score(name):
    made = criterion(name)
    value = made(np.array([2.5]))
    assert value.shape == ()
    if made.kind == "location":
        assert value == 2.5
    else:
        assert np.isnan(value)
        assert made.min_instances == 2


@pytest.mark.parametrize("value", [0.1, 0.2, 0.7, 1e-9, 1 / 3, 1e8 + 0.1])
@pytest.mark.parametrize("n", [2, 3, 7, 10])
def test_constant_scores_have_no_spread_at_all(value, n):
    constant = np.full(n, value)
    assert criterion("std")(constant) == 0
    assert criterion("iqr")(constant) == 0
    for name in ("min", "median", "q3", "q3+iqr", "max"):
        assert criterion(name)(constant) == value
    for name in ("mean", "cvar"):
        assert criterion(name)(constant) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("name", CRITERIA)
def test_no_candidates_and_no_scores(name):
    made = criterion(name)
    assert made(np.empty((0, 3))).shape == (0,)
    assert np.isnan(made(np.empty((2, 0)))).all()
    assert np.isnan(made(np.full((2, 3), NAN))).all()
    assert made.order(np.full((2, 3), NAN)).tolist() == [0, 1]


def test_std_within_tolerance_is_the_least_spread_among_the_good():
    losses = np.array([[1.0, 1.4], [1.3, 1.32], [1.0, 1.02], [9.0, 9.0], [1.5, 1.5], [INF, 1.0]])
    made = criterion("std-within-tolerance", tolerance=0.35)
    # means 1.2, 1.31, 1.01, 9, 1.5, inf: within 1.01 + 0.35 are the first three
    np.testing.assert_allclose(made(losses), [math.sqrt(0.08), math.sqrt(0.0002), math.sqrt(0.0002), INF, INF, INF])
    assert made.order(losses)[:3].tolist() == [2, 1, 0]
    wide = criterion("std-within-tolerance", tolerance=100)
    assert wide.order(losses).tolist() == [4, 3, 2, 1, 0, 5]
    none = criterion("std-within-tolerance")
    assert none(losses).tolist()[3:] == [INF, INF, INF]
    assert none.order(losses)[0] == 2


def test_std_within_tolerance_of_too_few_scores_is_not_known():
    losses = np.array([[1.0, 2.0], [1.0, NAN], [50.0, NAN], [NAN, NAN], [INF, INF]])
    values = criterion("std-within-tolerance", tolerance=1)(losses)
    np.testing.assert_allclose(values, [math.sqrt(0.5), NAN, NAN, NAN, INF])
    assert criterion("std-within-tolerance", tolerance=1).order(losses).tolist()[:2] == [0, 4]


def test_all_diverged_within_tolerance():
    assert criterion("std-within-tolerance", tolerance=1)(np.full((2, 3), INF)).tolist() == [INF, INF]


@pytest.mark.parametrize("tolerance", [-1e-9, NAN, INF])
def test_a_tolerance_is_a_number_from_0(tolerance):
    with pytest.raises(InputError, match="expected a tolerance of 0 or more, came tolerance="):
        criterion("mean", tolerance)


def test_an_unknown_criterion_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"among min, median, .*, std-within-tolerance, came 'average'"):
        criterion("average")


def test_order_puts_ties_by_divergence_then_mean_then_position():
    losses = np.array(
        [
            [1.0, 5.0, INF],  # median 5, one diverged
            [5.0, 5.0, 5.0],  # median 5, mean 5
            [1.0, 5.0, 6.0],  # median 5, mean 4
            [1.0, 5.0, 6.0],  # the same again
            [NAN, NAN, NAN],  # not known
            [INF, INF, 0.0],  # median inf
            [2.0, 3.0, 9.0],  # median 3
        ]
    )
    assert criterion("median").order(losses).tolist() == [6, 2, 3, 1, 0, 5, 4]


def test_among_the_hopeless_fewer_diverged_come_first():
    losses = np.array([[INF, INF, INF], [INF, 1.0, INF], [INF, 9.0, 9.0], [INF, 2.0, 2.0]])
    assert criterion("mean").order(losses).tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("name", PLAIN)
def test_order_is_that_of_the_values_where_they_differ(name):
    losses = np.random.default_rng(5).normal(size=(40, 9))
    values = [BY_HAND[name](row.tolist()) for row in losses]
    assert criterion(name).order(losses).tolist() == sorted(range(40), key=values.__getitem__)


def test_values_return_to_units_of_the_score():
    values = np.array([-0.9, INF, NAN])
    np.testing.assert_array_equal(criterion("mean").in_score_units(values, "maximize"), [0.9, -INF, NAN])
    np.testing.assert_array_equal(criterion("mean").in_score_units(values, "minimize"), values)
    for name in ("std", "iqr", "std-within-tolerance"):
        np.testing.assert_array_equal(criterion(name).in_score_units(values, "maximize"), values)


def test_losses_are_left_as_they_were():
    losses = np.array([[3.0, 1.0, INF], [2.0, NAN, 1.0]])
    before = losses.copy()
    for name in CRITERIA:
        criterion(name).order(losses)
    np.testing.assert_array_equal(losses, before)
