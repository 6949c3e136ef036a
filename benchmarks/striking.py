"""Strikes on studies that run: signals, ledgers that vanish, disks that are full; and counting what was lost.

Called by ``faults.py`` and by tests/faults. A strike comes when so many trainings have finished, and a moment later;
no training begins beyond a gate a little further on, so that the study cannot end before, however slow the machine.
"""

import contextlib
import dataclasses
import json
import os
import resource
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.faulty import read_lines
from benchmarks.struck import FAILED, Order

from robust_select.core.errors import LedgerError
from robust_select.core.instances import Instance, seeds_for
from robust_select.ledger import open_ledger

ROOT = Path(__file__).resolve().parents[1]

Training = tuple[str, int]

_GATE = 2  # trainings that may finish after the one at which a strike is due
_MARGIN = 5  # the gate is so far from the end that two workers cannot get there either


@dataclass
class Run:
    """A study that runs somewhere else."""

    pid: int
    folder: Path
    nursery: "subprocess.Popen[str]"

    def signal(self, number: int, is_whole_group: bool = False) -> None:
        """Send a signal; whoever is gone already does not mind."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if is_whole_group else os.kill)(self.pid, number)

    def open_gate(self) -> None:
        """Let it train on."""
        open_gate(self.folder)

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Say whether it has ended, at once or within some time."""
        return bool(select.select([self.nursery.stdout], [], [], seconds)[0])

    def wait(self) -> int:
        """Give the exit code."""
        assert self.nursery.stdout is not None  # noqa: S101  it was opened with a pipe
        return int(self.nursery.stdout.readline())


class Nursery:
    """A process that has imported the library, and forks a study on demand."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from benchmarks.struck import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning"},
        )

    def start(self, order: Order, gate: int | None = None) -> Run:
        """Start a study; with a gate, no training begins once so many have finished."""
        folder = Path(order.folder)
        if gate is None:
            open_gate(folder)
        else:
            (folder / "gate").write_text(str(gate))
        assert self.process.stdin is not None  # noqa: S101  both were opened with pipes
        assert self.process.stdout is not None  # noqa: S101
        self.process.stdin.write(json.dumps(dataclasses.asdict(order)) + "\n")
        self.process.stdin.flush()
        return Run(int(self.process.stdout.readline()), folder, self.process)

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=60)


@contextlib.contextmanager
def open_nursery() -> Iterator[Nursery]:
    """Open a nursery, and close it at the end."""
    nursery = Nursery()
    try:
        yield nursery
    finally:
        nursery.close()


def undisturbed_result(nursery: Nursery, folder: Path, rule: str) -> dict[str, Any]:
    """Give the result of the study that is left alone."""
    code = nursery.start(Order(str(folder), rule)).wait()
    if code != 0:
        raise RuntimeError(f"expected the study to end by itself, came exit code {code}")
    return result_in(folder)


def result_in(folder: Path) -> dict[str, Any]:
    """Read the result that a study has written down."""
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def n_trainings(result: dict[str, Any]) -> int:
    """Count the trainings of a result."""
    return sum(score != "nan" for row in result["scores"] for score in row)


def trained_in(folder: Path) -> list[Training]:
    """List the trainings that have finished, as the trainer itself wrote them down."""
    pairs = (line.split() for line in read_lines(folder / "trained"))
    return [(name, int(replicate)) for name, replicate in pairs]


def rows_in(folder: Path, name: str = "study.db") -> list[tuple[Training, str]]:
    """List what the ledger holds, with the score as text: read anew, by the library itself."""
    try:
        with open_ledger(folder / name, must_exist=True) as ledger:
            if not ledger.names():
                return []
            study = ledger.study()
            return [((study.candidates[at].name, k), repr(found.score)) for at, k, found in ledger.outcomes(study)]
    except LedgerError as error:
        if "found no file" in str(error) or "an empty database" in str(error):  # struck down before it began
            return []
        raise


def held_in(folder: Path) -> set[Training]:
    """List the trainings that the ledger holds."""
    return {training for training, _ in rows_in(folder)}


def instance_of(name: str, replicate: int, seed: int) -> Instance:
    """Give the instance that a study of this seed trains."""
    return Instance(name, replicate, seeds_for(seed, replicate))


def open_gate(folder: Path) -> None:
    """Let the study of a folder train on; nothing is written where there is no gate."""
    with contextlib.suppress(FileNotFoundError):
        if (folder / "gate").exists():
            (folder / "gate").unlink()


def wait_for(folder: Path, n_trained: int) -> None:
    """Wait until so many trainings have finished.

    Raises:
        TimeoutError: they do not.
    """
    patience_ends = time.monotonic() + 60
    while len(read_lines(folder / "trained")) < n_trained:
        if time.monotonic() > patience_ends:
            raise TimeoutError(f"{n_trained} trainings do not come to an end in {folder}")
        time.sleep(0.0005)


@dataclass(frozen=True)
class Moment:
    """When ``n_trained`` trainings have finished, and ``delay`` seconds later."""

    n_trained: int
    delay: float


def moments_of(seed: int, n: int, undisturbed: dict[str, Any], first: int = 0) -> list[Moment]:
    """Draw moments all over a study, in their order; the first is at its beginning, or when ``first`` are trained."""
    rng = np.random.default_rng(seed)
    at = [first, *np.sort(rng.integers(first, n_trainings(undisturbed) - _MARGIN, n - 1)).tolist()]
    return [Moment(n_trained, delay) for n_trained, delay in zip(at, rng.uniform(0, 0.012, n).tolist(), strict=True)]


Strike = Callable[[Run], None]


@dataclass
class Tally:
    """What strikes on one study did.

    Attributes:
        n_strikes: how many.
        n_lost: trainings that the ledger held at one time and not, or with another score, later.
        n_twice: trainings that the ledger held and that were trained again, or that it holds twice.
        n_in_flight: trainings that had finished at a strike, and that no ledger had heard of yet: trained again.
        n_changed: results other than that of the study left alone (0 or 1).
        codes: exit codes after the strikes.
        said: the message of each study that said what happened.
    """

    n_strikes: int = 0
    n_lost: int = 0
    n_twice: int = 0
    n_in_flight: int = 0
    n_changed: int = 0
    codes: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count another study's strikes, too."""
        for item in dataclasses.fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


