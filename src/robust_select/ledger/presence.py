"""Whether a SQLite ledger is still the file that was opened; where it is not, what is left of it is saved.

Called by studies while they run. Never opens the file but through SQLite: closing it again would drop the locks that
SQLite has on it in this process. Knows nothing of what is recorded.
"""

import contextlib
import itertools
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robust_select.core.errors import LedgerError
from robust_select.ledger.ledger import Ledger

_MOST_TRIES = 1000
_MOST_BYTES_READ = 2**24  # of a larger file only when a study ends


class Watched:
    """A ledger while a study runs in it: whoever removes, replaces or cuts its file is found out at once.

    Args:
        ledger: an open one; only a SQLite file can be watched, of all others nothing is asked.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._presence = None if ledger.path is None else Presence(ledger.path)
        self._error: LedgerError | None = None

    @contextlib.contextmanager
    def writing(self, is_last: bool = False) -> Iterator[None]:
        """Write into the ledger in this block; look afterwards whether it is still there.

        Args:
            is_last: whether the study has ended: then the file is read, too, if anybody has written into it.

        Raises:
            LedgerError: it is not, and where what it held is now; the same again for each later attempt.
        """
        if self._error is not None:
            raise self._error
        try:
            yield
        except LedgerError:
            self._check(is_last=True)  # says more than the database does
            raise
        self._check(is_last)

    def _check(self, is_last: bool) -> None:
        if self._presence is None or self._ledger.path is None:
            return
        problem = self._presence.last_problem() if is_last else self._presence.problem()
        if not problem:
            return
        with self._ledger.raw() as connection:
            saved = rescue(connection, self._ledger.path)
        if saved is not None:
            what = (
                f"All that it held is saved in {saved}: put that in its place and run this again, and it goes on "
                "where it was"
            )
        else:
            what = (
                "What it held is lost: put a backup in its place ('robust-select backup LEDGER COPY' makes them) and "
                "run this again, and it goes on from there; or run it with another ledger, and it begins anew"
            )
        self._error = LedgerError(
            f"expected its file to be left alone while the study runs, but it {problem}. {what}", self._ledger.url
        )
        raise self._error


class Presence:
    """The file of a ledger, as it was when a study began to run.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        found = os.stat(path)
        self._path = path
        self._identity = (found.st_dev, found.st_ino)
        self._size = found.st_size
        self._changed = found.st_mtime_ns

    def problem(self) -> str:
        """Say what has become of the file; nothing if all is well.

        Takes a few microseconds; some milliseconds more if a small file was written into, by SQLite or anybody else.
        """
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return "was removed"
        except OSError as error:
            return f"cannot be reached any more ({error.strerror})"
        if (found.st_dev, found.st_ino) != self._identity:
            return "was replaced by another one"
        if found.st_size < self._size:  # SQLite itself never cuts a ledger
            return "was cut short"
        self._size = found.st_size
        if found.st_mtime_ns != self._changed and found.st_size <= _MOST_BYTES_READ:
            self._changed = found.st_mtime_ns
            return "" if self._is_whole() else "was overwritten by somebody else"
        return ""

    def last_problem(self) -> str:
        """Say the same when a study has ended, and read the whole file if anybody has written into it."""
        problem = self.problem()
        if problem or os.stat(self._path).st_mtime_ns == self._changed:
            return problem
        return "" if self._is_whole() else "was overwritten by somebody else"

    def _is_whole(self) -> bool:
        try:
            with contextlib.closing(sqlite3.connect(self._path)) as connection:
                return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError as error:
            return error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def rescue(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Save what a connection still sees of a ledger whose file is gone or damaged.

    Args:
        connection: that was opened when the file was there.
        path: of the file; the copy is made beside it, or in the temporary folder if its own is gone, too.

    Returns:
        Where the copy is; None if it is not whole.
    """
    folder = path.parent if path.parent.is_dir() else Path(tempfile.gettempdir())
    for number in itertools.islice(itertools.count(1), _MOST_TRIES):
        target = folder / f"{path.stem}-rescued{'' if number == 1 else f'-{number}'}{path.suffix}"
        try:
            target.touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError:
            return None
        if _copy(connection, target):
            return target
        target.unlink()
        return None
    return None


def _copy(connection: sqlite3.Connection, target: Path) -> bool:
    """Copy all that a connection sees; say whether that is a whole database."""
    try:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
            n_tables = copy.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return bool(n_tables) and copy.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    except sqlite3.Error:
        return False
