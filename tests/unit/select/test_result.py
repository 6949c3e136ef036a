import math

import numpy as np
import pandas as pd
import pytest

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
        *("discarded_at", "caveats"),
    ]
    assert frame["mean"].tolist() == pytest.approx([1.0, 2.0, 3.05, math.inf])
    assert frame["std"].tolist()[:2] == pytest.approx([0.1, 0.1])
    assert frame["q3+iqr"][0] == pytest.approx(np.quantile(SCORES[1, :3], 0.75) + 0.1)


def test_caveats_are_in_words():
    caveats = replay(TABLE, Halving(warmup=2), MEAN).summary()["caveats"].tolist()
    assert caveats[0] == ("only 3 instances: the spread is hardly known; chosen on these scores, so they flatter it")
    assert caveats[1] == "only 3 instances: the spread is hardly known"
    assert caveats[3] == "only 2 instances: the spread is hardly known; 1 of 2 diverged or failed"
    untold = replay(TABLE, Exhaustive(6), MEAN).summary()["caveats"].tolist()
    assert untold[0] == "the rule did not tell the 4 left apart; chosen on these scores, so they flatter it"
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
