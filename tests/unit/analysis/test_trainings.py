import numpy as np

from robust_select.analysis.trainings import training_counts
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Halving, TopTwo
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
