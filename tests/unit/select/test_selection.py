import math

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.select.rules import Exhaustive, Halving, Significance
from robust_select.select.selection import Selection
from robust_select.stats.comparisons import COMPARISONS
from robust_select.stats.criteria import criterion

MEAN = criterion("mean")
RULES = [
    Exhaustive(4),
    Halving(warmup=3, final_instances=2),
    *(Significance(test, warmup=3, max_instances=6) for test in COMPARISONS),
]


def rule_name(rule):
    return f"{rule.name}-{getattr(rule, 'test', '')}"


def scores_of(seed, n_candidates):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_candidates, 1)) + rng.uniform(0.1, 1, (n_candidates, 1)) * rng.normal(
        size=(n_candidates, 12)
    )


def run(scores, rule, by=MEAN, n=None, shuffle=None, direction="minimize", n_available=None):
    """Drive a selection to its end; tell each batch in a shuffled order if asked."""
    selection = Selection([f"c{row}" for row in range(len(scores))], rule, by, direction, n_available)
    rng = np.random.default_rng(shuffle)
    in_training = []
    while True:
        in_training += selection.ask(n)
        if not in_training:
            break
        if shuffle is not None:
            rng.shuffle(in_training)
        n_told = len(in_training) if shuffle is None else int(rng.integers(1, len(in_training) + 1))
        for candidate, replicate in in_training[:n_told]:
            selection.tell(candidate, replicate, scores[candidate, replicate], seconds=1.0 + candidate)
        in_training = in_training[n_told:]
    assert selection.is_finished
    return selection


def state_of(selection):
    return (
        selection.steps,
        selection.remaining,
        selection.discarded_at,
        selection.stop_reason,
        np.nan_to_num(selection.scores, nan=-1e9).tolist(),
        selection.history.tolist(),
    )


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_portions_and_the_order_of_telling_change_nothing(rule):
    scores = scores_of(1, 9)
    expected = state_of(run(scores, rule))
    for n, shuffle in ((1, None), (4, None), (None, 1), (3, 2), (7, 3)):
        assert state_of(run(scores, rule, n=n, shuffle=shuffle)) == expected


def test_asked_instances_are_told_once_and_only_they():
    selection = Selection(["a", "b"], Exhaustive(2), MEAN)
    with pytest.raises(InputError, match="asked for and not told yet, came candidate 0, replicate 0"):
        selection.tell(0, 0, 1.0)
    assert selection.ask(1) == [(0, 0)]
    selection.tell(0, 0, 1.0)
    for bad in ((0, 0), (1, 0), (5, 5), (-1, 0)):
        with pytest.raises(InputError, match=f"came candidate {bad[0]}, replicate {bad[1]}"):
            selection.tell(*bad, 1.0)
    assert selection.ask() == [(1, 0), (0, 1), (1, 1)]
    assert selection.ask() == []
    assert not selection.is_finished
    assert selection.ask(0) == []


def test_a_selection_waits_for_the_last_score_of_a_step():
    selection = Selection(["a", "b", "c", "d"], Halving(1), MEAN)
    asked = selection.ask()
    for candidate, replicate in asked[:-1]:
        selection.tell(candidate, replicate, float(candidate))
        assert selection.ask() == []
    assert selection.steps == []
    selection.tell(*asked[-1], 9.0)
    assert selection.ask() == [(0, 1), (1, 1)]
    assert selection.steps[0].removed == ("c", "d")
    assert selection.discarded_at == (None, None, 1, 1)
    assert selection.n_trainings == 4


def test_scores_and_seconds_are_kept():
    selection = run(scores_of(2, 3), Exhaustive(2))
    np.testing.assert_array_equal(selection.scores, scores_of(2, 3)[:, :2])
    assert selection.seconds.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert selection.total_seconds == selection.steps[0].seconds == 12
    assert (selection.confidence, selection.equivalent) == (None, ())
    np.testing.assert_array_equal(selection.losses, selection.scores)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"candidates": []}, "at least one candidate, came none"),
        ({"direction": "up"}, "came 'up'"),
        ({"n_available": 4}, "came warmup=5 and 4 replicates"),
        (
            {"rule": Halving(1), "criterion": criterion("std")},
            "at least 2 instances .* 'std' is asked, came warmup=1",
        ),
        ({"rule": Exhaustive(1), "criterion": criterion("iqr")}, "at least 2 instances"),
        ({"rule": Significance(warmup=1), "criterion": criterion("std")}, "at least 2 instances"),
    ],
)
def test_a_selection_that_cannot_work_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Selection(**{"candidates": ["a", "b"], "rule": Halving(5), "criterion": MEAN, **given})


