"""What one coordinator can take: trainings a second, bytes an outcome and a message; and what follows for a cluster.

Run by hand: ``python benchmarks/coordinator.py --save``. The trainer returns at once, so that what is measured is all
that is not training. The last table is a simulation: workers that train for a while, then wait for a coordinator that
serves them one after the other at the rate that was measured.
"""

import argparse
import heapq
import json
import pickle
import platform
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from robust_select import Exhaustive, Instance, Outcome, Study, grid, seeds_for
from robust_select.ledger import open_ledger
from robust_select.train.executors.borrowed import train_stack_pickled

RESULTS = Path(__file__).with_name("results")
REPLICATES = 10
STACK = 16
N_WORKERS = 1_000
N_TRAININGS = 10_000_000
_CHUNK = 20_000


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


def trainings_a_second(n: int, trainer: Any, folder: Path, **where: Any) -> float:
    """Run a study of ``n`` instances with its ledger on disk; what starts the workers does not count.

    Args:
        n: how many trainings.
        trainer: returns at once.
        folder: where the ledger lies.
        where: what ``Study.run`` takes.
    """
    path = folder / f"{time.monotonic_ns()}.db"
    candidates = grid(lr=list(range(n // REPLICATES)), width=[16])
    study = Study(candidates, trainer, criterion="mean", rule=Exhaustive(n=REPLICATES), ledger=path)
    began = time.perf_counter()
    study.run(**where)
    seconds = time.perf_counter() - began
    with open_ledger(path, must_exist=True) as ledger:
        n_held = ledger.count(ledger.study())["complete"]
    if n_held != len(candidates) * REPLICATES:
        raise RuntimeError(f"expected {len(candidates) * REPLICATES} outcomes in {path}, found {n_held}")
    return n_held / seconds


def measure_rates(n: int, folder: Path, repeats: int) -> dict[str, float]:
    """Measure every way to train, the best of some repetitions: other work on the machine only makes it slower."""
    from distributed import Client, LocalCluster

    found: dict[str, float] = {}
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        for name, trainer, where, size in (
            ("in this process", instant, {"workers": 1}, n),
            ("in this process, stacks of 16", InstantStacks(), {"workers": 1}, n),
            ("2 processes", instant, {"workers": 2}, n),
            ("2 processes, stacks of 16", InstantStacks(), {"workers": 2}, n),
            ("Dask, 2 workers", instant, {"executor": client}, n),
            ("Dask, 2 workers, stacks of 16", InstantStacks(), {"executor": client}, n),
        ):
            found[name] = max(trainings_a_second(size, trainer, folder, **where) for _ in range(repeats))
            print(f"{name:32s} {found[name]:8,.0f} trainings a second", flush=True)
    return found


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


def message_sizes() -> dict[str, int]:
    """Measure what travels between coordinator and workers, in bytes."""
    params = {"lr": 0.001, "weight_decay": 1e-5, "width": 64, "optimiser": "adamw", "batch_size": 32}
    instance = Instance("lr=0.001, weight_decay=1e-05, width=64, optimiser=adamw, batch_size=32", 3, seeds_for(7, 3))
    curve = tuple(np.random.default_rng(0).normal(size=50).tolist())
    stack = ([params] * STACK, [instance] * STACK)
    return {
        "an instance with 5 parameters": len(pickle.dumps((params, instance))),
        "a stack of 16 of them, as Dask is sent it": len(
            cloudpickle.dumps((sys.path, cloudpickle.dumps((train_stack_pickled, stack, {}))))
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


def plan_text(rates: Mapping[str, float], per_outcome: float) -> str:
    """Say what follows for ten million trainings on a thousand workers."""
    lines = [
        f"{N_TRAININGS:,} trainings on {N_WORKERS:,} workers, simulated; the ledger would hold "
        f"{N_TRAININGS * per_outcome / 1e9:.1f} GB (without curves)",
        f"{'a training takes':>17s} {'alone: busy':>12s} {'days':>7s} {'stacks of 16: busy':>19s} {'days':>7s}",
    ]
    for seconds in (0.1, 1.0, 3.0, 10.0, 60.0, 600.0):
        shown = ""
        for name, group in (("Dask, 2 workers", 1), ("Dask, 2 workers, stacks of 16", STACK)):
            share = busy_share(seconds * group, rates[name] / group, N_WORKERS, 20 * N_WORKERS)
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
    messages = message_sizes()
    machine = f"2 of the machine's {platform.machine()} cores, Python {platform.python_version()}"
    lines = [f"One coordinator, {machine}, the best of {arguments.repeats} runs of {arguments.n:,} trainings", ""]
    lines += [f"{name:44s} {rate:8,.0f} trainings a second" for name, rate in rates.items()] + [""]
    lines += [f"{name:44s} {size:8.0f} bytes an outcome in the ledger" for name, size in sizes.items()] + [""]
    lines += [f"{name:44s} {size:8,d} bytes" for name, size in messages.items()] + [""]
    text = "\n".join([*lines, plan_text(rates, sizes["1,000,000 outcomes, curves of 0 epochs"]), ""])
    print(text)
    if arguments.save:
        found = {"rates": rates, "bytes_an_outcome": sizes, "message_bytes": messages, "trainings": arguments.n}
        (RESULTS / "coordinator.txt").write_text(text, encoding="utf-8")
        (RESULTS / "coordinator.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
