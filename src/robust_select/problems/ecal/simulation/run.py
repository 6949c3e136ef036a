"""Runs the generator: checks what is needed, starts a process, hands the photons over, reads the cells.

Called by users. Knows nothing of Geant4: one run manager lives in a process, so each call starts one.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from robust_select.core.errors import MissingExtraError, RobustSelectError
from robust_select.problems.ecal.data import DataSet
from robust_select.problems.ecal.showers import Geometry, ShowerError, Showers
from robust_select.problems.ecal.simulation.beam import photons

GEOMETRIES = {"A": Geometry(), "B": Geometry(depth_cm=13.0)}
"""Of the embedded data sets: x and y hold at the front face in A, near the shower maximum in B."""

_VERSION = "0.1.3"  # of geant4-pybind, with Geant4 11.4.1: the worker calls exported symbols of just this one
_STARTS = 5.0  # cm before the front face
_N_LOG_LINES = 15


class SimulationError(RobustSelectError, RuntimeError):
    """The process of Geant4 ended before it wrote its showers.

    Attributes:
        code: its exit code.
        log: the last lines it wrote.

    Example:
        >>> SimulationError(-11, "G4Exception").code
        -11
    """

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"the simulation ended with code {code} before it was done; the last it said:\n{log}")
        self.code = code
        self.log = log


def simulate(
    data_set: DataSet,
    n_events: int,
    seed: int,
    geometry: Geometry | None = None,
    energy_range: tuple[float, float] | None = None,
) -> Showers:
    """Simulate showers of a data set with Geant4; about 7 ms of one core for each GeV.

    Geant4 transport with a reduced list of electromagnetic models that needs no data files: not the standard
    physics list. No network is used. The same arguments give the same showers.

    Args:
        data_set: whose photons: "A" or "B".
        n_events: how many.
        seed: of photons and transport.
        geometry: of the calorimeter; by default that of the data set.
        energy_range: lowest and highest energy, GeV, equal for a single energy; by default that of the data set.

    Raises:
        ShowerError: an argument that cannot be, or another version of geant4-pybind.
        SimulationError: the process of Geant4 failed.
        MissingExtraError: geant4-pybind is not installed.

    Example:
        >>> simulate("B", n_events=2, seed=1, energy_range=(1.0, 1.0)).energy.tolist()
        [1.0, 1.0]
    """
    shape = geometry or GEOMETRIES.get(data_set) or Geometry()
    drawn = photons(data_set, n_events, seed, shape, energy_range)
    _check_geant4()
    with tempfile.TemporaryDirectory(prefix="robust-select-geant4-") as folder:
        place = Path(folder)
        settings = asdict(shape) | {"seed": seed}
        (place / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        np.savez(
            place / "photons.npz",
            energy=drawn.energy,
            points=drawn.points(-_STARTS, shape.depth_cm),
            directions=drawn.directions(),
        )
        _run(place)
        with np.load(place / "cells.npz", allow_pickle=False) as file:
            cells = file["cells"]
    truth = {name: np.asarray(values) for name, values in vars(drawn).items()}
    return Showers(cells, **truth, geometry=shape)


def _check_geant4() -> None:
    """Look for the wheel without importing it: the import asks for a download where it finds no data files."""
    try:
        version = importlib.metadata.version("geant4-pybind")
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError("geant4-pybind", "geant4") from error
    if version != _VERSION:
        raise ShowerError(
            f"expected geant4-pybind {_VERSION}, whose symbols the generator calls, came version={version}: "
            'pip install "robust-select[geant4]"',
            "the generator",
        )


def _run(place: Path) -> None:
    """Run the worker in a process that finds an empty folder where Geant4 looks for data files."""
    nothing = place / "no-data"
    nothing.mkdir()
    (nothing / "ENSDFSTATE.dat").touch()  # the table of nuclides insists on it; an empty file is enough
    environment = os.environ | {"GEANT4_DATA_DIR": str(nothing), "G4ENSDFSTATEDATA": str(nothing)}
    done = subprocess.run(
        [sys.executable, "-m", "robust_select.problems.ecal.simulation.worker", str(place)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode or not (place / "cells.npz").is_file():
        said = "\n".join(done.stdout.splitlines()[-_N_LOG_LINES:])
        raise SimulationError(done.returncode, said)
