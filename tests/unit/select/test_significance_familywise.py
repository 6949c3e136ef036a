import numpy as np
import pytest
from scipy import stats

from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules.base import ONE_LEFT, USED_UP, Evidence
from robust_select.select.rules.significance import CONTROLS, Significance
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

MEAN = criterion("mean")
TESTS = ("welch", "mann-whitney", "paired-t", "wilcoxon", "bartlett", "levene", "fligner", "pitman-morgan")


def familywise(test="welch", **settings):
    return Significance(test, control="familywise", **settings)


def evidence(losses, alive=None, **more):
    losses = np.asarray(losses, dtype=float)
    return Evidence(losses, np.ones(len(losses), dtype=bool) if alive is None else np.array(alive), MEAN, **more)


def table(losses):
    return Table(tuple("abcdefghij"[: len(losses)]), np.asarray(losses, dtype=float))


def spread_out(gaps, n_replicates, seed=0):
    random = np.random.default_rng(seed)
    return np.asarray(gaps, dtype=float)[:, None] + random.normal(size=(len(gaps), n_replicates))


def test_both_controls_are_known_and_others_refused():
    assert CONTROLS == ("per-look", "familywise")
    with pytest.raises(InputError, match="per-look, familywise, came control='bonferroni'"):
        Significance(control="bonferroni")


def test_ks_is_refused_because_it_sees_any_difference():
    with pytest.raises(InputError, match="test='ks' with control='familywise'"):
        familywise("ks")
    assert Significance("ks").test == "ks"


def test_the_level_is_alpha_over_rivals_and_looks():
    """Three candidates, five instances: looks at 3, 4 and 5, two rivals, so alpha / 6 of the paired t-test."""
    losses = np.array([[0.0, 0.3, -0.2], [1.0, 1.4, 0.7], [9.0, 9.1, 9.3]])
    p_values = [stats.ttest_rel(row, losses[0], alternative="greater").pvalue for row in losses[1:]]
    assert p_values[1] < p_values[0]
    for p_value, expected in ((p_values[0], [1, 2]), (p_values[1], [2])):
        rule = familywise("paired-t", alpha=6 * p_value * 1.001, max_instances=5)
        assert rule.decide(evidence(losses)).discard.tolist() == expected
        rule = familywise("paired-t", alpha=6 * p_value * 0.999, max_instances=5)
        assert rule.decide(evidence(losses)).discard.tolist() == expected[1:]


def test_a_discarded_rival_does_not_loosen_the_level():
    losses = np.array([[0.0, 0.3, -0.2], [1.0, 1.4, 0.7], [9.0, 9.1, 9.3]])
    p_value = stats.ttest_rel(losses[1], losses[0], alternative="greater").pvalue
    rule = familywise("paired-t", alpha=6 * p_value * 0.999, max_instances=5)
    assert rule.decide(evidence(losses, [True, True, False])).discard.tolist() == []


def test_fewer_replicates_in_the_table_are_fewer_looks():
    losses = np.array([[0.0, 0.3, -0.2], [1.0, 1.4, 0.7]])
    p_value = stats.ttest_rel(losses[1], losses[0], alternative="greater").pvalue
    rule = familywise("paired-t", alpha=1.5 * p_value, max_instances=5)
    assert rule.decide(evidence(losses)).discard.tolist() == []
    assert rule.decide(evidence(losses, n_available=3)).discard.tolist() == [1]


def test_two_instances_discard_nobody():
    decision = familywise().decide(evidence([[0.0, 0.1], [1e6, 1e6 + 0.1]]))
    assert (decision.discard.tolist(), decision.step, decision.best, decision.stop) == ([], 2, 0, "")
    assert decision.train.tolist() == [[0, 2], [1, 2]]


def test_between_looks_nobody_goes():
    losses = spread_out([0.0, 100.0], 11)
    assert familywise().decide(evidence(losses)).discard.tolist() == []
    assert familywise().decide(evidence(losses[:, :10])).discard.tolist() == [1]


