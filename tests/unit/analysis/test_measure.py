import math

import numpy as np
import pytest
from scipy import stats

from robust_select.analysis.bootstrap import bootstrap_interval, redraw
from robust_select.analysis.measure import MEASURED, measure
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.stats.criteria import criterion


def table(*rows, names="abcdefgh"):
    width = max(map(len, rows))
    return Table(
        tuple(names[: len(rows)]), np.array([[*row, *[np.nan] * (width - len(row))] for row in rows], dtype=float)
    )


def normal(seed, n_candidates=2, n=20, spread=1.0):
    rng = np.random.default_rng(seed)
    return Table(tuple("abcdefgh"[:n_candidates]), rng.normal(0, spread, (n_candidates, n)))


STATISTICS = {
    "mean": np.mean,
    "median": np.median,
    "std": lambda x, axis: np.std(x, axis=axis, ddof=1),
    "q3": lambda x, axis: np.quantile(x, 0.75, axis=axis),
    "iqr": stats.iqr,
}


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_bca_is_that_of_scipy(name, confidence):
    losses = np.random.default_rng(3).gamma(2.0, size=25)
    resamples = redraw(losses, 999, np.random.default_rng(4))
    found = bootstrap_interval(losses, resamples, criterion(name), confidence)
    expected = stats.bootstrap(
        (losses,),
        STATISTICS[name],
        n_resamples=999,
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(4),
        axis=-1,
        vectorized=True,
    ).confidence_interval
    assert found.method == "BCa"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_percentiles_where_bca_is_not_defined():
    losses = np.full(10, 2.5)
    found = bootstrap_interval(losses, redraw(losses, 99, np.random.default_rng(0)), criterion("mean"))
    assert (found.low, found.high, found.method) == (2.5, 2.5, "percentile")


def test_percentiles_among_infinite_losses_are_order_statistics():
    losses = np.array([1.0, 2.0, 3.0, 4.0, np.inf])
    resamples = redraw(losses, 1999, np.random.default_rng(0))
    found = bootstrap_interval(losses, resamples, criterion("median"), 0.9)
    medians = np.sort(np.sort(resamples, axis=1)[:, 2])
    assert (found.low, found.method) == (medians[99], "percentile")
    assert found.high == np.inf
    none = bootstrap_interval(np.full(5, np.inf), np.full((99, 5), np.inf), criterion("mean"))
    assert none.method == "none"


@pytest.mark.parametrize("name", ["min", "max"])
def test_extremes_have_no_interval(name):
    losses = np.arange(9.0)
    found = bootstrap_interval(losses, redraw(losses, 99, np.random.default_rng(0)), criterion(name))
    assert found.method == "none"
    assert math.isnan(found.low)


