import numpy as np
import pytest
from scipy import stats

from robust_select.stats.criteria import criterion
from robust_select.stats.posteriors import posterior
from robust_select.stats.rivals import mean_variance, rivals


def paired(n_candidates, n_replicates, rho, seed, shifts=0.0, scales=1.0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(1, n_replicates))
    own = rng.normal(size=(n_candidates, n_replicates))
    noise = np.sqrt(rho) * common + np.sqrt(1 - rho) * own
    return np.reshape(shifts, (-1, 1)) + np.reshape(scales, (-1, 1)) * noise


@pytest.mark.parametrize("counts", [(4, 4), (3, 9), (12, 5)])
def test_probabilities_are_those_of_drawn_posteriors(counts):
    losses = paired(30, 12, 0.0, 4, shifts=np.linspace(0, 3, 30), scales=np.linspace(0.5, 2, 30))
    losses[0, counts[0] :] = np.nan
    losses[1:, counts[1] :] = np.nan
    found = posterior(losses, criterion("mean"))
    compared = rivals(found, 0, tolerance=0.1)
    leader = drawn_means(found, 0)[:, :1]
    drawn = np.mean(drawn_means(found, 1) < leader - 0.1, axis=0)
    bent = posterior(bent_from(losses, found.values[0], 2 * found.scales[0]), criterion("mean"))
    bounds = np.mean(drawn_means(bent, 2) < leader - 0.1, axis=0)
    n_good = np.sum(losses <= found.values[0] - 0.1, axis=1)  # nan is not below
    drawn = np.minimum(np.minimum(drawn, bounds), stats.binom.cdf(n_good, found.counts, 0.5))
    independent = np.abs(compared.correlations) < 0.2
    independent[0] = False
    assert independent.sum() > 10
    assert compared.probabilities[independent] == pytest.approx(drawn[independent], abs=0.04)


def drawn_means(found, seed):
    """Draw from each candidate's posterior by itself: a scaled inverse chi-squared variance, then a normal mean."""
    rng = np.random.default_rng(seed)
    scales = found.scales * np.sqrt(found.freedoms / rng.chisquare(found.freedoms, (40_000, len(found.scales))))
    return found.means + scales / np.sqrt(found.counts) * rng.normal(size=scales.shape)


def bent_from(losses, level, width):
    return np.where(losses > level, level + width * np.log1p(np.maximum(losses - level, 0) / width), losses)


def test_losses_far_above_the_leaders_count_by_their_logarithm():
    """A candidate a hundred times as bad as the leader, with a spread to match, is nearly ruled out by three."""
    rng = np.random.default_rng(8)
    near = rng.normal(1.0, 0.1, (8, 6))
    far = np.exp(rng.normal(np.log(100), 1.0, (30, 6)))
    losses = np.concatenate([near, far])
    losses[8:, 3:] = np.nan
    found = posterior(losses, criterion("mean"))
    compared = rivals(found, int(np.argmin(found.values)))
    signs_alone = 0.5**3
    assert compared.probabilities[8:].mean() < 0.2 * signs_alone


def test_the_bound_on_the_bent_scale_holds_for_a_rare_but_large_loss():
    """E f(X) <= f(E X): a candidate that is better on average though a few of its scores are far worse stays in."""
    rng = np.random.default_rng(9)
    losses = np.concatenate([rng.normal(1.0, 0.1, (8, 40)), 0.5 + rng.exponential(0.3, (3, 40))])
    found = posterior(losses, criterion("mean"))
    compared = rivals(found, int(np.argmin(found.values[:8])))
    assert compared.probabilities[8:].min() > 0.95


def test_a_spread_is_compared_like_a_ratio_of_variances():
    losses = paired(40, 30, 0.0, 5, scales=np.linspace(1, 2, 40))
    found = posterior(losses, criterion("std"))
    compared = rivals(found, 0)
    ratio = (found.scales / found.scales[0]) ** 2
    expected = stats.f.cdf(1 / ratio, found.freedoms[0], found.freedoms)
    assert compared.probabilities[1:] == pytest.approx(expected[1:], abs=0.03)


