import itertools

import numpy as np
import pytest
from scipy import optimize, stats

from robust_select.analysis.sources import (
    INTERACTION,
    ORDER,
    REST,
    SAMPLE,
    WEIGHTS,
    compare_alone,
    sources,
    variance_components,
)
from robust_select.core.designs import Crossed
from robust_select.core.errors import InputError
from robust_select.core.tables import Table


def design_of(n_weights, n_samples, n_repeats, seed):
    """A design whose components are all clearly above 0."""
    rng = np.random.default_rng(seed)
    return (
        5.0
        + 2.0 * rng.normal(size=(n_weights, 1, 1))
        + 1.5 * rng.normal(size=(1, n_samples, 1))
        + 1.0 * rng.normal(size=(n_weights, n_samples, 1))
        + 0.5 * rng.normal(size=(n_weights, n_samples, n_repeats))
    )


def mean_squares_by_regression(scores):
    """Sequential sums of squares by least squares on indicator columns, nothing but projections."""
    n_weights, n_samples, n_repeats = scores.shape
    w, s, _ = (axis.ravel() for axis in np.indices(scores.shape))
    y = scores.ravel()
    one = np.ones((len(y), 1))
    by_weights = (w[:, None] == np.arange(n_weights)).astype(float)
    by_samples = (s[:, None] == np.arange(n_samples)).astype(float)
    cells = ((w * n_samples + s)[:, None] == np.arange(n_weights * n_samples)).astype(float)

    def unexplained(*columns):
        x = np.hstack(columns)
        return float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum()), np.linalg.matrix_rank(x)

    levels = [unexplained(one), unexplained(one, by_weights), unexplained(one, by_weights, by_samples)]
    if n_repeats > 1:
        levels.append(unexplained(cells))
    levels.append((0.0, len(y)))
    return np.array(
        [
            (before - after) / (rank_after - rank_before)
            for (before, rank_before), (after, rank_after) in itertools.pairwise(levels)
        ]
    )


def test_mean_squares_are_those_of_a_regression_on_indicators():
    scores = design_of(5, 4, 3, seed=1)
    ms = mean_squares_by_regression(scores)
    expected = [(ms[0] - ms[2]) / 12, (ms[1] - ms[2]) / 15, (ms[2] - ms[3]) / 3, ms[3]]
    found = variance_components(scores)
    assert found.sources == (WEIGHTS, SAMPLE, INTERACTION, ORDER)
    np.testing.assert_allclose(found.variances, [expected])
    np.testing.assert_array_equal(found.degrees, [4, 3, 12, 40])
    ms = mean_squares_by_regression(scores[:, :, :1])
    found = variance_components(scores[:, :, 0])
    assert found.sources == (WEIGHTS, SAMPLE, REST)
    np.testing.assert_allclose(found.variances, [[(ms[0] - ms[2]) / 4, (ms[1] - ms[2]) / 5, ms[2]]])


def test_a_balanced_design_gives_the_estimates_of_restricted_likelihood():
    scores = design_of(6, 5, 2, seed=3)
    w, s, _ = (axis.ravel() for axis in np.indices(scores.shape))
    same = [w[:, None] == w, s[:, None] == s, (w[:, None] == w) & (s[:, None] == s), np.eye(len(w), dtype=bool)]
    y = scores.ravel()
    contrasts = np.linalg.svd(np.ones((1, len(y))))[2][1:]  # all that the mean does not touch
    parts = [contrasts @ matrix @ contrasts.T for matrix in np.array(same, dtype=float)]

    def minus_log_likelihood(logs):
        covariance = sum(np.exp(log) * part for log, part in zip(logs, parts, strict=True))
        return -stats.multivariate_normal(np.zeros(len(y) - 1), covariance).logpdf(contrasts @ y)

    found = variance_components(scores)
    assert (found.variances > 0).all()
    best = optimize.minimize(minus_log_likelihood, np.zeros(4), method="Nelder-Mead", options={"xatol": 1e-6})
    np.testing.assert_allclose(found.variances[0], np.exp(best.x), rtol=1e-3)


