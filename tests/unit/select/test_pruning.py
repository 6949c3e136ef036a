"""Pruning by epochs, group by group: who is compared with whom, who is audited, and what the rule hears of it."""

import math
import re

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.core.instances import EpochLimits, Outcome, State
from robust_select.select.pruning import FirstRound, PruneEpochs
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

NO_AUDIT = PruneEpochs((2, 4), audit=0, first=4)


def played(first_round, curve_of):
    """Train group by group as an obedient trainer does; give the groups, and the outcomes by position."""
    groups, outcomes = [], {}
    while group := first_round.next_group():
        groups.append(group)
        for position in group:
            curve, limits = curve_of(position), first_round.limits(position)
            stop = next((n for n in range(1, len(curve)) if limits.is_missed(curve[:n])), None)
            outcomes[position] = Outcome(curve[-1], curve) if stop is None else Outcome.pruned(curve[:stop])
            first_round.tell(position, outcomes[position])
    return groups, outcomes


@pytest.mark.parametrize(
    ("n_candidates", "first", "sizes"), [(40, 4, [4, 4, 8, 16, 8]), (3, 8, [3]), (9, 1, [1, 1, 2, 4, 1])]
)
def test_each_group_is_as_large_as_all_before_it(n_candidates, first, sizes):
    groups, _ = played(FirstRound(PruneEpochs((1,), first=first), n_candidates, seed=3), lambda at: [1.0, 1.0])
    assert [len(group) for group in groups] == sizes
    assert sorted(position for group in groups for position in group) == list(range(n_candidates))


