"""How many instances a second a study asks for, sends, trains for nothing and writes to disk.

Run by hand and by ``make bench``: ``python benchmarks/overhead.py --n 10000``. The trainer returns at once. Every
outcome is flushed to disk before the selection hears of it; the time to start the processes counts.
"""

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robust_select import Exhaustive, Instance, Study
from robust_select.ledger import open_ledger

REPLICATES = 10
TARGETS = {1: 1000, 2: 500}


def instant(params: Mapping[str, Any], instance: Instance) -> float:
    """Train nothing."""
    return float(instance.replicate)


def instances_a_second(n: int, workers: int, folder: Path) -> float:
    """Run a study of ``n`` instances with its ledger on disk, and check that it holds them all.

    Raises:
        RuntimeError: the ledger does not hold every outcome.
    """
    path = folder / f"{workers} workers.db"
    candidates = [f"candidate {number}" for number in range(n // REPLICATES)]
    study = Study(candidates, instant, criterion="mean", rule=Exhaustive(n=REPLICATES), ledger=path)
    started = time.perf_counter()
    study.run(workers=workers)
    seconds = time.perf_counter() - started
    with open_ledger(path, must_exist=True) as ledger:
        n_held = ledger.count(ledger.study())["complete"]
    if n_held != len(candidates) * REPLICATES:
        raise RuntimeError(f"expected {len(candidates) * REPLICATES} outcomes in {path}, found {n_held}")
    return n_held / seconds


def flushes_a_second(folder: Path, n: int = 200) -> float:
    """Measure how often a second this disk can flush a page: no ledger records more often than that."""
    with (folder / "flushed").open("wb") as file:
        started = time.perf_counter()
        for _ in range(n):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    return n / (time.perf_counter() - started)


def main() -> int:
    """Print the rates; the exit code is 1 where one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=10_000, help="instances (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the ledgers lie (default: a temporary folder)")
    arguments = parser.parse_args()
    if arguments.n < REPLICATES:
        parser.error(f"expected at least {REPLICATES} instances, came --n {arguments.n}")
    today = datetime.datetime.now(datetime.UTC).date()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    print(f"{os.cpu_count()} cores, {platform.machine()}, {versions}, {today}")
    is_met = True
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
        print(f"disk: {flushes_a_second(Path(name)):,.0f} flushes a second{load}")
        for workers, target in TARGETS.items():
            rate = instances_a_second(arguments.n, workers, Path(name))
            where = "in this process" if workers == 1 else f"over {workers} processes"
            is_met = is_met and rate >= target
            verdict = "met" if rate >= target else "MISSED"
            print(f"{where}: {rate:,.0f} instances a second (target {target:,}: {verdict})")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
