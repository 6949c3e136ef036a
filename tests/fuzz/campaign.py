"""The long form: every target for minutes, its inputs and crashes counted in a table.

    python -m tests.fuzz.campaign --minutes 10 --out benchmarks/results/fuzz.txt

Run in the repository. Each target runs in a process of its own, niced; one that an input ends is counted as a crash.
Inputs are drawn at random from the seed, with Hypothesis (--engine hypothesis), or with atheris, which looks at which
lines an input reaches and is to be installed by the user (--engine atheris).
"""

import argparse
import collections
import contextlib
import datetime
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from robust_select.core.version import __version__

ROOT = Path(__file__).parents[2]
ENGINES = ("random", "hypothesis", "atheris")
_GRACE_SECONDS = 120.0  # an input's own limit, and what a process takes to start on a busy machine


def main() -> None:
    """Run the campaign, or, in a process of its own, one target of it."""
    parser = argparse.ArgumentParser(description="Fuzz every reader and command for some minutes.")
    parser.add_argument("--minutes", type=float, default=10.0, help="all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=ENGINES, default="random")
    parser.add_argument("--only", default="", help="targets whose name holds this")
    parser.add_argument("--out", type=Path, default=None, help="where the table goes; printed if not given")
    parser.add_argument("--target", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=10.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.target is not None:
        _work(given.target, given.seconds, given.seed, given.engine)
        return
    names = [name for name in _targets() if given.only in name]
    seconds = 60 * given.minutes / max(len(names), 1)
    rows = []
    for name in names:
        rows.append(_run(name, seconds, given.seed, given.engine))
        sys.stderr.write(_line(rows[-1]) + "\n")
    text = _table(rows, given)
    if given.out is None:
        sys.stdout.write(text + "\n")
    else:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n", encoding="utf-8")
    if any(row["crashes"] for row in rows):
        sys.exit(1)


def _targets() -> dict[str, Any]:
    from tests.fuzz import commands, readers

    return {**readers.TARGETS, **commands.TARGETS}


def _run(name: str, seconds: float, seed: int, engine: str) -> dict[str, Any]:
    """Run one target in a process of its own; what it counted is on the last line of its file."""
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder) / "counted.json"
        words = ["-m", "tests.fuzz.campaign", "--target", name, "--seconds", str(seconds), "--seed", str(seed)]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "FUZZ_COUNTED": str(counted), "PYTHONPATH": path}
        timed_out = False
        try:
            done = subprocess.run(
                ["nice", "-n", "10", sys.executable, *words, "--engine", engine],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=seconds + _GRACE_SECONDS,
                check=False,
            )
            code, said = done.returncode, done.stderr[-300:]
        except subprocess.TimeoutExpired:
            timed_out, code, said = True, -1, "no answer"
        found: dict[str, Any] = {"name": name, "inputs": 0, "refused": 0, "crashes": {}, "slowest": 0.0}
        if counted.exists():
            found |= json.loads(counted.read_text(encoding="utf-8"))
        if timed_out or code:
            found["crashes"][f"the process ended with {code}: {said}"] = 1
        return found


def _work(name: str, seconds: float, seed: int, engine: str) -> None:
    """Give one target inputs for some seconds, and write what became of them to the file FUZZ_COUNTED."""
    warnings.simplefilter("ignore")
    with _instrumented(engine):
        from tests.fuzz.guard import CrashError, check

        target = _targets()[name](Path.cwd())
    counts = {"inputs": 0, "refused": 0}
    crashes: collections.Counter[str] = collections.Counter()
    plans: dict[str, str] = {}
    slowest = 0.0
    end = time.monotonic() + seconds

    def one(plan: bytes) -> None:
        nonlocal slowest
        started = time.monotonic()
        counts["inputs"] += 1
        try:
            counts["refused"] += check(target, plan)
        except CrashError as error:
            crashes[str(error)] += 1
            plans.setdefault(str(error), plan.hex())
        slowest = max(slowest, time.monotonic() - started)
        if counts["inputs"] % 20 == 0 or time.monotonic() >= end:
            _write({**counts, "crashes": crashes, "plans": plans, "slowest": slowest})

    try:
        _ENGINES[engine](one, end, seed)
    finally:
        _write({**counts, "crashes": crashes, "plans": plans, "slowest": slowest})


def _instrumented(engine: str) -> contextlib.AbstractContextManager[Any]:
    """Have atheris see which lines of this library are reached, where it is the engine."""
    if engine != "atheris":
        return contextlib.nullcontext()
    import atheris

    return atheris.instrument_imports(include=["robust_select"])


def _write(found: dict[str, Any]) -> None:
    Path(os.environ["FUZZ_COUNTED"]).write_text(json.dumps(found), encoding="utf-8")


def _randomly(one: Any, end: float, seed: int) -> None:
    rng = random.Random(seed)
    while time.monotonic() < end:
        one(rng.randbytes(rng.choice((20, 60, 300))))


def _by_hypothesis(one: Any, end: float, seed: int) -> None:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=20, max_size=300))
    def every(plan: bytes) -> None:
        if time.monotonic() < end:
            one(plan)

    while time.monotonic() < end:
        seeded(seed)(every)()
        seed += 1


def _by_atheris(one: Any, end: float, seed: int) -> None:
    import atheris

    atheris.Setup([sys.argv[0], f"-max_total_time={max(1, int(end - time.monotonic()))}", f"-seed={seed + 1}"], one)
    atheris.Fuzz()


_ENGINES = {"random": _randomly, "hypothesis": _by_hypothesis, "atheris": _by_atheris}


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['name']:<28}{row['inputs']:>9,}{row['refused']:>9,}{sum(row['crashes'].values()):>9,}"
        f"{row['slowest']:>9.2f}"
    )


def _table(rows: list[dict[str, Any]], given: argparse.Namespace) -> str:
    from tests.fuzz.guard import BYTES, SECONDS

    every = {
        "name": "together",
        **{key: sum(row[key] for row in rows) for key in ("inputs", "refused")},
        "crashes": {"": sum(sum(row["crashes"].values()) for row in rows)},
        "slowest": max((row["slowest"] for row in rows), default=0.0),
    }
    lines = [
        "Bad input: what became of it",
        "",
        f"Command: python -m tests.fuzz.campaign --minutes {given.minutes:g} --engine {given.engine} "
        f"--seed {given.seed}",
        f"Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}. robust-select {__version__}, Python "
        f"{platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores",
        f"A crash is anything but the library's own error: another exception, more than {SECONDS:g} s, more than "
        f"{BYTES >> 20} MiB, the end of the process.",
        "",
        f"{'target':<28}{'inputs':>9}{'refused':>9}{'crashes':>9}{'slowest':>9} s",
        *map(_line, rows),
        _line(every),
    ]
    for row in rows:
        for crash, n in row["crashes"].items():
            lines += ["", f"{row['name']}, {n} times: {crash}", f"  plan {row.get('plans', {}).get(crash, '')}"]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
