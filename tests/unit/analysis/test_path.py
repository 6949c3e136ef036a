import numpy as np
import pytest

from robust_select.analysis.path import selection_path
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Decision, Exhaustive, Halving, Significance, TopTwo
from robust_select.select.rules.base import Trainings
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion


def table_of(*rows):
    return Table(tuple("abcdefgh"[: len(rows)]), np.array(rows, dtype=float))


def test_follows_halving_with_its_warm_up():
    table = table_of([1, 3, 2, 2], [2, 4, 9, 9], [5, 5, 5, 5], [7, 7, 7, 7])
    path = selection_path(replay(table, Halving(warmup=2), criterion("mean")))
    assert path.steps.tolist() == [1, 2, 3]
    assert path.instances.tolist() == [1, 2, 3]
    assert path.is_warmup.tolist() == [True, False, False]
    assert path.n_alive.tolist() == [4, 4, 2]
    np.testing.assert_allclose(path.values, [[1, 2, 5, 7], [2, 3, 5, 7], [2, 5, np.nan, np.nan]])


def test_a_candidate_has_a_value_at_the_step_that_discards_it_and_none_after():
    rng = np.random.default_rng(1)
    table = Table(tuple("abcdef"), rng.normal(size=(6, 12)) + np.arange(6)[:, None])
    result = replay(table, Significance("welch"), criterion("mean"))
    path = selection_path(result)
    for row, step in enumerate(result.discarded_at):
        last = path.steps[path.is_alive[:, row]][-1]
        assert last == (path.steps[-1] if step is None else step)
        assert np.isnan(path.values[path.steps > last, row]).all()
    for row, step in enumerate(result.steps, start=int(path.is_warmup.sum())):
        assert np.nanmin(path.values[row]) == pytest.approx(step.best_value)


def test_the_best_value_is_the_one_of_the_step_when_scores_are_maximised():
    table = table_of([0.9, 0.8], [0.5, 0.6])
    result = replay(table, Halving(warmup=2), criterion("q3+iqr"), "maximize")
    path = selection_path(result)
    assert path.values[-1].max() == pytest.approx(result.steps[-1].best_value)
    assert path.values[0].tolist() == [0.9, 0.5]


def test_a_criterion_of_two_instances_starts_at_two():
    path = selection_path(replay(table_of([1, 2, 4], [1, 1, 1]), Exhaustive(3), criterion("std")))
    assert path.instances.tolist() == [2, 3]
    assert path.values[0].tolist() == pytest.approx([np.sqrt(0.5), 0])


def test_a_diverged_instance_is_infinite_from_its_step_on():
    path = selection_path(replay(table_of([1, np.inf, 1], [2, 2, 2]), Exhaustive(3), criterion("mean")))
    assert np.isinf(path.values[:, 0]).tolist() == [False, True, True]


def test_the_tolerance_is_applied_among_those_alive():
    made = criterion("std-within-tolerance", tolerance=0.5)
    path = selection_path(replay(table_of([1, 2], [1.2, 1.4], [9, 9]), Exhaustive(2), made))
    assert np.isfinite(path.values[-1]).tolist() == [True, True, False]


