"""Copies a ledger while studies run in it: the copy is a SQLite file, complete and of one moment, or there is none.

Called by the command line. Knows nothing of what is recorded.
"""

import contextlib
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from robust_select.core.errors import InputError, LedgerError
from robust_select.core.files import replacing
from robust_select.ledger import schema
from robust_select.ledger.ledger import Ledger
from robust_select.ledger.opening import open_ledger
from robust_select.ledger.telling import DAMAGED

_ROWS_AT_ONCE = 5_000


def back_up(ledger: Ledger, path: Path, may_replace: bool = False) -> int:
    """Copy a ledger, whole, to a new SQLite file.

    The copy shows one moment. Who writes meanwhile does not wait; what is written meanwhile is not in it.

    Args:
        ledger: an open one, in SQLite or PostgreSQL.
        path: where the copy is to be.
        may_replace: whether a file that is there may be replaced; it is, in one moment, when the copy is complete.

    Returns:
        How many outcomes the copy holds.

    Raises:
        InputError: there is a file, or no folder.
        LedgerError: the ledger is damaged or cannot be read, or the copy cannot be written.

    Example:
        >>> import tempfile
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.core.instances import Outcome
        >>> with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder) / "study.db") as ledger:
        ...     record = ledger.create_study("widths", {}, grid(width=[16, 32]))
        ...     ledger.record(record, [(0, 0, Outcome(0.3))])
        ...     back_up(ledger, Path(folder) / "copy.db")
        1
    """
    if not path.parent.is_dir():
        raise InputError(f"expected a folder to write the copy to, found none at {path.parent}")
    if path.is_dir():
        raise InputError(f"expected the name of a file for the copy, came the folder {path}")
    if path.exists() and not may_replace:
        raise InputError(
            f"expected a new file for the copy, but there is one: {path}. Name another one, or say that it may be "
            "replaced: --replace"
        )
    if ledger.path is not None and path.exists() and path.samefile(ledger.path):
        raise InputError(f"expected another file for the copy than the ledger itself, came {path}")
    try:
        with replacing(path) as part:
            if ledger.is_sqlite:
                _copy_file(ledger, part)
            else:
                _copy_rows(ledger, part)
            return _check(part, ledger.url)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"the copy cannot be written to {path}: {error}", ledger.url) from error


def _copy_file(ledger: Ledger, part: Path) -> None:
    """Copy page by page, as SQLite does it, in one step: so a writer cannot make it begin again."""
    with contextlib.closing(sqlite3.connect(part)) as target, ledger.raw() as source:
        source.backup(target)


def _copy_rows(ledger: Ledger, part: Path) -> None:
    """Copy row by row from another kind of database."""
    with open_ledger(part) as target, ledger.moment() as source, target.writing() as writer:
        for table in schema.metadata.sorted_tables:
            writer.execute(sa.delete(table))
            query = sa.select(table).execution_options(yield_per=_ROWS_AT_ONCE)
            with contextlib.closing(source.execute(query)) as found:
                for rows in found.mappings().partitions():
                    writer.execute(sa.insert(table), [dict(row) for row in rows])


def _check(part: Path, url: str) -> int:
    """Check the copy and count its outcomes.

    Raises:
        LedgerError: it is damaged, so the ledger is.
    """
    with contextlib.closing(sqlite3.connect(part)) as connection:
        try:
            [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
            n_outcomes: int = connection.execute("SELECT COUNT(*) FROM outcomes").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found, n_outcomes = str(error), 0
    if found != "ok":
        raise LedgerError(f"it is damaged ({' '.join(found.split())}), so no copy was made. {DAMAGED}", url)
    return n_outcomes