def test_the_end_is_told_as_in_the_published_form():
    one_left = replay(table(spread_out([0.0, 50.0, 60.0], 8)), familywise(), MEAN)
    assert (one_left.remaining, one_left.stop_reason) == (("a",), ONE_LEFT)
    used_up = replay(table(spread_out([0.0, 0.0], 8, seed=1)), familywise(), MEAN)
    assert (len(used_up.remaining), used_up.stop_reason, used_up.trainings) == (2, USED_UP, 16)
    patient = replay(table(spread_out([0.0, 0.0], 8)), familywise(patience=3), MEAN)
    assert (patient.stop_reason, patient.trainings) == ("3 steps passed without a discard", 8)
    assert patient.steps[0].step == 2


def test_too_few_replicates_for_the_test_discard_nobody():
    result = replay(table(spread_out([0.0, 50.0, 60.0, 70.0, 80.0], 4)), familywise("mann-whitney"), MEAN)
    assert (len(result.remaining), result.stop_reason, result.trainings) == (5, USED_UP, 20)


def test_a_single_candidate_is_left_at_once():
    result = replay(table([[1.0, 2.0, 3.0]]), familywise(), MEAN)
    assert (result.remaining, result.stop_reason, result.trainings) == (("a",), ONE_LEFT, 2)


@pytest.mark.parametrize("test", TESTS)
def test_hopeless_candidates_go_and_the_best_stays(test):
    random = np.random.default_rng(4)
    factors = np.array([1.0, 1.0, 60.0, 80.0])[:, None]
    noise = random.normal(size=(4, 30))
    losses = noise * factors if test in ("bartlett", "levene", "fligner", "pitman-morgan") else noise + factors
    result = replay(table(losses), familywise(test), MEAN)
    assert set(result.remaining) == {"a", "b"}
    assert all(at is not None and at >= 3 for at in result.discarded_at[2:])


@pytest.mark.parametrize("test", TESTS)
def test_constant_scores_have_a_defined_end(test):
    equal = replay(table(np.full((3, 12), 0.1)), familywise(test), MEAN)
    assert len(equal.remaining) == 3
    if test in ("welch", "paired-t"):
        differing = replay(table([[0.1] * 12, [0.2] * 12]), familywise(test), MEAN)
        assert differing.remaining == ("a",)


@pytest.mark.parametrize("test", TESTS)
def test_one_diverged_training_discards_nobody_and_a_broken_candidate_goes(test):
    losses = spread_out([0.0, 0.0, 0.0], 40, seed=3)
    losses[1, 0] = np.inf
    losses[2] = np.inf
    result = replay(table(losses), familywise(test), MEAN)
    assert result.discarded_at[1] is None
    assert result.discarded_at[2] is not None


def test_all_diverged_keeps_everybody():
    assert len(replay(table(np.full((3, 12), np.inf)), familywise(), MEAN).remaining) == 3


def test_a_metric_is_maximised():
    result = replay(table(-spread_out([0.0, 50.0], 8)), familywise(), MEAN, "maximize")
    assert result.selected == "a"
    assert result.remaining == ("a",)


def test_the_order_of_candidates_does_not_matter():
    losses = spread_out([0.0, 0.4, 3.0, 6.0, 12.0], 20, seed=8)
    order = [3, 0, 4, 2, 1]
    straight = replay(table(losses), familywise(), MEAN)
    shuffled = replay(table(losses[order]), familywise(), MEAN)
    assert [straight.discarded_at[position] for position in order] == list(shuffled.discarded_at)


def test_trainings_are_bounded_by_the_first_look_and_the_last_instance():
    assert familywise().trainings(20).least == 60
    assert familywise().trainings(20).most == 1000
    assert familywise("wilcoxon").trainings(20).least == 20 * 12
    assert familywise("wilcoxon").trainings(20, 8).exact == 160
    assert familywise().trainings(1).least == 2
    assert familywise(patience=1).trainings(20).least == 40
    losses = spread_out([0.0, *[1e6] * 19], 5)
    names = [str(position) for position in range(20)]
    selection = Selection(names, familywise(), MEAN)
    while asked := selection.ask():
        for candidate, replicate in asked:
            selection.tell(candidate, replicate, losses[candidate, replicate])
    assert selection.n_trainings >= familywise().trainings(20).least


def test_settings_name_the_control():
    assert familywise().settings()["control"] == "familywise"
    assert Significance(**familywise("levene").settings()) == familywise("levene")
