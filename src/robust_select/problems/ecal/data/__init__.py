"""The showers that come with the package: Geant4 photons of the data sets A and B.

Loaded by trainers, once a process. Knows nothing of them. The showers come from Geant4 transport with a reduced,
data-free list of electromagnetic models, as ``simulation`` makes them: not from the standard physics list.
"""

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Literal, get_args

from robust_select.problems.ecal.readers import read_showers
from robust_select.problems.ecal.showers import ShowerError, Showers

DataSet = Literal["A", "B"]

N_HELD_OUT: Mapping[DataSet, int] = {"A": 2461, "B": 4000}
"""So many showers are never trained on: the last of each data set, as the sets are in random order."""


@functools.cache
def load(data_set: DataSet) -> Showers:
    """Load the embedded showers, once a process.

    Args:
        data_set: "A": 14,461 photons of 1 to 100 GeV, energies uniform, normal incidence. "B": 31,516 photons of a
            falling spectrum that peaks near 9 GeV, inclined by up to 0.3 rad, x and y given at a depth of 13 cm.

    Raises:
        ShowerError: a data set that is not there.

    Example:
        >>> showers = load("A")
        >>> showers.cells.shape, showers.geometry.cell_cm
        ((14461, 15, 15), 4.0)
    """
    if data_set not in get_args(DataSet):
        raise ShowerError(f"expected data set 'A' or 'B', came {data_set!r}", "the calorimeter's data")
    with resources.as_file(resources.files(__name__) / f"{data_set}.npz") as path:
        return read_showers(path)


@functools.cache
def population_and_held_out(data_set: DataSet) -> tuple[Showers, Showers]:
    """Give the showers that training samples are drawn from, and those that all scores are computed on.

    Args:
        data_set: "A" or "B".

    Returns:
        The population (A: 12,000, B: 27,516) and the held-out showers (A: 2,461, B: 4,000).

    Raises:
        ShowerError: a data set that is not there.
    """
    return load(data_set).split(N_HELD_OUT[data_set])
