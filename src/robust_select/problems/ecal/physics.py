"""What physicists check of a calorimeter: sampling fraction, linearity, resolution, lateral profile, S-curve.

Called by tests, baselines, figures and users, on embedded, simulated or their own showers. Knows nothing of how
they were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.problems.ecal.showers import N_CELLS, ShowerError, Showers

ENERGY_EDGES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0, 25.0, 32.0, 40.0, 50.0, 63.0, 80.0, 100.0)
"""GeV, limits of the bins of energy: about a factor 1.25 wide, so that the width in a bin is not the bin's own."""

DISTANCE_EDGES = tuple(float(edge) for edge in range(0, 29, 2))
"""cm, limits of the bins of distance between a cell's middle and the photon."""

_FEWEST = 20  # showers in a bin; with fewer, its width says little
_CENTRAL = (0.158655, 0.841345)  # quantiles at one standard deviation below and above the mean of a normal
_WIDTH_ERROR = 0.962  # of half their distance, for n normal numbers: so many standard deviations / sqrt(n)


@dataclass(frozen=True)
class Response:
    """The deposited share of the energy, in K bins of the photon's energy.

    Attributes:
        energy: (K,) GeV, harmonic mean of the energies in the bin.
        n_showers: (K,) in the bin.
        mean: (K,) of sum / energy.
        mean_error: (K,) its standard error.
        width: (K,) relative: half of the central 68.3 % of sum / energy, divided by its median. Late showers that
            leak out of the back hardly change it.
        width_error: (K,) its standard error, were the responses normal.
    """

    energy: Floats
    n_showers: Ints
    mean: Floats
    mean_error: Floats
    width: Floats
    width_error: Floats

    @property
    def linearity(self) -> Floats:
        """(K,) mean response of each bin over the mean of all showers in the bins: 1 if linear."""
        return np.asarray(self.mean / np.average(self.mean, weights=self.n_showers))


@dataclass(frozen=True)
class Resolution:
    """The relative energy resolution a / sqrt(E) + b, the two added in quadrature.

    Attributes:
        stochastic: a, sqrt(GeV).
        constant: b.
        stochastic_error: standard error of a.
        constant_error: standard error of b; infinite where b is 0, the smallest that it can be.
        response: what was fitted.
    """

    stochastic: float
    constant: float
    stochastic_error: float
    constant_error: float
    response: Response

    def at(self, energy: Floats) -> Floats:
        """Give the relative resolution at energies, GeV; the same shape."""
        return np.sqrt(self.stochastic**2 / np.asarray(energy) + self.constant**2)


@dataclass(frozen=True)
class Curve:
    """A mean in bins of something else.

    Attributes:
        at: (K,) mean of that in each bin.
        mean: (K,).
        error: (K,) standard error of the mean.
        n: (K,) how many values are in the bin.
    """

    at: Floats
    mean: Floats
    error: Floats
    n: Ints


def sampling_fraction(showers: Showers) -> float:
    """Give the mean share of a photon's energy that is deposited in the scintillator.

    Example:
        >>> cells = np.zeros((1, 15, 15))
        >>> cells[0, 7, 7] = 0.35
        >>> round(sampling_fraction(Showers(cells, [2.0], [0.0], [0.0], [0.0], [0.0])), 6)
        0.175
    """
    return float(np.mean(showers.sums / showers.energy))


def response(showers: Showers, edges: Sequence[float] = ENERGY_EDGES) -> Response:
    """Measure the deposited share in bins of energy; bins of fewer than 20 showers are left out.

    Args:
        showers: of many energies.
        edges: limits of the bins, GeV, rising.

    Raises:
        ShowerError: no bin has 20 showers.
    """
    energy = showers.energy.astype(float)
    share = showers.sums / energy
    bins = _bins(energy, edges)
    low, middle, high = np.array([np.quantile(share[rows], [_CENTRAL[0], 0.5, _CENTRAL[1]]) for rows in bins]).T
    n_showers = np.array([rows.sum() for rows in bins])
    width = (high - low) / 2 / middle
    return Response(
        energy=np.array([1 / np.mean(1 / energy[rows]) for rows in bins]),
        n_showers=n_showers,
        mean=np.array([share[rows].mean() for rows in bins]),
        mean_error=np.array([share[rows].std(ddof=1) for rows in bins]) / np.sqrt(n_showers),
        width=width,
        width_error=_WIDTH_ERROR * width / np.sqrt(n_showers),
    )


