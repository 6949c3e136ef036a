"""Opens a ledger: finds its database, checks what it is, makes it or brings it to the present schema.

Called by studies and the command line. Knows nothing of what is recorded.
"""

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from robust_select.core.errors import LedgerError, MissingExtraError
from robust_select.ledger import sqlite
from robust_select.ledger.ledger import Ledger


def ledger_url(location: str | Path) -> str:
    """Make a database URL of a path; URLs stay as they are.

    Example:
        >>> ledger_url("study.db")
        'sqlite:///study.db'
    """
    return str(location) if "://" in str(location) else f"sqlite:///{location}"


def open_ledger(location: str | Path, must_exist: bool = False) -> Ledger:
    """Open a ledger, or make one.

    Args:
        location: path of a SQLite file, or a database URL of SQLAlchemy.
        must_exist: whether a missing one is an error; otherwise it is made.

    Raises:
        LedgerError: it is missing, not a database, not a ledger, or of another version.
        MissingExtraError: it is a PostgreSQL database, and psycopg is not installed.

    Example:
        >>> with open_ledger("sqlite://") as ledger:
        ...     ledger.names()
        []
    """
    url = ledger_url(location)
    try:
        is_url = "://" in str(location)
        parsed = sa.engine.make_url(url) if is_url else sa.URL.create("sqlite", database=str(location))
        is_sqlite = parsed.get_backend_name() == "sqlite"
        path = parsed.database if is_sqlite else None
        if path and path != ":memory:":
            sqlite.check_path(Path(path), must_exist, url)
            if not path.startswith("file:"):
                path = os.path.abspath(path)  # a trainer may change the working directory
                parsed = parsed.set(database=path)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed, pool_pre_ping=not is_sqlite, **sqlite.ways_to_read(path))
    except LedgerError:
        raise
    except ModuleNotFoundError as error:
        if error.name == "psycopg":
            raise MissingExtraError("psycopg", "postgres") from error
        raise LedgerError(f"expected a database whose driver is installed ({error})", url) from error
    except (ArgumentError, NoSuchModuleError, ValueError, TypeError, OSError) as error:
        raise LedgerError(f"expected a path or a database URL ({error})", url) from error
    if is_sqlite:
        sa.event.listen(engine, "connect", sqlite.prepare)
        sa.event.listen(engine, "begin", sqlite.begin)
    ledger = Ledger(engine, url)
    try:
        ledger.check_schema(may_create=not must_exist)
    except BaseException as error:
        ledger.close()
        if isinstance(error, ValueError | TypeError) and not isinstance(error, LedgerError):
            detail = f"expected a path or a database URL that can be opened ({error})"  # signs that no name may hold
            raise LedgerError(detail, url) from error
        raise
    return ledger
