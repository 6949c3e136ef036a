import functools
import math
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from robust_select.core.candidates import grid
from robust_select.core.errors import InputError, LedgerError, SettingsDifferError, TrainerError
from robust_select.core.instances import Outcome, State
from robust_select.ledger import open_ledger
from robust_select.select.rules import DEFAULT_RULE, RULES, Exhaustive, Halving, Significance, TopTwo
from robust_select.stats.criteria import criterion
from robust_select.study import Study
from robust_select.study.study import trainer_name


def train(params, instance):
    return params.get("loss", 1.0) + 0.01 * instance.rng("initial_weights").normal()


def other_train(params, instance):
    return 0.0


CANDIDATES = {"a": {"loss": 1.0}, "b": {"loss": 2.0}, "c": {"loss": 3.0}}


def study_of(ledger=None, **changes):
    settings = {"criterion": "mean", "rule": Halving(warmup=3), "seed": 7, "candidates": CANDIDATES, "trainer": train}
    return Study(ledger=ledger, **{**settings, **changes})


def outcomes_in(path):
    with open_ledger(path) as ledger:
        return {found[:2]: found[2] for found in ledger.outcomes(ledger.study())}


def test_without_a_rule_it_has_the_default_one():
    assert study_of(rule=None).rule == RULES[DEFAULT_RULE]() == TopTwo()


def test_it_selects_the_best_and_remembers(tmp_path):
    result = study_of(tmp_path / "study.db").run()
    assert (result.selected, result.trainings, result.discarded_at) == ("a", 9, (None, 3, 3))
    with open_ledger(tmp_path / "study.db", must_exist=True) as ledger:
        record = ledger.study("study")
        assert record.settings == {
            "criterion": "mean",
            "tolerance": 0.0,
            "direction": "minimize",
            "rule": {"name": "halving", "warmup": 3, "final_instances": 0},
            "seed": 7,
            "trainer": "train",
        }
        assert record.origin["python"] == sys.version.split()[0]
        assert record.stop_reason == result.stop_reason
        assert ledger.count(record) == {"complete": 9, "diverged": 0, "failed": 0, "pruned": 0}
        [step] = ledger.steps(record)
        assert (step["step"], step["removed"], step["trainings"]) == (3, ["b", "c"], 9)
        np.testing.assert_array_equal(ledger.table(record).scores, result.table.scores)


def test_without_a_ledger_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert study_of().run().selected == "a"
    assert os.listdir(tmp_path) == []


def test_steps_come_as_they_are_done():
    study = study_of(rule=Significance("welch", warmup=3, max_instances=5), candidates={"a": {}, "b": {}})
    numbers = []
    for step in study.steps():
        numbers.append(step.step)
        assert study.result.steps[-1] == step
    assert numbers == [3, 4, 5][: len(numbers)]
    assert numbers


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": []}, "expected at least one candidate, came none"),
        ({"candidates": [{"lr": 1}, {"lr": 1}]}, "came 'lr=1' twice"),
        ({"candidates": [3]}, "came 3 as candidate 0"),
        ({"trainer": None}, "expected a trainer to call with .params, instance., came None"),
        ({"criterion": "men"}, "expected a criterion among"),
        ({"direction": "up"}, "expected direction 'minimize' or 'maximize', came 'up'"),
        ({"rule": "halving"}, "expected a rule such as Halving.., came rule='halving'"),
        ({"seed": -1}, "expected a seed that is a whole number from 0, came seed=-1"),
        ({"seed": 1.5}, "came seed=1.5"),
        ({"seed": True}, "came seed=True"),
        ({"name": " "}, "expected a name for the study, came name=' '"),
        ({"name": None}, "expected a name for the study, came name=None"),
        ({"criterion": "std", "rule": Halving(warmup=1)}, "expected at least 2 instances.*came warmup=1"),
    ],
)
def test_bad_input_is_told_before_anything_runs(changes, message):
    with pytest.raises(InputError, match=message):
        study_of(**changes)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"workers": 0}, "expected at least one worker, came workers=0"),
        ({"on_existing": "overwrite"}, "expected on_existing among resume, new, error, came 'overwrite'"),
    ],
)
def test_bad_input_to_run_leaves_no_ledger(tmp_path, where, message):
    with pytest.raises(InputError, match=message):
        study_of(tmp_path / "study.db").run(**where)
    assert os.listdir(tmp_path) == []