def test_the_order_is_drawn_from_the_seed():
    orders = [FirstRound(NO_AUDIT, 30, seed=seed).next_group() for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_by_hand_against_the_percentile_rule():
    """A second way to compute: the rule as a loop over sorted lists, for 40 random curves."""
    curves = np.random.default_rng(5).normal(size=(40, 6)).tolist()
    first_round = FirstRound(PruneEpochs((2, 4), keep=0.5, audit=0, first=4), 40, seed=9)
    groups, outcomes = played(first_round, curves.__getitem__)
    seen = {2: [], 4: []}
    for group in groups:
        limits = {epoch: sorted(seen[epoch])[math.ceil((len(seen[epoch]) - 1) / 2)] for epoch in seen if seen[epoch]}
        for position in group:
            curve, stopped = curves[position], 0
            for epoch in (2, 4):
                seen[epoch].append(curve[epoch - 1])
                if limits and curve[epoch - 1] > limits[epoch]:
                    stopped = epoch
                    break
            assert len(outcomes[position].curve) == (stopped or 6)
    assert {len(outcome.curve) for outcome in outcomes.values()} == {2, 4, 6}


def test_who_is_equal_to_the_limit_goes_on():
    _, outcomes = played(FirstRound(NO_AUDIT, 20), lambda at: [0.5] * 5)
    assert {outcome.state for outcome in outcomes.values()} == {State.COMPLETE}


def test_of_a_metric_the_lower_ones_are_stopped_and_limits_are_in_its_units():
    first_round = FirstRound(NO_AUDIT, 8, "maximize")
    for position, score in zip(first_round.next_group(), [0.1, 0.2, 0.3, 0.4], strict=True):
        first_round.tell(position, Outcome(score, [score] * 5))
    limits = first_round.limits(first_round.next_group()[0])
    assert limits == EpochLimits(((2, 0.2), (4, 0.2)), is_maximized=True)
    assert [limits.is_missed([0.0, score]) for score in (0.1, 0.2, 0.3)] == [True, False, False]


def test_diverged_trainings_are_the_worst_and_failed_ones_tell_nothing():
    first_round = FirstRound(PruneEpochs((2,), keep=0.5, audit=0, first=4), 8)
    ends = [
        Outcome(1.0, [9, 1, 1]),
        Outcome(2.0, [9, 2, 2]),
        Outcome(math.nan, [9, math.nan]),
        Outcome.failed("lost"),
    ]
    for position, outcome in zip(first_round.next_group(), ends, strict=True):
        first_round.tell(position, outcome)
    assert first_round.limits(first_round.next_group()[0]).worst == ((2, 2.0),)
    assert not first_round.result.due_at.any()


def test_too_little_is_known_where_half_of_the_first_gave_no_curve():
    first_round = FirstRound(PruneEpochs((2,), audit=0, first=4), 8)
    for position, curve in zip(first_round.next_group(), [(1, 1, 1), (), (), ()], strict=True):
        first_round.tell(position, Outcome(1.0, curve))
    assert first_round.limits(first_round.next_group()[0]) == EpochLimits()
    assert first_round.result.is_known.sum() == 1


def test_audited_ones_have_no_limits_are_every_fifth_and_are_noted_as_behind():
    first_round = FirstRound(PruneEpochs((2,), keep=0.01, audit=0.2, first=5), 105, seed=4)
    _, outcomes = played(first_round, lambda at: [float(at)] * 4)
    found = first_round.result
    assert found.is_audited.sum() == 20
    assert not (found.is_stopped & found.is_audited).any()
    assert (found.due_at[found.is_audited] == 2).sum() > 10
    stopped = {position for position, outcome in outcomes.items() if outcome.state is State.PRUNED}
    assert stopped == set(np.flatnonzero(found.is_stopped).tolist())


def test_a_trainer_that_does_not_ask_is_noted_as_behind_too():
    first_round = FirstRound(PruneEpochs((2,), audit=0, first=2), 8)
    while group := first_round.next_group():
        for position in group:
            first_round.tell(position, Outcome(position, [position] * 4))
    found = first_round.result
    assert found.due_at.any()
    assert not found.is_stopped.any()


def test_an_epoch_that_is_the_last_one_of_a_training_stops_nobody():
    first_round = FirstRound(PruneEpochs((3,), audit=0, first=1), 2)
    for score in (0.0, 1.0):
        first_round.tell(first_round.next_group()[0], Outcome(score, [score] * 3))
    assert not first_round.result.due_at.any()


def test_the_next_group_waits_for_the_one_before():
    first_round = FirstRound(NO_AUDIT, 8)
    first_round.next_group()
    with pytest.raises(RuntimeError, match="the one in training"):
        first_round.next_group()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": ()}, "epochs=()"),
        ({"epochs": (0,)}, "epochs=(0,)"),
        ({"epochs": (3, 3)}, "epochs=(3, 3)"),
        ({"epochs": (1.5,)}, "epochs=(1.5,)"),
        ({"epochs": "10"}, "epochs='10'"),
        ({"epochs": 10}, "epochs=10"),
        ({"epochs": (1,), "keep": 0}, "keep=0"),
        ({"epochs": (1,), "keep": 1}, "keep=1"),
        ({"epochs": (1,), "keep": "half"}, "keep='half'"),
        ({"epochs": (1,), "audit": -0.1}, "audit=-0.1"),
        ({"epochs": (1,), "audit": 1.1}, "audit=1.1"),
        ({"epochs": (1,), "audit": True}, "audit=True"),
        ({"epochs": (1,), "first": 0}, "first=0"),
        ({"epochs": (1,), "first": 2.0}, "first=2.0"),
        ({"keep": 0.5}, "came no epochs"),
        ({"epochs": (1,), "keeps": 0.5}, "came unknown keeps"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=re.escape(message)):
        PruneEpochs.of(settings)


def test_settings_come_back_from_json():
    made = PruneEpochs([20, 10], keep=0.3, audit=0.2, first=5)
    assert made.epochs == (10, 20)
    assert PruneEpochs.of(made.settings()) == PruneEpochs.of(made) == made
    assert PruneEpochs.of(None) is None


NAMES = [f"c{at}" for at in range(12)]
RULES = [Exhaustive(3), Halving(3), Significance("welch", warmup=3, max_instances=8), TopTwo(warmup=2, batch=3)]


def curve_of(candidate, replicate):
    rng = np.random.default_rng([candidate, replicate])
    return (candidate + np.array([3, 2, 1, 0.5, 0.0]) + 0.3 * rng.normal(size=5)).tolist()


def driven(selection, n=None):
    """Tell a selection what an obedient trainer would; give all that it asked for."""
    asked_for = []
    while asked := selection.ask(n):
        for candidate, replicate in asked:
            asked_for.append((candidate, replicate))
            curve, limits = curve_of(candidate, replicate), selection.limits(candidate, replicate)
            stop = next((n for n in range(1, 5) if limits.is_missed(curve[:n])), None)
            outcome = Outcome(curve[-1], curve, seconds=1.0) if stop is None else Outcome.pruned(curve[:stop], 0.5)
            selection.hear(candidate, replicate, outcome)
    return asked_for


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("n", [None, 1])
def test_the_rule_decides_as_if_those_stopped_had_never_been(rule, n):
    by = criterion("mean")
    pruned = Selection(NAMES, rule, by, first_round=FirstRound(PruneEpochs((2, 4), audit=0, first=4), 12, seed=1))
    asked_for = driven(pruned, n)
    stopped = [name for name, at in zip(NAMES, pruned.discarded_at, strict=True) if at == 0]
    assert 3 <= len(stopped) <= 8
    left = [name for name in NAMES if name not in stopped]
    plain = Selection(left, rule, by)
    while asked := plain.ask(n):
        for candidate, replicate in asked:
            plain.tell(candidate, replicate, curve_of(int(left[candidate][1:]), replicate)[-1], 1.0)
    assert pruned.remaining == plain.remaining
    assert pruned.stop_reason == plain.stop_reason
    assert pruned.steps == plain.steps
    assert pruned.confidence == plain.confidence
    assert pruned.equivalent == plain.equivalent
    assert len(set(asked_for)) == len(asked_for) == pruned.n_trainings == plain.n_trainings + len(stopped)
    assert pruned.total_seconds == plain.total_seconds + 0.5 * len(stopped)
    kept = [NAMES.index(name) for name in left]
    np.testing.assert_array_equal([kept[row] for row in plain.history[:, 0]], pruned.history[:, 0])


def test_a_result_shows_those_stopped_last_and_says_why():
    selection = Selection(
        NAMES, Halving(2), criterion("mean"), first_round=FirstRound(PruneEpochs((2,), audit=0, first=4), 12, seed=1)
    )
    driven(selection)
    result = result_of(selection)
    summary = result.summary()
    stopped = summary[summary["discarded_at"] == 0]
    assert len(stopped) == result.table.is_stopped.sum() > 2
    assert (
        set(summary["candidate"].tail(len(stopped))) == set(stopped["candidate"]) == set(NAMES) - set(result.entered)
    )
    assert set(stopped["caveats"]) == {"stopped after epoch 2 of its first training, so it has no score"}
    assert set(stopped["instances"]) == set(stopped["unusable"]) == {0}
    assert result.trainings == selection.n_trainings
    assert result.seconds == selection.total_seconds
    assert np.isfinite(stopped["mean"]).sum() == 0
    again = replay(result.table, Halving(2), criterion("mean"))
    assert (again.steps, again.remaining, again.seconds) == (result.steps, result.remaining, result.seconds)


def test_a_table_of_nobody_but_stopped_ones_cannot_be_replayed():
    table = result_of(Selection(["a", "b"], Exhaustive(1), criterion("mean"))).table
    nobody = type(table)(("a", "b"), table.scores, stopped=np.array([[1], [2]]))
    with pytest.raises(InputError, match="not stopped by its epochs"):
        replay(nobody, Exhaustive(1), criterion("mean"))


def test_a_selection_stopped_from_outside_in_the_first_round_chooses_among_those_left():
    first_round = FirstRound(PruneEpochs((1,), audit=0, first=2), 4)
    selection = Selection(["a", "b", "c", "d"], Exhaustive(1), criterion("mean"), first_round=first_round)
    for candidate, replicate in selection.ask():
        selection.tell(candidate, replicate, float(candidate))
    selection.ask()
    selection.stop("enough")
    assert (selection.ask(), selection.stop_reason) == ([], "enough")
    assert len(selection.remaining) == 4


def test_only_first_trainings_of_a_study_that_prunes_are_stopped():
    selection = Selection(["a", "b"], Exhaustive(1), criterion("mean"))
    selection.ask()
    with pytest.raises(InputError, match=r"only first trainings.*stopped after epoch 2"):
        selection.hear(0, 0, Outcome.pruned([1.0, 1.0]))
    with pytest.raises(RuntimeError, match="after the rule began"):
        selection.set_aside(0, 1)
