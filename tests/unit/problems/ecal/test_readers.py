import io
import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.problems.ecal.data import load
from robust_select.problems.ecal.readers import read_showers
from robust_select.problems.ecal.showers import ARRAYS, Geometry, ShowerError

N = 6
SHOWERS = load("B").subset(slice(N))
TRUE = {name: getattr(SHOWERS, name) for name in ARRAYS}
FLAT = TRUE["cells"].reshape(N, 225)
SPREAD = {f"cells_{index}": FLAT[:, index] for index in range(225)} | {name: TRUE[name] for name in ARRAYS[1:]}
SUFFIXES = (".npz", ".h5", ".parquet", ".root")


def write(path, arrays):
    """Write arrays in the format of the suffix, each as the format's own tools would."""
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix in (".h5", ".hdf5"):
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    elif path.suffix in (".parquet", ".pq"):
        pq.write_table(pa.table({name: pa.array(values.tolist()) for name, values in arrays.items()}), path)
    else:
        with uproot.recreate(path) as file:
            types = {name: (values.dtype, values.shape[1:]) for name, values in arrays.items()}
            file.mktree("showers", types).extend(arrays)
    return path


def same(showers, names=ARRAYS):
    return all(np.array_equal(getattr(showers, name), TRUE[name]) for name in names)


@pytest.fixture(params=SUFFIXES)
def suffix(request):
    return request.param


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.hdf5", "a.parquet", "a.pq", "a.root", "A.ROOT"])
def test_images_of_every_format(tmp_path, name):
    written = write((tmp_path / name).with_suffix((tmp_path / name).suffix.lower()), TRUE)
    written.rename(tmp_path / name)
    assert same(read_showers(tmp_path / name))


def test_images_in_one_row_of_225(tmp_path, suffix):
    assert same(read_showers(write(tmp_path / f"a{suffix}", TRUE | {"cells": FLAT})))


def test_images_in_225_columns(tmp_path, suffix):
    assert same(read_showers(write(tmp_path / f"a{suffix}", SPREAD)))


def test_names_and_units_of_others(tmp_path, suffix):
    theirs = {"cells": "image", "energy": "true_e", "x": "hit_x", "y": "hit_y", "theta_x": "tx", "theta_y": "ty"}
    path = write(tmp_path / f"a{suffix}", {theirs[name]: values * 8 for name, values in TRUE.items()})
    assert same(read_showers(path, names=theirs, scale=dict.fromkeys(ARRAYS, 1 / 8)))


def test_angles_that_are_not_there_are_0(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", {name: TRUE[name] for name in ARRAYS[:4]})
    showers = read_showers(path, geometry=Geometry(depth_cm=13.0))
    assert same(showers, ARRAYS[:4])
    assert not showers.theta_x.any()
    assert not showers.theta_y.any()
    assert showers.geometry.depth_cm == 13
    with pytest.raises(ShowerError, match="'tx' is not there"):
        read_showers(path, names={"theta_x": "tx"})


def test_the_geometry_that_a_file_holds(tmp_path):
    for name in ("a.npz", "a.h5"):
        path = write(tmp_path / name, TRUE | {"cell_cm": 6.0, "n_layers": 20})
        assert read_showers(path).geometry == Geometry(cell_cm=6.0, n_layers=20)
        assert read_showers(path, geometry=Geometry()).geometry == Geometry()
    with pytest.raises(ShowerError, match=r"b.npz: expected a number above 0, came n_layers=-1"):
        read_showers(write(tmp_path / "b.npz", TRUE | {"n_layers": -1}))
    with pytest.raises(ShowerError, match="cell_cm='wide'"):
        read_showers(write(tmp_path / "c.npz", TRUE | {"cell_cm": "wide"}))


def test_lists_of_every_kind_in_parquet(tmp_path):
    kinds = [
        pa.array(list(FLAT)),
        pa.array(TRUE["cells"].tolist()),
        pa.FixedSizeListArray.from_arrays(pa.array(FLAT.ravel()), 225),
    ]
    for number, cells in enumerate(kinds):
        table = pa.table({"cells": cells} | {name: TRUE[name] for name in ARRAYS[1:]})
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=4)
        assert same(read_showers(tmp_path / f"{number}.parquet"))


