"""Time and memory of ``robust-select replay`` on a table of 30,000 candidates x 5 replicates, each rule in a process.

Run as ``python benchmarks/replay.py``; wanted: under 20 seconds and 1 GB. ``--table`` takes a table of your own
(wide, columns ``score_0``, ...), by default normal scores with normal gaps.
"""

import argparse
import datetime
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

RULES = (
    ["--rule", "significance", "--test", "welch"],
    ["--rule", "significance", "--test", "bartlett", "--criterion", "std"],
    ["--rule", "halving"],
    ["--rule", "exhaustive"],
)
_PROGRAM = "from robust_select.cli import main; main()"
SECONDS, MEGABYTES = 20.0, 1000.0


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    is_missed = False
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {datetime.date.today()}"
    print(f"{machine}; wanted: under {SECONDS:g} s, {MEGABYTES:g} MB")
    with tempfile.TemporaryDirectory() as folder:
        table = given.table or Path(folder) / "large.csv"
        if given.table is None:
            rng = np.random.default_rng(0)
            scores = rng.normal(size=(30_000, 1)) + rng.normal(size=(30_000, 5))
            pd.DataFrame(scores, columns=[f"score_{n}" for n in range(5)]).to_csv(table, index=False)
        for options in RULES:
            command = [sys.executable, "-c", _PROGRAM, "replay", str(table), *options]
            started = time.perf_counter()
            subprocess.run([*command, "--json", str(Path(folder) / "answer.json")], check=True, capture_output=True)
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000  # of the largest so far
            is_missed |= seconds >= SECONDS or peak >= MEGABYTES
            print(f"{' '.join(options):55s} {seconds:6.1f} s, peak so far {peak:.0f} MB")
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
