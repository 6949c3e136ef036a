import pickle

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.train.nn import Data
from robust_select.train.nn.data import as_trained


def arrays(n=6, m=3, features=(2,)):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, *features)), rng.normal(size=n), rng.normal(size=(m, *features)), rng.normal(size=m)]


def with_value(position, index, value):
    found = arrays()
    found[position][index] = value
    return found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (with_value(0, (4, 1), np.nan), r"came inputs\[4, 1\]=nan \(1 such values in all\)"),
        (with_value(1, 2, np.inf), r"came targets\[2\]=inf"),
        (with_value(2, (0, 0), -np.inf), r"came held_out_inputs\[0, 0\]=-inf"),
        (with_value(3, slice(None), np.nan), r"came held_out_targets\[0\]=nan \(3 such values in all\)"),
        ([*arrays()[:1], np.zeros(5), *arrays()[2:]], "came 6 inputs and 5 targets"),
        ([*arrays()[:2], np.zeros((3, 4)), np.zeros(3)], r"came \(6, 2\) and \(3, 4\)"),
        ([*arrays()[:3], np.zeros((3, 2))], r"came \(6,\) and \(3, 2\)"),
        ([*arrays()[:3], np.zeros(3, dtype=int)], "one kind of number, came float64 and int64"),
        (
            [np.zeros((6, 2), np.uint8), np.zeros(6), np.zeros((3, 2), np.int64), np.zeros(3)],
            "one kind of number, came uint8 and int64",  # bytes become floating-point numbers, others do not
        ),
        ([np.zeros((0, 2)), np.zeros(0), *arrays()[2:]], r"at least one example, came an array of shape \(0, 2\)"),
        ([np.array(["a"] * 6), *arrays()[1:]], "expected inputs to hold real numbers, came an array of dtype <U1"),
        ([np.zeros((6, 2), dtype=complex), *arrays()[1:]], "dtype complex128"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Data(*given)


def test_nan_far_inside_a_large_array_is_found(monkeypatch):
    monkeypatch.setattr("robust_select.train.nn.data._BYTES_CHECKED_AT_ONCE", 64)
    given = arrays(n=1000)
    given[0][777, 1] = np.nan
    with pytest.raises(InputError, match=r"inputs\[777, 1\]=nan"):
        Data(*given)


def test_files_are_mapped_and_stay_files_when_they_travel(tmp_path):
    paths = []
    for name, array in zip("abcd", arrays(n=5000), strict=True):
        np.save(tmp_path / f"{name}.npy", array)
        paths.append(tmp_path / f"{name}.npy")
    data = Data(str(paths[0]), *paths[1:])
    assert isinstance(data.inputs, np.memmap)
    assert (data.n_population, data.n_held_out) == (5000, 3)
    pickled = pickle.dumps(data)
    assert len(pickled) < 2000
    there = pickle.loads(pickled)  # noqa: S301  made three lines above
    np.testing.assert_array_equal(there.inputs, data.inputs)
    assert isinstance(there.inputs, np.memmap)


@pytest.mark.parametrize("content", [b"", b"not an array", None])
def test_a_file_that_holds_no_array_is_named(content, tmp_path):
    path = tmp_path / "inputs.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected inputs to be an array or the path of a .npy file, came .*inputs"):
        Data(path, *arrays()[1:])


def test_an_archive_of_arrays_is_no_array(tmp_path):
    np.savez(tmp_path / "all.npz", *arrays())
    with pytest.raises(InputError, match="it holds NpzFile"):
        Data(tmp_path / "all.npz", *arrays()[1:])


def test_a_file_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "bad.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"bad\.npy"):
        Data(tmp_path / "bad.npy", *arrays()[1:])


def test_saved_data_are_the_same_in_the_precision_of_the_training(tmp_path):
    data = Data(*arrays())
    saved = data.saved(tmp_path, "float32")
    assert saved.inputs.dtype == np.float32
    assert isinstance(saved.inputs, np.memmap)
    np.testing.assert_array_equal(saved.inputs, data.inputs.astype(np.float32))
    np.testing.assert_array_equal(saved.held_out_targets, data.held_out_targets.astype(np.float32))
    again = saved.saved(tmp_path / "nowhere", "float32")  # nothing is left to write
    np.testing.assert_array_equal(again.inputs, saved.inputs)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("float64", "float32"), ("float16", "float32"), ("uint8", "uint8"), ("int32", "int64"), ("bool", "int64"),
     (">f4", "<f4")],
)  # fmt: skip
def test_numbers_as_they_are_trained_on(given, expected):
    array = np.ones((3, 2), dtype=given)
    found = as_trained(array, "float32")
    assert found.dtype == np.dtype(expected)
    assert (found is array) == (given == expected)
    np.testing.assert_array_equal(found, 1)


def test_it_says_what_it_holds():
    assert repr(Data(*arrays())) == (
        "Data(inputs=(6, 2), targets=(6,), held_out_inputs=(3, 2), held_out_targets=(3,))"
    )
