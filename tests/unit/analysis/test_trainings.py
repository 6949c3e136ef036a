import numpy as np

from robust_select.analysis.trainings import trained_by_step, training_counts
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Halving, Significance, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion


def test_counts_are_in_the_order_of_rank():
    scores = np.array([[9.0] * 6, [1.0] * 6, [5.0] * 6, [3.0, np.inf, 3.0, 3.0, 3.0, 3.0]])
    result = replay(Table(tuple("abcd"), scores), Halving(warmup=2, final_instances=3), criterion("median"))
    found = training_counts(result)
    assert found.candidates == ("b", "c", "a", "d")
    assert found.counts.tolist() == [6, 3, 2, 2]
    assert found.is_left.tolist() == [True, False, False, False]


def test_every_training_is_counted_once():
    rng = np.random.default_rng(1)
    table = Table(tuple("abcdef"), 0.2 * rng.normal(size=(6, 30)) + 0.1 * np.arange(6)[:, None])
    result = replay(table, TopTwo(budget=70), criterion("mean"))
    found = training_counts(result)
    asked = [result.table.candidates[row] for row, _ in result.history.tolist()]
    assert dict(zip(found.candidates, found.counts.tolist(), strict=True)) == {
        name: asked.count(name) for name in table.candidates
    }


def test_before_the_first_training_there_is_nothing():
    found = training_counts(result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean"))))
    assert found.counts.tolist() == [0, 0]
    assert trained_by_step(result_of(Selection(["a"], Halving(warmup=2), criterion("mean")))).steps.tolist() == []


def test_halving_trains_half_as_many_at_each_step():
    table = Table(tuple("abcdefgh"), np.arange(8.0)[:, None] + np.zeros(12))
    found = trained_by_step(replay(table, Halving(warmup=3, final_instances=5), criterion("mean")))
    assert found.steps.tolist() == [1, 2, 3, 4, 5]
    assert found.counts.tolist() == [8, 8, 8, 4, 2]


def test_the_counts_of_an_even_rule_are_all_of_its_trainings():
    rng = np.random.default_rng(3)
    table = Table(tuple("abcdef"), rng.normal(size=(6, 30)) + np.arange(6)[:, None])
    result = replay(table, Significance("welch", warmup=4), criterion("mean"))
    found = trained_by_step(result)
    assert found.counts[:4].tolist() == [6] * 4
    assert found.counts.sum() == result.trainings
    assert found.counts[4:].tolist() == [len(step.kept) + len(step.removed) for step in result.steps[1:]]


def test_whom_a_step_trains_twice_counts_once():
    rng = np.random.default_rng(1)
    table = Table(tuple("abcdef"), 0.2 * rng.normal(size=(6, 30)) + 0.1 * np.arange(6)[:, None])
    result = replay(table, TopTwo(budget=70), criterion("mean"))
    found = trained_by_step(result)
    assert found.steps.tolist() == [step.step for step in result.steps]
    assert found.counts[0] == 6
    ends = [step.trainings for step in result.steps]
    for count, begin, end in zip(found.counts[1:].tolist(), ends, ends[1:], strict=False):
        assert count == len({row for row, _ in result.history[begin:end].tolist()})
