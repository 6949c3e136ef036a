import importlib.metadata
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from robust_select.core.errors import MissingExtraError
from robust_select.problems.ecal import physics
from robust_select.problems.ecal.data import load
from robust_select.problems.ecal.readers import read_showers
from robust_select.problems.ecal.showers import ARRAYS, Geometry, ShowerError
from robust_select.problems.ecal.simulation import GEOMETRIES, SimulationError, photons, run, simulate
from robust_select.problems.ecal.simulation.__main__ import main

# Not importorskip: the import itself asks for a download where it finds no data files.
needs_geant4 = pytest.mark.skipif(importlib.util.find_spec("geant4_pybind") is None, reason="no geant4-pybind")

MANY = 20_000


@pytest.fixture(scope="module")
def low_energy():
    """Photons of 1 to 2 GeV, made as in a place without a network where Geant4 would try to download its data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GEANT4_DATA_DIR", raising=False)
        patch.setenv("CI", "true")
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            patch.setenv(name, "http://127.0.0.1:9")
        return simulate("A", 60, seed=11, energy_range=(1.0, 2.0))


def embedded(low, high):
    showers = load("A")
    return showers.subset((showers.energy >= low) & (showers.energy < high))


@needs_geant4
def test_simulated_showers_deposit_as_much_as_the_embedded_ones(low_energy):
    ours, theirs = (showers.sums / showers.energy for showers in (low_energy, embedded(1, 2)))
    error = np.hypot(ours.std(ddof=1) / np.sqrt(len(ours)), theirs.std(ddof=1) / np.sqrt(len(theirs)))
    assert error < 0.01 * theirs.mean()
    assert abs(ours.mean() - theirs.mean()) < 3.5 * error
    assert ours.std() == pytest.approx(theirs.std(), rel=0.35)
    assert stats.ks_2samp(ours, theirs).pvalue > 0.001


@needs_geant4
def test_simulated_showers_are_as_wide_as_the_embedded_ones(low_energy):
    theirs = embedded(1, 2)
    edges = [0, 2, 4, 6, 9, 13]
    ours, known = (physics.lateral_profile(showers, edges) for showers in (low_energy, theirs))
    assert np.abs(ours.mean - known.mean) / np.hypot(ours.error, known.error) == pytest.approx(np.zeros(5), abs=3.5)
    assert physics.containment(low_energy)[1:] == pytest.approx(physics.containment(theirs)[1:], abs=0.015)


@needs_geant4
def test_the_photons_hit_the_cells_that_they_should(low_energy):
    middles = physics.barycentre(low_energy)
    for axis, name in enumerate(("x", "y")):
        assert np.corrcoef(middles[:, axis], getattr(low_energy, name))[0, 1] > 0.7
    assert abs(np.corrcoef(middles[:, 0], low_energy.y)[0, 1]) < 0.5


@needs_geant4
def test_inclined_photons_of_1_gev_by_the_command(tmp_path, capsys):
    out = tmp_path / "b.npz"
    given = ["B", "--events", "20", "--seed", "1", "--energies", "1", "1", "--depth-cm", "10", "-o", str(out)]
    assert main(given) == 0
    assert capsys.readouterr().out == f"20 showers in {out}\n"
    showers = read_showers(out)
    assert showers.geometry == Geometry(depth_cm=10.0)
    assert showers.energy.tolist() == [1.0] * 20
    drawn = photons("B", 20, 1, energy_range=(1, 1))
    assert showers.theta_x == pytest.approx(drawn.theta_x, rel=1e-6)
    assert showers.x == pytest.approx(drawn.x, rel=1e-6)
    assert physics.sampling_fraction(showers) == pytest.approx(0.175, rel=0.08)
    # They enter away from where they are at the depth of 10 cm, by more than a cell if steep.
    assert np.hypot(*(physics.barycentre(showers) - np.stack([showers.x, showers.y], 1)).T).mean() < 2


@needs_geant4
def test_the_seed_and_the_geometry_decide():
    thin = Geometry(n_layers=15, cell_cm=6.0)
    first = simulate("A", 8, 5, thin, energy_range=(1.0, 1.0))
    again = simulate("A", 8, 5, thin, energy_range=(1.0, 1.0))
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in ARRAYS)
    assert first.geometry == thin
    assert np.abs(first.x).max() > 2  # the central cell is wider
    assert physics.sampling_fraction(first) < 0.15  # 5.4 radiation lengths hold no photon of 1 GeV
    other = simulate("A", 8, 0, thin, energy_range=(1.0, 1.0))
    assert not np.array_equal(first.cells, other.cells)


def test_energies_of_a_are_uniform():
    drawn = photons("A", MANY, seed=1)
    assert stats.kstest(drawn.energy, stats.uniform(1, 99).cdf).pvalue > 0.001
    assert not drawn.theta_x.any()
    for position in (drawn.x, drawn.y):
        assert stats.kstest(position, stats.uniform(-2, 4).cdf).pvalue > 0.001


def test_energies_and_angles_of_b_are_those_of_the_embedded_ones():
    drawn, showers = photons("B", MANY, seed=1), load("B")
    for name in ("energy", "theta_x", "theta_y", "x", "y"):
        assert stats.ks_2samp(getattr(drawn, name), getattr(showers, name)).pvalue > 0.001, name
    assert (drawn.energy.min() >= 1, drawn.energy.max() <= 150) == (True, True)
    assert np.abs(drawn.theta_x).max() < 0.315


def test_photons_fly_through_where_they_are_at_the_depth():
    drawn = photons("B", 50, seed=2)
    before, after = drawn.points(-5.0, 13.0), drawn.points(20.0, 13.0)
    along = (after - before) / np.linalg.norm(after - before, axis=1, keepdims=True)
    assert along == pytest.approx(drawn.directions())
    at_depth = before + along * ((13.0 + 5.0) / along[:, 2])[:, None]
    assert at_depth[:, 0] == pytest.approx(drawn.x)
    assert at_depth[:, 1] == pytest.approx(drawn.y)
    assert np.arctan2(along[:, 0], along[:, 2]) == pytest.approx(drawn.theta_x)


def test_the_same_seed_gives_the_same_photons():
    assert np.array_equal(photons("B", 9, 3).energy, photons("B", 9, 3).energy)
    assert not np.array_equal(photons("B", 9, 3).energy, photons("B", 9, 4).energy)
    assert np.abs(photons("A", 500, 3, Geometry(cell_cm=1.0)).x).max() <= 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("C", 5, 1), "'A' or 'B', came 'C'"),
        (("A", 0, 1), "at least 1 event .* came n_events=0"),
        (("A", 5, -1), "came n_events=5, seed=-1"),
        (("A", 5, 2**32), "seed=4294967296"),
        (("A", 5, 1, None, (0.0, 1.0)), r"came energy_range=\(0.0, 1.0\)"),
        (("A", 5, 1, None, (2.0, 1.0)), r"the lowest first, came energy_range=\(2.0, 1.0\)"),
        (("B", 5, 1, None, (1.0, float("inf"))), "energy_range"),
    ],
)
def test_what_cannot_be_simulated(arguments, message):
    with pytest.raises(ShowerError, match=message):
        simulate(*arguments)


def test_without_the_wheel_the_pip_command_is_said(monkeypatch, tmp_path, capsys):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(run.importlib.metadata, "version", version)
    with pytest.raises(MissingExtraError, match=r'pip install "robust-select\[geant4\]"'):
        simulate("A", 1, 1)
    assert main(["A", "--events", "1", "-o", str(tmp_path / "a.npz")]) == 1
    assert "geant4-pybind is not installed" in capsys.readouterr().err


def test_another_version_of_the_wheel_is_refused(monkeypatch):
    monkeypatch.setattr(run.importlib.metadata, "version", lambda name: "0.2.0")
    with pytest.raises(ShowerError, match=r"expected geant4-pybind 0.1.3.*version=0.2.0"):
        simulate("A", 1, 1)


def test_a_process_that_dies_says_its_last_words(monkeypatch):
    monkeypatch.setattr(run, "_check_geant4", lambda: None)
    died = subprocess.CompletedProcess([], -11, stdout="initialising\nwhat a crash\n")
    monkeypatch.setattr(run.subprocess, "run", lambda *args, **kwargs: died)
    with pytest.raises(SimulationError, match=r"code -11(.|\n)*what a crash") as raised:
        simulate("A", 1, 1)
    assert raised.value.code == -11


def test_the_command_refuses_before_it_simulates(tmp_path, capsys):
    assert main(["A", "--events", "0", "-o", str(tmp_path / "a.npz")]) == 2
    assert "n_events=0" in capsys.readouterr().err
    for out in (tmp_path / "a.csv", tmp_path / "nowhere" / "a.npz"):
        assert main(["A", "--events", "1", "-o", str(out)]) == 2
        assert "ends in .npz, in a folder that is there" in capsys.readouterr().err
    assert main(["A", "--events", "1", "--cell-cm", "0", "-o", str(tmp_path / "a.npz")]) == 2
    assert "cell_cm=0.0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["C", "--events", "1", "-o", "a.npz"])


def test_the_default_geometries_are_those_of_the_embedded_showers():
    assert {name: load(name).geometry for name in GEOMETRIES} == GEOMETRIES


def test_geant4_is_never_imported_here():
    assert "geant4_pybind" not in sys.modules
