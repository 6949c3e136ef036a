from dataclasses import replace

import numpy as np
import pytest

from robust_select.core.candidates import Candidate, grid
from robust_select.core.errors import LedgerError
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.study import Study
from robust_select.study.reading import provenance, read_result

CANDIDATES = (
    Candidate("plain", {"level": 1.0}),
    Candidate("base", {"level": 2.0}, is_base=True),
    *grid(level=[3.0, 4.0, 0.5]),
)
SETTINGS = {"rule": {"name": "halving", "warmup": 2}, "criterion": "mean", "tolerance": 0.0, "direction": "minimize"}


def train(params, instance):
    score = params["level"] + instance.rng("initial_weights").normal()
    return float("nan") if score > 5.5 else score


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def read(path, study=None):
    with open_ledger(path, must_exist=True) as ledger:
        return read_result(ledger, study)


@pytest.mark.parametrize(
    ("rule", "criterion", "direction"),
    [
        (Halving(warmup=3, final_instances=4), "q3+iqr", "minimize"),
        (Significance("welch", alpha=0.2, max_instances=8), "mean", "maximize"),
        (Exhaustive(4), "std", "minimize"),
        (TopTwo(budget=40, batch=2), "q3+iqr", "minimize"),
    ],
)
def test_what_is_read_is_what_the_study_came_to(path, rule, criterion, direction):
    study = Study(CANDIDATES, train, rule=rule, criterion=criterion, direction=direction, ledger=path, seed=3)
    result = study.run()
    found = read(path).result
    np.testing.assert_array_equal(found.table.scores, result.table.scores)
    np.testing.assert_array_equal(found.history, result.history)
    assert found.summary().equals(result.summary())
    assert replace(found, table=result.table, history=result.history, steps=()) == replace(result, steps=())
    assert [step.kept for step in found.steps] == [step.kept for step in result.steps]
    assert found.stop_reason != "not finished"


def test_a_study_that_another_version_finished_stays_finished(path):
    settings = {**SETTINGS, "rule": {"name": "exhaustive", "n": 3}}
    with open_ledger(path) as ledger:
        record = ledger.create_study("old", settings, CANDIDATES)
        ledger.record(record, [(position, 0, Outcome(1.0 + position)) for position in range(len(CANDIDATES))])
        assert read_result(ledger).result.stop_reason == "not finished"
        ledger.finish(record, "sure enough")
        found = read_result(ledger).result
    assert found.stop_reason == "sure enough (so the version that ran it; this one would have gone on)"
    assert (found.selected, found.trainings) == ("plain", len(CANDIDATES))


def test_the_base_model_and_where_it_came_from(path):
    study = Study(CANDIDATES, train, rule=Halving(warmup=2), ledger=path, seed=11, name="levels")
    study.origin["study_file"] = 'trainer = "x:y"'
    study.run()
    found = read(path)
    assert (found.base, found.study.name, found.rule) == ("base", "levels", Halving(warmup=2))
    shown = found.provenance
    assert (shown["Study"], shown["Seed"], shown["Trainer"]) == ("levels", "11", "train")
    assert shown["Rule"] == "halving (final_instances=0, warmup=2)"
    assert shown["Study file"] == 'trainer = "x:y"'
    assert shown["numpy"] == np.__version__
    assert shown["Started"].endswith("UTC")


def test_a_study_without_a_base_model(path):
    Study(grid(level=[1, 2]), train, rule=Exhaustive(1), criterion="mean", ledger=path).run()
    assert read(path).base is None


def test_a_study_that_is_not_finished(path):
    with open_ledger(path) as ledger:
        record = ledger.create_study("half", SETTINGS, grid(level=[1, 2, 3, 4]))
        warmed_up = [(row, n, Outcome(row + n / 10)) for row in range(4) for n in range(2)]
        ledger.record(record, [*warmed_up, (1, 2, Outcome(0.0))])
        found = read_result(ledger).result
    assert found.stop_reason == "not finished"
    assert [step.removed for step in found.steps] == [("level=3", "level=4")]
    assert set(found.remaining) == {"level=1", "level=2"}
    assert found.trainings == 9
    assert np.isnan(found.seconds)


def test_a_study_in_which_nothing_is_trained(path):
    with open_ledger(path) as ledger:
        ledger.create_study("begun", SETTINGS, grid(level=[1, 2]))
        found = read_result(ledger).result
    assert (found.trainings, found.steps, found.stop_reason) == (0, (), "not finished")


def test_a_gap_in_the_outcomes_holds_the_decision_back(path):
    with open_ledger(path) as ledger:
        record = ledger.create_study("gap", SETTINGS, grid(level=[1, 2]))
        ledger.record(record, [(0, 0, Outcome(1.0)), (0, 1, Outcome(1.0)), (1, 1, Outcome(2.0))])
        found = read_result(ledger).result
    assert found.steps == ()
    assert found.trainings == 3


def test_reading_changes_nothing(path):
    Study(CANDIDATES, train, rule=Halving(warmup=2), ledger=path).run()
    with open_ledger(path, must_exist=True) as ledger:
        record = ledger.study()
        before = (list(ledger.outcomes(record)), ledger.steps(record), record)
        read_result(ledger)
        assert (list(ledger.outcomes(record)), ledger.steps(record), ledger.study()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": {"name": "my-rule", "depth": 3}}, "'my-rule'"),
        ({"rule": {"name": "halving", "depth": 3}}, "depth"),
        ({"rule": {"name": "halving", "warmup": 0}}, "warmup=0"),
        ({"criterion": "my-criterion"}, "'my-criterion'"),
        ({"direction": "sideways"}, "'sideways'"),
        ({"rule": None}, "None"),
    ],
)
def test_what_is_not_known_by_name_is_refused(path, change, message):
    with open_ledger(path) as ledger:
        ledger.create_study("foreign", {**SETTINGS, **change}, grid(level=[1, 2]))
        with pytest.raises(LedgerError, match=message) as caught:
            read_result(ledger)
    assert "foreign" in str(caught.value)
    assert "export" in str(caught.value)


def test_a_setting_that_is_missing_is_named(path):
    with open_ledger(path) as ledger:
        ledger.create_study("foreign", {"rule": SETTINGS["rule"], "direction": "minimize"}, grid(level=[1, 2]))
        with pytest.raises(LedgerError, match="'criterion' is missing"):
            read_result(ledger)


def test_the_study_must_be_named_where_there_are_several(path):
    with open_ledger(path) as ledger:
        for name in ("one", "two"):
            ledger.create_study(name, SETTINGS, grid(level=[1, 2]))
        assert read_result(ledger, "two").study.name == "two"
        with pytest.raises(LedgerError, match="2 studies"):
            read_result(ledger)


def test_settings_of_the_rule_that_are_not_set_are_left_out():
    found = provenance("s", {"rule": {"name": "top-two", "budget": None, "warmup": 4}}, {})
    assert found["Rule"] == "top-two (warmup=4)"
