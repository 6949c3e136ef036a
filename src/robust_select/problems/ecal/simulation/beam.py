"""The photons of the data sets A and B: energies, positions and angles drawn from their distributions.

Called by the generator. Knows nothing of Geant4.
"""

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
from scipy import stats

from robust_select.core.protocols import Floats
from robust_select.problems.ecal.data import DataSet
from robust_select.problems.ecal.showers import Geometry, ShowerError

ENERGY_RANGES = {"A": (1.0, 100.0), "B": (1.0, 150.0)}
"""GeV, lowest and highest of each data set."""

_MODE = 9.0  # GeV, of the log-normal spectrum of B
_SIGMA = 0.8  # of the logarithm of the energy of B
_FLAT_SHARE, _FLAT = 0.40, 0.05  # this share of the angles of B is flat, up to so many rad
_FALL, _STEEPEST = 0.065, 0.315  # rad: beyond it they fall exponentially with this length, and end there


@dataclass(frozen=True)
class Photons:
    """Photons to be simulated.

    Attributes:
        energy: (N,) GeV.
        x: (N,) cm, at the depth of the geometry.
        y: (N,) cm.
        theta_x: (N,) rad.
        theta_y: (N,) rad.
    """

    energy: Floats
    x: Floats
    y: Floats
    theta_x: Floats
    theta_y: Floats

    def __len__(self) -> int:
        """How many photons, N."""
        return len(self.energy)

    def directions(self) -> Floats:
        """(N, 3) unit vectors along which they fly; the third component is along the depth."""
        slopes = np.stack([np.tan(self.theta_x), np.tan(self.theta_y), np.ones(len(self))], axis=1)
        return np.asarray(slopes / np.linalg.norm(slopes, axis=1, keepdims=True))

    def points(self, z_cm: float, depth_cm: float) -> Floats:
        """(N, 3) where they are at z, cm behind the front face, given that x and y hold at the depth."""
        x = self.x + (z_cm - depth_cm) * np.tan(self.theta_x)
        y = self.y + (z_cm - depth_cm) * np.tan(self.theta_y)
        return np.stack([x, y, np.full(len(self), z_cm)], axis=1)


def photons(
    data_set: DataSet,
    n_events: int,
    seed: int,
    geometry: Geometry | None = None,
    energy_range: tuple[float, float] | None = None,
) -> Photons:
    """Draw photons of a data set.

    Args:
        data_set: "A": energies uniform, normal incidence. "B": energies log-normal with the mode at 9 GeV, cut to the
            range; angles flat up to 0.05 rad for 40 % of the photons, falling exponentially beyond.
        n_events: how many.
        seed: of the draw, 0 to 2**32 - 1.
        geometry: the positions fill its central cell.
        energy_range: lowest and highest energy, GeV, equal for a single energy; by default that of the data set.

    Raises:
        ShowerError: an unknown data set, no events, a seed out of range, or an impossible range.

    Example:
        >>> photons("A", 3, seed=1, energy_range=(1, 1)).energy
        array([1., 1., 1.])
    """
    if data_set not in get_args(DataSet):
        raise ShowerError(f"expected data set 'A' or 'B', came {data_set!r}", "the generator")
    if n_events < 1 or not 0 <= seed < 2**32:
        raise ShowerError(
            f"expected at least 1 event and a seed of 0 to 2**32 - 1, came n_events={n_events}, seed={seed}",
            "the generator",
        )
    low, high = energy_range or ENERGY_RANGES[data_set]
    if not (0 < low <= high < math.inf):
        raise ShowerError(
            f"expected an energy range above 0 GeV, the lowest first, came energy_range=({low!r}, {high!r})",
            "the generator",
        )
    rng = np.random.default_rng(seed)
    half = (geometry or Geometry()).cell_cm / 2
    x, y = rng.uniform(-half, half, (2, n_events))
    if data_set == "A":
        still = np.zeros(n_events)
        return Photons(rng.uniform(low, high, n_events), x, y, still, still)
    return Photons(_falling(low, high, n_events, rng), x, y, _angles(n_events, rng), _angles(n_events, rng))


def _falling(low: float, high: float, n_events: int, rng: np.random.Generator) -> Floats:
    if low == high:
        return np.full(n_events, float(low))
    middle = math.log(_MODE) + _SIGMA**2
    limits = (np.log([low, high]) - middle) / _SIGMA
    drawn = stats.truncnorm.rvs(*limits, size=n_events, random_state=rng)
    return np.clip(np.exp(middle + _SIGMA * drawn), low, high)


def _angles(n_events: int, rng: np.random.Generator) -> Floats:
    """Draw angles by inverting their distribution; the exponential part is cut at the steepest angle."""
    kept = -math.expm1(-(_STEEPEST - _FLAT) / _FALL)
    flat_share = _FLAT_SHARE / (_FLAT_SHARE + (1 - _FLAT_SHARE) * kept)
    uniform = rng.random(n_events)
    size = np.where(rng.random(n_events) < flat_share, _FLAT * uniform, _FLAT - _FALL * np.log1p(-uniform * kept))
    return np.asarray(size * rng.choice((-1.0, 1.0), n_events))
