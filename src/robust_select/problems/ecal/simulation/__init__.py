"""Makes showers anew: Geant4 transport of single photons in a process of its own.

Called by users and by ``python -m robust_select.problems.ecal.simulation``. Knows nothing of Geant4's classes:
``worker`` does, and only it may import them.
"""

from robust_select.problems.ecal.simulation.beam import Photons, photons
from robust_select.problems.ecal.simulation.run import GEOMETRIES, SimulationError, simulate

__all__ = ["GEOMETRIES", "Photons", "SimulationError", "photons", "simulate"]
