"""How a SQLite file is opened: checked, read where nothing can be written, and locked in time.

Called by the ledger beside this file. Knows nothing of its tables.
"""

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from robust_select.core.errors import LedgerError

_PATIENCE_S = 30.0
_PAUSE_S = 0.02


def check_path(path: Path, must_exist: bool, url: str) -> None:
    """Check where a ledger is, or is to be.

    Raises:
        LedgerError: it cannot be there.
    """
    if path.is_dir():
        raise LedgerError("expected a ledger, came a folder: name a file in it", url)
    if must_exist and not path.is_file():
        raise LedgerError("expected a ledger, found no file", url)
    if not path.parent.is_dir():
        raise LedgerError(f"expected a folder for it, found none at {path.parent}", url)


def ways_to_read(path: str | None) -> dict[str, Any]:
    """Say how to open a file where nothing can be written, in SQLite's words; nothing special otherwise.

    Even a reader writes two small files beside a ledger, unless it is promised that nobody else writes.
    """
    if path is None or not Path(path).is_file() or Path(f"{path}-wal").exists():
        return {}
    is_effective = os.access in os.supports_effective_ids
    if all(os.access(place, os.W_OK, effective_ids=is_effective) for place in (path, Path(path).parent)):
        return {}
    uri = f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1"
    return {"creator": lambda: sqlite3.connect(uri, uri=True)}


def prepare(connection: Any, _record: Any) -> None:
    """Set a new connection up."""
    connection.isolation_level = None  # Python would begin no transaction for CREATE TABLE; we do, below
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA synchronous = NORMAL")  # a commit survives the end of this process; see Ledger.flush
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def write_ahead(connection: sqlite3.Connection) -> None:
    """Let a new file keep a log of what is written, so that readers never wait; the file remembers it.

    SQLite does not wait for a lock here, whatever its timeout: another process may be making the same ledger.

    Raises:
        sqlite3.OperationalError: it stays locked.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            is_locked = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not is_locked or time.monotonic() > until:
                raise
        time.sleep(_PAUSE_S)


def begin(connection: sa.Connection) -> None:
    """Take the lock at once where something will be written: a lock asked for later may be refused."""
    writes = connection.get_execution_options().get("robust_select_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
