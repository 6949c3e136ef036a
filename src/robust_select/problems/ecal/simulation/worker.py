"""The process in which Geant4 runs: reads photons, transports them, writes the cells.

Started by ``run`` with the folder that both share. Knows nothing of data sets. Geant4 is imported only when this
is run: its import fails where the environment that ``run`` sets is not there.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from robust_select.problems.ecal.showers import N_CELLS, Geometry
from robust_select.problems.ecal.simulation.detector import QUANTITY, SCORER, detector
from robust_select.problems.ecal.simulation.native import Native
from robust_select.problems.ecal.simulation.physics_list import physics_list

_CUT_MM = 0.7  # Geant4's own default: photons, electrons and positrons of less range are not made
_GEV = 1e-3  # in units of Geant4, MeV


def transport(place: Path) -> None:
    """Simulate all photons of the folder; write ``cells.npz`` there.

    Args:
        place: holds ``settings.json`` (numbers of the geometry, seed) and ``photons.npz`` (energy (N,) GeV, points
            (N, 3) cm, directions (N, 3)).
    """
    import geant4_pybind as g

    settings = json.loads((place / "settings.json").read_text(encoding="utf-8"))
    seed = settings.pop("seed")
    with np.load(place / "photons.npz", allow_pickle=False) as file:
        photons = {name: file[name] for name in file.files}
    g.HepRandom.setTheSeed(seed + 1)  # 0 is refused
    manager = g.G4RunManagerFactory.CreateRunManager(g.G4RunManagerType.Serial)
    parts = [detector(g, Geometry(**settings)), physics_list(g, _CUT_MM)]
    for part in parts:
        manager.SetUserInitialization(part)
    cells: list[Any] = []
    actions = [_gun(g, photons), _collector(g, cells)]
    for action in actions:
        manager.SetUserAction(action)
    manager.Initialize()
    manager.BeamOn(len(photons["energy"]))
    np.savez(place / "cells.npz", cells=np.array(cells, dtype=np.float32))
    Native(g.__file__).flush()


def _gun(g: Any, photons: dict[str, Any]) -> Any:
    """Make what starts one photon an event."""

    class Gun(g.G4VUserPrimaryGeneratorAction):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gun = g.G4ParticleGun(1)
            self.gun.SetParticleDefinition(g.G4Gamma.Gamma())

        def GeneratePrimaries(self, event: Any) -> None:
            number = event.GetEventID()
            self.gun.SetParticleEnergy(float(photons["energy"][number]) * g.GeV)
            self.gun.SetParticleMomentumDirection(g.G4ThreeVector(*map(float, photons["directions"][number])))
            self.gun.SetParticlePosition(g.G4ThreeVector(*(float(at) * g.cm for at in photons["points"][number])))
            self.gun.GeneratePrimaryVertex(event)

    return Gun()


def _collector(g: Any, cells: list[Any]) -> Any:
    """Make what takes the deposits of each event down."""

    class Collector(g.G4UserEventAction):  # type: ignore[misc]
        def EndOfEventAction(self, event: Any) -> None:
            number = g.G4SDManager.GetSDMpointer().GetCollectionID(f"{SCORER}/{QUANTITY}")
            image = np.zeros(N_CELLS * N_CELLS)
            for index, deposit in event.GetHCofThisEvent().GetHC(number):
                image[index] = deposit * _GEV
            cells.append(image.reshape(N_CELLS, N_CELLS))

    return Collector()


if __name__ == "__main__":
    transport(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # Geant4 and Python would tear down each other's objects