def test_a_selection_without_steps_has_an_empty_path():
    path = selection_path(result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean"))))
    assert path.values.shape == (0, 2)
    assert len(path.steps) == 0


class Uneven:
    """Trains b once and a twice, sets c aside, takes it back, trains it, stops; a step each time."""

    name = "uneven"
    warmup = 1
    moves = (
        Decision(np.array([[0, 0], [1, 0], [2, 0]])),
        Decision(np.array([[0, 1]]), discard=np.array([2]), step=1, best=0),
        Decision(np.array([[0, 2]])),
        Decision(np.array([[2, 1]]), restore=np.array([2]), step=2, best=0),
        Decision(discard=np.array([1]), step=3, best=0, stop="enough"),
    )

    def __init__(self):
        self.n_asked = 0

    def settings(self):
        return {}

    def check(self, criterion):
        pass

    def trainings(self, n_candidates, n_available=None):
        return Trainings(6, 6)

    def decide(self, evidence):
        self.n_asked += 1
        return self.moves[self.n_asked - 1]


def test_unequal_numbers_of_instances_are_followed_training_by_training():
    result = replay(table_of([1, 3, 8], [5, 0, 0], [7, 9, 0]), Uneven(), criterion("mean"))
    path = selection_path(result)
    assert not path.is_even
    assert path.progress is path.trainings
    assert path.trainings.tolist() == [3, 4, 5, 6]
    assert path.steps.tolist() == [1, 1, 2, 3]
    assert path.counts.tolist() == [[1, 1, 1], [2, 1, 1], [3, 1, 1], [3, 1, 2]]
    assert path.instances.tolist() == [1, 1, 1, 1]
    assert path.is_alive.tolist() == [[True] * 3, [True, True, False], [True] * 3, [True] * 3]
    np.testing.assert_allclose(path.values, [[1, 5, 7], [2, 5, np.nan], [4, 5, 7], [4, 5, 8]])
    assert path.n_shown.tolist() == [4, 4, 4]
    assert not path.is_warmup.any()


def test_synchronous_rules_are_even_and_know_their_trainings():
    rng = np.random.default_rng(3)
    table = Table(tuple("abcdefgh"), rng.normal(size=(8, 9)) + np.arange(8)[:, None])
    for rule, expected in ((Halving(warmup=3), [8, 16, 24, 28, 30]), (Exhaustive(4), [8, 16, 24, 32])):
        path = selection_path(replay(table, rule, criterion("mean")))
        assert path.is_even
        assert path.progress is path.instances
        assert path.trainings.tolist() == expected
        assert (np.where(path.is_alive, path.counts, 0).max(axis=1) == path.instances).all()


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_top_two_is_the_criterion_of_what_was_known_at_each_point(direction):
    rng = np.random.default_rng(6)
    table = Table(tuple("abcdefgh"), rng.normal(size=(8, 40)) * 0.3 + 0.15 * np.arange(8)[:, None])
    result = replay(table, TopTwo(budget=150), criterion("q3"), direction)
    path = selection_path(result)
    assert not path.is_even
    assert 50 < len(path.steps) < 200
    assert (np.diff(path.trainings) >= 0).all()
    assert path.trainings[0] == 8  # everybody's first instance
    assert path.trainings[-1] == result.trainings
    assert np.array_equal(path.counts[-1], (~np.isnan(result.table.scores)).sum(axis=1))
    assert {step.step for step in result.steps} <= set(path.steps.tolist())
    assert path.is_warmup.tolist() == [bool(n < result.steps[0].trainings) for n in path.trainings]
    level = 0.75 if direction == "minimize" else 0.25
    for row, n_known in enumerate(path.trainings):
        known = [[] for _ in table.candidates]
        for candidate, replicate in result.history[:n_known].tolist():
            known[candidate].append(table.scores[candidate, replicate])
        for column, scores in enumerate(known):
            if path.is_alive[row, column]:
                assert path.values[row, column] == pytest.approx(np.quantile(scores, level), abs=1e-12)
            else:
                assert np.isnan(path.values[row, column])
    for step in result.steps:
        row = int(np.flatnonzero((path.steps == step.step) & (path.trainings == step.trainings))[0])
        took_part = {path.candidates[column] for column in np.flatnonzero(path.is_alive[row])}
        assert took_part == {*step.kept, *step.removed}


class Restless(Uneven):
    """Trains a alone and sets c aside and takes it back, a step each time, until there are 300 steps."""

    def decide(self, evidence):
        if evidence.n_steps == 0 and np.isnan(evidence.losses[0, 0]):
            return Decision(np.array([[0, 0], [1, 0], [2, 0]]))
        n, change = evidence.n_steps + 1, "discard" if evidence.n_steps % 2 == 0 else "restore"
        made = Decision(np.array([[0, n]]), step=n, best=0, **{change: np.array([2])})
        return made if n < 300 else Decision(step=n, best=0, stop="enough")


def test_many_steps_are_thinned_and_the_last_one_stays():
    scores = np.vstack([np.arange(300), np.ones(300), np.ones(300)])
    result = replay(Table(tuple("abc"), scores), Restless(), criterion("max"))
    path = selection_path(result)
    assert len(result.steps) == 300
    assert 120 <= len(path.steps) <= 180
    assert (path.steps[0], path.steps[-1]) == (1, 300)
    assert (path.trainings[0], path.trainings[-1]) == (3, 302)
    assert np.diff(path.trainings).max() <= 5
    np.testing.assert_array_equal(path.values[:, 0], path.trainings - 3)
    assert (path.trainings == path.steps + 2).all()
    is_alive = path.is_alive[
        :, 2
    ].tolist()  # in the steps that discard it and in those that restore it; not at the end
    assert is_alive == [True] * (len(is_alive) - 1) + [False]


def test_a_selection_that_goes_on_is_followed_to_what_is_known_now():
    selection = Selection(tuple("abc"), Uneven(), criterion("mean"))
    scores = {(0, 0): 1.0, (1, 0): 5.0, (2, 0): 7.0, (0, 1): 3.0, (0, 2): 8.0}
    while selection.n_trainings < 5:
        for candidate, replicate in selection.ask():
            selection.tell(candidate, replicate, scores[candidate, replicate])
    assert selection.ask() == [(2, 1)]  # one more is in training
    result = result_of(selection)
    assert [step.trainings for step in result.steps] == [3, 5]
    path = selection_path(result)
    assert path.trainings.tolist() == [3, 4, 5]
    np.testing.assert_allclose(path.values, [[1, 5, 7], [2, 5, np.nan], [4, 5, 7]])


def test_what_came_after_the_last_step_is_followed_too():
    selection = Selection(tuple("abc"), Uneven(), criterion("mean"))
    scores = {(0, 0): 1.0, (1, 0): 5.0, (2, 0): 7.0, (0, 1): 3.0}
    while selection.n_trainings < 4:
        for candidate, replicate in selection.ask():
            selection.tell(candidate, replicate, scores[candidate, replicate])
    path = selection_path(result_of(selection))
    assert path.is_even  # at its only step everybody had one instance
    selection.tell(*selection.ask()[0], 8.0)
    selection.ask()
    path = selection_path(result_of(selection))
    assert (path.steps.tolist(), path.trainings.tolist()) == ([1, 1, 2], [3, 4, 5])
