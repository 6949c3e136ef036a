"""Has the disk confirm what was written a moment ago, where nobody else does.

Called by the ledger beside this file. Knows nothing of databases.
"""

import threading
from collections.abc import Callable

_SECONDS = 0.25


class LateFlush:
    """Flushes at the latest a moment after something was written.

    A coordinator that trains in its own process flushes between trainings, not during one. What it recorded just
    before a long one would be lost by a power cut meanwhile.

    Args:
        sync: has the disk confirm it; it may raise OSError.
        seconds: how long to wait for somebody else to flush.
    """

    def __init__(self, sync: Callable[[], None], seconds: float = _SECONDS) -> None:
        self._sync = sync
        self._seconds = seconds
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._is_due = False
        self._error: OSError | None = None  # told to who flushes next: the disk tells it only once

    def wanted(self) -> None:
        """Say that something was written."""
        with self._lock:
            self._is_due = True
            if self._timer is None:
                self._timer = threading.Timer(self._seconds, self._flush_late)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Flush now.

        Raises:
            OSError: the disk does not confirm it, or did not when it was asked by itself.
        """
        with self._lock:
            self._is_due = False
            error, self._error = self._error, None
        if error is not None:
            raise error
        self._sync()

    def close(self) -> None:
        """Forget what is due; to be called when nothing will be written any more."""
        with self._lock:
            timer, self._timer = self._timer, None
            self._is_due = False
        if timer is not None:
            timer.cancel()
            timer.join()

    def _flush_late(self) -> None:
        with self._lock:
            self._timer = None
            is_due, self._is_due = self._is_due, False
        try:
            if is_due:
                self._sync()
        except OSError as error:
            with self._lock:
                self._error = error
