import dataclasses

import numpy as np
import pytest
from scipy import stats

from robust_select.analysis.overview import overview
from robust_select.analysis.winner import winner
from robust_select.core.tables import Table
from robust_select.report.words import caveats
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving
from robust_select.stats.criteria import criterion

SCORES = np.random.default_rng(2).normal(size=(5, 40)) + np.arange(5)[:, None]
TABLE = Table(tuple("abcde"), SCORES)


def test_fresh_instances_alone_count():
    found = winner(replay(TABLE, Halving(3, final_instances=20), criterion("q3")), confidence=0.9)
    fresh = SCORES[0, 4:24]
    assert (found.candidate, found.n_fresh) == ("a", 20)
    assert (found.mean.low, found.mean.high) == pytest.approx(
        stats.t.interval(0.9, 19, fresh.mean(), stats.sem(fresh)), abs=1e-12
    )
    variance = 19 * fresh.var(ddof=1) / stats.chi2.ppf([0.95, 0.05], 19)
    assert (found.std.low, found.std.high) == pytest.approx(tuple(np.sqrt(variance)))
    assert found.criterion.value == pytest.approx(np.quantile(fresh, 0.75))
    expected = stats.bootstrap((fresh,), lambda x, axis: np.quantile(x, 0.75, axis=axis), confidence_level=0.9, rng=1)
    assert found.criterion.low == pytest.approx(expected.confidence_interval.low, abs=0.1)
    assert found.criterion.high == pytest.approx(expected.confidence_interval.high, abs=0.1)


def test_a_score_to_be_maximised_is_mirrored():
    down = winner(replay(TABLE, Exhaustive(5), criterion("q3"), fresh=10))
    up = winner(replay(Table(TABLE.candidates, -SCORES), Exhaustive(5), criterion("q3"), "maximize", fresh=10))
    assert up.mean == down.mean.negated()
    assert up.std == down.std
    assert up.criterion == down.criterion.negated()


def test_without_fresh_instances_the_winner_of_equals_is_like_all_of_them():
    studies = np.random.default_rng(6).normal(10.0, 1.0, size=(20, 50, 4))
    tables = [Table(tuple(map(str, range(50))), scores) for scores in studies]
    found = [winner(replay(table, Exhaustive(4), criterion("mean"))) for table in tables]
    naive = studies.mean(axis=2).min(axis=1).mean()
    assert naive < 9.0
    assert 0 < 10.0 - np.mean([one.mean.value for one in found]) < 0.3 * (10.0 - naive)
    assert all(one.mean.low < 10.0 < one.mean.high for one in found)
    assert found[0].n_fresh == 0
    assert found[0].criterion == found[0].mean


def test_far_from_all_others_there_is_nothing_to_correct():
    scores = np.random.default_rng(7).normal(size=(10, 30)) + 50.0 * np.arange(10)[:, None]
    found = winner(replay(Table(tuple("abcdefghij"), scores), Exhaustive(30), criterion("mean")))
    assert found.mean.value == pytest.approx(scores[0].mean(), abs=0.02)


def test_replicates_that_all_share_widen_the_interval():
    rng = np.random.default_rng(9)
    own, shared = rng.normal(size=(30, 8)), rng.normal(size=(1, 8))
    scores = 0.3 * own + np.sqrt(1 - 0.09) * shared
    found = winner(replay(Table(tuple(map(str, range(30))), scores), Exhaustive(8), criterion("mean")))
    assert found.mean.high - found.mean.low > 1.96 / np.sqrt(8)


def test_the_sentence_to_quote():
    fresh = overview(replay(TABLE, Halving(3, final_instances=20), criterion("mean")))
    mean = SCORES[0, 4:24].mean()
    assert caveats(fresh)[0].startswith(f"The number to quote: mean {mean:.4g}".replace("-", "−"))
    assert "of 20 instances trained after the choice" in caveats(fresh)[0]
    corrected = caveats(overview(replay(TABLE, Exhaustive(4), criterion("mean"))))[0]
    assert "corrected for that, its mean is" in corrected
    assert "95 % interval" in corrected


def test_min_has_no_honest_number_without_fresh_instances():
    result = replay(TABLE, Exhaustive(4), criterion("min"))
    assert np.isnan(winner(result).criterion.value)
    with_fresh = winner(replay(TABLE, Exhaustive(4), criterion("min"), fresh=6))
    assert with_fresh.criterion.value == SCORES[0, 4:10].min()
    assert np.isnan(with_fresh.criterion.low)


def test_quantile_criteria_follow_the_location_scale_family():
    scores = np.random.default_rng(11).normal(size=(6, 40)) + 10 * np.arange(6)[:, None]
    found = winner(replay(Table(tuple("abcdef"), scores), Exhaustive(40), criterion("q3+iqr")))
    quartile = stats.norm.ppf(0.75)
    assert found.criterion.low < 3 * quartile < found.criterion.high
    assert dataclasses.astuple(found.criterion)[0] == pytest.approx(criterion("q3+iqr")(scores[:1])[0], abs=0.6)
