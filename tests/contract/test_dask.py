"""A real Dask cluster of two worker processes: what comes home, what is packed, and what is refused."""

import asyncio
import contextlib
import json
import logging
import os
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from distributed import Client, LocalCluster
from torch import nn
from typer.testing import CliRunner

from robust_select.cli.app import app
from robust_select.core.errors import InputError, MissingExtraError, TrainerError
from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving
from robust_select.study import Study
from robust_select.train.executors import dask, open_crew
from robust_select.train.nn import Data, TorchTrainer

QUIET = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
CANDIDATES = {f"c{i}": {"mean": 0.3 * i} for i in range(6)}


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **QUIET) as made:
        made.wait_for_workers(2)
        yield made


@pytest.fixture(scope="module")
def url(cluster):
    return cluster.scheduler_address.replace("tcp://", "dask://")


def make_trainer(folder, size=None):
    """Make a trainer that travels by value and writes down who trained what; with a size, in stacks of so many."""

    def train(params, instance):
        with open(os.path.join(folder, str(os.getpid())), "a") as file:
            file.write(f"{instance.candidate}-{instance.replicate}\n")
        return params["mean"] + instance.rng("initial_weights").normal() + instance.rng("training_sample").normal()

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
                file.write(f"{os.getpid()} {len(instances)}\n")
            return [Outcome(train(own, each), curve=(1.0, 0.5)) for own, each in zip(params, instances, strict=True)]

    return train if size is None else Stacks()


def study_of(folder, size=None, **changes):
    settings = {"criterion": "mean", "rule": Halving(warmup=4), "seed": 3, **changes}
    return Study(CANDIDATES, make_trainer(str(folder), size), **settings)


def trained_in(folder):
    return sorted(line for path in folder.iterdir() if path.name.isdigit() for line in path.read_text().split())


@pytest.fixture
def here(tmp_path):
    """The result of the study that is trained in this process."""
    folder = tmp_path / "here"
    folder.mkdir()
    return study_of(folder).run()


def same(result, other):
    np.testing.assert_array_equal(result.table.scores, other.table.scores)
    return (result.selected, result.trainings, result.remaining) == (other.selected, other.trainings, other.remaining)


