"""Studies in processes of their own, to be killed: a nursery imports the library once and forks a study on demand."""

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

import pytest

from robust_select.core.errors import LedgerError
from robust_select.ledger import open_ledger

NURSERY = """
import json, os, sys, time, traceback
import robust_select as rs
from robust_select.study.study import step_record

CANDIDATES = {f"c{i}": {"mean": 0.1 * (i % 5), "spread": 0.3 / (1 + i)} for i in range(8)}

def run(folder, workers):
    def train(params, instance):
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
    folder, workers = json.loads(line)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.dup2(2, 1)  # standard output is for the nursery's own words
            run(folder, workers)
        except KeyboardInterrupt:
            os._exit(130)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(pid, flush=True)
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

    def start(self, folder, workers):
        self.process.stdin.write(json.dumps([str(folder), workers]) + "\n")
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
    lines = path.read_text().splitlines() if path.exists() else []
    return [(name, int(replicate)) for name, replicate in map(str.split, lines)]


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


def run_under_fire(nursery, folder, workers, delays, number, is_whole_group):
    """Strike the study after each delay, start it again, and let it end at last.

    Checks at every strike that nothing is lost that had finished before the outcomes in flight, and that nothing is
    trained again that the ledger holds.

    Returns:
        How often it was struck before it ended.
    """
    n_struck, held = 0, set()
    most_lost = 1 if workers == 1 else 2 * workers
    for delay in [*delays, None]:
        n_before = len(trained_in(folder))
        run = nursery.start(folder, workers)
        if delay is not None:
            time.sleep(delay)
            run.signal(number, is_whole_group)
        code = run.wait()
        if workers > 1 and delay is not None and not is_whole_group and number == signal.SIGKILL:
            time.sleep(0.7)  # orphans see within half a second that they are
        trained = trained_in(folder)
        assert not held & set(trained[n_before:]), "trained again what the ledger held"
        held = held_in(folder)
        assert held <= set(trained)
        assert len(set(trained) - held) <= most_lost
        if code == 0:
            break
        assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
        n_struck += 1
    assert code == 0
    assert max(Counter(trained).values()) <= 1 + n_struck
    assert len(trained) - len(set(trained)) <= most_lost * n_struck
    return n_struck
