"""Reads CIFAR-10: the Python version, whose pickles run nothing here, and the binary version.

Called by ``sources``. Knows nothing of where files are kept. Format: Krizhevsky 2009, "Learning multiple layers of
features from tiny images", and the page of the data set.
"""

import io
import pickle
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robust_select.problems.images.pickled import why_not
from robust_select.problems.images.records import Bytes, ImageError, Images

SHAPE = (3, 32, 32)
_N_BYTES = 3072
_N_CLASSES = 10
_LARGE = 10**9
_LONGEST = 100  # signs of what a file holds, in a message
_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_FOLDERS = {"": "cifar-10-batches-py", ".bin": "cifar-10-batches-bin"}


def read_cifar10_folder(folder: str | Path) -> tuple[Images, Images]:
    """Read CIFAR-10 from its unpacked folder.

    Args:
        folder: that holds ``data_batch_1`` to ``data_batch_5`` and ``test_batch``, with or without ``.bin``; or the
            folder above it.

    Returns:
        The 50,000 images to train on, and the 10,000 to test on.

    Raises:
        ImageError: a file is missing, cut off, or not what its name says.
    """
    for suffix, name in _FOLDERS.items():
        for place in (Path(folder), Path(folder) / name):
            if (place / f"{_TRAINING[0]}{suffix}").is_file():
                read = read_cifar10_binary if suffix else read_cifar10_pickle
                parts = [[read(place / f"{stem}{suffix}") for stem in stems] for stems in (_TRAINING, _TEST)]
                return _joined(parts[0]), _joined(parts[1])
    raise ImageError(
        "expected a folder with CIFAR-10, the Python version (data_batch_1, ...) or the binary one "
        "(data_batch_1.bin, ...), found neither: unpack the archive first",
        str(folder),
    )


def read_cifar10_binary(path: str | Path) -> Images:
    """Read one file of the binary version: of each image the label, then 1,024 bytes of red, green and blue.

    Raises:
        ImageError: no such file, cut off, or with labels above 9.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError("expected a file of CIFAR-10, found none", str(path))
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    if not len(content) or len(content) % (_N_BYTES + 1):
        raise ImageError(
            f"expected images of {_N_BYTES + 1} bytes each, came {len(content)} bytes, which is no multiple: it is "
            "cut off, or not the binary version of CIFAR-10",
            str(path),
        )
    rows = content.reshape(-1, _N_BYTES + 1)
    return _images(rows[:, 1:], rows[:, 0], str(path))


def read_cifar10_pickle(path: str | Path) -> Images:
    """Read one file of the Python version; nothing that the pickle names is imported or called.

    Raises:
        ImageError: no such file, cut off, with anything in it but plain values and an array, or with other contents.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError("expected a file of CIFAR-10, found none", str(path))
    content = _loaded(path)
    if not isinstance(content, dict):
        raise ImageError(f"expected a dictionary with data and labels, came {type(content).__name__}", str(path))
    found = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    data, labels = found.get("data"), found.get("labels")
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise ImageError(
            f"expected an array 'data' and a list 'labels', came keys {', '.join(map(_shown, found)) or 'none'}",
            str(path),
        )
    if not all(type(label) is int for label in labels):
        raise ImageError("expected labels that are whole numbers, came something else among them", str(path))
    labels = [min(max(label, -_LARGE), _LARGE) for label in labels]  # beyond that they would fit no array
    return _images(data.rows(str(path)), labels, str(path))


def _loaded(path: Path) -> Any:
    """Load a pickle of plain values."""
    packed = path.read_bytes()
    try:
        reason = why_not(packed)
        if reason:
            raise _ForbiddenError(reason)
        return _Plain(io.BytesIO(packed)).load()
    except _ForbiddenError as error:
        raise ImageError(
            f"expected a pickle of plain values and numpy arrays, came one that asks for {error}: nothing of it "
            "was run. It is not a file of CIFAR-10; do not open it otherwise",
            str(path),
        ) from error
    except Exception as error:  # a damaged pickle makes the machine that reads it raise anything
        raise ImageError(
            f"expected a pickle of the Python version of CIFAR-10, but {type(error).__name__}: {_shown(error)}. "
            "Is it complete?",
            str(path),
        ) from error


def _shown(thing: object) -> str:
    """Show the beginning of what a file holds; it may be deep, or long."""
    text = str(thing) if isinstance(thing, str | int | Exception) else reprlib.repr(thing)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _images(rows: Bytes, labels: Sequence[int] | Bytes, source: str) -> Images:
    classes = np.array(labels, dtype=np.int64)
    if len(rows) != len(classes) or not len(rows):
        raise ImageError(f"expected a label an image, came {len(classes)} labels for {len(rows)} images", source)
    if classes.min() < 0 or classes.max() >= _N_CLASSES:
        wrong = int(np.flatnonzero((classes < 0) | (classes >= _N_CLASSES))[0])
        raise ImageError(
            f"expected labels from 0 to {_N_CLASSES - 1}, came {classes[wrong]} for image {wrong}: is it CIFAR-10?",
            source,
        )
    return Images(np.ascontiguousarray(rows).reshape(-1, *SHAPE), classes)


def _joined(parts: Sequence[Images]) -> Images:
    return Images(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


class _ForbiddenError(pickle.UnpicklingError):
    """A pickle asks for something that is not an array."""


class _Dtype:
    """Stands for ``numpy.dtype`` while a pickle is read: keeps what it was called with."""

    __slots__ = ("name",)

    def __init__(self, name: str | bytes = "", *_: Any) -> None:
        self.name = name.decode("latin-1") if isinstance(name, bytes) else name

    def __setstate__(self, _: Any) -> None:
        """Byte order and the like, which bytes do not have."""


class _Array:
    """Stands for ``numpy.ndarray`` and its reconstruction while a pickle is read: keeps shape, type and bytes."""

    __slots__ = ("state",)

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def rows(self, source: str) -> Bytes:
        """Give the array of bytes (N, 3072) that it stands for.

        Raises:
            ImageError: it is something else.
        """
        is_state = isinstance(self.state, tuple) and len(self.state) == 5
        state: tuple[Any, ...] = self.state if is_state else (None,) * 5
        _, shape, dtype, is_fortran, content = state
        name = dtype.name if isinstance(dtype, _Dtype) else None
        is_table = isinstance(shape, tuple) and len(shape) == 2 and shape[1:] == (_N_BYTES,) and type(shape[0]) is int
        if name not in ("u1", "|u1", "uint8") or not is_table or is_fortran or not isinstance(content, bytes):
            raise ImageError(
                f"expected data as bytes of shape (N, {_N_BYTES}) in rows, came shape {_shown(shape)} of "
                f"{_shown(name)}",
                source,
            )
        if shape[0] < 0 or len(content) != shape[0] * _N_BYTES:
            raise ImageError(
                f"expected {shape[0]} x {_N_BYTES} bytes of data, came {len(content)}: it is cut off", source
            )
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}


class _Plain(pickle.Unpickler):
    """Unpickles plain values, and arrays as stand-ins; refuses every other name."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="bytes")

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Look up what a pickle may name."""
        found = _STAND_INS.get((module_name, global_name))
        if found is None:
            raise _ForbiddenError(f"{module_name}.{global_name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to things outside the file."""
        raise _ForbiddenError(f"the outside object {pid!r}")
