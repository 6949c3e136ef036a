import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving, Significance
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

SCORES = np.array(
    [
        [3.0, 3.1, 3.2, 3.1, 3.0, 3.2],
        [1.0, 1.1, 0.9, 1.2, 1.0, 1.1],
        [9.0, math.inf, 9.2, 9.1, 9.0, 9.0],
        [2.0, 2.1, 1.9, 2.2, 2.0, 2.1],
    ]
)
TABLE = Table(("c", "a", "d", "b"), SCORES, params=({"w": 3}, {"w": 1}, {"w": 4}, {"w": 2}))
MEAN = criterion("mean")


def test_a_summary_has_one_row_a_candidate_the_selected_first_then_by_when_they_left():
    frame = replay(TABLE, Halving(warmup=2), MEAN).summary()
    assert frame["candidate"].tolist() == ["a", "b", "c", "d"]
    assert frame["discarded_at"].tolist() == [pd.NA, 3, 2, 2]
    assert frame["instances"].tolist() == [3, 3, 2, 2]
    assert frame["unusable"].tolist() == [0, 0, 0, 1]
    assert list(frame.columns) == [
        *("candidate", "instances", "unusable", "min", "median", "mean", "q3", "q3+iqr", "max", "std", "iqr"),
        *("honest_mean", "honest_low", "honest_high", "discarded_at", "caveats"),
    ]
    assert frame["mean"].tolist() == pytest.approx([1.0, 2.0, 3.05, math.inf])
    assert frame["std"].tolist()[:2] == pytest.approx([0.1, 0.1])
    assert frame["q3+iqr"][0] == pytest.approx(np.quantile(SCORES[1, :3], 0.75) + 0.1)


def test_caveats_are_in_words():
    caveats = replay(TABLE, Halving(warmup=2), MEAN).summary()["caveats"].tolist()
    assert caveats[0] == (
        "only 3 instances: the spread is hardly known; "
        "chosen on these scores, so they flatter it: the honest columns correct for that"
    )
    assert caveats[1] == "only 3 instances: the spread is hardly known"
    assert caveats[3] == "only 2 instances: the spread is hardly known; 1 of 2 diverged or failed"
    untold = replay(TABLE, Exhaustive(6), MEAN).summary()["caveats"].tolist()
    assert untold[0].startswith("the rule did not tell the 4 left apart; chosen on these scores, so they flatter it")
    assert untold[1].endswith("left because of these scores, so they flatter it")
    assert untold[3].startswith("1 of 6 diverged or failed; the rule did not tell")
    assert replay(TABLE, Exhaustive(1), MEAN).summary()["caveats"][0].startswith("only 1 instance: ")


def test_what_is_not_finished_says_so():
    selection = Selection(["a", "b"], Exhaustive(1), MEAN)
    for candidate, replicate in selection.ask(1):
        selection.tell(candidate, replicate, 1.0, seconds=2.0)
    made = result_of(selection)
    assert made.stop_reason == "not finished"
    assert (made.trainings, made.seconds, made.rule) == (1, 2.0, "exhaustive")
    assert made.selected == "a"
    assert made.summary()["caveats"][1].startswith("not trained")
    assert (made.confidence, made.equivalent) == (None, ())


def test_a_maximised_summary_is_in_units_of_the_score():
    made = replay(TABLE, Halving(warmup=2), MEAN, "maximize")
    frame = made.summary()
    assert made.selected == "c"
    assert frame["candidate"].tolist() == ["c", "b", "a", "d"]
    assert frame["mean"].tolist() == pytest.approx([3.1, 2.0, 1.05, -math.inf])
    assert frame["min"][0] == 3.2  # the smallest loss is the largest score
    assert frame["std"][0] == pytest.approx(0.1)


def test_a_spread_criterion_orders_the_discarded_by_spread():
    scores = np.array([[1.0, 1.1], [1.0, 1.4], [1.0, 1.2], [1.0, 1.8]])
    made = replay(Table(tuple("abcd"), scores), Halving(warmup=2), criterion("std"), "maximize", order=[0, 1])
    assert made.discarded_at == (None, 2, None, 2)
    assert made.stop_reason == "the replicates are used up"
    assert made.summary()["candidate"].tolist() == ["a", "c", "b", "d"]


def test_other_criteria_have_a_column_of_their_own():
    frame = replay(TABLE, Exhaustive(6), criterion("cvar")).summary()
    assert frame["cvar"][0] == pytest.approx((1.2 + 0.5 * 1.1) / 1.5)


def test_discarded_at_is_the_step_that_removed_each():
    made = replay(TABLE, Significance(), MEAN)
    for name, at in zip(made.table.candidates, made.discarded_at, strict=True):
        assert [s.step for s in made.steps if name in s.removed] == ([] if at is None else [at])
    assert made.remaining == ("a",)


