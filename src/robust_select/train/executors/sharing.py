"""A temporary folder for data that workers share; those that killed coordinators left behind are removed.

Called by the crew of processes beside this file. Knows nothing of what is in the folder.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

_PREFIX = "robust-select-"
_LOCK = "lock"


class SharedFolder:
    """A folder that is held by a lock, until it is removed or this process ends, however it ends.

    When one is made, every folder of this user whose lock nobody holds is removed: its process was killed together
    with its workers, which would have removed it otherwise. On Windows none is removed, for there is no such lock.

    Attributes:
        path: of the folder.
    """

    def __init__(self) -> None:
        remove_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock: int | None = None
        try:
            if sys.platform != "win32":
                # locked under another name first: whoever finds a file of this name may take its lock
                self._lock = os.open(self.path / f"{_LOCK}.new", os.O_RDWR | os.O_CREAT, 0o600)
                _try_lock(self._lock)
                os.replace(self.path / f"{_LOCK}.new", self.path / _LOCK)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove the folder; a second time does nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def remove_abandoned() -> int:
    """Remove the folders of this user whose process is gone.

    Returns:
        How many.
    """
    if sys.platform == "win32":
        return 0
    n_removed = 0
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        folder = lock.parent
        with contextlib.suppress(OSError):  # removed by another one meanwhile, or not ours
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            opened = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _try_lock(opened):
                    shutil.rmtree(folder, ignore_errors=True)
                    n_removed += not folder.exists()
            finally:
                os.close(opened)
    return n_removed


def _try_lock(opened: int) -> bool:
    """Lock a file for as long as it is open; say whether nobody else has."""
    import fcntl  # not on Windows

    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
