"""What one coordinator can take: trainings a second, bytes an outcome and a message; and what follows for a cluster.

Run by hand: ``python benchmarks/coordinator.py --save``. The trainer returns at once, so that what is measured is all
that is not training. Two rates are given: by the clock, which is slower the more else the machine does, and by the
seconds of a core that the coordinator's process used, Dask's scheduler included, which is in it here. "posing as
1,000" has two workers do what the coordinator takes for a thousand: as many trainings are in flight. The last table
is a simulation: workers that train for a while, then wait for a coordinator that serves them one after the other at
the second rate.
"""

import argparse
import datetime
import heapq
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from robust_select import (
    Exhaustive,
    Halving,
    Instance,
    Outcome,
    Rule,
    Significance,
    Study,
    TopTwo,
    grid,
    seeds_for,
)
from robust_select.ledger import open_ledger
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion
from robust_select.train.executors.borrowed import train_stack_pickled

RESULTS = Path(__file__).with_name("results")
REPLICATES = 10
STACK = 16
ASKED = 1_000
N_WORKERS = 1_000
N_TRAININGS = 10_000_000
_CHUNK = 20_000
_MANY = """
import json, sys, time
from pathlib import Path
from robust_select import Halving, Study, grid
from robust_select.ledger import open_ledger

def train(params, instance):
    return 0.0

side, path = int(sys.argv[1]), Path(sys.argv[2])
began = time.process_time()
candidates = grid(lr=list(range(side)), width=list(range(side)))
study = Study(candidates, train, criterion="mean", rule=Halving(warmup=8), ledger=path)
with open_ledger(path) as ledger:
    ledger.create_study(study.name, study.settings(), study.candidates)
used = time.process_time() - began
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
found = {"candidates": len(candidates), "seconds_of_a_core": used, "peak_mb": int(peak.split()[1]) / 1024}
print(json.dumps({**found, "ledger_mb": path.stat().st_size / 1e6}))
"""


def instant(params: Mapping[str, Any], instance: Instance) -> float:
    """Train nothing."""
    return float(instance.replicate)


class InstantStacks:
    """Trains nothing, stack by stack."""

    def __call__(self, params: Mapping[str, Any], instance: Instance, /) -> float:
        """Train nothing."""
        return float(instance.replicate)

    def stack_key(self, params: Mapping[str, Any], /) -> str:
        """Everything fits together."""
        return "all"

    def stack_size(self, params: Mapping[str, Any], /) -> int:
        """A usual size."""
        return STACK

    def why_alone(self, params: Mapping[str, Any], /) -> str:
        """Nothing is alone."""
        return ""

    def train_together(
        self, params: Sequence[Mapping[str, Any]], instances: Sequence[Instance], /
    ) -> Sequence[Outcome]:
        """Train nothing."""
        return [Outcome(float(instance.replicate)) for instance in instances]


