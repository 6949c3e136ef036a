import os
import pickle
import struct

import numpy as np
import pytest

from robust_select.problems.images.cifar import read_cifar10_binary, read_cifar10_folder, read_cifar10_pickle
from robust_select.problems.images.records import ImageError


def text(value):
    """SHORT_BINSTRING: how Python 2 wrote a short text."""
    return b"U" + bytes([len(value)]) + value


def number(value):
    return b"J" + struct.pack("<i", value)


def of_python_2(rows, labels, dtype=b"u1", n_columns=3072):
    """A batch as the data set's authors wrote it with Python 2 and protocol 2, opcode by opcode."""
    content = rows.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
        + number(0)
        + b"\x85"
        + text(b"b")
        + b"tR("
        + number(1)
        + (number(len(rows)) + number(n_columns) + b"\x86")
        + (b"cnumpy\ndtype\n(" + text(dtype) + number(0) + number(1) + b"tR")
        + (b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb")
        + b"\x89"
        + (b"T" + struct.pack("<i", len(content)) + content)
        + b"tb"
    )
    listed = b"](" + b"".join(number(label) for label in labels) + b"e"
    return (
        b"\x80\x02}(" + text(b"data") + array + text(b"labels") + listed + text(b"batch_label") + text(b"x") + b"u."
    )


@pytest.fixture
def rows():
    return np.random.default_rng(0).integers(0, 256, (3, 3072)).astype(np.uint8)


def written(path, content):
    path.write_bytes(content)
    return path


def test_a_batch_of_python_2(rows, tmp_path):
    found = read_cifar10_pickle(written(tmp_path / "data_batch_1", of_python_2(rows, [3, 0, 9])))
    assert found.labels.tolist() == [3, 0, 9]
    assert found.images.shape == (3, 3, 32, 32)
    # a row: 1024 of red, 1024 of green, 1024 of blue, each line by line
    assert found.images[1, 0, 0, 31] == rows[1, 31]
    assert found.images[1, 1, 2, 5] == rows[1, 1024 + 2 * 32 + 5]
    assert found.images[2, 2, 31, 31] == rows[2, 3071]
    assert repr(found) == "Images(3 of 32 x 32, 3 channels)"


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_batch_that_this_python_wrote(rows, tmp_path, protocol):
    path = written(tmp_path / "b", pickle.dumps({"data": rows, "labels": [3, 0, 9]}, protocol=protocol))
    np.testing.assert_array_equal(read_cifar10_pickle(path).images.reshape(3, -1), rows)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["whole", "inside"])
def test_a_malicious_pickle_is_refused_and_runs_nothing(rows, tmp_path, protocol, place):
    trace = tmp_path / "trace"
    evil = Evil(os.mkdir, str(trace))
    content = evil if place == "whole" else {"data": rows, "labels": [1, evil, 2]}
    path = written(tmp_path / "b", pickle.dumps(content, protocol=protocol))
    with pytest.raises(ImageError, match=r"mkdir: nothing of it was run|_codecs.encode: nothing of it was run"):
        read_cifar10_pickle(path)
    assert not trace.exists()
    evil.call[0](*evil.call[1])  # had it been run
    assert trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"crobust_select.problems.images.cifar\n_Array\n.",
        b"Pelsewhere\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"i__builtin__\nopen\n.",
    ],
)
def test_no_other_name_is_looked_up(tmp_path, content):
    with pytest.raises(ImageError, match=r"nothing of it was run|but UnpicklingError"):
        read_cifar10_pickle(written(tmp_path / "b", content))


def test_a_pickle_cannot_change_what_stands_for_arrays(tmp_path, rows):
    attack = b"cnumpy\nndarray\n}(S'rows'\nNub."  # BUILD on the class itself
    with pytest.raises(ImageError, match="TypeError"):
        read_cifar10_pickle(written(tmp_path / "a", attack))
    assert len(read_cifar10_pickle(written(tmp_path / "b", of_python_2(rows, [1, 2, 3])))) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda rows: of_python_2(rows, [1, 2, 3])[:-400], "expected a pickle of the Python version"),
        (lambda rows: of_python_2(rows, [1, 2]), "2 labels for 3 images"),
        (lambda rows: of_python_2(rows, [1, 2, 10]), "labels from 0 to 9, came 10 for image 2"),
        (lambda rows: of_python_2(rows, [1, 2, 3], b"f4"), r"bytes of shape \(N, 3072\).*of f4"),
        (lambda rows: of_python_2(rows[:, :100], [1, 2, 3], n_columns=100), r"came shape \(3, 100\)"),
        (lambda rows: of_python_2(rows[:, :100], [1, 2, 3]), "3 x 3072 bytes of data, came 300: it is cut off"),
        (lambda _: pickle.dumps([1, 2]), "came list"),
        (lambda _: pickle.dumps({"fine_labels": [1]}), "came keys fine_labels"),
        (lambda rows: pickle.dumps({"data": rows, "labels": [1, 2, "x"]}, 4), "whole numbers"),
        (lambda _: b"not a pickle", "expected a pickle of the Python version"),
        (lambda _: b"", "expected a pickle of the Python version"),
    ],
)
def test_other_contents_are_refused_by_name(rows, tmp_path, content, message):
    path = written(tmp_path / "data_batch_1", content(rows))
    with pytest.raises(ImageError, match=message) as caught:
        read_cifar10_pickle(path)
    assert caught.value.source == str(path)


def test_the_binary_version(rows, tmp_path):
    content = b"".join(bytes([label]) + row.tobytes() for label, row in zip([7, 1, 0], rows, strict=True))
    found = read_cifar10_binary(written(tmp_path / "b.bin", content))
    assert found.labels.tolist() == [7, 1, 0]
    np.testing.assert_array_equal(found.images.reshape(3, -1), rows)
    for damaged in (content[:-1], b""):
        with pytest.raises(ImageError, match=f"came {len(damaged)} bytes"):
            read_cifar10_binary(written(tmp_path / "c.bin", damaged))
    with pytest.raises(ImageError, match="came 77 for image 0"):
        read_cifar10_binary(written(tmp_path / "d.bin", b"M" + content[1:]))


@pytest.mark.parametrize("is_binary", [False, True])
def test_a_folder_and_the_one_above_it(rows, tmp_path, is_binary):
    folder = tmp_path / ("cifar-10-batches-bin" if is_binary else "cifar-10-batches-py")
    folder.mkdir()
    for stem, label in {**{f"data_batch_{k}": k for k in range(1, 6)}, "test_batch": 9}.items():
        if is_binary:
            written(folder / f"{stem}.bin", bytes([label]) + rows[0].tobytes())
        else:
            written(folder / stem, of_python_2(rows[:1], [label]))
    for place in (folder, tmp_path):
        training, test = read_cifar10_folder(place)
        assert (training.labels.tolist(), test.labels.tolist()) == ([1, 2, 3, 4, 5], [9])
    next(folder.glob("data_batch_4*")).unlink()
    with pytest.raises(ImageError, match=r"data_batch_4.*found none"):
        read_cifar10_folder(folder)


def test_says_where_nothing_was_found(tmp_path):
    with pytest.raises(ImageError, match="found neither: unpack the archive first"):
        read_cifar10_folder(tmp_path)
    for read in (read_cifar10_pickle, read_cifar10_binary):
        with pytest.raises(ImageError, match="found none"):
            read(tmp_path / "x")
