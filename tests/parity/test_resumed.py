"""A study that was interrupted and resumed ends exactly as one that was not."""

import contextlib

import numpy as np
import pytest

from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.study import Study
from robust_select.study.study import step_record

RULES = {
    "exhaustive": Exhaustive(n=4),
    "halving": Halving(warmup=3, final_instances=4),
    "welch": Significance("welch", alpha=0.2, warmup=3, max_instances=7),
    "paired-t": Significance("paired-t", alpha=0.1, warmup=3, max_instances=6),
    "levene": Significance("levene", alpha=0.3, warmup=4, max_instances=6),
    "top-two": TopTwo(budget=40, batch=2),
}
CANDIDATES = {f"c{i}": {"mean": 0.2 * (i % 4), "spread": 0.4 / (1 + i)} for i in range(6)}


class Trainer:
    """Counts its trainings; raises KeyboardInterrupt instead of the training with that number."""

    def __init__(self, interrupted_at=None):
        self.trained = []
        self.interrupted_at = interrupted_at

    def __call__(self, params, instance):
        if len(self.trained) == self.interrupted_at:
            raise KeyboardInterrupt
        self.trained.append((instance.candidate, instance.replicate))
        if instance.candidate == "c4" and instance.replicate == 1:
            raise RuntimeError("no memory left")
        score = params["mean"] + params["spread"] * instance.rng("initial_weights").normal()
        return Outcome(
            np.nan if (instance.candidate, instance.replicate) == ("c5", 2) else score, curve=(score, score)
        )


def study_of(rule, trainer, ledger=None):
    return Study(CANDIDATES, trainer, criterion="q3+iqr", rule=RULES[rule], ledger=ledger, seed=3)


def shown(result):
    """Reduce a result to what must be the same; times differ."""
    steps = [{**step_record(step), "seconds": None} for step in result.steps]
    return result.selected, result.remaining, result.stop_reason, result.discarded_at, steps


@pytest.fixture(scope="module")
def alone():
    """The uninterrupted result of each rule, and what was trained in which order."""
    found = {}
    for rule in RULES:
        trainer = Trainer()
        found[rule] = study_of(rule, trainer).run(), trainer.trained
    return found


def assert_same(result, expected):
    assert shown(result) == shown(expected)
    np.testing.assert_array_equal(result.table.scores, expected.table.scores)


@pytest.mark.parametrize("rule", RULES)
def test_once_by_ctrl_c(alone, rule, tmp_path):
    expected, order = alone[rule]
    for n in range(0, len(order), 7):
        ledger = tmp_path / f"{n}.db"
        with pytest.raises(KeyboardInterrupt):
            study_of(rule, Trainer(interrupted_at=n), ledger).run()
        trainer = Trainer()
        assert_same(study_of(rule, trainer, ledger).run(), expected)
        assert trainer.trained == order[n:]


@pytest.mark.parametrize("rule", RULES)
def test_after_every_step_by_closing_the_generator(alone, rule, tmp_path):
    expected, order = alone[rule]
    for n in range(1, len(expected.steps) + 1):
        ledger = tmp_path / f"{n}.db"
        first, second = Trainer(), Trainer()
        with contextlib.closing(study_of(rule, first, ledger).steps()) as steps:
            seen = [next(steps) for _ in range(n)]
        assert [step.removed for step in seen] == [step.removed for step in expected.steps[:n]]
        assert_same(study_of(rule, second, ledger).run(), expected)
        assert first.trained + second.trained == order
        with open_ledger(ledger) as opened:
            record = opened.study()
            held = [{**step, "seconds": None} for step in opened.steps(record)]
            assert held == shown(expected)[-1]
            assert record.stop_reason == expected.stop_reason


@pytest.mark.parametrize("rule", RULES)
def test_by_ctrl_c_after_every_training(alone, rule, tmp_path):
    expected, order = alone[rule]
    for n in range(len(order)):
        trainer = Trainer(interrupted_at=1)
        if n < len(order) - 1:
            with pytest.raises(KeyboardInterrupt):
                study_of(rule, trainer, tmp_path / "study.db").run()
        else:
            assert_same(study_of(rule, trainer, tmp_path / "study.db").run(), expected)
        assert trainer.trained == [order[n]]


def test_a_finished_study_trains_nothing_and_says_the_same(alone, tmp_path):
    expected, _ = alone["halving"]
    study_of("halving", Trainer(), tmp_path / "study.db").run()
    trainer = Trainer()
    assert_same(study_of("halving", trainer, tmp_path / "study.db").run(), expected)
    assert trainer.trained == []


def test_outcomes_that_nobody_asks_for_change_nothing(alone, tmp_path):
    expected, _ = alone["halving"]
    study = study_of("halving", Trainer(), tmp_path / "study.db")
    study.run()
    loser = expected.discarded_at.index(expected.steps[0].step)
    with open_ledger(tmp_path / "study.db") as ledger:
        ledger.record(ledger.study(), [(loser, 30, Outcome(-99.0)), (loser, 3, Outcome(-99.0))])
    assert_same(study_of("halving", Trainer(), tmp_path / "study.db").run(), expected)
