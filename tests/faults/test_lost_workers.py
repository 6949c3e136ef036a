"""Workers that die in a training, and executors that break: only the training at fault is lost, and says why."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from robust_select.core.errors import ExecutorBrokenError, TrainerError
from robust_select.core.instances import State
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive
from robust_select.study import Study


def make_trainer(path):
    """Make a trainer whose candidates die in several ways; each attempt is a line in the file."""
    import os

    def train(params, instance):
        key = f"{instance.candidate} {instance.replicate}"
        with open(path, "a+") as file:
            file.write(key + "\n")
            file.seek(0)
            n_tries = file.read().splitlines().count(key)
        if instance.candidate == "kills" and instance.replicate == 1:
            os.kill(os.getpid(), 9)
        if instance.candidate == "exits" and instance.replicate == 1:
            os._exit(3)
        if instance.candidate == "recovers" and instance.replicate == 0 and n_tries == 1:
            os.kill(os.getpid(), 9)
        return len(instance.candidate) + 0.1 * instance.replicate

    return train


def study_of(tmp_path, candidates):
    trainer = make_trainer(str(tmp_path / "tries"))
    return Study(candidates, trainer, criterion="mean", rule=Exhaustive(n=3), ledger=tmp_path / "study.db")


def outcomes_in(path):
    with open_ledger(path) as ledger:
        return {found[:2]: found[2] for found in ledger.outcomes(ledger.study())}


def test_a_death_costs_one_instance_after_its_retries(tmp_path):
    study = study_of(tmp_path, ["recovers", "kills", "exits", "fine"])
    result = study.run(workers=2)
    np.testing.assert_array_equal(
        result.table.scores, [[8.0, 8.1, 8.2], [5.0, np.inf, 5.2], [5.0, np.inf, 5.2], [4.0, 4.1, 4.2]]
    )
    found = outcomes_in(tmp_path / "study.db")
    assert {key for key, outcome in found.items() if outcome.state is State.FAILED} == {(1, 1), (2, 1)}
    assert "the worker process died 3 times while training this instance (exit code {SIGKILL" in found[1, 1].message
    assert "the worker process died 3 times while training this instance (exit code {EXIT(3)" in found[2, 1].message
    tries = (tmp_path / "tries").read_text().splitlines()
    assert tries.count("kills 1") == tries.count("exits 1") == 3
    assert tries.count("recovers 0") == 2
    assert len(tries) == 12 + 2 + 2 + 1
    assert study.run(workers=2).table.scores[1, 1] == np.inf
    assert (tmp_path / "tries").read_text().splitlines() == tries  # what failed is not tried again either


def test_a_trainer_that_kills_every_process_is_broken(tmp_path):
    def make():
        import os

        return lambda params, instance: os._exit(1)

    study = Study(["a", "b"], make(), rule=Exhaustive(n=2), ledger=tmp_path / "study.db")
    with pytest.raises(TrainerError, match="the worker process died 3 times"):
        study.run(workers=2)
    assert outcomes_in(tmp_path / "study.db") == {}


def test_a_borrowed_executor_that_breaks_fails_nobody(tmp_path):
    context = multiprocessing.get_context("spawn")
    candidates = ["fine", "recovers", "good"]
    with (
        ProcessPoolExecutor(1, mp_context=context) as executor,
        pytest.raises(ExecutorBrokenError, match="run the study again with a new executor"),
    ):
        study_of(tmp_path, candidates).run(workers=1, executor=executor)
    found = outcomes_in(tmp_path / "study.db")
    assert {key: outcome.state for key, outcome in found.items()} in ({}, {(0, 0): State.COMPLETE})
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        result = study_of(tmp_path, candidates).run(workers=1, executor=executor)
    np.testing.assert_array_equal(result.table.scores, [[4.0, 4.1, 4.2], [8.0, 8.1, 8.2], [4.0, 4.1, 4.2]])