def trainings_a_second(n: int, trainer: Any, folder: Path, **where: Any) -> tuple[float, float]:
    """Run a study of ``n`` instances with its ledger on disk.

    Args:
        n: how many trainings.
        trainer: returns at once.
        folder: where the ledger lies.
        where: what ``Study.run`` takes.

    Returns:
        Trainings a second of the clock, and of a core that this process used.
    """
    path = folder / f"{time.monotonic_ns()}.db"
    candidates = grid(lr=list(range(n // REPLICATES)), width=[16])
    study = Study(candidates, trainer, criterion="mean", rule=Exhaustive(n=REPLICATES), ledger=path)
    began, used = time.perf_counter(), time.process_time()
    study.run(**where)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    with open_ledger(path, must_exist=True) as ledger:
        n_held = ledger.count(ledger.study())["complete"]
    if n_held != len(candidates) * REPLICATES:
        raise RuntimeError(f"expected {len(candidates) * REPLICATES} outcomes in {path}, found {n_held}")
    return n_held / seconds, n_held / used


def measure_rates(n: int, folder: Path, repeats: int) -> dict[str, tuple[float, float]]:
    """Measure every way to train, the best of some repetitions: other work on the machine only makes it slower."""
    from distributed import Client, LocalCluster

    found: dict[str, tuple[float, float]] = {}
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        ways: dict[str, dict[str, Any]] = {
            "in this process": {"workers": 1},
            "2 processes": {"workers": 2},
            "Dask, 2 workers": {"executor": client},
            "Dask, posing as 1,000": {"executor": client, "workers": N_WORKERS},
        }
        for way, where in ways.items():
            for name, trainer, size in ((way, instant, n), (f"{way}, stacks of {STACK}", InstantStacks(), 10 * n)):
                rates = [trainings_a_second(size, trainer, folder, **where) for _ in range(repeats)]
                found[name] = max(rate for rate, _ in rates), max(rate for _, rate in rates)
                print(_rate_line(name, found[name]), flush=True)
    return found


def choices_a_second(rule: Rule, n_candidates: int) -> float:
    """Measure how many trainings a rule chooses in a second of a core, the ledger and the workers left out.

    Args:
        rule: with a warm-up of two.
        n_candidates: their means are normal, as wide as the noise of an instance. Each is trained twice; then the
            rule is asked five times for a thousand, and told what they came to.
    """
    rng = np.random.default_rng(0)
    means = rng.normal(size=n_candidates)
    selection = Selection([f"c{at}" for at in range(n_candidates)], rule, criterion("mean"))
    n_before = n_chosen = 0
    used = 0.0
    for _ in range(5 + 2 * n_candidates // ASKED):
        began = time.process_time()
        asked = selection.ask(ASKED)
        outcomes = [
            Outcome(score) for score in (means[[at for at, _ in asked]] + rng.normal(size=len(asked))).tolist()
        ]
        for (position, replicate), outcome in zip(asked, outcomes, strict=True):
            selection.hear(position, replicate, outcome)
        if n_before < 2 * n_candidates:
            n_before += len(asked)
        else:
            n_chosen += len(asked)
            used += time.process_time() - began
    return n_chosen / used


def _rate_line(name: str, rates: tuple[float, float]) -> str:
    return f"{name:36s} {rates[0]:8,.0f} trainings a second, {rates[1]:8,.0f} a second of the coordinator's core"


def bytes_an_outcome(n: int, n_epochs: int, folder: Path) -> float:
    """Measure the size of a ledger of ``n`` outcomes with curves of so many epochs, candidates counted."""
    path = folder / f"{n}-{n_epochs}.db"
    candidates = grid(lr=list(range(n // REPLICATES)), width=[16])
    rng = np.random.default_rng(0)
    with open_ledger(path) as ledger:
        record = ledger.create_study("size", {}, candidates)
        for first in range(0, n, _CHUNK):
            scores = rng.normal(size=(min(_CHUNK, n - first), max(n_epochs, 1))).tolist()
            rows = [
                (at // REPLICATES, at % REPLICATES, Outcome(curve[-1], curve if n_epochs else (), 1.5))
                for at, curve in enumerate(scores, start=first)
            ]
            ledger.record(record, rows)
    size = path.stat().st_size / n
    path.unlink()
    return size


def begin_with_many(side: int, folder: Path) -> dict[str, float]:
    """Measure, in a process of its own, how a study of ``side * side`` candidates comes into its ledger."""
    command = [sys.executable, "-c", _MANY, str(side), str(folder / "many.db")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def message_sizes() -> dict[str, int]:
    """Measure what travels between coordinator and workers, in bytes."""
    values = {"weight_decay": [1e-5], "width": [64], "optimiser": ["adamw"], "batch_size": [32]}
    candidates = grid(lr=[0.001 * (1 + at) for at in range(STACK)], **values)
    stack = [(dict(own.params), Instance(own.name, 3, seeds_for(7, 3))) for own in candidates]
    curve = tuple(np.random.default_rng(0).normal(size=50).tolist())
    columns = [list(column) for column in zip(*stack, strict=True)]
    return {
        "an instance with 5 parameters": len(pickle.dumps(stack[0])),
        "a stack of 16 of them, as Dask is sent it": len(
            cloudpickle.dumps((sys.path, cloudpickle.dumps((train_stack_pickled, columns, {}))))
        ),
        "an outcome": len(pickle.dumps(Outcome(0.25, seconds=1.5))),
        "an outcome with a curve of 50 epochs": len(pickle.dumps(Outcome(0.25, curve, 1.5))),
    }


def busy_share(mean_seconds: float, rate: float, n_workers: int, n_trainings: int, seed: int = 0) -> float:
    """Simulate workers that train, and wait for the coordinator between two trainings.

    Args:
        mean_seconds: of a training; their logarithms are normal with a spread of 0.5.
        rate: how many outcomes a second the coordinator takes and answers, one after the other.
        n_workers: how many train at the same time.
        n_trainings: how many are simulated.
        seed: of the durations.

    Returns:
        The share of the workers' time in which they train.

    Example:
        >>> busy_share(1.0, rate=1e9, n_workers=10, n_trainings=1000) > 0.9
        True
        >>> busy_share(1.0, rate=5.0, n_workers=10, n_trainings=1000) < 0.55
        True
    """
    durations = mean_seconds * np.exp(np.random.default_rng(seed).normal(-0.125, 0.5, size=n_trainings))
    waiting = deque(durations.tolist())
    free_at, last, total = 0.0, 0.0, 0.0
    ends: list[float] = []
    for _ in range(min(n_workers, n_trainings)):
        free_at += 1 / rate  # the first ones are handed out one after the other, too
        total += waiting[0]
        heapq.heappush(ends, free_at + waiting.popleft())
    while ends:
        ended = heapq.heappop(ends)
        free_at = max(free_at, ended) + 1 / rate
        last = max(last, free_at)
        if waiting:
            total += waiting[0]
            heapq.heappush(ends, free_at + waiting.popleft())
    return total / (last * n_workers)


def plan_text(rates: Mapping[str, tuple[float, float]], per_outcome: float) -> str:
    """Say what follows for ten million trainings on a thousand workers."""
    lines = [
        f"{N_TRAININGS:,} trainings on {N_WORKERS:,} workers, simulated; the ledger would hold "
        f"{N_TRAININGS * per_outcome / 1e9:.1f} GB (without curves)",
        "each worker trains about 200, or 200 stacks, and all wait for the last one at the end",
        f"{'a training takes':>17s} {'alone: busy':>12s} {'days':>7s} {'stacks of 16: busy':>19s} {'days':>7s}",
    ]
    for seconds in (0.1, 1.0, 3.0, 10.0, 60.0, 600.0):
        shown = ""
        for name, group in (("Dask, posing as 1,000", 1), (f"Dask, posing as 1,000, stacks of {STACK}", STACK)):
            share = busy_share(seconds * group, rates[name][1] / group, N_WORKERS, 200 * N_WORKERS)
            days = N_TRAININGS * seconds / (N_WORKERS * share) / 86400
            shown += f"{share:{12 if group == 1 else 19}.0%} {days:7.2f} "
        lines.append(f"{seconds:15.1f} s {shown}".rstrip())
    return "\n".join(lines)


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=5_000, help="trainings of each measurement (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each (default: %(default)s)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/coordinator.{json,txt}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rates = measure_rates(arguments.n, folder, arguments.repeats)
        sizes = {
            f"{n:,} outcomes, curves of {n_epochs} epochs": bytes_an_outcome(n, n_epochs, folder)
            for n, n_epochs in ((10_000, 0), (100_000, 0), (1_000_000, 0), (100_000, 10), (100_000, 50))
        }
        many = begin_with_many(1024, folder)
    messages = message_sizes()
    rules = {
        f"{type(rule).__name__}, {n:,} candidates": choices_a_second(rule, n)
        for rule in (
            Halving(warmup=2),
            Significance("welch", alpha=0.05, warmup=2),
            TopTwo(confidence=0.99, warmup=2),
        )
        for n in (10_000, 100_000)
    }
    about = {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "distributed": metadata.version("distributed"),
        "load": round(os.getloadavg()[2], 1),
    }
    head = "One coordinator: " + ", ".join(f"{key} {value}" for key, value in about.items())
    lines = [
        head,
        f"The best of {arguments.repeats} runs of {arguments.n:,} trainings; of {10 * arguments.n:,} in stacks",
    ]
    lines += ["", *(_rate_line(name, both) for name, both in rates.items()), ""]
    lines += [f"{name:36s} {rate:8,.0f} trainings chosen a second of a core" for name, rate in rules.items()] + [""]
    lines += [f"{name:44s} {size:8.0f} bytes an outcome in the ledger" for name, size in sizes.items()] + [""]
    lines += [f"{name:44s} {size:8,d} bytes" for name, size in messages.items()] + [""]
    lines += [
        f"A study of {many['candidates']:,} candidates is in its ledger after {many['seconds_of_a_core']:.0f} s "
        f"of a core: {many['peak_mb']:,.0f} MB of memory, {many['ledger_mb']:.0f} MB of ledger",
        "",
    ]
    text = "\n".join([*lines, plan_text(rates, sizes["1,000,000 outcomes, curves of 0 epochs"]), ""])
    print(text)
    if arguments.save:
        names = ("a_second", "a_second_of_the_coordinators_core")
        told = {name: dict(zip(names, both, strict=True)) for name, both in rates.items()}
        found = {
            **about,
            "rates": told,
            "choices_a_second": rules,
            "bytes_an_outcome": sizes,
            "message_bytes": messages,
            "many": many,
            "trainings": arguments.n,
        }
        (RESULTS / "coordinator.txt").write_text(text, encoding="utf-8")
        (RESULTS / "coordinator.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
