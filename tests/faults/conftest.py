"""Studies in processes of their own, to be struck: a nursery imports the library once and forks a study on demand.

A strike comes when so many trainings have finished, and a moment later; no training begins beyond a gate a little
further on, so that the study cannot end before, however fast or slow the machine is.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robust_select.core.errors import LedgerError
from robust_select.ledger import open_ledger

_GATE = 2  # trainings that may finish after the one at which a strike is due
_MARGIN = 5  # the gate is so far from the end that two workers cannot get there either

NURSERY = """
import json, os, sys, time, traceback
import robust_select as rs
from robust_select.study.study import step_record

CANDIDATES = {f"c{i}": {"mean": 0.1 * (i % 5), "spread": 0.3 / (1 + i)} for i in range(8)}

def run(folder, workers, gate):
    def n_trained():
        try:
            with open(os.path.join(folder, "trained")) as file:
                return sum(1 for _ in file)
        except FileNotFoundError:
            return 0

    def train(params, instance):
        patience_ends = time.monotonic() + 30  # a strike that never comes is an error, not a hanging test
        while gate is not None and n_trained() >= gate and time.monotonic() < patience_ends:
            time.sleep(0.001)
        score = params["mean"] + params["spread"] * instance.rng("initial_weights").normal()
        time.sleep(0.004)
        if instance.candidate == "c6" and instance.replicate == 1:
            score = float("nan")
        with open(os.path.join(folder, "trained"), "a") as file:  # the very last thing that a training does
            file.write(f"{instance.candidate} {instance.replicate}\\n")
        return rs.Outcome(score, curve=(score, score))

    rule = rs.Significance("welch", alpha=0.2, warmup=4, max_instances=9)
    study = rs.Study(CANDIDATES, train, criterion="mean", rule=rule, ledger=os.path.join(folder, "study.db"), seed=11)
    result = study.run(workers=workers)
    steps = [{**step_record(step), "seconds": None} for step in result.steps]
    found = {"selected": result.selected, "remaining": result.remaining, "steps": steps, "why": result.stop_reason,
             "scores": [[repr(float(score)) for score in row] for row in result.table.scores]}
    with open(os.path.join(folder, "result.json"), "w") as file:
        json.dump(found, file)

for line in sys.stdin:
    folder, workers, gate = json.loads(line)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.write(1, f"{os.getpid()}\\n".encode())  # from here on it may be struck
            os.dup2(2, 1)  # standard output is for the nursery's own words
            run(folder, workers, gate)
        except KeyboardInterrupt:
            os._exit(130)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass
class Run:
    """A study that runs somewhere else."""

    pid: int
    nursery: "subprocess.Popen[str]"

    def signal(self, number, is_whole_group):
        """Send a signal; whoever is gone already does not mind."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if is_whole_group else os.kill)(self.pid, number)

    def wait(self):
        """Give the exit code."""
        return int(self.nursery.stdout.readline())


class Nursery:
    def __init__(self, script):
        script.write_text(NURSERY)
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder, workers, gate=None):
        """Start a study; with a gate, no training begins once so many have finished."""
        self.process.stdin.write(json.dumps([str(folder), workers, gate]) + "\n")
        self.process.stdin.flush()
        return Run(int(self.process.stdout.readline()), self.process)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory):
    made = Nursery(tmp_path_factory.mktemp("nursery") / "nursery.py")
    yield made
    made.close()


@pytest.fixture(scope="session")
def undisturbed(nursery, tmp_path_factory):
    """The result of the study that is left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert nursery.start(folder, 1).wait() == 0
    return json.loads((folder / "result.json").read_text())


def trained_in(folder: Path) -> list[tuple[str, int]]:
    """List the trainings that have finished, as the trainer itself wrote them down."""
    path = folder / "trained"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [(name, int(replicate)) for name, replicate in (line.split() for line in lines if line.endswith("\n"))]


def held_in(folder: Path) -> set[tuple[str, int]]:
    """List the trainings that the ledger holds."""
    try:
        with open_ledger(folder / "study.db", must_exist=True) as ledger:
            if not ledger.names():
                return set()
            study = ledger.study()
            return {(study.candidates[at].name, replicate) for at, replicate, _ in ledger.outcomes(study)}
    except LedgerError as error:
        if "found no file" in str(error) or "an empty database" in str(error):  # struck down before it began
            return set()
        raise


@dataclass(frozen=True)
class Strike:
    """A moment: when ``n_trained`` trainings have finished, and ``delay`` seconds later."""

    n_trained: int
    delay: float


def strikes_of(seed: int, n: int, undisturbed: dict[str, Any], first: int = 0) -> list[Strike]:
    """Draw moments all over a study, in their order; the first is at its beginning, or when ``first`` are trained."""
    rng = np.random.default_rng(seed)
    n_trainings = sum(score != "nan" for row in undisturbed["scores"] for score in row)
    at = [first, *np.sort(rng.integers(first, n_trainings - _MARGIN, n - 1)).tolist()]
    return [Strike(n_trained, delay) for n_trained, delay in zip(at, rng.uniform(0, 0.012, n).tolist(), strict=True)]


def run_under_fire(nursery, folder, workers, strikes, number, is_whole_group):
    """Strike the study at each moment, start it again, and let it end at last.

    Checks at every strike that it hit, that nothing is lost that had finished before the outcomes in flight, and that
    nothing is trained again that the ledger holds.
    """
    held = set()
    most_lost = 1 if workers == 1 else 2 * workers
    for strike in [*strikes, None]:
        n_before = len(trained_in(folder))
        run = nursery.start(folder, workers, None if strike is None else strike.n_trained + _GATE)
        if strike is not None:
            wait_for(folder, strike.n_trained)
            time.sleep(strike.delay)
            run.signal(number, is_whole_group)
        code = run.wait()
        if workers > 1 and strike is not None and not is_whole_group and number == signal.SIGKILL:
            time.sleep(0.7)  # orphans see within half a second that they are
        trained = trained_in(folder)
        assert not held & set(trained[n_before:]), "trained again what the ledger held"
        held = held_in(folder)
        assert held <= set(trained)
        assert len(set(trained) - held) <= most_lost
        struck = -signal.SIGKILL if number == signal.SIGKILL else 130
        assert code == (0 if strike is None else struck)
    assert max(Counter(trained).values()) <= 1 + len(strikes)
    assert len(trained) - len(set(trained)) <= most_lost * len(strikes)


def wait_for(folder: Path, n_trained: int) -> None:
    """Wait until so many trainings have finished."""
    patience_ends = time.monotonic() + 60
    while len(trained_in(folder)) < n_trained:
        assert time.monotonic() < patience_ends, f"{n_trained} trainings do not come to an end in {folder}"
        time.sleep(0.0005)
