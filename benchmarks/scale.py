"""Seconds and memory of every command that reads a ledger, where the ledger is large, and ten times as large.

Run by hand: ``python benchmarks/scale.py --save``. The ledgers are written through the library's own interface; each
command runs in a process of its own. "resume" goes on with a study of which the last ten trainings are missing. This
process itself imports nothing large: what it starts would begin with its memory.
"""

import argparse
import csv
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
SIZES = ((10_000, 5), (100_000, 5), (1_000, 100), (1_000, 1_000))
"""Candidates and instances of each; every second one is ten times the one before."""
N_MISSING = 10
_CHUNK = 20_000
_PROGRAM = "from robust_select.cli import main; main()"
_STUDY = """\
name = "scale"
trainer = "{module}:score_of"
criterion = "mean"
seed = 1

[rule]
name = "exhaustive"
n = {n_replicates}

[candidates.grid]
a = {a}
b = {b}
"""


@dataclass(frozen=True)
class Measured:
    """One command on one ledger.

    Attributes:
        candidates: of the study.
        instances: of each candidate.
        command: what was run.
        seconds: wall-clock, of the process.
        cpu: seconds of a core that it used; says more where the machine does other work, too.
        megabytes: largest resident set of the process.
        written: size of what it wrote in MB; 0 where it writes nothing.
    """

    candidates: int
    instances: int
    command: str
    seconds: float
    cpu: float
    megabytes: float
    written: float


def score_of(params: Mapping[str, Any], instance: Any) -> float:
    """Train nothing: a score that depends on the candidate and the replicate alone."""
    import numpy as np

    noise = np.random.default_rng([params["a"], params["b"], instance.replicate]).normal()
    return float(params["a"] + params["b"] / 200 + 0.1 * noise)