def test_the_result_is_that_of_the_local_run(url, here, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    study = study_of(folder, ledger=tmp_path / "study.db")
    assert same(study.run(executor=url), here)
    pids = {int(path.name) for path in folder.iterdir()}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids
    assert len(trained_in(folder)) == len(set(trained_in(folder))) == here.trainings
    with open_ledger(tmp_path / "study.db") as ledger:
        assert ledger.count(ledger.study())["complete"] == here.trainings


def test_a_client_is_used_and_left_open(cluster, here, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    with Client(cluster, set_as_default=False) as client:
        assert same(study_of(folder).run(executor=client), here)
        assert client.submit(int, "3").result(timeout=10) == 3


@pytest.mark.parametrize("way", ["get_executor", "workers"])
def test_other_ways_lead_there_too(cluster, here, tmp_path, way):
    folder = tmp_path / "there"
    folder.mkdir()
    with Client(cluster, set_as_default=False) as client:
        executor = client.get_executor() if way == "get_executor" else client
        assert same(study_of(folder).run(workers=5, executor=executor), here)


def test_a_stack_is_one_task(url, here, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    result = study_of(folder, size=4).run(executor=url)
    assert same(result, here)
    stacks = [tuple(map(int, line.split())) for line in (folder / "stacks").read_text().splitlines()]
    assert [size for _, size in stacks[:6]] == [4] * 6  # the warm-up: 24 trainings
    assert os.getpid() not in {pid for pid, _ in stacks}
    assert trained_in(folder) == sorted(set(trained_in(folder)))


@contextlib.contextmanager
def crew_on(url, trainer, **how):
    with contextlib.closing(open_crew(trainer, executor=url, **how)) as crew:
        yield crew


def outcome_of(crew, params, replicate=0):
    future = crew.submit(params, Instance("a", replicate, seeds_for(5, replicate)))
    crew.start()
    return future.result(timeout=30)


def test_what_goes_there_and_comes_home_is_left_as_it_is(url):
    given = {"task": (int, "3"), "nested": [{"a": (len, [1, 2])}], "name": "x", "none": None}

    def train(params, instance):
        is_whole = params == {"task": (int, "3"), "nested": [{"a": (len, [1, 2])}], "name": "x", "none": None}
        return Outcome(float(is_whole), curve=(0.5, float("nan"), 1.0), log="☃")

    with crew_on(url, train) as crew:
        assert crew.n_workers == 2
        outcome = outcome_of(crew, given)
    assert (outcome.score, outcome.state, outcome.log) == (1.0, State.COMPLETE, "☃")
    np.testing.assert_array_equal(outcome.curve, (0.5, np.nan, 1.0))


def test_who_fails_says_why_and_nobody_else_does(url):
    def train(params, instance):
        if params["does"] == "raise":
            raise ValueError("cannot be trained")
        if params["does"] == "lock":
            return Outcome(1.0, message=threading.Lock())
        return 0.5

    with crew_on(url, train) as crew:
        failed = outcome_of(crew, {"does": "raise"})
        assert (failed.state, failed.message) == (State.FAILED, "ValueError: cannot be trained")
        odd = outcome_of(crew, {"does": "lock"})  # what no process can send is sent as text
        assert (odd.score, type(odd.message)) == (1.0, str)
        assert "lock" in odd.message
        assert outcome_of(crew, {"does": "train"}).score == 0.5


def test_a_trainer_that_always_fails_is_said_to(url):
    def train(params, instance):
        raise ValueError("no data here")

    with pytest.raises(TrainerError, match=r"(?s)first 6 trainings all failed.*ValueError: no data here"):
        Study(CANDIDATES, train, criterion="mean", rule=Exhaustive(n=2)).run(executor=url)


@pytest.mark.parametrize("is_ours", [True, False])
def test_the_trainer_goes_there_once_and_is_forgotten_at_the_end(cluster, url, is_ours):
    big = os.urandom(1_000_000)

    def train(params, instance):
        return float(len(big))

    def held():
        tasks = cluster.scheduler.tasks  # it lives in this process
        return [key for key in tasks if key.startswith("robust-select-trainer")]

    with Client(cluster, set_as_default=False) as client:
        with crew_on(url if is_ours else client, train) as crew:
            assert {outcome_of(crew, {}, replicate).score for replicate in range(20)} == {1e6}
            assert len(held()) == 1
        patience_ends = time.monotonic() + 10
        while held():
            assert time.monotonic() < patience_ends
            time.sleep(0.01)


def test_a_study_file_is_trained_there(url, tmp_path, monkeypatch):
    """The trainer's module is imported from the file's folder, by the workers, too."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = f"trainer_of_{os.getpid()}_{abs(hash(str(tmp_path)))}"
    code = "import os\n\n\ndef train(params, instance):\n    return params['width'] + 1e-9 * os.getpid()\n"
    (tmp_path / f"{module}.py").write_text(code)
    file = tmp_path / "widths.toml"
    file.write_text(
        textwrap.dedent(f"""\
            trainer = "{module}:train"
            criterion = "mean"
            [rule]
            name = "exhaustive"
            n = 3
            [candidates.grid]
            width = [1, 2]
            """)
    )
    done = CliRunner().invoke(app, ["run", str(file), "--executor", url, "--json", "-"], prog_name="robust-select")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["trainings"] == 6
    with open_ledger(file.with_suffix(".db")) as ledger:
        pids = {round((found.score % 1) * 1e9) for _, _, found in ledger.outcomes(ledger.study())}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


@pytest.mark.parametrize(
    "text",
    ["dask://", "dask://host", "dask://host:port", "dask://host:99999", "host:8786", "tcp://h:1", "dask://h:1/x"],
)
def test_an_address_that_is_none_is_refused(text):
    with pytest.raises(InputError, match=r"expected an executor such as 'dask://HOST:PORT'.*came '"):
        Study(CANDIDATES, make_trainer("")).run(executor=text)


@pytest.mark.parametrize("thing", [3, "cluster"])
def test_what_is_no_executor_is_refused(thing, cluster):
    given = cluster if thing == "cluster" else thing
    with pytest.raises(InputError, match=r"expected an executor of concurrent.futures.*came executor="):
        open_crew(make_trainer(""), executor=given)


def test_an_address_without_a_scheduler_names_the_command(monkeypatch):
    monkeypatch.setattr(dask, "_PATIENCE", "0.3s")
    with pytest.raises(
        InputError, match=r"expected a Dask scheduler at executor='dask://127.0.0.1:9'.*dask scheduler"
    ):
        open_crew(make_trainer(""), executor="dask://127.0.0.1:9")


@contextlib.contextmanager
def client_of(**how):
    with LocalCluster(**QUIET, processes=False, **how) as other, Client(other, set_as_default=False) as client:
        yield client


def test_a_cluster_without_workers_is_refused_unless_it_is_said_how_many_there_will_be():
    with client_of(n_workers=0) as client:
        with pytest.raises(InputError, match=r"expected workers at the Dask scheduler .*found none yet.*workers=N"):
            open_crew(make_trainer(""), executor=client)
        with contextlib.closing(open_crew(make_trainer(""), workers=3, executor=client)) as crew:
            assert crew.n_workers == 3


def test_workers_with_several_threads_are_advised_against(caplog):
    with (
        client_of(n_workers=1, threads_per_worker=2) as client,
        caplog.at_level(logging.WARNING, logger="robust_select"),
        contextlib.closing(open_crew(make_trainer(""), executor=client)) as crew,
    ):
        assert crew.n_workers == 2
    assert "--nthreads 1" in caplog.text


def torch_trainer(folder):
    """Make a trainer of networks whose data come from a function, which writes down who calls it."""

    def load():
        with open(os.path.join(folder, "loaded"), "a") as file:
            file.write(f"{os.getpid()}\n")
        rng = np.random.default_rng(0)
        inputs = rng.normal(size=(90, 3))
        return Data(inputs[:60], inputs[:60].sum(1), inputs[60:], inputs[60:].sum(1))

    def build(params):
        return nn.Sequential(nn.Linear(3, params["width"]), nn.ReLU(), nn.Linear(params["width"], 1))

    defaults = {"epochs": 3, "n_train": 40, "stack_size": 4, "dtype": "float64"}
    return TorchTrainer(build, load, defaults=defaults)


def test_stacks_of_networks_end_as_here_and_each_process_loads_the_data_once(url, tmp_path):
    candidates = [{"width": 4, "lr": 0.01}, {"width": 4, "lr": 0.1}]
    scores = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        study = Study(
            candidates, torch_trainer(str(tmp_path / place)), criterion="mean", rule=Exhaustive(n=8), seed=2
        )
        scores.append(study.run(executor=url if place == "there" else None).table.scores)
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-9)
    loaded = (tmp_path / "there" / "loaded").read_text().split()
    assert 1 <= len(loaded) == len(set(loaded)) <= 2  # so few stacks may all go to one worker
    assert str(os.getpid()) not in loaded


def test_an_asynchronous_client_is_refused(cluster):
    async def use():
        async with Client(cluster.scheduler_address, asynchronous=True, set_as_default=False) as client:
            with pytest.raises(InputError, match="came one with asynchronous=True"):
                open_crew(make_trainer(""), executor=client)

    asyncio.run(use())


def test_a_client_that_is_closed_is_refused(cluster):
    client = Client(cluster, set_as_default=False)
    client.close()
    with pytest.raises(InputError, match="expected a Dask client that is connected, came one that is closed"):
        open_crew(make_trainer(""), executor=client)


def test_a_training_that_is_given_up_breaks_nothing(url):
    with crew_on(url, lambda params, instance: time.sleep(params["pause"]) or 0.5) as crew:
        given_up = crew.submit({"pause": 0.3}, Instance("a", 0, seeds_for(5, 0)))
        assert given_up.cancel()
        assert outcome_of(crew, {"pause": 0.0}).score == 0.5


def test_without_distributed_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r'distributed is not installed: pip install "robust-select.dask."'):
        open_crew(make_trainer(""), executor="dask://127.0.0.1:9")