def test_a_trainer_that_cannot_be_sent_leaves_no_ledger(tmp_path):
    holder = threading.Lock()
    study = study_of(tmp_path / "study.db", trainer=lambda params, instance: float(holder.locked()))
    with pytest.raises(InputError, match="cannot be pickled"):
        study.run(workers=2)
    assert os.listdir(tmp_path) == []
    assert study.run().selected == "a"


def test_settings_that_differ_are_each_shown(tmp_path):
    study_of(tmp_path / "study.db").run()
    changed = study_of(
        tmp_path / "study.db",
        criterion=criterion("median"),
        direction="maximize",
        rule=Halving(warmup=4),
        seed=8,
        trainer=other_train,
        candidates={"a": {"loss": 1.5}, "b": {"loss": 2.0}, "d": {}},
    )
    with pytest.raises(SettingsDifferError) as info:
        changed.run()
    assert [key for key, _, _ in info.value.differences] == [
        "criterion",
        "direction",
        "rule",
        "seed",
        "trainer",
        "candidate 'a'",
        "candidate 'c'",
        "candidate 'd'",
    ]
    message = str(info.value)
    assert 'criterion: in the ledger "mean", now "median"' in message
    assert "seed: in the ledger 7, now 8" in message
    assert '"warmup": 3' in message
    assert '"warmup": 4' in message
    assert """candidate 'a': in the ledger {"loss": 1.0}, now {"loss": 1.5}""" in message
    assert """candidate 'c': in the ledger {"loss": 3.0}, now missing""" in message
    assert "--on-existing new" in message
    assert len(outcomes_in(tmp_path / "study.db")) == 9


def test_another_order_of_candidates_is_another_study(tmp_path):
    study_of(tmp_path / "study.db").run()
    with pytest.raises(SettingsDifferError, match="candidates: in the ledger in another order, now c, b, a"):
        study_of(tmp_path / "study.db", candidates=dict(reversed(CANDIDATES.items()))).run()


def test_of_many_differences_eight_are_shown(tmp_path):
    study_of(tmp_path / "study.db", candidates=grid(loss=list(range(20)))).run()
    with pytest.raises(SettingsDifferError, match=r"'loss=7'.*\n  and 13 more\nSet them back") as info:
        study_of(tmp_path / "study.db", candidates=["loss=0", "new"]).run()
    assert "'loss=8'" not in str(info.value)
    assert len(info.value.differences) == 21


def test_numpys_numbers_are_settings_like_others(tmp_path):
    study_of(tmp_path / "study.db", seed=np.int64(7), rule=Halving(warmup=np.int64(3))).run()
    assert study_of(tmp_path / "study.db").run().selected == "a"


def test_parameters_that_json_does_not_know_are_the_same_when_resumed(tmp_path):
    candidates = {"a": {"act": np.tanh, "size": np.int64(3), "kind": dict, "shape": (1, 2)}, "b": {"set": {2, 1}}}
    for _ in range(2):
        assert study_of(tmp_path / "study.db", candidates=candidates).run().trainings == 6


def test_on_existing_new_begins_a_numbered_study(tmp_path):
    for expected in (["study"], ["study", "study 2"], ["study", "study 2", "study 3"]):
        study_of(tmp_path / "study.db", seed=len(expected)).run(on_existing="new")
        with open_ledger(tmp_path / "study.db") as ledger:
            assert ledger.names() == expected
            assert ledger.count(ledger.study(expected[-1]))["complete"] == 9


def test_on_existing_error_raises_only_where_there_is_one(tmp_path):
    study_of(tmp_path / "study.db").run(on_existing="error")
    with pytest.raises(LedgerError, match=r"expected no study 'study' in it yet: use on_existing='resume'"):
        study_of(tmp_path / "study.db").run(on_existing="error")
    assert study_of(tmp_path / "study.db", name="another").run(on_existing="error").selected == "a"


def test_a_trainer_that_always_fails_is_told_and_not_recorded(tmp_path):
    def broken(params, instance):
        raise ImportError("no such library")

    with pytest.raises(TrainerError, match=r"ImportError: no such library\nTraceback") as info:
        study_of(tmp_path / "study.db", trainer=broken).run()
    assert info.value.n_failures == 3
    assert outcomes_in(tmp_path / "study.db") == {}


def test_a_trainer_that_always_fails_in_processes_is_not_recorded_either(tmp_path):
    def make():
        def broken(params, instance):
            return "good"

        return broken

    with pytest.raises(TrainerError, match="expected the trainer to return a number"):
        study_of(tmp_path / "study.db", trainer=make()).run(workers=2)
    assert outcomes_in(tmp_path / "study.db") == {}