def run_under_fire(
    nursery: Nursery,
    order: Order,
    moments: Sequence[Moment],
    strike: Strike | Sequence[Strike],
    undisturbed: dict[str, Any],
    mend: Callable[[Path], None] = lambda folder: None,
    n_new: int = 0,
) -> Tally:
    """Strike a study at each moment, start it again, and let it end at last.

    Args:
        nursery: starts the study.
        order: which study; in a folder of its own.
        moments: when.
        strike: what is done to it then, one for all moments or one for each; if that does not end it, it trains on
            to its end.
        undisturbed: the result of the study that is left alone.
        mend: what is done to the folder before the study is started again.
        n_new: how many trainings it has to finish before it is struck, whatever the moment says.
    """
    folder = Path(order.folder)
    tally = Tally()
    held: dict[Training, str] = {}
    strikes = [strike] * len(moments) if callable(strike) else list(strike)
    for moment, hit in zip([*moments, None], [*strikes, None], strict=True):
        n_before = len(trained_in(folder))
        due = 0 if moment is None else max(moment.n_trained, n_before + n_new)
        run = nursery.start(order, None if moment is None else due + _GATE)
        if moment is not None and hit is not None:
            wait_for(folder, due)
            time.sleep(moment.delay)
            hit(run)
            tally.n_strikes += 1
        code = run.wait()
        if order.workers > 1 and code != 0:
            time.sleep(0.7)  # orphans see within half a second that they are
        if moment is not None:
            tally.codes.append(code)
        if code == FAILED:
            tally.said.append((folder / "said").read_text())
        if moment is not None:
            mend(folder)
        trained = trained_in(folder)
        tally.n_twice += len(set(held) & set(trained[n_before:]))
        rows = rows_in(folder)
        now = dict(rows)
        tally.n_twice += len(rows) - len(now)
        tally.n_lost += sum(now.get(training) != score for training, score in held.items())
        tally.n_in_flight += len(set(trained[n_before:]) - set(now))
        held = now
        if moment is None and code != 0:
            raise RuntimeError(f"expected the study in {folder} to end when it is left alone, came exit code {code}")
    again = Counter(trained_in(folder))
    extra = sum(again.values()) - len(again)
    if extra > tally.n_in_flight:  # more than what was in flight: something recorded was trained again
        tally.n_twice += extra - tally.n_in_flight
    tally.n_changed = int(result_in(folder) != undisturbed)
    return tally


def kill(is_whole_group: bool) -> Strike:
    """Kill the coordinator, alone or with its workers."""
    return lambda run: run.signal(signal.SIGKILL, is_whole_group)


def interrupt(is_whole_group: bool, n: int = 1, seconds_between: float = 0.0) -> Strike:
    """Press Ctrl-C, once or more often."""

    def strike(run: Run) -> None:
        for at in range(n):
            if at:
                time.sleep(seconds_between)
            run.signal(signal.SIGINT, is_whole_group)

    return strike


def fill_disk(run: Run) -> None:
    """Let no file of the coordinator grow, as on a disk that is full; then let it train on."""
    size = (run.folder / "study.db-wal").stat().st_size
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    run.open_gate()


