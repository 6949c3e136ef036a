"""Reads IDX files, plain or gzip: the format of MNIST and Fashion-MNIST.

Called by ``sources``. Knows nothing of where files are kept. Format: LeCun, Cortes and Burges, "The MNIST database".
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robust_select.core.limits import most_unpacked
from robust_select.problems.images.records import ImageError, Images

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
_PART = 1 << 20  # bytes that are unpacked at once
_N_LISTED = 6


def read_idx(path: str | Path) -> npt.NDArray[Any]:
    """Read an array from an IDX file.

    Args:
        path: of the file; whether it is compressed is told by its first bytes.

    Returns:
        The array, in the byte order of this machine.

    Raises:
        ImageError: no such file, not an IDX file, or not a complete one.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        >>> read_idx(path)
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES or content[3] == 0:
        came = content[:4].hex(" ") or "nothing"
        raise ImageError(
            f"expected an IDX file, which begins with 00 00, a type among {', '.join(f'{k:02x}' for k in _DTYPES)}, "
            f"and the number of axes; came {came}. Is it the right file?",
            str(path),
        )
    dtype, n_axes = np.dtype(_DTYPES[content[2]]), content[3]
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise ImageError(
            f"expected the sizes of {n_axes} axes in {start} bytes, came {len(content)} bytes: it is cut off",
            str(path),
        )
    shape = struct.unpack(f">{n_axes}I", content[4:start])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ImageError(
            f"expected {expected} bytes for an array of shape ({_listed(shape)}), came {len(content)}: "
            f"it is {'cut off' if len(content) < expected else 'too long'}; copy or download it again",
            str(path),
        )
    try:
        array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    except ValueError as error:  # more axes than an array can have, or lengths beyond all bounds beside one of 0
        raise ImageError(f"expected an array's sizes, came {n_axes} of them: {_listed(shape)}", str(path)) from error
    return array.astype(dtype.newbyteorder("="))


def read_idx_images(images: str | Path, labels: str | Path) -> Images:
    """Read images from one IDX file and their labels from another.

    Raises:
        ImageError: one of them cannot be read, holds something else, or they do not fit each other.
    """
    pictures, classes = read_idx(images), read_idx(labels)
    for path, array, n_axes, what in ((images, pictures, 3, "images"), (labels, classes, 1, "labels")):
        if array.dtype != np.uint8 or array.ndim != n_axes:
            raise ImageError(
                f"expected {what}, an array of bytes with {n_axes} axes (magic 00 00 08 0{n_axes}), came "
                f"{array.dtype} with {array.ndim}: are the files of images and labels mixed up?",
                str(path),
            )
    if len(pictures) != len(classes) or not len(pictures):
        raise ImageError(
            f"expected as many labels as images, came {len(classes)} labels for {len(pictures)} images of {images}",
            str(labels),
        )
    return Images(pictures, classes)


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape[:_N_LISTED])) + (", ..." if len(shape) > _N_LISTED else "")


def _content(path: Path) -> bytes:
    """Read a file, and decompress it where it is compressed."""
    if not path.is_file():
        raise ImageError("expected a file, found none", str(path))
    content = path.read_bytes()
    if not content.startswith(_GZIP):
        return content
    most = most_unpacked(len(content))
    unpacked = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while len(unpacked) <= most and (part := file.read(_PART)):
                unpacked += part
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ImageError(
            f"expected a complete gzip file, but {error}: copy or download it again", str(path)
        ) from error
    if len(unpacked) > most:
        raise ImageError(
            f"expected at most {most:,} bytes in a compressed file of {len(content):,} bytes, came more: unpack it "
            "yourself if it is what it should be",
            str(path),
        )
    return bytes(unpacked)