def test_candidates_that_fail_or_diverge_are_worst_whatever_the_direction(tmp_path):
    def picky(params, instance):
        if instance.candidate == "fails":
            raise ValueError("no")
        return math.inf if instance.candidate == "diverges" else 0.5

    for direction in ("minimize", "maximize"):
        path = tmp_path / f"{direction}.db"
        result = study_of(path, candidates=["fails", "diverges", "works"], trainer=picky, direction=direction).run()
        assert result.selected == "works"
        states = [outcome.state for outcome in outcomes_in(path).values()]
        assert states == [State.FAILED, State.DIVERGED, State.COMPLETE] * 3


def test_a_candidate_whose_instances_all_diverged_may_be_all_there_is():
    result = study_of(candidates=["a", "b"], trainer=lambda params, instance: math.nan, rule=Exhaustive(n=3)).run()
    assert result.selected == "a"
    assert np.isinf(result.table.scores).all()


def test_a_single_candidate_is_selected_after_its_warmup_and_final_instances():
    result = study_of(candidates=["only"], rule=Halving(warmup=2, final_instances=3)).run()
    assert (result.selected, result.trainings) == ("only", 5)


def test_a_single_candidate_may_fail_at_first(tmp_path):
    def flaky(params, instance):
        if instance.replicate < 2:
            raise ValueError("unlucky")
        return 0.5

    study_of(tmp_path / "study.db", candidates=["only"], trainer=flaky, rule=Exhaustive(n=4)).run()
    assert [outcome.state.value for outcome in outcomes_in(tmp_path / "study.db").values()] == [
        "failed",
        "failed",
        "complete",
        "complete",
    ]


def test_curves_and_messages_are_remembered(tmp_path):
    def curved(params, instance):
        if instance.candidate == "b":
            raise RuntimeError("file \udcff is missing")
        return Outcome(0.5, curve=(0.75, 0.5))

    study_of(tmp_path / "study.db", trainer=curved, candidates=["a", "b"]).run()
    found = outcomes_in(tmp_path / "study.db")
    assert found[0, 0].curve == (0.75, 0.5)
    assert found[1, 0].message == "RuntimeError: file \\udcff is missing"
    assert "in curved" in found[1, 0].log


def test_the_name_of_a_trainer_does_not_depend_on_how_it_is_run():
    class Trains:
        def __call__(self, params, instance):
            return 0.5

        def method(self, params, instance):
            return 0.5

    assert trainer_name(train) == "train"
    assert trainer_name(functools.partial(functools.partial(train), instance=None)) == "train"
    assert trainer_name(Trains()).endswith("Trains")
    assert trainer_name(Trains().method).endswith("Trains.method")


def test_lambdas_and_closures_train_in_processes():
    offset = 0.25
    study = study_of(trainer=lambda params, instance: params["loss"] + offset)
    np.testing.assert_array_equal(study.run(workers=2).table.scores, [[1.25] * 3, [2.25] * 3, [3.25] * 3])


def test_a_function_of_a_script_without_main_guard_trains_in_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import robust_select as rs
            OFFSET = 0.5
            def shift(loss):
                return loss + OFFSET
            def train(params, instance):
                return shift(params["loss"])
            study = rs.Study([{"loss": 1.0}, {"loss": 2.0}], train, rule=rs.Exhaustive(n=2), criterion="mean")
            print(study.run(workers=2).table.scores.tolist())
            """
        )
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[[1.5, 1.5], [2.5, 2.5]]\n", "")


def test_the_second_of_two_at_a_time_is_refused_and_the_first_goes_on(tmp_path):
    path = tmp_path / "study.db"
    trained = []

    def train(params, instance):  # in the midst of the first study somebody runs the second
        trained.append((instance.candidate, instance.replicate))
        if trained[-1] == ("b", 1):
            with pytest.raises(LedgerError, match=r"another process runs study 'study'.*run this again"):
                study_of(path).run()
            assert study_of(path).run(on_existing="new").selected == "a"
        return params["loss"]

    assert study_of(path, trainer=train).run().trainings == 9
    assert len(trained) == len(set(trained)) == 9


def test_a_borrowed_executor_is_left_open():
    with ThreadPoolExecutor(2) as executor:
        assert study_of().run(workers=2, executor=executor).selected == "a"
        assert executor.submit(int, 3).result() == 3