def test_vectors_in_root(tmp_path):
    types = {"cells": "var * float32"} | dict.fromkeys(ARRAYS[1:], "float32")
    awkward = pytest.importorskip("awkward")  # comes with uproot
    with uproot.recreate(tmp_path / "a.root") as file:
        for tree, rows in (("whole", FLAT), ("ragged", [row[: 225 - n] for n, row in enumerate(FLAT)])):
            cells = awkward.Array([list(map(float, row)) for row in rows])
            file.mktree(f"run/{tree}", types).extend(TRUE | {"cells": awkward.values_astype(cells, np.float32)})
    assert same(read_showers(tmp_path / "a.root", inside="run/whole"))
    with pytest.raises(ShowerError, match="as many numbers of cells in every shower, came 220, 221"):
        read_showers(tmp_path / "a.root", inside="run/ragged")
    with pytest.raises(ShowerError, match=r"inside=''; the trees there are: run/ragged, run/whole"):
        read_showers(tmp_path / "a.root")
    with pytest.raises(ShowerError, match=r"inside='run'; the trees there are"):
        read_showers(tmp_path / "a.root", inside="run")


def test_what_uproot_writes_of_a_dictionary(tmp_path):
    """An RNTuple in newer versions, a TTree in older ones."""
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("showers", TRUE)
    assert same(read_showers(tmp_path / "a.root"))
    with uproot.recreate(tmp_path / "b.root") as file:
        file.mkrntuple("showers", TRUE | {"cells": FLAT[:, :224]})
    with pytest.raises(ShowerError, match=r"came shape \(6, 224\)"):
        read_showers(tmp_path / "b.root")


def test_groups_in_hdf5(tmp_path):
    path = write(tmp_path / "a.h5", {f"run/1/{name}": values for name, values in TRUE.items()})
    assert same(read_showers(path, inside="run/1"))
    assert same(read_showers(path, names={name: f"run/1/{name}" for name in ARRAYS}))
    for inside in ("run/2", "run/1/x"):
        with pytest.raises(ShowerError, match=f"there is none at inside='{inside}'"):
            read_showers(path, inside=inside)
    with pytest.raises(ShowerError, match="there are: run/1/cells, run/1/energy"):
        read_showers(path)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_formats_without_an_inside(tmp_path, suffix):
    with pytest.raises(ShowerError, match=r"no place inside .*, came inside='run'"):
        read_showers(write(tmp_path / f"a{suffix}", TRUE), inside="run")


