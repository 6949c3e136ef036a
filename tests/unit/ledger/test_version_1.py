"""A ledger that version 1 of the schema has left behind; ``tests/files/make_ledger_v1.py`` made it."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from robust_select.core.instances import Outcome, State
from robust_select.ledger import open_ledger
from robust_select.select.rules import Halving
from robust_select.study import Study

FILES = Path(__file__).parents[2] / "files"


@pytest.fixture
def path(tmp_path):
    return shutil.copy(FILES / "ledger_v1.db", tmp_path / "ledger_v1.db")


@pytest.fixture
def ledger(path):
    with open_ledger(path, must_exist=True) as opened:
        yield opened


def test_it_was_left_closed():
    assert [found.name for found in FILES.glob("ledger_v1.db*")] == ["ledger_v1.db"]


def test_the_studies(ledger):
    assert ledger.names() == ["old", "begun"]
    old, begun = ledger.study("old"), ledger.study("begun")
    assert old.settings == {
        "criterion": "mean",
        "tolerance": 0.0,
        "direction": "minimize",
        "rule": {"name": "halving", "warmup": 2, "final_instances": 1},
        "seed": 7,
        "trainer": "train",
    }
    assert old.stop_reason == "one candidate is left"
    assert begun.stop_reason == ""
    assert {"robust_select", "python", "numpy", "platform", "cores"} <= set(old.origin)
    assert begun.origin["study_file"] == 'trainer = "make_ledger_v1:train"\n'
    assert old.created_at.year == 2026


def test_the_candidates(ledger):
    candidates = ledger.study("old").candidates
    assert [candidate.name for candidate in candidates] == ["narrow", "wide ☃", "unstable", "broken"]
    assert [candidate.is_base for candidate in candidates] == [True, False, False, False]
    assert dict(candidates[0].params) == {"width": 16, "layers": [8, 4], "act": "relu"}
    assert dict(candidates[1].params) == {"width": 64, "lr": 0.001, "act": None}


def test_the_outcomes_in_every_state(ledger):
    study = ledger.study("old")
    found = {recorded[:2]: recorded[2] for recorded in ledger.outcomes(study)}
    assert ledger.count(study) == {"complete": 8, "diverged": 1, "failed": 2, "pruned": 0}
    assert found[0, 0] == Outcome(0.015625, curve=(0.03125, 0.015625), seconds=0.25)
    assert found[1, 1] == Outcome(0.1875, curve=(0.375, 0.1875), seconds=0.25)
    assert (found[2, 1].state, found[2, 1].curve, found[2, 1].seconds) == (State.DIVERGED, (1.0, math.inf), 0.5)
    assert (found[3, 0].state, found[3, 0].message) == (State.FAILED, "ValueError: no layers ☃")
    assert found[3, 0].log == "Traceback (most recent call last):\n  ..."
    np.testing.assert_array_equal(
        ledger.table(study).scores,
        [
            [0.015625, 0.140625, 0.265625, 0.390625],
            [0.0625, 0.1875, 0.3125, np.nan],
            [1.0, np.inf, np.nan, np.nan],
            [np.inf, np.inf, np.nan, np.nan],
        ],
    )


def test_the_steps(ledger):
    steps = ledger.steps(ledger.study("old"))
    assert [(step["step"], step["best"], step["removed"], step["trainings"]) for step in steps] == [
        (2, "narrow", ["unstable", "broken"], 8),
        (3, "narrow", ["wide ☃"], 10),
    ]
    assert steps[0]["best_value"] == 0.078125
    assert [step["seconds"] for step in steps] == [2.0, 2.5]


def test_a_study_in_it_can_go_on(path):
    def train(params, instance):
        raise AssertionError("all of it is trained")

    train.__qualname__ = "train"
    candidates = [{"name": "narrow", "width": 16, "layers": [8, 4], "act": "relu"}]
    candidates += [{"name": "wide ☃", "width": 64, "lr": 1e-3, "act": None}]
    begun = Study(candidates, train, criterion="q3+iqr", rule=Halving(warmup=3), ledger=path, seed=8, name="begun")
    assert begun.run().selected == "narrow"
    with open_ledger(path) as ledger:
        assert ledger.study("begun").stop_reason == "one candidate is left"