def test_stopping_from_outside_selects_the_best_so_far_and_keeps_the_first_reason():
    selection = Selection(["a", "b"], Exhaustive(3), MEAN)
    for candidate, replicate in selection.ask(4):
        selection.tell(candidate, replicate, 5.0 - candidate)
    selection.ask(1)
    selection.stop("enough")
    selection.stop("again")
    assert (selection.stop_reason, selection.selected, selection.ask()) == ("enough", "b", [])
    with pytest.raises(InputError, match="asked for and not told yet"):
        selection.tell(0, 2, 1.0)


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_a_single_candidate_is_selected(rule):
    selection = run(scores_of(3, 1), rule)
    assert selection.remaining == ("c0",)
    assert [s.step for s in selection.steps] == [rule.warmup]
    assert selection.n_trainings == rule.warmup + (2 if rule.name == "halving" else 0)


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_two_the_clearly_better_is_selected(rule, direction):
    scores = np.array([[5.0, 9.0, 3.0, 7.0, 4.0, 8.0, 5.0], [1.0, 1.01, 1.02, 1.0, 1.03, 1.01, 1.0]])
    scores = np.negative(scores) if direction == "maximize" else scores
    assert run(scores, rule, direction=direction).selected == "c1"


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_equal_candidates_are_never_told_apart_and_the_first_is_selected(rule):
    for scores in (np.full((4, 12), 0.1), np.tile(scores_of(5, 1), (4, 1))):
        selection = run(scores, rule)
        assert selection.selected == "c0"
        if rule.name != "halving":
            assert selection.remaining == ("c0", "c1", "c2", "c3")


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_constant_candidates_of_different_value(rule):
    selection = run(np.array([[0.7] * 12, [0.1] * 12, [0.2] * 12]), rule)
    assert selection.selected == "c1"
    if getattr(rule, "test", "") in {"bartlett", "levene", "fligner"}:
        assert selection.remaining == ("c1", "c2", "c0")  # all of the same width


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_candidate_with_all_instances_failed_is_never_selected(rule, bad, direction):
    scores = scores_of(6, 4)
    scores[0] = bad
    selection = run(scores, rule, direction=direction)
    assert selection.selected != "c0"
    assert np.isposinf(selection.losses[0, 0])
    assert "c0" not in {step.best for step in selection.steps}
    if rule.name != "exhaustive" and getattr(rule, "test", "") != "":
        expected = scores_of(6, 4)[1:]
        alone = run(expected, rule, direction=direction)
        assert selection.candidates[int(alone.selected[1:]) + 1] == selection.selected


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_where_all_candidates_failed_it_ends_and_the_first_is_selected(rule):
    selection = run(np.full((3, 12), math.nan), rule)
    assert selection.selected == "c0"
    assert selection.is_finished
    assert math.isinf(selection.steps[0].best_value)


@pytest.mark.parametrize("rule", RULES, ids=rule_name)
def test_one_diverged_instance_is_worse_than_none_for_the_mean(rule):
    scores = np.array([[1.0, 1.2, 0.9, 1.1, 1.0, 1.05, 1.0], [1.0, 1.2, 0.9, 1.1, 1.0, 1.05, 1.0]])
    scores[0, 1] = math.inf
    assert run(scores, rule).selected == "c1"


def test_the_median_forgives_one_diverged_instance():
    scores = np.array([[1.0, math.nan, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]])
    assert run(scores, Exhaustive(4), criterion("median")).selected == "c0"
    assert run(scores, Exhaustive(4), criterion("max")).selected == "c1"


def test_a_rule_that_does_nothing_is_named():
    class Idle(Exhaustive):
        def decide(self, evidence):
            return type(super().decide(evidence))()

    with pytest.raises(RuntimeError, match="rule 'exhaustive' neither asked for an instance nor stopped"):
        Selection(["a"], Idle(1), MEAN).ask()


def test_room_for_replicates_grows():
    scores = np.tile(np.random.default_rng(0).normal(size=(1, 50)), (2, 1))
    selection = run(scores, Significance())
    np.testing.assert_array_equal(selection.scores[:, :50], scores)
    assert selection.stop_reason == "the replicates are used up"
    assert np.isnan(selection.scores[:, 50:]).all()
