"""Workers of a real Dask cluster that are killed in mid-study, and a scheduler that is: nothing recorded is lost."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import dask
import numpy as np
import pytest
from distributed import LocalCluster

from robust_select.core.errors import ExecutorBrokenError
from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving
from robust_select.study import Study
from robust_select.train.executors import open_crew

QUIET = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
CANDIDATES = {f"c{i}": {"mean": 0.3 * i} for i in range(6)}
_PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def url():
    """A cluster of two worker processes, which are started again when they die."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1, "distributed.comm.timeouts.connect": "20s"}),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **QUIET) as made,
    ):
        made.wait_for_workers(2)
        yield made.scheduler_address.replace("tcp://", "dask://")


def make_trainer(folder, size=None, pause=0.0):
    """Make a trainer that writes down what it begins, and kills its process where ``folder`` says so.

    A file ``kill NAME`` there, once; ``always NAME``, always.
    """

    def train(params, instance):
        name = f"{instance.candidate}-{instance.replicate}"
        with open(os.path.join(folder, "begun"), "a") as file:
            file.write(f"{name}\n")
        if os.path.exists(os.path.join(folder, f"kill {name}")):
            os.remove(os.path.join(folder, f"kill {name}"))
            os.kill(os.getpid(), signal.SIGKILL)
        if os.path.exists(os.path.join(folder, f"always {name}")):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(pause)
        return params["mean"] + instance.rng("initial_weights").normal()

    class Stacks:
        def __call__(self, params, instance):
            return train(params, instance)

        def stack_key(self, params):
            return "all"

        def stack_size(self, params):
            return size

        def why_alone(self, params):
            return ""

        def train_together(self, params, instances):
            with open(os.path.join(folder, "stacks"), "a") as file:
                file.write(" ".join(f"{each.candidate}-{each.replicate}" for each in instances) + "\n")
            return [Outcome(train(own, each)) for own, each in zip(params, instances, strict=True)]

    return train if size is None else Stacks()


def study_of(folder, ledger=None, size=None, pause=0.0, rule=None):
    trainer = make_trainer(str(folder), size, pause)
    return Study(CANDIDATES, trainer, criterion="mean", rule=rule or Halving(warmup=4), ledger=ledger, seed=3)


def lines_in(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def folders(tmp_path):
    made = tmp_path / "here", tmp_path / "there"
    for folder in made:
        folder.mkdir()
    return made


def held_in(path):
    with open_ledger(path, must_exist=True) as ledger:
        study = ledger.study()
        return {f"{study.candidates[at].name}-{replicate}" for at, replicate, _ in ledger.outcomes(study)}


def test_a_killed_worker_costs_nothing_but_what_it_trained(url, folders, tmp_path):
    here, there = folders
    expected = study_of(here).run()
    for name in ("c1-0", "c2-3"):
        (there / f"kill {name}").touch()
    result = study_of(there, tmp_path / "study.db", pause=0.01).run(executor=url)
    np.testing.assert_array_equal(result.table.scores, expected.table.scores)
    assert (result.selected, result.trainings) == (expected.selected, expected.trainings)
    begun = lines_in(there / "begun")
    assert {"c1-0", "c2-3"} <= {name for name in begun if begun.count(name) >= 2}
    # A worker that dies takes along what it had just finished and nobody had fetched yet: of 4 in flight, 4 at most.
    assert len(begun) - len(set(begun)) <= 2 * 4
    assert set(begun) == held_in(tmp_path / "study.db")


def test_of_a_lost_stack_each_is_tried_alone_and_only_the_guilty_one_fails(url, folders):
    _, there = folders
    (there / "always c2-1").touch()
    names = [f"c{i}" for i in range(4)]
    with contextlib.closing(open_crew(make_trainer(str(there), size=4), executor=url)) as crew:
        futures = {
            f"{name}-{replicate}": crew.submit(CANDIDATES[name], Instance(name, replicate, seeds_for(0, replicate)))
            for replicate in range(2)
            for name in names
        }
        patience_ends = time.monotonic() + _PATIENCE_SECONDS
        while not all(future.done() for future in futures.values()):
            assert time.monotonic() < patience_ends
            crew.start()
            time.sleep(0.02)
    errors = {name: future.exception() for name, future in futures.items() if future.exception() is not None}
    assert list(errors) == ["c2-1"]
    assert str(errors["c2-1"]).startswith("the worker process died 3 times while training this instance")
    stacks = [line.split() for line in lines_in(there / "stacks")]
    assert sum("c2-1" in stack for stack in stacks) == 1  # it was begun once, and took one worker with it
    assert set(map(len, stacks)) == {4}
    begun = lines_in(there / "begun")
    assert begun.count("c2-1") == 1 + 3  # in the stack, and three times alone
    # Four workers died: besides, each may have taken along what it had just finished and nobody had fetched yet.
    assert max(begun.count(name) for name in futures if name != "c2-1") <= 2 + 4
    expected = CANDIDATES["c3"]["mean"] + np.random.default_rng(seeds_for(0, 1).initial_weights).normal()
    assert futures["c3-1"].result() == Outcome(expected, seconds=futures["c3-1"].result().seconds)


def test_who_kills_every_worker_has_failed_and_the_study_goes_on(url, folders, tmp_path):
    _, there = folders
    (there / "always c5-0").touch()
    result = study_of(there, tmp_path / "study.db", rule=Exhaustive(n=1)).run(executor=url)
    assert result.trainings == 6
    with open_ledger(tmp_path / "study.db") as ledger:
        states = {position: found for position, _, found in ledger.outcomes(ledger.study())}
    assert {position for position, found in states.items() if found.state is State.FAILED} == {5}
    assert "the worker process died 3 times" in states[5].message


@contextlib.contextmanager
def program(*words):
    process = subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


@contextlib.contextmanager
def cluster_at(port):
    """Start a scheduler and two workers, each a program of its own, as on machines of their own."""
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    worker = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
    with (
        program(*scheduler, "--dashboard-address", "127.0.0.1:0") as running,
        program(*worker, "--name", "one"),
        program(*worker, "--name", "two"),
    ):
        yield running


def run_and_strike(study, url, strike):
    """Strike after the first step of a study."""
    steps = study.steps(workers=2, executor=url)
    next(steps)
    strike()
    list(steps)


def test_a_killed_scheduler_is_said_to_be_and_the_study_goes_on_from_the_ledger(folders, tmp_path):
    here, there = folders
    expected = study_of(here).run()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, path = f"dask://127.0.0.1:{port}", tmp_path / "study.db"
    with cluster_at(port) as scheduler:
        study = study_of(there, path, pause=0.05)
        with pytest.raises(
            ExecutorBrokenError, match=rf"connection to the Dask scheduler at .*{port} is lost"
        ) as info:
            run_and_strike(study, url, lambda: os.kill(scheduler.pid, signal.SIGKILL))
    assert "what has finished is recorded; run the study again" in str(info.value)
    held, begun = held_in(path), lines_in(there / "begun")
    assert 24 <= len(held) < expected.trainings
    with cluster_at(port):
        result = study_of(there, path).run(workers=2, executor=url)
    np.testing.assert_array_equal(result.table.scores, expected.table.scores)
    assert result.selected == expected.selected
    again = lines_in(there / "begun")[len(begun) :]
    assert not set(again) & held
    assert held_in(path) == set(lines_in(here / "begun"))
