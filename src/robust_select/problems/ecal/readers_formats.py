"""How each file format is read: what columns are in a file, and one of them as an array.

Called by ``readers``. Knows nothing of showers but the words for its messages.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import MissingExtraError
from robust_select.core.limits import most_unpacked, parquet_bytes
from robust_select.problems.ecal.showers import ShowerError

_LEAST_BYTES = 8  # a value takes in memory
_TREES = {"TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple"}


@dataclass(frozen=True)
class Columns:
    """What an open file has.

    Attributes:
        word: what the format calls them ("arrays", "datasets", "columns", "branches").
        names: of all of them.
        read: gives one as an array, its first axis the showers.
        is_number: whether one holds a single number and not one a shower.
    """

    word: str
    names: tuple[str, ...]
    read: Callable[[str], npt.NDArray[Any]]
    is_number: Callable[[str], bool] = lambda name: False


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: for messages.
        suffixes: of its files, in lower case.
        open: opens a file, given its path and the place inside it.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[Path, str], AbstractContextManager[Columns]]


def first_line(error: BaseException) -> str:
    """Give the first line of what an exception says, not too long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else "no message"
    return line if len(line) <= 160 else line[:157] + "..."


@contextmanager
def _open_npz(path: Path, inside: str) -> Iterator[Columns]:
    _refuse_inside(path, inside, "an npz file")
    with path.open("rb") as raw:  # numpy leaves a file open that it opened itself and found damaged
        file = np.load(raw, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ShowerError("expected an npz file of several arrays, came a single array", str(path))

        def read(name: str) -> npt.NDArray[Any]:
            _check_member(file, name, path)
            return np.asarray(file[name])

        yield Columns("arrays", tuple(file.files), read, lambda name: read(name).ndim == 0)


def _check_member(file: Any, name: str, path: Path) -> None:
    """Refuse an array that claims to be larger than what is there: numpy would take the memory first."""
    entry = file.zip.getinfo(name if name in file.zip.namelist() else f"{name}.npy")
    _check_claim(entry.file_size, most_unpacked(path.stat().st_size), name, path)
    with file.zip.open(entry) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    if not dtype.hasobject:  # objects are refused later
        _check_claim(math.prod(shape) * dtype.itemsize, entry.file_size, name, path)


@contextmanager
def _open_hdf5(path: Path, inside: str) -> Iterator[Columns]:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "hdf5") from error
    with h5py.File(path, "r") as file:
        group = file.get(inside) if inside else file
        if not isinstance(group, h5py.Group):
            raise ShowerError(f"expected a group, there is none at inside={inside!r}", str(path))
        found: dict[str, Any] = {}
        group.visititems(lambda name, made: found.update({name: made} if isinstance(made, h5py.Dataset) else {}))
        most = most_unpacked(path.stat().st_size)

        def read(name: str) -> npt.NDArray[Any]:
            _check_claim(math.prod(found[name].shape or ()) * found[name].dtype.itemsize, most, name, path)
            return np.asarray(found[name][()])

        yield Columns("datasets", tuple(found), read, lambda name: found[name].shape == ())


@contextmanager
def _open_parquet(path: Path, inside: str) -> Iterator[Columns]:
    _refuse_inside(path, inside, "a Parquet file")
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    with pyarrow.parquet.ParquetFile(path) as file:
        _check_claim(parquet_bytes(file.metadata), most_unpacked(path.stat().st_size), "its columns", path)
        yield Columns(
            "columns",
            tuple(file.schema_arrow.names),
            lambda name: _unpacked(file.read(columns=[name]).column(name), name, path),
        )


def _unpacked(column: Any, name: str, path: Path) -> npt.NDArray[Any]:
    """Turn a column of numbers, lists of numbers or lists of lists into an array."""
    import pyarrow.compute
    import pyarrow.types

    values, shape = column.combine_chunks(), [len(column)]
    while pyarrow.types.is_nested(values.type) and not pyarrow.types.is_struct(values.type):
        if values.null_count:
            raise ShowerError(f"expected {name} in every row, came {values.null_count} empty ones", str(path))
        lengths = pyarrow.compute.unique(pyarrow.compute.list_value_length(values)).to_pylist()
        if len(lengths) > 1:
            raise _unequal(name, lengths, path)
        shape.append(lengths[0] if lengths else 0)
        values = values.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)


