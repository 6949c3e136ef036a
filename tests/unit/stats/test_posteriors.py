import numpy as np
import pytest
from scipy import special, stats

from robust_select.stats.criteria import criterion
from robust_select.stats.posteriors import EXTREME_OF, posterior, shrunken_variances


def scores(n_candidates, n_replicates, seed=0, scales=1.0):
    return np.random.default_rng(seed).normal(size=(n_candidates, n_replicates)) * np.reshape(scales, (-1, 1))


def test_shrinking_finds_the_prior_that_variances_were_drawn_from():
    rng = np.random.default_rng(3)
    true = 6.0 * 2.0 / rng.chisquare(6.0, 4000)
    squares = true * rng.chisquare(4, 4000)
    variances, freedoms, prior = shrunken_variances(squares, np.full(4000, 4.0))
    assert prior == pytest.approx(6.0, rel=0.15)
    assert freedoms == pytest.approx(np.full(4000, prior + 4))
    common = (variances * freedoms - squares) / prior
    assert common == pytest.approx(np.full(4000, 2.0), rel=0.05)
    error = np.mean((np.log(variances) - np.log(true)) ** 2)
    assert error < np.mean((np.log(squares / 4) - np.log(true)) ** 2)


def test_equal_variances_are_pooled_and_many_instances_speak_for_themselves():
    losses = scores(500, 5, 1)
    squares = ((losses - losses.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    pooled, _, prior = shrunken_variances(squares, np.full(500, 4.0))
    assert prior > 100
    assert pooled.std() < 0.1
    assert shrunken_variances(np.array([300.0, 900.0]), np.array([300.0, 300.0]))[0] == pytest.approx(
        [1, 3], rel=0.05
    )


def test_a_single_score_has_the_common_variance_and_no_scores_tell_nothing():
    variances, freedoms, prior = shrunken_variances(np.array([4.0, 4.0, 0.0]), np.array([4.0, 4.0, 0.0]))
    assert freedoms[2] == prior
    assert 0.5 < variances[2] < 2
    assert (shrunken_variances(np.zeros(2), np.zeros(2))[0] > 1e9).all()
    assert (shrunken_variances(np.zeros(2), np.ones(2))[0] == 0).all()


def test_the_mean_is_the_mean_of_what_there_is():
    losses = np.array([[1.0, 2.0, 6.0], [4.0, np.nan, np.nan]])
    found = posterior(losses, criterion("mean"))
    assert found.values.tolist() == [3, 4]
    assert found.counts.tolist() == [3, 1]
    assert found.residuals.tolist() == [[-2, -1, 3], [0, 0, 0]]


@pytest.mark.parametrize("name", ["median", "q3", "q3+iqr", "cvar", "std", "iqr"])
@pytest.mark.parametrize("draw", [stats.norm, stats.expon, stats.t(5)], ids=["normal", "exponential", "t5"])
def test_with_many_instances_every_criterion_is_that_of_the_scores(name, draw):
    losses = draw.rvs(size=(6, 3000), random_state=np.random.default_rng(2)) * np.arange(1, 7)[:, None]
    found = posterior(losses, criterion(name))
    assert found.values == pytest.approx(criterion(name)(losses), rel=0.06, abs=0.06)


def test_max_and_min_are_those_of_fifty_instances():
    losses = scores(40, 200, 5)
    expected = stats.norm.expect(lambda x: x * EXTREME_OF * stats.norm.cdf(x) ** (EXTREME_OF - 1))
    for name, sign in (("max", 1), ("min", -1)):
        assert np.mean(posterior(losses, criterion(name)).values) == pytest.approx(sign * expected, abs=0.12)


def test_one_outlier_moves_the_maximum_and_not_the_median():
    losses = scores(12, 10, 7)
    spoilt = losses.copy()
    spoilt[4, 3] = 1000.0
    for name, least, most in (("median", 0, 1), ("q3", 0, 1.5), ("mean", 50, 200), ("max", 200, np.inf)):
        moved = posterior(spoilt, criterion(name)).values[4] - posterior(losses, criterion(name)).values[4]
        assert least <= abs(moved) <= most, name


def test_diverged_instances_count_as_the_criterion_sees_them():
    losses = scores(4, 9, 8)
    losses[1, 2] = np.inf
    losses[2, :6] = np.inf
    losses[3, 1:] = np.nan
    losses[3, 0] = np.inf
    assert np.isinf(posterior(losses, criterion("mean")).values).tolist() == [False, True, True, True]
    found = posterior(losses, criterion("median"))
    assert np.isinf(found.values).tolist() == [False, False, True, True]
    assert found.is_undecided.tolist() == [False, False, False, True]


def test_heavy_tails_lower_the_freedom_of_a_scale():
    rng = np.random.default_rng(1)
    light = posterior(rng.normal(size=(50, 20)), criterion("std"))
    heavy = posterior(rng.standard_t(3, size=(50, 20)), criterion("std"))
    assert light.shape.inflation < 1.2
    assert heavy.shape.inflation > 1.5
    assert (heavy.freedoms - heavy.prior_freedom < light.freedoms - light.prior_freedom).all()


def test_scaling_and_shifting_the_losses_scales_and_shifts_the_values():
    losses = scores(8, 6, 11)
    losses[3, 2:] = np.nan
    for name in ("mean", "q3+iqr", "std", "max"):
        shift = 0.0 if criterion(name).kind == "spread" else 7.0
        found, moved = posterior(losses, criterion(name)), posterior(7.0 + 3.0 * losses, criterion(name))
        assert moved.values == pytest.approx(shift + 3 * found.values, rel=1e-6), name
        assert moved.freedoms == pytest.approx(found.freedoms, rel=1e-6)


def test_trigamma_is_inverted():
    variances = 1.0 * 10 / np.random.default_rng(0).chisquare(10, 3000)
    _, _, prior = shrunken_variances(variances * 1e4, np.full(3000, 1e4))
    assert special.polygamma(1, prior / 2) == pytest.approx(np.log(variances).var(), rel=0.05)
