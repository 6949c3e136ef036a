"""Who runs a study: one process at a time, by a lock that is gone when the process is.

Called by the ledger beside this file. Knows nothing of what is recorded.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

_MOST_TRIES = 100


@contextlib.contextmanager
def hold_file(path: Path) -> Iterator[bool]:
    """Lock a file, until the block ends or this process does; it is made, and removed at the end.

    The lock is SQLite's own, so it works wherever a ledger does, also within one process.

    Args:
        path: of the file.

    Yields:
        Whether it is ours; if not, another one has it.
    """
    connection = _locked(path)
    try:
        yield connection is not None
    finally:
        if connection is not None:
            with contextlib.suppress(OSError):  # Windows removes no open file: it is locked anew next time
                path.unlink()
            connection.close()


def _locked(path: Path) -> sqlite3.Connection | None:
    for _ in range(_MOST_TRIES):
        path.touch()
        before = os.stat(path).st_ino
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            if os.stat(path).st_ino == before:
                return connection
        except FileNotFoundError:  # removed between opening and locking, by one who has ended
            pass
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return None
            raise
        connection.close()
    return None


def hold_postgres(connection: sa.Connection, study_id: int) -> bool:
    """Lock a study for a PostgreSQL session; the server frees it when the connection ends.

    Where the other machine vanishes without a word, the server notices within two minutes.

    Args:
        connection: of the session; the study's outcomes are to be written through it, so that who has lost the lock
            cannot write.
        study_id: in the ledger, which is the connection's current schema.

    Returns:
        Whether it is ours; if not, another session has it.
    """
    for setting, value in (("idle", 60), ("interval", 10), ("count", 5)):
        connection.exec_driver_sql(f"SET tcp_keepalives_{setting} = {value}")
    key = sa.func.hashtextextended(sa.func.concat("robust-select ", sa.func.current_schema(), f" {study_id}"), 0)
    is_ours = bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar())
    connection.commit()
    return is_ours


def release_postgres(connection: sa.Connection) -> None:
    """Free what a session holds; to close it alone frees it a moment later only, when the server has noticed."""
    if not connection.invalidated:
        with contextlib.suppress(SQLAlchemyError):  # who has lost the connection has lost the lock
            connection.rollback()
            connection.execute(sa.select(sa.func.pg_advisory_unlock_all()))
            connection.commit()
