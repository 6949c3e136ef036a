"""Writes long tables to CSV and Parquet, piece by piece where they are large.

Called by the ledger's export and users. Knows nothing of what the columns mean.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.files import replacing


def write_frame(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a data frame to CSV or, by its suffix, Parquet (there a column of several kinds becomes text).

    Raises:
        InputError: the folder does not exist, or another suffix.
        MissingExtraError: Parquet without pyarrow.
    """
    write_frames([frame], path)


def write_frames(frames: Iterable[pd.DataFrame], path: str | Path) -> int:
    """Write data frames of the same columns one below the other, as ``write_frame`` does; the file appears whole.

    Args:
        frames: one at least.
        path: of the file, which is replaced if there is one.

    Returns:
        How many rows were written.

    Raises:
        InputError: the folder does not exist, or another suffix.
        MissingExtraError: Parquet without pyarrow.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"expected a folder to write to, found none at {path.parent}")
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet", ".pq"}:
        raise InputError(f"expected a file name ending in .csv or .parquet, came {path.name!r}")
    with replacing(path) as part:
        return _write_csv(frames, part) if suffix == ".csv" else _write_parquet(frames, part)


def _write_csv(frames: Iterable[pd.DataFrame], path: Path) -> int:
    n_rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(frames):
            frame.to_csv(file, index=False, header=number == 0)
            n_rows += len(frame)
    return n_rows


def _write_parquet(frames: Iterable[pd.DataFrame], path: Path) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    n_rows = 0
    with contextlib.ExitStack() as opened:
        schema = writer = None
        for frame in frames:
            mixed = [name for name in frame.columns if frame[name].dtype == object]
            texts = frame.assign(**{name: frame[name].map(str, na_action="ignore") for name in mixed})
            if writer is None:
                schema = pa.Schema.from_pandas(texts, preserve_index=False)
                for name in mixed:
                    schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
                writer = opened.enter_context(pq.ParquetWriter(path, schema))
            writer.write_table(pa.Table.from_pandas(texts, schema=schema, preserve_index=False))
            n_rows += len(frame)
    return n_rows