def resolution(showers: Showers, edges: Sequence[float] = ENERGY_EDGES) -> Resolution:
    """Fit the relative energy resolution by a / sqrt(E) and b, added in quadrature.

    Least squares of the squared widths, which are linear in 1 / E; a square below 0 becomes 0.

    Args:
        showers: of many energies.
        edges: limits of the bins of energy, GeV, rising.

    Raises:
        ShowerError: fewer than two bins have 20 showers.
    """
    measured = response(showers, edges)
    if len(measured.energy) < 2:
        raise ShowerError(
            f"expected {_FEWEST} showers in at least two bins of energy to fit a resolution, came one such bin"
        )
    error = 2 * measured.width * measured.width_error
    design = np.stack([1 / measured.energy, np.ones(len(error))], axis=1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    squares = np.clip(covariance @ design.T @ (measured.width**2 / error), 0, None)
    a, b = np.sqrt(squares)
    with np.errstate(divide="ignore"):
        a_error, b_error = np.sqrt(np.diag(covariance)) / (2 * np.array([a, b]))
    return Resolution(float(a), float(b), float(a_error), float(b_error), measured)


def containment(showers: Showers) -> Floats:
    """Give the mean share of the deposited energy in the central 1 x 1, 3 x 3, ... 15 x 15 cells.

    Returns:
        (8,) rising to 1.
    """
    middle = N_CELLS // 2
    sums = _sums_above_zero(showers)
    squares = [slice(middle - half, middle + half + 1) for half in range(middle + 1)]
    return np.array([np.mean(showers.cells[:, part, part].sum(axis=(1, 2), dtype=float) / sums) for part in squares])


def lateral_profile(showers: Showers, edges: Sequence[float] = DISTANCE_EDGES) -> Curve:
    """Measure how the deposit falls with the distance from the photon.

    Args:
        showers: with positions at the depth of the geometry.
        edges: limits of the bins of distance between a cell's middle and the photon, cm, rising.

    Returns:
        The mean share of the deposited energy in a cell, against the distance. Its errors take the cells of a shower
        as independent.

    Raises:
        ShowerError: no bin has 20 cells, or a shower deposits nothing.
    """
    centres = showers.geometry.centres
    distance = np.hypot(
        centres[None, :, None] - showers.x[:, None, None].astype(float),
        centres[None, None, :] - showers.y[:, None, None].astype(float),
    )
    share = showers.cells / _sums_above_zero(showers)[:, None, None]
    return _curve(distance.ravel(), share.ravel(), edges)


def barycentre(showers: Showers) -> Floats:
    """Give the middle of the deposited energy.

    Returns:
        (N, 2) along x and y, cm from the middle of the central cell; 0 where nothing was deposited.

    Example:
        >>> cells = np.zeros((1, 15, 15))
        >>> cells[0, 7, 7], cells[0, 8, 7] = 3.0, 1.0
        >>> barycentre(Showers(cells, [10.0], [1.2], [0.0], [0.0], [0.0]))
        array([[1., 0.]])
    """
    centres = showers.geometry.centres
    sums = showers.sums
    along_x = showers.cells.sum(axis=2, dtype=float) @ centres
    along_y = showers.cells.sum(axis=1, dtype=float) @ centres
    return np.stack([along_x, along_y], axis=1) / np.where(sums > 0, sums, 1.0)[:, None]


def s_curve(showers: Showers, n_bins: int = 20) -> Curve:
    """Measure the mean barycentre against the position x, over the central cell.

    The barycentre is drawn to the middle of the cell, as most of the energy is in one cell: the curve is flat there
    and steep at the borders.

    Args:
        showers: with positions at the depth of the geometry.
        n_bins: of equal width over the central cell.

    Raises:
        ShowerError: no bin has 20 showers.
    """
    half = showers.geometry.cell_cm / 2
    edges = np.linspace(-half, half, n_bins + 1)
    return _curve(showers.x.astype(float), barycentre(showers)[:, 0], [float(edge) for edge in edges])


def _curve(at: Floats, values: Floats, edges: Sequence[float]) -> Curve:
    bins = _bins(at, edges)
    n = np.array([rows.sum() for rows in bins])
    return Curve(
        at=np.array([at[rows].mean() for rows in bins]),
        mean=np.array([values[rows].mean() for rows in bins]),
        error=np.array([values[rows].std(ddof=1) for rows in bins]) / np.sqrt(n),
        n=n,
    )


def _bins(values: Floats, edges: Sequence[float]) -> list[Bools]:
    """Find which values are in which bin, the emptier bins left out; the last bin holds its upper limit, too."""
    limits = np.asarray(edges, dtype=float)
    if limits.ndim != 1 or len(limits) < 2 or not (np.diff(limits) > 0).all():
        raise ShowerError(f"expected rising limits of bins, at least two, came edges={list(edges)!r}", "the bins")
    index = np.searchsorted(limits, values, side="right") - 1
    index = np.where(values == limits[-1], len(limits) - 2, index)
    full = [rows for number in range(len(limits) - 1) if (rows := index == number).sum() >= _FEWEST]
    if not full:
        raise ShowerError(
            f"expected at least {_FEWEST} values in a bin between {limits[0]:g} and {limits[-1]:g}, "
            f"came none so full of {len(values)} values"
        )
    return full


def _sums_above_zero(showers: Showers) -> Floats:
    sums = showers.sums
    if not (sums > 0).all():
        raise ShowerError(f"expected showers that deposit energy, came {int((sums <= 0).sum())} that deposit none")
    return sums
