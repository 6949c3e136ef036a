"""How many seconds the page of a thousand candidates takes in Chromium, and how large its file is.

Ready: what can be seen is drawn, and the controls work. Drawn: the charts further down are there, too.

Run by hand and by ``make bench``: ``python benchmarks/page.py``. Needs Chromium; without one it says so and measures
the file alone. Drives Chromium as the browser tests do (tests/browser/driver.py).
"""

import argparse
import datetime
import importlib.util
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

import numpy as np

from robust_select import Halving, Result, Table, TopTwo, criterion, replay
from robust_select.report.page import write_page

DRIVER = Path(__file__).resolve().parents[1] / "tests" / "browser" / "driver.py"
REPLICATES = 20
TARGET_SECONDS = 3.0


def results(n: int, seed: int) -> dict[str, Result]:
    """Select among ``n`` candidates with 20 replicates each, by halving and by TopTwo."""
    rng = np.random.default_rng(seed)
    scores = 0.004 * rng.standard_normal((n, REPLICATES)) + 0.02 + np.linspace(0, 0.2, n)[:, None]
    table = Table(tuple(f"lr={row / 1e4}, width={row}" for row in range(n)), scores, np.full(scores.shape, 0.5))
    rules = {"halving": Halving(warmup=4), "top-two": TopTwo(tolerance=0.001, budget=3 * n)}
    return {name: replay(table, rule, criterion("mean")) for name, rule in rules.items()}


def load_driver() -> ModuleType:
    """Load the browser tests' driver by its path: the tests are no package that can be imported by name."""
    spec = importlib.util.spec_from_file_location("browser_driver", DRIVER)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"expected the browser's driver at {DRIVER}, found none")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Print sizes and seconds; the exit code is 1 where a page misses its target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=1000, help="candidates (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="how often a page is opened (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=4, help="of the scores (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.n < 2 or arguments.repeats < 1:
        parser.error(
            f"expected --n of at least 2 and --repeats of at least 1, came {arguments.n} and {arguments.repeats}"
        )
    driver = load_driver()
    program = driver.chromium()
    today = datetime.datetime.now(datetime.UTC).date()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {today}{load}")
    if program is None:
        print("no Chromium here: the time until a page is ready is not measured")
    is_met = True
    with tempfile.TemporaryDirectory() as folder:
        for name, result in results(arguments.n, arguments.seed).items():
            path = Path(folder) / f"{name}.html"
            started = time.perf_counter()
            write_page(result, path)
            written = time.perf_counter() - started
            print(
                f"{name}, {arguments.n:,} candidates: {path.stat().st_size / 1e6:.2f} MB, written in {written:.2f} s"
            )
            if program is None:
                continue
            with driver.open_browser(program) as browser:
                seconds, drawn = [], []
                for _ in range(arguments.repeats):
                    started = time.perf_counter()
                    seconds.append(browser.open(path))
                    drawn.append(time.perf_counter() - started)
            verdict = "met" if min(seconds) < TARGET_SECONDS else "MISSED"
            is_met = is_met and verdict == "met"
            middle = f"{np.median(seconds):.2f} s in the middle of {len(seconds)}"
            print(f"  ready after {min(seconds):.2f} s at best, {middle} (target {TARGET_SECONDS:g} s: {verdict})")
            print(f"  all drawn after {min(drawn):.2f} s at best, {np.median(drawn):.2f} s in the middle")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