def write_study(folder: Path, n_candidates: int, n_replicates: int) -> Path:
    """Write the study file of a grid of ``n_candidates``, a multiple of 100."""
    path = folder / f"{n_candidates}-{n_replicates}.toml"
    a, b = list(range(n_candidates // 100)), list(range(100))
    path.write_text(_STUDY.format(module=Path(__file__).stem, n_replicates=n_replicates, a=a, b=b), encoding="utf-8")
    return path


def fill(study_file: Path, n_replicates: int) -> float:
    """Write the ledger of a study, all but the last outcomes; give the outcomes that were written a second."""
    import numpy as np

    from robust_select import Outcome
    from robust_select.ledger import open_ledger
    from robust_select.study.file import read_study

    study, _ = read_study(study_file)
    rng = np.random.default_rng(0)
    n_candidates = len(study.candidates)
    typical = np.array([candidate.params["a"] + candidate.params["b"] / 200 for candidate in study.candidates])
    n_wanted = n_candidates * n_replicates - N_MISSING
    started = time.perf_counter()
    with open_ledger(study.ledger) as ledger:
        record = ledger.create_study(study.name, study.settings(), study.candidates)
        for first in range(0, n_wanted, _CHUNK):
            numbers = np.arange(first, min(first + _CHUNK, n_wanted))
            positions, replicates = numbers % n_candidates, numbers // n_candidates
            scores = typical[positions] + 0.1 * rng.normal(size=len(numbers))
            rows = zip(positions.tolist(), replicates.tolist(), scores.tolist(), strict=True)
            ledger.record(record, [(row, at, Outcome(score, seconds=1.5)) for row, at, score in rows])
    return n_wanted / (time.perf_counter() - started)


def measure(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Run a command in a process of its own: seconds, those of a core, and the MB of its largest resident set.

    Raises:
        RuntimeError: it fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    with (folder / "said.txt").open("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"expected {command[3:]} to work, came exit code {process.returncode}: {said.read()}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def commands(study_file: Path, folder: Path) -> dict[str, tuple[list[str], Path | None]]:
    """List the commands by name, each with the file it writes."""
    ledger = str(study_file.with_suffix(".db"))
    page, table, parquet, copy = (folder / name for name in ("page.html", "all.csv", "all.parquet", "copy.db"))
    return {
        "resume": (["run", str(study_file), "--quiet"], None),
        "status": (["status", ledger], None),
        "status --check": (["status", ledger, "--check"], None),
        "export .csv": (["export", ledger, str(table)], table),
        "export .parquet": (["export", ledger, str(parquet)], parquet),
        "report --html": (["report", ledger, "--html", str(page)], page),
        "report --card": (["report", ledger, "--card", str(folder / "card.md")], folder / "card.md"),
        "backup": (["backup", ledger, str(copy)], copy),
    }


def measure_all(sizes: tuple[tuple[int, int], ...], chosen: list[str], folder: Path) -> list[Measured]:
    """Measure every command on ledgers of every size, and print as it goes."""
    found: list[Measured] = []
    for n_candidates, n_replicates in sizes:
        study_file = write_study(folder, n_candidates, n_replicates)
        filling = [sys.executable, __file__, "--fill", str(study_file), str(n_replicates)]
        rate = float(subprocess.run(filling, check=True, capture_output=True, text=True).stdout)
        size = study_file.with_suffix(".db").stat().st_size
        n_outcomes = n_candidates * n_replicates
        print(
            f"{n_candidates:,} x {n_replicates:,}: {size / 1e6:.1f} MB, {size / n_outcomes:.0f} bytes an outcome, "
            f"{rate:,.0f} outcomes a second written",
            flush=True,
        )
        for name, (arguments, target) in commands(study_file, folder).items():
            if chosen and name not in chosen:
                continue
            seconds, cpu, peak = measure([sys.executable, "-c", _PROGRAM, *arguments], folder)
            written = target.stat().st_size / 1e6 if target is not None else 0.0
            if target is not None:
                target.unlink()
            found.append(Measured(n_candidates, n_replicates, name, seconds, cpu, peak, written))
            print(f"    {name:16s} {seconds:6.1f} s, {cpu:6.1f} s of a core, {peak:5.0f} MB", flush=True)
    return found


def table_text(found: list[Measured], head: str) -> str:
    """Lay the measurements out, each large ledger beside the one a tenth its size."""
    heads = f"{'seconds':>8s} {'of a core':>10s} {'times':>6s} {'peak MB':>8s} {'times':>6s} {'MB written':>11s}"
    columns = f"{'ledger':>18s}  {'command':16s} {heads}"
    lines = [head, "", columns]
    tenth = {(row.command, row.candidates * row.instances): row for row in found}
    for row in found:
        before = tenth.get((row.command, row.candidates * row.instances // 10))
        longer = "" if before is None else f"{row.cpu / before.cpu:.1f}"
        larger = "" if before is None else f"{row.megabytes / before.megabytes:.1f}"
        ledger = f"{row.candidates:,} x {row.instances:,}"
        written = f"{row.written:11.1f}" if row.written else ""
        measured = (
            f"{row.seconds:8.1f} {row.cpu:10.1f} {longer:>6s} {row.megabytes:8.0f} {larger:>6s} {written}".rstrip()
        )
        lines.append(f"{ledger:>18s}  {row.command:16s} {measured}")
    return "\n".join(
        [*lines, "", "times: so many times what the ledger a tenth the size takes, of a core and of memory", ""]
    )


def save(found: list[Measured], text: str, machine: Mapping[str, Any]) -> None:
    """Write the measurements into ``results/``."""
    rows = [asdict(row) for row in found]
    (RESULTS / "scale.txt").write_text(text, encoding="utf-8")
    (RESULTS / "scale.json").write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    with (RESULTS / "scale.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Make ledgers, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="COMMAND", help="measure these commands alone")
    parser.add_argument("--small", action="store_true", help="a tenth of each size, to try the script")
    parser.add_argument("--folder", type=Path, help="where the ledgers lie (default: a temporary folder)")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/scale.{csv,json,txt}")
    parser.add_argument("--fill", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    if arguments.fill:
        print(fill(Path(arguments.fill[0]), int(arguments.fill[1])))
        return
    sizes = tuple((c // 10, r) if r == 5 else (c, r // 10) for c, r in SIZES) if arguments.small else SIZES
    machine = {
        "date": str(datetime.datetime.now(datetime.UTC).date()),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }
    head = "Commands on large ledgers: " + ", ".join(f"{key} {value}" for key, value in machine.items())
    print(head, flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        found = measure_all(sizes, arguments.only, Path(name))
    text = table_text(found, head)
    print(text)
    if arguments.save:
        save(found, text, machine)


if __name__ == "__main__":
    main()
