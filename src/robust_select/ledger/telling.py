"""What a database's errors mean, in words that say what to do next.

Called by all of the ledger. Knows nothing of what is recorded.
"""

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from robust_select.core.errors import LedgerError

LOST = (
    "the connection to the database is lost. What was recorded is safe: when the database is there, run the study "
    "again and it goes on where it was"
)
DAMAGED = (
    "Leave the file as it is and work on a copy: 'robust-select status COPY --check' says what is wrong. Go on from "
    "a backup if there is one; 'robust-select backup LEDGER COPY' makes them, also while a study runs"
)
NO_DATABASE = "expected a ledger, came a file that is not a database"


@contextlib.contextmanager
def errors_told(url: str) -> Iterator[None]:
    """Turn what the database raises into a LedgerError.

    Args:
        url: of the ledger.

    Raises:
        LedgerError: what happened, and what to do.
    """
    try:
        yield
    except IntegrityError as error:
        raise LedgerError(
            "another process has recorded the same training meanwhile: only one may run a study at a time. "
            "Nothing is lost; wait for it, or stop it and run this one again",
            url,
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise LedgerError(f"{LOST}. The database says: {error.orig}", url) from error
        raise LedgerError(_meaning(error.orig), url) from error
    except sqlite3.Error as error:
        raise LedgerError(_meaning(error), url) from error
    except SQLAlchemyError as error:
        raise LedgerError(f"the database says: {error}", url) from error


def _meaning(error: BaseException | None) -> str:
    """Say what an error of the database's driver means, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return NO_DATABASE
    if code == sqlite3.SQLITE_CORRUPT or isinstance(error, UnicodeDecodeError) or _is_unreadable(error):
        return f"the file is damaged (the database says: {error}). {DAMAGED}"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return (
            f"expected a disk that takes what is written, but it does not (the database says: {error}). What the "
            "ledger holds already is safe: make room, or make it writable, and run this again; it goes on where it "
            "was"
        )
    return f"the database says: {error}. What it holds already is safe"


def _is_unreadable(error: BaseException | None) -> bool:
    """Say whether what is stored is no text, or a part of the schema is missing."""
    return any(part in str(error) for part in ("Could not decode", "no such table", "no such column"))


@contextlib.contextmanager
def damage_told(url: str, what: str) -> Iterator[None]:
    """Turn what goes wrong when a stored value is read into a LedgerError: nothing but damage can be the reason.

    Args:
        url: of the ledger.
        what: is read, with where it is.

    Raises:
        LedgerError: what cannot be read, and what to do.

    Example:
        >>> with damage_told("study.db", "the settings of study 'first'"):
        ...     int("seven")
        Traceback (most recent call last):
        ...
        robust_select.core.errors.LedgerError: ledger study.db: expected to read the settings of study 'first', ...
    """
    try:
        yield
    except LedgerError:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise LedgerError(f"expected to read {what}, but it is damaged ({detail}). {DAMAGED}", url) from error