def test_to_frame_gives_every_training_with_parameters():
    made = replay(TABLE, Halving(warmup=2), MEAN)
    frame = made.to_frame()
    assert len(frame) == made.trainings == len(made.history) == 10
    assert frame.groupby("candidate")["w"].first().to_dict() == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert frame["state"].tolist().count("diverged") == 1


def test_honest_columns_are_of_the_selected_one_only_and_from_fresh_instances_alone():
    frame = replay(TABLE, Halving(warmup=2), MEAN, fresh=3).summary()
    assert frame["candidate"][0] == "a"
    assert frame["instances"].tolist() == [6, 3, 2, 2]
    fresh = SCORES[1, 3:]
    low, high = stats.t.interval(0.95, 2, loc=fresh.mean(), scale=stats.sem(fresh))
    assert frame[["honest_mean", "honest_low", "honest_high"]].to_numpy()[0] == pytest.approx(
        [fresh.mean(), low, high]
    )
    assert frame[["honest_mean", "honest_low", "honest_high"]].iloc[1:].isna().all(axis=None)
    assert frame["caveats"][0] == "chosen on some of these scores, which flatter it: honest are its last 3, alone"


def test_without_fresh_instances_the_best_mean_is_drawn_back_towards_the_others():
    scores = np.random.default_rng(4).normal(size=(30, 4))
    made = replay(Table(tuple(map(str, range(30))), scores), Exhaustive(4), MEAN, "maximize")
    row = made.summary().iloc[0]
    assert scores.mean() < row["honest_mean"] < scores.mean(axis=1).max() == pytest.approx(row["mean"])
    assert row["honest_low"] < 0 < row["honest_high"]


def test_honest_is_in_units_of_the_score():
    up = replay(TABLE, Exhaustive(3), MEAN, "maximize", fresh=2).honest()
    down = replay(Table(TABLE.candidates, -SCORES), Exhaustive(3), MEAN, fresh=2).honest()
    assert (up.mean.low, up.mean.value, up.mean.high) == (-down.mean.high, -down.mean.value, -down.mean.low)
    assert up.std == down.std
    with pytest.raises(InputError, match=r"confidence=1\.5"):
        replay(TABLE, Exhaustive(3), MEAN).honest(1.5)


def test_where_there_is_nothing_to_choose_from_all_instances_are_fresh():
    made = replay(TABLE.subset(["a"]), Exhaustive(6), MEAN)
    assert made.fresh == 6
    assert made.honest().mean.value == pytest.approx(SCORES[1].mean())
    assert made.summary()["caveats"].tolist() == [""]


def test_a_diverged_winner_has_no_honest_number():
    scores = np.array([[1.0, np.inf], [np.inf, np.inf]])
    frame = replay(Table(("a", "b"), scores), Exhaustive(2), criterion("min")).summary()
    assert frame["honest_mean"][0] == np.inf
    assert np.isnan(frame["honest_low"][0])


def test_equivalents_are_ranked_by_spread_and_by_cost():
    seconds = np.tile([[5.0], [1.0], [3.0]], (1, 4))
    scores = np.array([[1.0, 1.1, 1.2, 1.3], [1.0, 1.4, 1.8, 2.2], [1.5, 1.5, 1.5, 1.5]])
    made = replay(Table(tuple("abc"), scores, seconds), Exhaustive(4), MEAN)
    frame = dataclasses.replace(made, equivalent=("a", "c", "b")).equivalents()
    assert frame["candidate"].tolist() == ["a", "c", "b"]
    assert frame["mean"].tolist() == pytest.approx([1.15, 1.5, 1.6])
    assert frame["std"].tolist() == pytest.approx([np.std(scores[row], ddof=1) for row in (0, 2, 1)])
    assert frame["seconds"].tolist() == [5.0, 3.0, 1.0]
    assert frame["rank_by_spread"].tolist() == [2, 1, 3]
    assert frame["rank_by_cost"].tolist() == [3, 2, 1]
    alone = dataclasses.replace(made, table=Table(tuple("abc"), scores)).equivalents()
    assert alone["candidate"].tolist() == ["a"]
    assert alone["rank_by_cost"].isna().all()


def test_rare_bad_trainings_that_the_criterion_does_not_see_are_told():
    usual = 1 + 0.01 * np.arange(20.0)
    scores = np.array([np.append(usual[:-1], 9.0), usual + 5])
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        made = replay(Table(("a", "b"), sign * scores), Exhaustive(20), criterion("q3+iqr"), direction)
        first, second = made.summary()["caveats"]
        assert "; 1 of 20 is far worse than the others, which q3+iqr does not see; " in first
        assert "far worse" not in second
    by_mean = replay(Table(("a", "b"), scores), Exhaustive(20), MEAN).summary()
    assert not by_mean["caveats"].str.contains("far worse").any()
