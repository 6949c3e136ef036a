import hashlib
import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.problems.ecal.data import N_HELD_OUT, load, population_and_held_out
from robust_select.problems.ecal.readers import read_showers
from robust_select.problems.ecal.showers import ARRAYS, Geometry, ShowerError, Showers

DIGESTS = {  # of the arrays that Geant4 gave, in the order of ARRAYS
    "A": "f34f9880edf6e5318deb4710aa66b765b0f6c568e1fdc700c2905a2d2b41a678",
    "B": "f6931ff58c7cd0208be0a1c85b753d3d0a97452f95d289608812f14e49737cc1",
}


def made(n=4, **changes):
    arrays = {"cells": np.full((n, 15, 15), 0.01)} | {name: np.linspace(0.5, 1, n) for name in ARRAYS[1:]}
    return Showers(**(arrays | changes))


@pytest.mark.parametrize(("name", "n_showers"), [("A", 14461), ("B", 31516)])
def test_the_embedded_showers_are_those_that_geant4_gave(name, n_showers):
    showers = load(name)
    assert len(showers) == n_showers
    assert showers.cells.shape == (n_showers, 15, 15)
    digest = hashlib.sha256()
    for array in ARRAYS:
        assert getattr(showers, array).dtype == np.float32
        digest.update(getattr(showers, array).tobytes())
    assert digest.hexdigest() == DIGESTS[name]


def test_what_the_data_sets_are_like():
    a, b = load("A"), load("B")
    assert (a.geometry, b.geometry) == (Geometry(), Geometry(depth_cm=13.0))
    assert (np.abs(a.theta_x).max(), np.abs(a.theta_y).max()) == (0, 0)
    assert 1 <= a.energy.min() < 1.05
    assert 99.9 < a.energy.max() <= 100
    assert 0.30 < np.abs(b.theta_x).max() <= 0.315
    assert np.mean(np.abs(b.theta_x) < 0.1) > 0.6
    counts, edges = np.histogram(b.energy, np.arange(1, 60, 2))
    assert 7 <= edges[counts.argmax()] <= 11
    for showers in (a, b):
        assert np.abs(showers.x).max() <= 2
        assert np.abs(np.mean(showers.x)) < 0.03
    assert a.cells.max() == pytest.approx(13.8, abs=0.05)


def test_the_order_of_the_data_sets_is_random():
    for name in ("A", "B"):
        energy = load(name).energy.astype(float)
        half = len(energy) // 2
        error = energy.std() * np.sqrt(2 / half)
        assert abs(energy[:half].mean() - energy[half:].mean()) < 4 * error
        assert abs(np.corrcoef(energy[1:], energy[:-1])[0, 1]) < 4 / np.sqrt(len(energy))


