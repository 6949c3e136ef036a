"""What the calorimeter's validation scripts share: their options, studies with a ledger, and files of results.

Called by the scripts beside it. Knows nothing of what they study.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from typer import echo

from robust_select import Candidate, Exhaustive, Study, Table
from robust_select.core.protocols import Trainer
from robust_select.ledger import open_ledger

HERE = Path(__file__).resolve().parent
SEED = 2025
_DIGITS = 6  # of scores: more is rounding of single precision
_SECONDS_BETWEEN_LINES = 20.0


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        is_quick: tiny sizes, to see that the script works; its results go to ``work/quick``.
        workers: processes that train.
    """

    is_quick: bool
    workers: int

    @property
    def results(self) -> Path:
        """Where results are written."""
        return _made(HERE / "work" / "quick" if self.is_quick else HERE / "results")

    @property
    def work(self) -> Path:
        """Where ledgers are kept, so that a script that is run again goes on where it was."""
        return _made(HERE / "work" / ("quick" if self.is_quick else "full"))


def read_options(about: str, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line.

    Args:
        about: first line of the script's docstring.
        arguments: without the program's name; None for those that it was called with.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, results to validation/ecal/work/quick")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that train")
    given = parser.parse_args(arguments)
    return Options(given.quick, given.workers)


def train_all(
    name: str, candidates: Sequence[Candidate], trainer: Trainer, n: int, options: Options, seed: int = SEED
) -> Table:
    """Train every candidate ``n`` times, or go on with it.

    Args:
        name: of the study and its ledger.
        candidates: whom.
        trainer: of an instance.
        n: how often each.
        options: of the script.
        seed: of the study.

    Returns:
        Scores, curves, seconds and parameters.
    """
    ledger = options.work / f"{name.replace(',', '').replace(' ', '-')}.db"
    study = Study(candidates, trainer, rule=Exhaustive(n), ledger=ledger, seed=seed, name=name)
    with told(name, ledger, n * len(candidates)):
        study.run(workers=options.workers)
    return read_table(ledger, name)


def read_table(ledger: Path, name: str) -> Table:
    """Read a study's scores, with their curves, out of its ledger."""
    with open_ledger(ledger, must_exist=True) as opened:
        record = opened.study(name)
        table, curves = opened.table(record), opened.curves(record)
    return Table(table.candidates, table.scores, table.seconds, table.params, curves)


@contextmanager
def told(name: str, ledger: Path, n_expected: int) -> Iterator[None]:
    """Print how many trainings the ledger holds, from time to time until the block ends."""
    ended = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LINES):
            say(name, ledger, n_expected, time.monotonic() - began)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
        say(name, ledger, n_expected, time.monotonic() - began)


def say(name: str, ledger: Path, n_expected: int, seconds: float) -> None:
    """Print a line of progress."""
    n_trained = 0
    if ledger.exists():
        with open_ledger(ledger, must_exist=True) as opened:
            n_trained = sum(opened.count(opened.study(name)).values()) if name in opened.names() else 0
    echo(f"{name}: {n_trained:,} of {n_expected:,} trainings, {seconds / 60:.1f} min")


def write_table(table: Table, path: Path, with_curves: bool = True) -> None:
    """Write scores as CSV, one row an instance, without times: they say more of the machine than of candidates."""
    plain = Table(table.candidates, table.scores, None, table.params, table.curves if with_curves else None)
    frame = plain.to_frame()
    for key in frame.columns:
        if frame[key].dtype == object:
            frame[key] = [json.dumps(value) if isinstance(value, list) else value for value in frame[key]]
    write_frame(frame, path)


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a data frame as CSV."""
    numbers = frame.select_dtypes("floating").columns
    rounded = frame.assign(**{key: [_rounded(value) for value in frame[key]] for key in numbers})
    rounded.to_csv(path, index=False)
    echo(f"written: {path}")


def write_json(answer: Mapping[str, Any], path: Path) -> None:
    """Write numbers as JSON; those that are not finite as null."""
    path.write_text(json.dumps(_plain(answer), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    echo(f"written: {path}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return _rounded(float(value)) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _rounded(value: float) -> float:
    """Keep six significant digits.

    Example:
        >>> _rounded(0.0234567891)
        0.0234568
    """
    return float(f"{value:.{_DIGITS}g}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
