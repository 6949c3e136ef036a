import gzip
import struct

import numpy as np
import pytest

from robust_select.problems.images.idx import read_idx, read_idx_images
from robust_select.problems.images.records import ImageError

PICTURES = struct.pack(">4I", 0x803, 2, 2, 3) + bytes(range(12))
LABELS = struct.pack(">2I", 0x801, 2) + bytes([9, 0])


def written(path, content):
    path.write_bytes(content)
    return path


def test_images_and_labels_of_known_bytes(tmp_path):
    found = read_idx_images(
        written(tmp_path / "i", PICTURES), written(tmp_path / "l.gz", gzip.compress(LABELS, mtime=0))
    )
    assert found.images.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert found.images.dtype == np.uint8
    assert found.labels.tolist() == [9, 0]
    assert repr(found) == "Images(2 of 2 x 3, 1 channel)"


@pytest.mark.parametrize(
    ("code", "form", "values"),
    [(9, "b", [-1, 2]), (11, "h", [-300, 2]), (12, "i", [-70000, 2]), (13, "f", [0.5, -2.0]), (14, "d", [0.1, 2.0])],
)
def test_numbers_of_every_type_are_big_endian(tmp_path, code, form, values):
    content = bytes([0, 0, code, 1]) + struct.pack(">I", 2) + struct.pack(f">2{form}", *values)
    found = read_idx(written(tmp_path / "x", content))
    assert found.tolist() == values
    assert found.dtype.isnative


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "came nothing"),
        (b"\x01\x00\x08\x01\x00\x00\x00\x00", "begins with 00 00.*came 01 00 08 01"),
        (b"\x00\x00\x07\x01\x00\x00\x00\x00", "came 00 00 07 01"),
        (b"\x00\x00\x08\x00", "came 00 00 08 00"),
        (PICTURES[:9], "sizes of 3 axes in 16 bytes, came 9 bytes: it is cut off"),
        (PICTURES[:-1], r"28 bytes for an array of shape \(2, 2, 3\), came 27: it is cut off"),
        (PICTURES + b"x", "came 29: it is too long"),
        (gzip.compress(PICTURES, mtime=0)[:-9], "expected a complete gzip file"),
        (gzip.compress(PICTURES, mtime=0)[:-8] + bytes(8), "expected a complete gzip file.*CRC"),
        (b"\x1f\x8b\x08\x00" + bytes(20), "expected a complete gzip file"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, content, message):
    path = written(tmp_path / "damaged-idx3-ubyte", content)
    with pytest.raises(ImageError, match=message) as caught:
        read_idx(path)
    assert caught.value.source == str(path)
    assert str(path) in str(caught.value)


def test_files_that_do_not_fit_each_other(tmp_path):
    pictures, labels = written(tmp_path / "i", PICTURES), written(tmp_path / "l", LABELS)
    with pytest.raises(ImageError, match="images and labels mixed up"):
        read_idx_images(labels, pictures)
    with pytest.raises(ImageError, match="3 labels for 2 images"):
        read_idx_images(pictures, written(tmp_path / "m", struct.pack(">2I", 0x801, 3) + bytes(3)))
    with pytest.raises(ImageError, match="found none"):
        read_idx(tmp_path / "missing")
