import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving
from robust_select.study import Study
from robust_select.study.reading import read_result

CANDIDATES = {name: {"level": level} for name, level in (("a", 1.0), ("b", 2.0), ("c", 3.0))}


class Trainer:
    """Writes down what it trains; raises KeyboardInterrupt instead of the training with that number."""

    def __init__(self, interrupted_at=None):
        self.trained = []
        self.interrupted_at = interrupted_at

    def __call__(self, params, instance):
        if len(self.trained) == self.interrupted_at:
            raise KeyboardInterrupt
        self.trained.append((instance.candidate, instance.replicate))
        return params["level"] + 0.1 * instance.rng("initial_weights").normal()


def run(path, trainer, fresh, rule=None, **how):
    study = Study(CANDIDATES, trainer, criterion="mean", rule=rule or Exhaustive(2), ledger=path, seed=3, fresh=fresh)
    return study.run(**how)


def reading(path):
    with open_ledger(path, must_exist=True) as ledger:
        return read_result(ledger).result, ledger.study().stop_reason


def test_the_selected_one_is_trained_so_many_times_more(tmp_path):
    trainer = Trainer()
    found = run(tmp_path / "s.db", trainer, 3)
    assert (found.selected, found.fresh, found.trainings) == ("a", 3, 9)
    assert trainer.trained[6:] == [("a", 2), ("a", 3), ("a", 4)]
    again, stop_reason = reading(tmp_path / "s.db")
    assert (again.fresh, again.stop_reason) == (3, stop_reason)
    np.testing.assert_array_equal(again.table.scores, found.table.scores)


def test_more_can_be_had_later_and_none_is_forgotten(tmp_path):
    run(tmp_path / "s.db", Trainer(), 0)
    later = Trainer()
    assert run(tmp_path / "s.db", later, 3).fresh == 3
    assert later.trained == [("a", 2), ("a", 3), ("a", 4)]
    last = Trainer()
    found = run(tmp_path / "s.db", last, 1)
    assert (found.fresh, found.trainings, last.trained) == (3, 9, [])
    assert reading(tmp_path / "s.db")[0].fresh == 3


def test_interrupted_and_gone_on_with_it_ends_as_if_nothing_had_been(tmp_path):
    whole = run(tmp_path / "whole.db", Trainer(), 4, Halving(2, final_instances=2))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s.db", Trainer(interrupted_at=10), 4, Halving(2, final_instances=2))
    half, stop_reason = reading(tmp_path / "s.db")
    assert (half.fresh, stop_reason) == (4, "")
    found = run(tmp_path / "s.db", Trainer(), 4, Halving(2, final_instances=2))
    assert found.fresh == whole.fresh == 6
    np.testing.assert_array_equal(found.table.scores, whole.table.scores)


def test_two_workers_give_the_same_as_one(tmp_path):
    one, two = run(tmp_path / "1.db", Trainer(), 4), run(tmp_path / "2.db", Trainer(), 4, workers=2)
    np.testing.assert_array_equal(one.table.scores, two.table.scores)
    assert two.fresh == 4


def test_a_number_below_zero_is_refused():
    with pytest.raises(InputError, match="fresh=-1"):
        run(None, Trainer(), -1)
