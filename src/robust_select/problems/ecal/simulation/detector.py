"""The calorimeter as Geant4 sees it: layers of lead and scintillator, the scintillator divided into cells.

Called by the worker. Knows nothing of physics processes or photons.
"""

from typing import Any

from robust_select.problems.ecal.showers import N_CELLS, Geometry

SCORER, QUANTITY = "cells", "deposit"
"""The names under which the deposits of an event are found."""

_MARGIN_CM = 20.0  # of vacuum around the calorimeter


def detector(g: Any, geometry: Geometry) -> Any:
    """Make the detector; its front face is at z = 0, cells have no walls.

    Args:
        g: the module geant4_pybind.
        geometry: of the calorimeter.
    """

    class Detector(g.G4VUserDetectorConstruction):  # type: ignore[misc]
        def Construct(self) -> Any:
            self.volumes = _Volumes(g, geometry)  # kept: Geant4 does not own what Python made
            return self.volumes.world

        def ConstructSDandField(self) -> None:
            # The depths, from a cell: 0 the cell (y), 1 its column (x), 2 the plate, whose number is always 0.
            self.scorer = g.G4PSEnergyDeposit3D(QUANTITY, N_CELLS, N_CELLS, 1, 1, 0, 2)
            self.sensitive = g.G4MultiFunctionalDetector(SCORER)
            g.G4SDManager.GetSDMpointer().AddNewDetector(self.sensitive)
            self.sensitive.RegisterPrimitive(self.scorer)
            self.SetSensitiveDetector("Cell", self.sensitive)

    return Detector()


class _Volumes:
    """The volumes, from the world down to a cell."""

    def __init__(self, g: Any, geometry: Geometry) -> None:
        self._g = g
        materials = g.G4NistManager.Instance()
        lead = materials.FindOrBuildMaterial("G4_Pb")
        plastic = materials.FindOrBuildMaterial("G4_POLYSTYRENE")
        vacuum = materials.FindOrBuildMaterial("G4_Galactic")
        cell = geometry.cell_cm * g.cm
        width, length = N_CELLS * cell, geometry.length_cm * g.cm
        lead_plate, plastic_plate = geometry.lead_mm * g.mm, geometry.scintillator_mm * g.mm
        layer = lead_plate + plastic_plate
        margin = _MARGIN_CM * g.cm

        self.kept: list[Any] = []
        hall = self._box("World", (width + margin, width + margin, length + 2 * margin), vacuum)
        calorimeter = self._box("Calorimeter", (width, width, length), vacuum)
        layers = self._box("Layer", (width, width, layer), vacuum)
        absorber = self._box("Lead", (width, width, lead_plate), lead)
        plate = self._box("Plate", (width, width, plastic_plate), plastic)
        column = self._box("Column", (cell, width, plastic_plate), plastic)
        tile = self._box("Cell", (cell, cell, plastic_plate), plastic)

        self.world = self._place("World", hall, None, 0.0)
        self._place("Calorimeter", calorimeter, hall, length / 2)
        self._divide("Layer", layers, calorimeter, g.kZAxis, geometry.n_layers, layer)
        self._place("Lead", absorber, layers, (lead_plate - layer) / 2)
        self._place("Plate", plate, layers, (layer - plastic_plate) / 2)
        self._divide("Column", column, plate, g.kXAxis, N_CELLS, cell)
        self._divide("Cell", tile, column, g.kYAxis, N_CELLS, cell)

    def _box(self, name: str, sides: tuple[float, float, float], material: Any) -> Any:
        box = self._g.G4Box(name, *(side / 2 for side in sides))
        volume = self._g.G4LogicalVolume(box, material, name)
        self.kept += [box, volume]
        return volume

    def _place(self, name: str, volume: Any, mother: Any, z: float) -> Any:
        placed = self._g.G4PVPlacement(None, self._g.G4ThreeVector(0, 0, z), volume, name, mother, False, 0)
        self.kept.append(placed)
        return placed

    def _divide(self, name: str, volume: Any, mother: Any, axis: Any, n_parts: int, width: float) -> None:
        self.kept.append(self._g.G4PVReplica(name, volume, mother, axis, n_parts, width))
