"""How much an input may ask for: what is refused before memory is taken for it, because no study is so large.

Called by the readers, by what lists candidates and by selections. Knows nothing of formats.
"""

from typing import Any

MOST_CANDIDATES = 10_000_000
"""So many candidates can be listed by a grid or drawn at random."""

MOST_AT_ONCE = 200_000_000
"""So many trainings can be asked for in one round; so many cells, a candidate and a replicate, a table can have."""

MOST_COUNTED = 10**12
"""The largest number of instances, trainings or steps that a rule can be given."""

_ENOUGH_BYTES = 512 << 20
_ENOUGH_CELLS = 20_000_000
_MOST_TIMES = 50
_MOST_CELLS_A_ROW = 200
_BYTES_A_VALUE = 8


def most_unpacked(n_packed: int) -> int:
    """Say how many bytes a compressed file may hold: 512 MiB, or 50 times its own size if that is more.

    Args:
        n_packed: size of the file, in bytes.

    Example:
        >>> most_unpacked(1000) >> 20, most_unpacked(1 << 30) >> 30
        (512, 50)
    """
    return max(_ENOUGH_BYTES, _MOST_TIMES * n_packed)


def most_cells(n_rows: int) -> int:
    """Say how many cells a table of so many rows may have, one row an instance: 20 million, or 200 a row.

    Example:
        >>> most_cells(12), most_cells(500_000)
        (20000000, 100000000)
    """
    return min(max(_ENOUGH_CELLS, _MOST_CELLS_A_ROW * n_rows), MOST_AT_ONCE)


def parquet_bytes(metadata: Any) -> int:
    """Say how many bytes the values of a Parquet file take in memory, by what its metadata claim.

    Args:
        metadata: ``pyarrow.parquet.FileMetaData``.
    """
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    return _BYTES_A_VALUE * sum(
        int(group.column(index).num_values) for group in groups for index in range(group.num_columns)
    )
