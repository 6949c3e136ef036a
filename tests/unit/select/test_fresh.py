import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

MEAN = criterion("mean")
SCORES = np.random.default_rng(8).normal(size=(6, 40)) + 4.0 * np.arange(6)[:, None]
TABLE = Table(tuple("abcdef"), SCORES, np.ones(SCORES.shape))
RULES = [Exhaustive(3), Halving(2), Halving(2, final_instances=4), Significance(max_instances=12), TopTwo()]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_fresh_instances_follow_the_last_one_and_change_nothing(rule):
    bare, fresh = replay(TABLE, rule, MEAN), replay(TABLE, rule, MEAN, fresh=5)
    assert fresh.trainings == bare.trainings + 5
    assert fresh.fresh == bare.fresh + 5
    assert bare.fresh == getattr(rule, "final_instances", 0)
    assert (fresh.steps, fresh.remaining, fresh.stop_reason) == (bare.steps, bare.remaining, bare.stop_reason)
    row = TABLE.candidates.index(fresh.selected)
    n_before = np.count_nonzero(bare.history[:, 0] == row)
    assert fresh.history[len(bare.history) :].tolist() == [[row, n_before + i] for i in range(5)]
    assert fresh.fresh_losses.tolist() == SCORES[row, n_before - bare.fresh : n_before + 5].tolist()


def test_bad_fresh_instances_do_not_take_the_choice_back():
    scores = np.array([[1.0, 1.0, 99.0, 99.0], [2.0, 2.0, 2.0, 2.0]])
    found = replay(Table(("a", "b"), scores), Exhaustive(2), MEAN, fresh=2)
    assert (found.selected, found.remaining) == ("a", ("a", "b"))
    assert found.honest().mean.value == 99.0


def test_no_more_than_the_replicates_there_are():
    found = replay(TABLE, Exhaustive(38), MEAN, fresh=10)
    assert (found.fresh, found.stop_reason) == (2, "every candidate is trained as often as asked")
    holes = SCORES.copy()
    holes[0, 5] = np.nan
    short = replay(Table(TABLE.candidates, holes), Exhaustive(3), MEAN, fresh=10)
    assert short.fresh == 2
    assert short.stop_reason == "every candidate is trained as often as asked"


def test_it_is_not_finished_before_they_are_told_and_goes_on_when_more_are_wanted():
    selection = Selection(["a", "b"], Exhaustive(1), MEAN, fresh=1)
    for candidate, replicate in selection.ask():
        selection.tell(candidate, replicate, float(candidate))
    assert selection.ask() == [(0, 1)]
    assert not selection.is_finished
    assert result_of(selection).stop_reason == "not finished"
    selection.tell(0, 1, 5.0)
    assert selection.is_finished
    assert selection.ask() == []
    selection.fresh = 3
    assert not selection.is_finished
    assert selection.ask(1) == [(0, 2)]
    assert selection.ask() == [(0, 3)]
    selection.tell(0, 3, 5.0)
    selection.tell(0, 2, 5.0)
    assert selection.is_finished
    assert (selection.n_fresh, selection.selected) == (3, "a")


@pytest.mark.parametrize("n", [-1, 1.5, True])
def test_a_number_of_fresh_instances_that_is_none(n):
    with pytest.raises(InputError, match="fresh"):
        Selection(["a"], Exhaustive(1), MEAN, fresh=n)


def test_stopped_from_outside_nothing_fresh_is_asked_for():
    selection = Selection(["a", "b"], Exhaustive(1), MEAN, fresh=4)
    for candidate, replicate in selection.ask():
        selection.tell(candidate, replicate, float(candidate))
    selection.ask(2)
    selection.stop("enough")
    assert selection.is_finished
    assert selection.ask() == []
    assert selection.selected == "a"
