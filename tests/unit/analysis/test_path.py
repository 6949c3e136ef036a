import numpy as np
import pytest

from robust_select.analysis.path import selection_path
from robust_select.core.tables import Table
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Exhaustive, Halving, Significance
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