@contextmanager
def _open_root(path: Path, inside: str) -> Iterator[Columns]:
    try:
        import uproot
    except ImportError as error:
        raise MissingExtraError("uproot", "root") from error
    with uproot.open(path) as file:
        classes = file.classnames(recursive=True, cycle=False)
        trees = sorted(name for name, class_name in classes.items() if class_name in _TREES)
        if inside not in trees and (inside or len(trees) != 1):
            raise ShowerError(
                f"expected one tree, or its name, came inside={inside!r}; the trees there are: "
                f"{', '.join(trees) or 'none at all'}",
                str(path),
            )
        tree = file[inside or trees[0]]
        _check_envelopes(tree, path)
        most = most_unpacked(path.stat().st_size)

        def read(name: str) -> npt.NDArray[Any]:
            dtype = getattr(getattr(tree[name], "interpretation", None), "numpy_dtype", None)
            n_bytes = getattr(dtype, "itemsize", _LEAST_BYTES)
            _check_claim(int(tree.num_entries) * max(n_bytes, _LEAST_BYTES), most, name, path)
            return _regular(tree[name], name, path)

        yield Columns("branches", tuple(tree.keys()), read)


def _check_envelopes(tree: Any, path: Path) -> None:
    """Refuse a damaged RNTuple before uproot, which compares checksums last or never, counts to what it claims."""
    if not all(hasattr(tree, name) for name in ("_prepare_header_chunk", "_prepare_footer_chunk", "read_locator")):
        return  # a TTree, which has no checksums, or another version of uproot
    for part in ("header", "footer"):
        getattr(tree, f"_prepare_{part}_chunk")()
        _check_envelope(getattr(tree, f"_{part}_chunk"), part, path)
    for record in tree.footer.cluster_group_records:
        link = record.page_list_link
        _check_envelope(tree.read_locator(link.locator, link.env_uncomp_size)[0], "list of pages", path)


def _check_envelope(chunk: Any, part: str, path: Path) -> None:
    """Compare a part of an RNTuple with the checksum at its end."""
    import xxhash  # comes with uproot

    content = bytes(chunk.raw_data)
    if xxhash.xxh3_64_intdigest(content[:-8]) != int.from_bytes(content[-8:], "little"):
        raise ShowerError(f"expected the {part} of an RNTuple as it was written, came a damaged one", str(path))


def _regular(branch: Any, name: str, path: Path) -> npt.NDArray[Any]:
    """Read a branch of numbers, arrays, vectors or vectors of vectors."""
    values = branch.array(library="np")
    if values.dtype != object:
        return np.asarray(values)
    listed = [np.asarray(value.tolist()) if hasattr(value, "tolist") else np.asarray(value) for value in values]
    lengths = sorted({len(value) for value in listed})
    if len(lengths) > 1:
        raise _unequal(name, lengths, path)
    return np.stack(listed)


def _check_claim(n_bytes: int, most: int, name: str, path: Path) -> None:
    """Refuse what claims to be larger than any showers in a file of that size."""
    if not 0 <= n_bytes <= most:
        raise ShowerError(f"expected at most {most:,} bytes as {name}, came a claim of {n_bytes:,}", str(path))


def _unequal(name: str, lengths: list[int], path: Path) -> ShowerError:
    shown = ", ".join(map(str, sorted(lengths)[:5]))
    return ShowerError(f"expected as many numbers of {name} in every shower, came {shown}", str(path))


def _refuse_inside(path: Path, inside: str, what: str) -> None:
    if inside:
        raise ShowerError(f"expected no place inside {what}, came inside={inside!r}", str(path))


FORMATS = (
    Format("npz", (".npz",), _open_npz),
    Format("HDF5", (".h5", ".hdf5"), _open_hdf5),
    Format("Parquet", (".parquet", ".pq"), _open_parquet),
    Format("ROOT", (".root",), _open_root),
)
"""The formats that showers can be read from."""
