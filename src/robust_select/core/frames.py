"""Reads the data frame that a CSV or Parquet file holds; what is no table, or far too large for one, is refused.

Called by ``read_table``. Knows nothing of candidates and scores.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from robust_select.core.errors import MissingExtraError, TableError
from robust_select.core.limits import most_unpacked, parquet_bytes

_LONGEST = 300  # signs of somebody else's message
_EXACT: dict[str, Any] = {"float_precision": "round_trip"} if pd.__version__ < "3" else {}
"""Pandas 2 loses the last digit otherwise; later ones do not, and have no such choice."""


def read_frame(path: Path, names: Collection[str] = ()) -> pd.DataFrame:
    """Read a CSV file, or a Parquet file, told by its suffix.

    Args:
        path: of the file.
        names: further columns that hold names, beside ``candidate`` and ``model``: text as it stands, also where it
            looks like numbers.

    Raises:
        TableError: the file is missing, unreadable or not a table.
        MissingExtraError: Parquet without pyarrow.
    """
    if not path.is_file():
        raise TableError("expected a CSV or Parquet file, found none", str(path))
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _read_parquet(path)
    try:
        as_text = dict.fromkeys({"candidate", "model", *names}, str)
        frame: pd.DataFrame = pd.read_csv(
            path,
            keep_default_na=False,
            na_values=[""],
            low_memory=False,
            dtype=as_text,
            **_EXACT,
        )
        if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the surplus for names of rows
            raise ValueError("its rows hold more fields than its header")
    except (
        pd.errors.EmptyDataError,
        pd.errors.ParserError,
        UnicodeDecodeError,
        ValueError,
        OSError,
    ) as error:
        detail = "the file is empty" if isinstance(error, pd.errors.EmptyDataError) else str(error).strip()
        raise TableError(f"expected a CSV or Parquet table, but {detail}", str(path)) from error
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    most = most_unpacked(path.stat().st_size)
    try:
        n_bytes = parquet_bytes(pyarrow.parquet.read_metadata(path))
        frame = pd.read_parquet(path) if n_bytes <= most else None
    except Exception as error:  # on a damaged file pyarrow and pandas raise whatever they like
        detail = f"{type(error).__name__}: {str(error).strip()[:_LONGEST]}"
        raise TableError(f"expected a CSV or Parquet table, but {detail}. Is it complete?", str(path)) from error
    if frame is None:
        raise TableError(f"expected a table of at most {most:,} bytes, came one that claims {n_bytes:,}", str(path))
    return frame