def test_the_interval_of_the_rest_is_the_exact_one():
    scores = design_of(6, 6, 2, seed=4)
    found = variance_components(scores, n_draws=200_000)
    squares = ((scores - scores.mean(axis=2, keepdims=True)) ** 2).sum()
    exact = np.sqrt(squares / stats.chi2.ppf([0.975, 0.025], 36))
    np.testing.assert_allclose([found.std_low[0, 3], found.std_high[0, 3]], exact, rtol=5e-3)


def test_one_by_hand():
    found = variance_components(np.array([[1.0, 3.0], [2.0, 8.0]]))
    # means 3.5; rows 2, 5; columns 1.5, 5.5; squares 9, 16, 4, each with one degree of freedom
    np.testing.assert_allclose(found.variances, [[(9 - 4) / 2, (16 - 4) / 2, 4]])
    np.testing.assert_allclose(found.shares, [[2.5 / 12.5, 6 / 12.5, 4 / 12.5]])
    np.testing.assert_allclose(found.stds, np.sqrt([[2.5, 6, 4]]))


def test_many_designs_at_once_are_each_on_its_own():
    scores = np.stack([design_of(4, 5, 2, seed) for seed in range(3)])
    together = variance_components(scores, n_draws=500)
    for row, one in enumerate(scores):
        alone = variance_components(one, n_draws=500)
        for key in ("variances", "shares", "low", "high", "std_low", "std_high"):
            np.testing.assert_allclose(getattr(together, key)[row], getattr(alone, key)[0])


def test_a_shift_changes_nothing_and_a_scale_only_the_units():
    scores = design_of(5, 5, 1, seed=5)[..., 0]
    plain, other = variance_components(scores), variance_components(1e6 + 10 * scores)
    np.testing.assert_allclose(other.shares, plain.shares, rtol=1e-6)
    np.testing.assert_allclose(other.low, plain.low, atol=1e-6)
    np.testing.assert_allclose(other.std_high, 10 * plain.std_high, rtol=1e-6)


def test_exchanging_the_streams_exchanges_their_shares():
    scores = design_of(5, 5, 2, seed=6)
    plain, turned = variance_components(scores), variance_components(scores.transpose(1, 0, 2))
    np.testing.assert_allclose(turned.shares[:, [1, 0, 2, 3]], plain.shares)


def test_a_stream_that_does_nothing_has_no_share():
    scores = np.tile(np.random.default_rng(0).normal(size=6), (5, 1)) + 0.3
    found = variance_components(scores)
    np.testing.assert_array_equal(found.shares, [[0, 1, 0]])
    np.testing.assert_array_equal([found.low[0, 1], found.high[0, 0]], [1, 0])
    assert np.isnan(variance_components(np.full((3, 3), 0.1)).shares).all()


def as_table(scores, names=("a",)):
    """Lay designs (C, W, S, K) out as a table in the order of replicates."""
    return Table(names, scores.transpose(0, 3, 1, 2).reshape(len(scores), -1))


def test_a_table_is_read_in_the_order_in_which_the_design_trains():
    design = Crossed(3, 4, 2)
    seeds = [design.seeds(11, replicate) for replicate in range(24)]
    weights = {seed: 7.0 * row for row, seed in enumerate(dict.fromkeys(made.initial_weights for made in seeds))}
    samples = {seed: 1.0 * row for row, seed in enumerate(dict.fromkeys(made.training_sample for made in seeds))}
    assert (len(weights), len(samples)) == (3, 4)
    assert len({made.batch_order for made in seeds}) == 24
    scores = [[weights[made.initial_weights] + samples[made.training_sample] for made in seeds]]
    found = sources(Table(("a",), np.array(scores)), design).set_index("source")
    assert found["std"].round(9).to_dict() == {
        WEIGHTS: 7.0,
        SAMPLE: round(float(np.std(range(4), ddof=1)), 9),
        INTERACTION: 0.0,
        ORDER: 0.0,
    }
    assert found["levels"].tolist() == [3, 4, 12, 24]


