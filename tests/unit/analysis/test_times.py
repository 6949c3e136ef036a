import numpy as np
import pytest

from robust_select.analysis.times import step_times
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving
from robust_select.stats.criteria import criterion


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    scores = np.arange(32.0)[:, None] + 0.1 * rng.normal(size=(32, 8))
    return Table(tuple(map(str, range(32))), scores, rng.uniform(1, 2, size=(32, 8)))


def test_values_and_times_are_those_of_the_instances_known_then(table):
    result = replay(table, Halving(warmup=2), criterion("max"))
    found = step_times(result, n_most=10)
    assert found.steps.tolist() == [2, 3, 4, 5, 6]
    assert found.trainings.tolist() == [64, 80, 88, 92, 94]
    for row, (step, n_alive) in enumerate(zip(found.steps, (32, 16, 8, 4, 2), strict=True)):
        alive = slice(0, n_alive)
        np.testing.assert_allclose(found.values[row, alive], table.scores[alive, :step].max(axis=1))
        np.testing.assert_allclose(found.seconds[row, alive], table.seconds[alive, :step].mean(axis=1))
        assert np.isnan(found.values[row, n_alive:]).all()
        assert np.isnan(found.seconds[row, n_alive:]).all()
        np.testing.assert_array_equal(np.flatnonzero(found.is_removed[row]), np.arange(n_alive // 2, n_alive))


def test_few_of_many_steps_the_first_and_the_last_among_them(table):
    found = step_times(replay(table, Halving(warmup=2), criterion("mean")))
    assert found.steps.tolist() == [2, 3, 5, 6]
    assert step_times(replay(table, Halving(warmup=2), criterion("mean")), n_most=1).steps.tolist() == [2]


def test_a_metric_is_given_in_its_own_units(table):
    turned = Table(table.candidates, -table.scores, table.seconds)
    found = step_times(replay(turned, Halving(warmup=2), criterion("mean"), "maximize"))
    plain = step_times(replay(table, Halving(warmup=2), criterion("mean")))
    np.testing.assert_allclose(found.values, -plain.values)


def test_nothing_to_show(table):
    assert step_times(replay(table, Exhaustive(3), criterion("mean"))) is None
    untimed = Table(table.candidates, table.scores)
    assert step_times(replay(untimed, Halving(warmup=2), criterion("mean"))) is None
