"""A study of networks that prunes by epochs, killed while two workers train, goes on and ends the same."""

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time

import numpy as np

from robust_select.core.errors import LedgerError
from robust_select.ledger import open_ledger

SCRIPT = """
import json, sys
import numpy as np
import robust_select as rs
from torch import nn
from robust_select.train.nn import Data

folder, workers = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(0)
inputs = rng.normal(size=(300, 3))
targets = np.tanh(inputs).sum(1)

def build(params):
    return nn.Sequential(nn.Linear(3, params["width"]), nn.Tanh(), nn.Linear(params["width"], 1))

data = Data(inputs[:200], targets[:200], inputs[200:], targets[200:])
trainer = rs.TorchTrainer(build, data, defaults={"epochs": 10, "stack_size": 3, "n_train": 100})
study = rs.Study(rs.grid(width=[2, 4], lr=[0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]), trainer, criterion="mean",
                 rule=rs.Halving(warmup=3), ledger=folder + "/study.db", seed=3,
                 prune_epochs=rs.PruneEpochs((3, 6), audit=0.2, first=3))
result = study.run(workers=workers)
stopped = result.table.stopped
with open(folder + "/result.json", "w") as file:
    json.dump({"selected": result.selected, "remaining": result.remaining, "scores": result.table.scores.tolist(),
               "stopped": stopped.tolist(), "kept": [step.kept for step in result.steps]}, file)
"""


def n_held(folder):
    with contextlib.suppress(LedgerError), open_ledger(folder / "study.db", must_exist=True) as ledger:
        return len(list(ledger.outcomes(ledger.study()))) if ledger.names() else 0
    return 0


def run_here(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py", str(folder), "1"])
    runpy.run_path(str(folder / "script.py"))
    return json.loads((folder / "result.json").read_text())


def test_killed_in_the_first_round_and_started_again_it_ends_the_same(tmp_path, monkeypatch):
    alone, struck = tmp_path / "alone", tmp_path / "struck"
    for folder in (alone, struck):
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-W", "error", str(struck / "script.py"), str(struck), "2"]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(struck)}, start_new_session=True)
    ends = time.monotonic() + 100
    while n_held(struck) < 5 and process.poll() is None:
        assert time.monotonic() < ends
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    expected, found = (run_here(folder, monkeypatch) for folder in (alone, struck))
    assert np.sum(np.array(expected["stopped"]) > 0) >= 2
    scores, others = (np.array(each.pop("scores"), float) for each in (expected, found))
    assert found == expected
    np.testing.assert_allclose(others, scores, rtol=1e-4)