@pytest.mark.parametrize(("n", "leaders"), [(4, 9), (9, 4), (6, 6)])
def test_the_variance_of_a_difference_is_that_of_the_regression_estimate(n, leaders):
    rho, scale, leaders_scale = 0.7, 1.5, 1.0
    rng = np.random.default_rng(1)
    most = max(n, leaders)
    common = rng.normal(size=(20_000, most))
    own = np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=common.shape)
    other = np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=common.shape)
    candidate, leader = scale * own[:, :n], leaders_scale * other[:, :leaders]
    least = min(n, leaders)
    if leaders >= n:
        slope = rho * scale / leaders_scale
        estimate = candidate.mean(axis=1) + slope * (leader.mean(axis=1) - leader[:, :least].mean(axis=1))
        difference = estimate - leader.mean(axis=1)
    else:
        slope = rho * leaders_scale / scale
        estimate = leader.mean(axis=1) + slope * (candidate.mean(axis=1) - candidate[:, :least].mean(axis=1))
        difference = candidate.mean(axis=1) - estimate
    expected = mean_variance(np.array([scale]), leaders_scale, np.array([rho]), np.array([float(n)]), leaders)
    assert difference.var() == pytest.approx(expected[0], rel=0.05)


def test_a_wide_candidate_all_of_whose_scores_are_worse_is_soon_ruled_out():
    rng = np.random.default_rng(3)
    losses = np.concatenate([rng.normal(1.0, 0.1, (6, 10)), 2.0 + rng.exponential(20.0, (2, 10))])
    found = posterior(losses, criterion("mean"))
    compared = rivals(found, int(np.argmin(found.values)))
    assert (compared.probabilities[6:] <= 0.5**10).all()


def test_where_the_tail_is_on_the_good_side_signs_bound_nothing():
    rng = np.random.default_rng(4)
    losses = np.concatenate([rng.normal(2.9, 0.1, (1, 6)), 6.0 - rng.exponential(3.0, (200, 6))])
    found = posterior(losses, criterion("mean"))
    compared = rivals(found, 0)
    never_better = (losses > found.values[0]).all(axis=1)
    assert found.shape.skewness < -0.5
    assert compared.probabilities[never_better].max() > 0.5**6


def test_pairing_is_found_where_it_is_and_sharpens():
    shifts = np.linspace(0, 0.6, 10)
    together = rivals(posterior(paired(10, 40, 0.7, 6, shifts), criterion("mean")), 0)
    apart = rivals(posterior(paired(10, 40, 0.0, 6, shifts), criterion("mean")), 0)
    assert together.correlations[1:].mean() == pytest.approx(0.7, abs=0.15)
    assert apart.correlations[1:].mean() == pytest.approx(0.0, abs=0.15)
    assert together.probabilities.sum() < apart.probabilities.sum()


@pytest.mark.parametrize("name", ["mean", "median", "q3+iqr", "std", "max", "cvar"])
def test_units_do_not_matter(name):
    losses = paired(6, 8, 0.3, 9, np.arange(6) * 0.4)
    losses[4, 5:] = np.nan
    plain = rivals(posterior(losses, criterion(name)), 0, tolerance=0.1)
    scaled = rivals(posterior(5 + 10 * losses, criterion(name)), 0, tolerance=1.0)
    assert scaled.probabilities == pytest.approx(plain.probabilities, rel=1e-6, abs=1e-12)


def test_information_prefers_the_close_and_the_unknown():
    losses = paired(5, 6, 0.0, 2, [0.0, 0.1, 3.0, 0.1, 0.1])
    losses[3, 2:] = np.nan
    found = posterior(losses, criterion("mean"))
    compared = rivals(found, int(np.argmin(found.values)))
    gains = compared.information(found.counts)
    assert (gains >= 0).all()
    assert gains[2] < 0.1 * gains.max()
    later = compared.information(found.counts + 5)
    assert later.sum() < gains.sum()


def test_constant_scores_are_decided_or_tied_without_warnings():
    found = posterior(np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]]), criterion("mean"))
    compared = rivals(found, 0)
    assert compared.probabilities.tolist() == [0, 0.5, 0]
    assert compared.information(found.counts).tolist() == [0, 0, 0]
    assert rivals(found, 0, tolerance=0.1).within_tolerance().tolist() == [True, True, False]


def test_diverged_candidates_cannot_beat_the_leader_unless_they_are_hardly_known():
    losses = np.array([[1.0, 1.2, 0.9], [np.inf, np.nan, np.nan], [2.0, np.inf, 2.1]])
    assert rivals(posterior(losses, criterion("mean")), 0).probabilities.tolist() == [0, 0, 0]
    compared = rivals(posterior(losses, criterion("median")), 0)
    assert 0.1 < compared.probabilities[1] < 0.2
    assert compared.information(np.array([3, 1, 3]))[1] > 0