def test_loaded_once_and_shared_by_all_trainings():
    assert load("A") is load("A")
    with pytest.raises(ValueError, match="read-only"):
        load("A").cells[0, 0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        load("A").energy = np.ones(3)


def test_a_data_set_that_is_not_there():
    with pytest.raises(ShowerError, match="'A' or 'B', came 'C'"):
        load("C")


def test_loading_needs_nothing_heavy():
    code = (
        "import sys\nfrom robust_select.problems.ecal import load, Showers, read_showers, simulate\nload('A')\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "xgboost", "h5py", "uproot", "pyarrow", "geant4_pybind", "sklearn", "matplotlib"}
    assert set(done.stdout.split()) & heavy == set()


@pytest.mark.parametrize("name", ["A", "B"])
def test_nobody_trains_on_the_held_out_showers(name):
    population, held_out = population_and_held_out(name)
    assert len(held_out) == N_HELD_OUT[name]
    assert len(population) + len(held_out) == len(load(name))
    keys = [
        {(*row,) for row in np.stack([part.energy, part.x, part.y], 1).tolist()} for part in (population, held_out)
    ]
    assert len(keys[0] | keys[1]) == len(load(name))
    assert np.array_equal(np.concatenate([population.cells, held_out.cells]), load(name).cells)
    assert population.geometry == held_out.geometry == load(name).geometry


@pytest.mark.parametrize("n_held_out", [0, 4, 5, -1])
def test_a_split_that_leaves_nothing(n_held_out):
    with pytest.raises(ShowerError, match=rf"1 to 3 of 4 showers, came n_held_out={n_held_out}"):
        made().split(n_held_out)


def test_a_subset():
    showers = made()
    assert showers.subset([2, 0]).x.tolist() == showers.x[[2, 0]].tolist()
    assert len(showers.subset(showers.x > 0.6)) == 3
    assert showers.subset(slice(1, 3)).energy.tolist() == showers.energy[1:3].tolist()
    with pytest.raises(ShowerError, match="expected rows of 4 showers"):
        showers.subset([4])
    with pytest.raises(ShowerError, match="at least one shower, came none"):
        showers.subset(np.zeros(4, bool))


def test_sums_are_the_energy_of_all_cells():
    showers = load("A").subset(slice(50))
    assert showers.sums.dtype == np.float64
    assert showers.sums == pytest.approx([sum(map(float, image.ravel())) for image in showers.cells])


def test_the_arrays_that_were_given_stay_as_they_are():
    cells = np.ones((2, 15, 15), np.float32)
    Showers(cells, [1, 2], *np.zeros((4, 2)))
    cells[0] = 5
    assert cells.flags.writeable


def one_bad(value, index=(2, 3, 4)):
    cells = np.zeros((4, 15, 15))
    cells[index] = value
    return cells


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": np.zeros((4, 11, 11))}, r"15 x 15 cells.*came shape \(4, 11, 11\)"),
        ({"cells": np.zeros((4, 225))}, r"came shape \(4, 225\)"),
        ({"cells": one_bad(-0.5)}, r"at least 0 GeV, came cells\[2, 3, 4\]=-0.5 \(in 1 of 4 showers\)"),
        ({"cells": one_bad(np.nan)}, r"finite numbers, came cells\[2, 3, 4\]=nan"),
        ({"cells": one_bad(1e300)}, r"finite numbers, came cells\[2, 3, 4\]=inf"),
        ({"energy": np.array([1, 0, 2, 0])}, r"above 0 GeV, came energy\[1\]=0 \(in 2 of 4 showers\)"),
        ({"x": np.array([0, 0, np.inf, 0])}, r"finite numbers, came x\[2\]=inf"),
        ({"y": np.zeros(3)}, r"y of shape \(4,\) as cells say, came shape \(3,\)"),
        ({"theta_x": np.zeros((4, 1))}, r"theta_x of shape \(4,\)"),
        ({"energy": ["one", "two", "three", "four"]}, "real numbers as energy"),
        ({"x": np.array([None] * 4)}, "real numbers as x"),
        ({"x": np.zeros(4, complex)}, "real numbers as x, came numbers of the kind complex128"),
        ({"y": [[1], [1, 2], [3], [4]]}, "real numbers as y"),
    ],
)
def test_what_is_no_shower(changes, message):
    with pytest.raises(ShowerError, match=message) as raised:
        made(**changes)
    assert isinstance(raised.value, InputError)
    assert raised.value.source == "the showers"


def test_saved_and_read_again(tmp_path):
    geometry = Geometry(cell_cm=5.0, n_layers=30, lead_mm=3.0, scintillator_mm=2.0, depth_cm=7.0)
    showers = made(geometry=geometry)
    showers.save(tmp_path / "some.npz")
    again = read_showers(tmp_path / "some.npz")
    assert again.geometry == geometry
    assert all(np.array_equal(getattr(again, name), getattr(showers, name)) for name in ARRAYS)


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(ShowerError, match="cannot be written: No such file or directory") as raised:
        made().save(tmp_path / "nowhere" / "some.npz")
    assert raised.value.source == str(tmp_path / "nowhere" / "some.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell_cm": 0.0}, "above 0, came cell_cm=0.0"),
        ({"lead_mm": -1.0}, "above 0, came lead_mm=-1.0"),
        ({"scintillator_mm": float("nan")}, "finite number, came scintillator_mm=nan"),
        ({"n_layers": 0}, "above 0, came n_layers=0"),
        ({"n_layers": 2.5}, "whole number of layers, came n_layers=2.5"),
        ({"n_layers": "many"}, "finite number, came n_layers='many'"),
        ({"depth_cm": 40.0}, "0 to 39.6 cm, came depth_cm=40.0"),
        ({"depth_cm": -1.0}, "came depth_cm=-1.0"),
    ],
)
def test_what_is_no_calorimeter(changes, message):
    with pytest.raises(ShowerError, match=message):
        Geometry(**changes)


def test_the_middles_of_the_cells():
    centres = Geometry(cell_cm=2.0).centres
    assert centres[[0, 7, 14]].tolist() == [-14, 0, 14]
    assert np.diff(centres).tolist() == [2.0] * 14
