"""Files that appear whole or not at all.

Called by what writes tables, backups of ledgers, checkpoints and caches. Knows nothing of what is in them.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Have a file written beside its place, and put there when the block ends; an error leaves what was there.

    Args:
        path: where the file is to be; what is there is replaced.

    Yields:
        Where to write it: a new name in the same folder, of the same suffix; there is no file of it yet.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "scores.csv") as part:
        ...         _ = part.write_text("candidate")
        ...     os.listdir(folder)
        ['scores.csv']
    """
    target = path.resolve()  # of a link, not the link itself
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem[:40]}-") as folder:
        part = Path(folder) / target.name
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(part, target)
    if os.name == "posix":  # the name, too, survives a power cut
        number = os.open(target.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # some file systems cannot
                os.fsync(number)
        finally:
            os.close(number)