def forbid(run: Run) -> None:
    """Let nobody write to the ledger any more, who has opened it neither; needs root.

    SQLite's ``-shm`` is left alone: it is mapped, and the kernel ends whoever writes to an immutable map (SIGBUS).
    """
    if not _works("chattr", "+i", *_files_of(run.folder)):
        raise RuntimeError(f"chattr +i does not work in {run.folder}")
    run.open_gate()


def permit(folder: Path) -> None:
    """Let the ledger be written to again."""
    _works("chattr", "-i", *_files_of(folder))


def can_forbid(folder: Path) -> bool:
    """Say whether files of a folder can be made immutable."""
    path = folder / "immutable"
    path.touch()
    is_possible = _works("chattr", "+i", str(path))
    _works("chattr", "-i", str(path))
    path.unlink()
    return is_possible


def _files_of(folder: Path) -> list[str]:
    return [str(path) for path in (folder / "study.db", folder / "study.db-wal") if path.exists()]


def delete(run: Run) -> None:
    """Delete the ledger and the files beside it."""
    for path in run.folder.glob("study.db*"):
        path.unlink()
    run.open_gate()


def replace(run: Run) -> None:
    """Put an empty file in the ledger's place."""
    (run.folder / "other").write_bytes(b"")
    os.replace(run.folder / "other", run.folder / "study.db")
    run.open_gate()


def truncate(run: Run) -> None:
    """Make a backup, then cut the ledger to half of its size."""
    path = back_up(run.folder)
    os.truncate(path, path.stat().st_size // 2)
    run.open_gate()


def overwrite(run: Run) -> None:
    """Make a backup, then write zeros over the whole ledger, which keeps its size."""
    path = back_up(run.folder)
    with path.open("rb+") as file:
        file.write(bytes(path.stat().st_size))
    run.open_gate()


def back_up(folder: Path) -> Path:
    """Copy the ledger while it is in use; give its path."""
    path = folder / "study.db"
    with (
        contextlib.closing(sqlite3.connect(path)) as ledger,
        contextlib.closing(sqlite3.connect(_backup(folder))) as to,
    ):
        ledger.backup(to)
    return path


def put_back(folder: Path) -> None:
    """Do what the message says: put the copy that was saved in the ledger's place; the backup if there is none."""
    permit(folder)
    saved = sorted(folder.glob("study-rescued*.db"))
    if not saved:
        try:
            rows_in(folder)
        except LedgerError:
            saved = [_backup(folder)]
    if saved:
        for path in folder.glob("study.db*"):
            path.unlink()
        shutil.move(saved[-1], folder / "study.db")


def _backup(folder: Path) -> Path:
    return folder / "study-backup.db"


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[bool]:
    """Make a folder read-only for as long as the block lasts; say whether that was possible.

    Root may write everywhere: for it the folder is mounted read-only, or else the ledger is made immutable.
    """
    if os.getuid() != 0:
        folder.chmod(0o555)
        (folder / "study.db").chmod(0o444)
        yield True
        folder.chmod(0o755)
        (folder / "study.db").chmod(0o644)
        return
    place = str(folder)
    with contextlib.ExitStack() as undo:
        if _works("mount", "--bind", place, place):
            undo.callback(_works, "umount", place)
            is_done = _works("mount", "-o", "remount,bind,ro", place)
        else:
            is_done = _works("chattr", "+i", place, f"{place}/study.db")
            undo.callback(_works, "chattr", "-i", place, f"{place}/study.db")
        yield is_done


def _works(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def run_two(nurseries: tuple[Nursery, Nursery], order: Order, undisturbed: dict[str, Any], at_once: bool) -> Tally:
    """Start a study twice, at once or the second when the first has trained a little; let both end.

    One of them is refused, and the other ends like the study that is left alone.
    """
    folder = Path(order.folder)
    first = nurseries[0].start(order, gate=6)
    if not at_once:
        wait_for(folder, 3)
    runs = [first, nurseries[1].start(order, gate=6)]
    ends = time.monotonic() + 60
    while not any(run.has_ended(0.05) for run in runs) and time.monotonic() < ends:
        pass
    codes = {}
    for run in sorted(runs, key=lambda run: not run.has_ended()):
        run.open_gate()
        codes[run.pid] = run.wait()
    trained = trained_in(folder)
    tally = Tally(1, n_twice=len(trained) - len(set(trained)), codes=sorted(codes.values()))
    tally.n_lost = len(set(trained) - held_in(folder))
    tally.n_changed = int(result_in(folder) != undisturbed)
    tally.said.append((folder / "said").read_text())
    return tally