def test_what_is_missing_is_named_with_what_is_there(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", {"cells": TRUE["cells"], "energy": TRUE["energy"], "pos": TRUE["x"]})
    with pytest.raises(ShowerError, match=r"'x' is not there; there are: .*\bpos\b") as raised:
        read_showers(path)
    assert raised.value.source == str(path)
    assert 'names={"x": "..."}' in str(raised.value)


def test_one_of_225_columns_is_missing(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", {name: values for name, values in SPREAD.items() if name != "cells_100"})
    with pytest.raises(ShowerError, match=r"'cells_100' is not there; there are: cells_0, .* and 209 more"):
        read_showers(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": np.ones((N, 11, 11))}, r"15 x 15 cells.*came shape \(6, 11, 11\)"),
        ({"cells": np.ones((N, 224))}, r"came shape \(6, 224\)"),
        ({"cells": -TRUE["cells"] - 1}, r"at least 0 GeV, came cells\[0, 0, 0\]"),
        ({"energy": np.zeros(N)}, r"above 0 GeV, came energy\[0\]=0"),
        ({"x": np.full(N, np.nan)}, r"finite numbers, came x\[0\]=nan"),
    ],
)
def test_what_is_no_shower(tmp_path, suffix, changes, message):
    path = write(tmp_path / f"a{suffix}", TRUE | changes)
    with pytest.raises(ShowerError, match=message) as raised:
        read_showers(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_columns_of_different_lengths(tmp_path):
    for name in ("a.npz", "a.h5"):
        with pytest.raises(ShowerError, match=r"y of shape \(6,\) as cells say, came shape \(5,\)"):
            read_showers(write(tmp_path / name, TRUE | {"y": TRUE["y"][:5]}))


def test_empty_and_wordy_cells_of_a_parquet_file(tmp_path):
    table = pa.table(TRUE | {"cells": pa.array([None, *FLAT[1:]])})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ShowerError, match="cells in every row, came 1 empty ones"):
        read_showers(tmp_path / "a.parquet")
    ragged = pa.table(TRUE | {"cells": pa.array([row[: 225 - n] for n, row in enumerate(FLAT)])})
    pq.write_table(ragged, tmp_path / "b.parquet")
    with pytest.raises(ShowerError, match="as many numbers of cells in every shower, came 220, 221"):
        read_showers(tmp_path / "b.parquet")
    pq.write_table(pa.table(TRUE | {"cells": pa.array(list(FLAT)), "x": pa.array(list("abcdef"))}), tmp_path / "c.pq")
    with pytest.raises(ShowerError, match="real numbers as x"):
        read_showers(tmp_path / "c.pq")


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", **(TRUE | {"x": np.array([print] * N, dtype=object)}))
    with pytest.raises(ShowerError, match="allow_pickle=False"):
        read_showers(tmp_path / "a.npz")
    buffer = io.BytesIO()
    np.save(buffer, FLAT)
    (tmp_path / "b.npz").write_bytes(buffer.getvalue())
    with pytest.raises(ShowerError, match="several arrays, came a single array"):
        read_showers(tmp_path / "b.npz")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ShowerError, match="there is no such file"):
        read_showers(tmp_path / "a.npz")
    (tmp_path / "b.h5").mkdir()
    with pytest.raises(ShowerError, match="there is no such file"):
        read_showers(tmp_path / "b.h5")


def test_a_format_that_is_not_known():
    with pytest.raises(ShowerError, match=r"ends in \.h5, \.hdf5, \.npz, .*, came 'showers.csv'"):
        read_showers("showers.csv")


def test_names_and_factors_that_cannot_be(tmp_path):
    path = write(tmp_path / "a.npz", TRUE)
    with pytest.raises(ShowerError, match=r"names of cells, energy, .*, came names of 'e'"):
        read_showers(path, names={"e": "energy"})
    with pytest.raises(ShowerError, match="came scale of 'z'"):
        read_showers(path, scale={"z": 2.0})
    for factor in (0, float("nan"), "10", True):
        with pytest.raises(ShowerError, match="finite factors other than 0, came scale of x="):
            read_showers(path, scale={"x": factor})


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("a.h5", "h5py", "hdf5"), ("a.parquet", "pyarrow.parquet", "parquet"), ("a.root", "uproot", "root")],
)
def test_without_the_extra_the_pip_command_is_said(tmp_path, monkeypatch, name, module, extra):
    path = write(tmp_path / name, TRUE)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf'pip install "robust-select\[{extra}\]"'):
        read_showers(path)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {suffix: write(folder / f"whole{suffix}", TRUE).read_bytes() for suffix in SUFFIXES}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file(tmp_path, whole_files, suffix, share):
    content = whole_files[suffix]
    (tmp_path / f"a{suffix}").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ShowerError, match="is the file complete"):
        read_showers(tmp_path / f"a{suffix}")


CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@CALM
@given(content=st.binary(max_size=400), with_start=st.booleans(), n_start=st.integers(0, 300))
def test_garbage_is_no_shower_and_nothing_worse(tmp_path, whole_files, suffix, content, with_start, n_start):
    start = whole_files[suffix][:n_start] if with_start else b""
    (tmp_path / f"a{suffix}").write_bytes(start + content)
    with pytest.raises(InputError):
        read_showers(tmp_path / f"a{suffix}")


@CALM
@given(data=st.data())
def test_a_damaged_file_gives_showers_or_says_what_is_wrong(tmp_path, whole_files, suffix, data):
    content = bytearray(whole_files[suffix])
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / f"a{suffix}").write_bytes(content)
    try:
        showers = read_showers(tmp_path / f"a{suffix}")
    except InputError:
        return
    assert showers.cells.shape[1:] == (15, 15)
    assert showers.cells.min() >= 0
    assert showers.energy.min() > 0