def test_what_is_missing_or_diverged_is_said():
    scores = np.stack([design_of(6, 6, 1, seed) for seed in range(4)])
    scores[1, 2, 3, 0] = np.inf
    scores[2, 5, 5, 0] = np.nan
    found = sources(as_table(scores, ("good", "diverged", "missing", "last")), Crossed(6, 6))
    by_name = dict(list(found.groupby("candidate")))
    assert np.isfinite(by_name["good"]["share"]).all()
    for name, text in (("diverged", "1 of 36 diverged or failed"), ("missing", "1 of 36 instances are not trained")):
        assert by_name[name][["share", "low", "std", "variance"]].isna().all(axis=None)
        assert by_name[name]["caveats"].str.contains(text).all()
    assert by_name["missing"]["instances"].tolist() == [35] * 3
    alone = variance_components(scores[3])
    np.testing.assert_allclose(by_name["last"]["low"], alone.low[0])


def test_caveats_of_few_levels_and_of_estimates_below_0():
    scores = np.array([[[0.0, 3.0, 1.0], [3.0, 0.0, 2.0], [1.0, 2.0, 2.0]]])[..., None]
    found = sources(as_table(scores), Crossed(3, 3)).set_index("source")
    assert (found.loc[[WEIGHTS, SAMPLE], "variance"] < 0).all()
    assert (found.loc[[WEIGHTS, SAMPLE], "std"] == 0).all()
    assert "taken for 0" in found.loc[WEIGHTS, "caveats"]
    assert "only 3 different ones" in found.loc[SAMPLE, "caveats"]
    assert found.loc[REST, "caveats"] == ""
    constant = sources(as_table(np.full((1, 6, 6, 1), 0.1)), Crossed(6, 6))
    assert set(constant["caveats"]) == {"the scores do not vary at all"}


@pytest.mark.parametrize(
    ("scores", "settings", "words"),
    [
        (np.zeros((1, 5)), {}, "at least 2 initial weights"),
        (np.zeros(5), {}, "shape"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), {}, "1 that are not"),
        (np.zeros((2, 2)), {"confidence": 1.0}, "confidence=1"),
        (np.zeros((2, 2)), {"n_draws": 0}, "n_draws=0"),
    ],
)
def test_refuses(scores, settings, words):
    with pytest.raises(InputError, match=words):
        variance_components(scores, **settings)


def test_refuses_a_table_that_is_too_short():
    with pytest.raises(InputError, match="64 replicates of a design 8 x 8, came a table of 9"):
        sources(Table(("a",), np.zeros((1, 9))), Crossed())


def test_alone_describes_each_table():
    rng = np.random.default_rng(0)
    narrow, wide = rng.normal(3, 0.1, (2, 40)), rng.normal(3, 1.0, (2, 40))
    narrow[1, 0] = np.inf
    tables = {"initial weights alone": Table(("a", "b"), narrow), "all streams": Table(("a", "b"), wide)}
    found = compare_alone(tables, n_resamples=200).set_index(["candidate", "varying"])
    row = found.loc["a", "all streams"]
    assert row["std"] == pytest.approx(wide[0].std(ddof=1))
    assert row["low"] < row["std"] < row["high"]
    assert row[["q1", "median", "q3"]].tolist() == pytest.approx(np.quantile(wide[0], [0.25, 0.5, 0.75]).tolist())
    assert found.loc["b", "initial weights alone"][["unusable", "std"]].tolist() == [1, np.inf]
    turned = compare_alone(tables, "maximize", n_resamples=200).set_index(["candidate", "varying"])
    keys = ["mean", "std", "low", "high", "q1", "median", "q3"]
    assert turned.loc["a", "all streams"][keys].tolist() == pytest.approx(row[keys].tolist())
    with pytest.raises(InputError, match="the same candidates"):
        compare_alone({"one": Table(("a",), np.zeros((1, 3))), "two": Table(("b",), np.zeros((1, 3)))})
    with pytest.raises(InputError, match="at least one table"):
        compare_alone({})
