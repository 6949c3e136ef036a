"""Networks in workers: threads, memory, and a study of them that is killed and goes on."""

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from torch import nn

from robust_select.core.errors import LedgerError
from robust_select.core.instances import Instance, State, seeds_for
from robust_select.ledger import open_ledger
from robust_select.train.executors import Processes
from robust_select.train.nn import Data, TorchTrainer

SCRIPT = """
import json, sys
import numpy as np
import robust_select as rs
from torch import nn
from robust_select.train.nn import Data, TorchTrainer

folder, workers = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(0)
inputs = rng.normal(size=(300, 3))
targets = np.tanh(inputs).sum(1)

def build(params):
    return nn.Sequential(nn.Linear(3, params["width"]), nn.Tanh(), nn.Linear(params["width"], 1))

data = Data(inputs[:200], targets[:200], inputs[200:], targets[200:])
trainer = TorchTrainer(build, data, defaults={"epochs": 12, "stack_size": 3, "n_train": 150})
study = rs.Study(rs.grid(width=[2, 4], lr=[0.001, 0.01]), trainer, criterion="mean",
                 rule=rs.Halving(warmup=6), ledger=folder + "/study.db", seed=3)
result = study.run(workers=workers)
with open(folder + "/result.json", "w") as file:
    json.dump({"selected": result.selected, "scores": result.table.scores.tolist()}, file)
"""


def start(folder):
    """Run the study with two workers in a process of its own."""
    environment = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-W", "error", str(folder / "script.py"), str(folder), "2"]
    return subprocess.Popen(command, env=environment, start_new_session=True)


def run(folder, monkeypatch):
    """Run the study here, and give its result."""
    monkeypatch.setattr(sys, "argv", ["script.py", str(folder), "1"])
    runpy.run_path(str(folder / "script.py"))
    return json.loads((folder / "result.json").read_text())


def n_held(folder):
    with contextlib.suppress(LedgerError), open_ledger(folder / "study.db", must_exist=True) as ledger:
        return len(list(ledger.outcomes(ledger.study()))) if ledger.names() else 0
    return 0


def until(condition, seconds=60):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_killed_and_started_again_it_ends_the_same_within_rounding(tmp_path, monkeypatch):
    alone, struck = tmp_path / "alone", tmp_path / "struck"
    for folder in (alone, struck):
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
    process = start(struck)
    until(lambda: n_held(struck) >= 3)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=10) == -signal.SIGKILL
    until(lambda: not list(struck.glob("robust-select-*")), 20)  # the orphans have removed the data
    assert not (struck / "result.json").exists()
    expected, found = (run(folder, monkeypatch) for folder in (alone, struck))
    assert found["selected"] == expected["selected"]
    np.testing.assert_allclose(np.array(found["scores"], float), np.array(expected["scores"], float), rtol=1e-4)


MEGABYTES = 200
N_FEATURES = 500
N_EXAMPLES = MEGABYTES * 2**20 // 4 // N_FEATURES


def looks(params):
    """Build a small module, and write down the memory that the process has for itself, and its threads."""
    import torch

    held = {"pid": os.getpid(), "uss": psutil.Process().memory_full_info().uss, "threads": torch.get_num_threads()}
    with open(params["path"], "a") as file:
        file.write(json.dumps(held) + "\n")
    return nn.Linear(N_FEATURES, 1)


@pytest.fixture(scope="module")
def crew_and_folder(tmp_path_factory):
    """Train in two workers with 200 MB of data in memory; give what the workers wrote down."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    inputs = rng.random((N_EXAMPLES, N_FEATURES), dtype=np.float32)
    data = Data(inputs, inputs[:, 0].copy(), inputs[:64].copy(), inputs[:64, 0].copy())
    trainer = TorchTrainer(looks, data, defaults={"epochs": 1, "batch_size": 4096, "stack_size": 1, "lr": 1e-6})
    with contextlib.closing(Processes(trainer, 2)) as crew:
        payload, kept = len(crew._payload), crew._folder.path
        params = {"path": str(folder / "held")}
        futures = [crew.submit(params, Instance("a", k, seeds_for(0, k))) for k in range(6)]
        until(lambda: crew.start() or all(future.done() for future in futures), 120)
        assert os.path.isdir(kept)
        # the whole population was trained on, so that every page was read
        assert [future.result().state for future in futures] == [State.COMPLETE] * 6
        workers = [psutil.Process(lane_pid) for lane in crew._lanes for lane_pid in lane._processes]
        memory = {worker.pid: worker.memory_full_info() for worker in workers}
    held = [json.loads(line) for line in (folder / "held").read_text().splitlines()]
    return held, memory, payload, kept


def test_workers_are_single_threaded(crew_and_folder):
    held, *_ = crew_and_folder
    assert {each["threads"] for each in held} == {1}
    assert len({each["pid"] for each in held}) == 2


def test_the_data_are_in_memory_once_for_all_workers(crew_and_folder):
    held, memory, payload, kept = crew_and_folder
    assert payload < 50_000
    assert not os.path.exists(kept)
    at_first = {each["pid"]: each["uss"] for each in reversed(held)}  # mapped, not read
    size = MEGABYTES * 2**20
    grown = sum(memory[pid].uss - at_first[pid] for pid in at_first)  # what each has for itself
    together = sum(memory[pid].pss - at_first[pid] for pid in at_first)  # and its part of what is shared
    assert grown < 0.5 * size
    assert together < 1.5 * size