def test_many_instances_are_left_out_in_blocks():
    losses = np.random.default_rng(1).gamma(1.0, size=600)
    resamples = redraw(losses, 299, np.random.default_rng(2))
    found = bootstrap_interval(losses, resamples, criterion("mean"))
    expected = stats.bootstrap(
        (losses,), np.mean, n_resamples=299, method="BCa", rng=np.random.default_rng(2), vectorized=True
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("confidence", [0.0, 1.0, math.nan])
def test_confidence_out_of_range(confidence):
    losses = np.arange(9.0)
    with pytest.raises(InputError, match="confidence"):
        bootstrap_interval(losses, losses[None], criterion("mean"), confidence)


@pytest.mark.truth
def test_intervals_cover_the_truth_of_normal_scores():
    rng = np.random.default_rng(20)
    truth = {"mean": 3.0, "median": 3.0, "std": 2.0}
    n_hits = dict.fromkeys(truth, 0)
    n_cases, n = 400, 40
    for _ in range(n_cases):
        losses = rng.normal(3.0, 2.0, n)
        resamples = redraw(losses, 599, rng)
        for name, value in truth.items():
            found = bootstrap_interval(losses, resamples, criterion(name))
            n_hits[name] += found.low <= value <= found.high
    coverage = {name: hits / n_cases for name, hits in n_hits.items()}  # standard error about 0.012
    assert 0.91 <= coverage["mean"] <= 0.98
    assert 0.91 <= coverage["median"] <= 0.98
    assert 0.87 <= coverage["std"] <= 0.97


def test_every_criterion_of_every_candidate_has_a_row():
    found = measure(normal(0, 3), n_resamples=99).criteria
    assert list(zip(found["candidate"], found["criterion"], strict=True)) == [
        (name, key) for name in "abc" for key in MEASURED
    ]
    assert (found["instances"] == 20).all()


def test_half_the_width_takes_four_times_as_many():
    rows = measure(normal(0), n_resamples=99).criteria.set_index(["candidate", "criterion"])
    assert rows.loc[("a", "mean"), "to_halve"] == 60
    assert np.isnan(rows.loc[("a", "max"), "to_halve"])
    rng = np.random.default_rng(1)
    widths = {20: 0.0, 80: 0.0}
    for _ in range(40):
        scores = rng.normal(size=20 + 60)
        for n in widths:
            found = bootstrap_interval(scores[:n], redraw(scores[:n], 399, rng), criterion("mean"))
            widths[n] += found.high - found.low
    assert widths[20] / widths[80] == pytest.approx(2, rel=0.1)


def test_metrics_are_mirrored_losses():
    scores = normal(2, 2)
    lower = measure(scores, "q3+iqr", "minimize", n_resamples=199)
    upper = measure(Table(scores.candidates, -scores.scores), "q3+iqr", "maximize", n_resamples=199)
    left = lower.criteria.set_index(["candidate", "criterion"])
    right = upper.criteria.set_index(["candidate", "criterion"])
    assert upper.best == lower.best
    assert right.loc[("a", "mean"), "low"] == -left.loc[("a", "mean"), "high"]
    assert right.loc[("a", "mean"), "value"] == -left.loc[("a", "mean"), "value"]
    assert right.loc[("b", "std"), "low"] == left.loc[("b", "std"), "low"]
    assert upper.pairs["probability"].equals(lower.pairs["probability"])
    assert upper.pairs["low"][0] == -lower.pairs["high"][0]


def test_a_pair_by_scipy():
    scores = normal(5, 2, 15)
    found = measure(scores, by="mean", n_resamples=99)
    a, b = (scores.scores[scores.candidates.index(name)] for name in (found.best, found.pairs["b"][0]))
    row = found.pairs.iloc[0]
    paired = stats.ttest_rel(a, b)
    interval = paired.confidence_interval(0.95)
    assert a.mean() < b.mean()
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["difference"] == pytest.approx(a.mean() - b.mean())
    assert row["paired-t"] == pytest.approx(paired.pvalue)
    assert row["welch"] == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert row["wilcoxon"] == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert row["levene"] == pytest.approx(stats.levene(a, b).pvalue)
    assert row["fligner"] == pytest.approx(stats.fligner(a, b).pvalue)
    assert row["bartlett"] == pytest.approx(stats.bartlett(a, b).pvalue)
    assert row["spread_ratio"] == pytest.approx(a.std(ddof=1) / b.std(ddof=1))


def test_pitman_morgan_by_its_formula():
    scores = normal(6, 2, 12)
    found = measure(scores, by="mean", n_resamples=9)
    a, b = scores.scores
    ratio, r, n = a.var(ddof=1) / b.var(ddof=1), np.corrcoef(a, b)[0, 1], 12
    t = (ratio - 1) * math.sqrt(n - 2) / math.sqrt(4 * ratio * (1 - r**2))
    assert found.pairs["pitman-morgan"][0] == pytest.approx(2 * stats.t.sf(abs(t), n - 2))


@pytest.mark.parametrize("by", ["mean", "q3+iqr", "std"])
def test_the_probability_by_redrawing_columns_one_by_one(by):
    scores = normal(7, 2, 12)
    found = measure(scores, by=by, n_resamples=4000, seed=1)
    best = scores.candidates.index(found.best)
    rng = np.random.default_rng(99)
    wins = 0.0
    for _ in range(4000):
        drawn = scores.scores[:, rng.integers(0, 12, 12)]
        values = [float(criterion(by)(row)) for row in drawn]
        wins += (values[best] < values[1 - best]) + 0.5 * (values[best] == values[1 - best])
    share = wins / 4000
    assert found.pairs["probability"][0] == pytest.approx(max(share, 1 - share), abs=0.03)
    assert found.pairs["more_robust"][0] == ("ab"[best] if share >= 0.5 else "ab"[1 - best])


def test_pairing_survives_the_redrawing():
    rng = np.random.default_rng(8)
    common = rng.normal(0, 10, 20)
    close = Table(("a", "b"), np.array([common, common + 0.1 + 0.01 * rng.normal(size=20)]))
    assert measure(close, by="mean", n_resamples=499).pairs["probability"][0] == 1.0


def test_equal_candidates_are_a_toss_up():
    scores = normal(9, 1, 15).scores
    row = measure(Table(("a", "b"), np.concatenate([scores, scores])), by="mean", n_resamples=99).pairs.iloc[0]
    assert (row["probability"], row["difference"], row["spread_ratio"]) == (0.5, 0.0, 1.0)
    assert (row["paired-t"], row["pitman-morgan"]) == (1.0, 1.0)


def test_a_constant_shift_is_no_difference_in_spread():
    scores = np.random.default_rng(4).normal(size=15)
    row = measure(Table(("a", "b"), np.array([scores, scores + 2])), by="mean", n_resamples=99).pairs.iloc[0]
    assert row["pitman-morgan"] == 1.0
    assert row["spread_ratio"] == pytest.approx(1)


def test_the_best_against_all_others():
    found = measure(table([5, 6, 7, 5], [1, 2, 1, 1], [9, 9, 8, 9]), by="mean", n_resamples=99)
    assert (found.best, list(found.pairs["a"]), list(found.pairs["b"])) == ("b", ["b", "b"], ["a", "c"])
    assert found.pairs["caveats"].str.contains("one of 2 comparisons").all()
    assert found.pairs["caveats"].str.contains("only 4 shared replicates").all()


def test_only_shared_replicates_are_compared():
    found = measure(table([1.0, 2.0, 1.5, 9.0, 9.0], [4.0, 5.0, 4.4], [np.nan] * 3 + [20.0]), "min", n_resamples=99)
    assert found.best == "a"
    assert found.pairs["shared"].tolist() == [3, 1]
    assert found.pairs["difference"].tolist() == pytest.approx([1.5 - 13.4 / 3, -11.0])
    nothing = measure(table([1.0, 2.0], [np.nan, np.nan, 3.0, 4.0]), "mean", n_resamples=99).pairs
    assert nothing["shared"][0] == 0
    assert np.isnan(nothing["probability"][0])
    assert "no replicate in common" in nothing["caveats"][0]


def test_diverged_instances_count_as_the_worst():
    found = measure(table([1.0, 1.2, 1.1, 1.3], [0.1, np.inf, 0.1, 0.2]), "mean", n_resamples=199)
    row = found.pairs.iloc[0]
    assert (found.best, row["difference"]) == ("a", -np.inf)
    assert np.isnan(row["low"])
    assert "infinitely bad" in row["caveats"]
    rows = found.criteria.set_index(["candidate", "criterion"])
    assert rows.loc[("b", "mean"), "value"] == np.inf
    assert rows.loc[("b", "mean"), "unusable"] == 1
    assert "1 of 4 diverged or failed" in rows.loc[("b", "mean"), "caveats"]


def test_few_instances_are_said():
    rows = measure(table([1.0], [2.0, 3.0], [2.0] * 12), "mean", n_resamples=99).criteria
    rows = rows.set_index(["candidate", "criterion"])["caveats"]
    assert rows["a", "mean"] == "1 instance: no interval"
    assert rows["b", "mean"] == "only 2 instances: the interval is too narrow"
    assert "every resample gives the same value" in rows["c", "std"]
    assert "no bootstrap holds for an extreme" in rows["b", "max"]


def test_a_candidate_that_was_not_trained():
    rows = measure(table([1.0, 2.0], [np.nan, np.nan]), "mean", n_resamples=99).criteria
    assert rows.set_index(["candidate", "criterion"]).loc[("b", "mean"), "caveats"] == "0 instances: no interval"


def test_a_single_candidate_has_no_pairs():
    assert len(measure(normal(0, 1), n_resamples=99).pairs) == 0


def test_the_seed_decides():
    first, same, other = (measure(normal(3), n_resamples=99, seed=seed).criteria for seed in (1, 1, 2))
    assert first.equals(same)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": "std-within-tolerance"}, "q3\\+iqr"),
        ({"by": "average"}, "'average'"),
        ({"confidence": 1.0}, "confidence=1"),
        ({"n_resamples": 0}, "n_resamples"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises(InputError, match=message):
        measure(normal(0), **given)


def test_nothing_to_measure():
    with pytest.raises(InputError, match="nothing is trained"):
        measure(table([np.nan, np.nan]))
