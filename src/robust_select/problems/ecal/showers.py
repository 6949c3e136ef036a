"""What showers are: the energy that photons left in 15 x 15 cells, with the energy and position of each photon.

Made by the embedded data, the readers and the generator; taken by candidates, baselines and the physics. Knows
nothing of any of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import InputError

Singles = npt.NDArray[np.float32]

N_CELLS = 15
"""Cells along x, and along y."""

TRUTH = ("energy", "x", "y", "theta_x", "theta_y")
"""What is known of each photon, one number a shower."""

ARRAYS = ("cells", *TRUTH)
"""The arrays of a record of showers."""


class ShowerError(InputError):
    """Showers cannot be read, made or used.

    Attributes:
        source: where they came from (a path, or "the showers").
        detail: what is wrong, without the source.

    Example:
        >>> print(ShowerError("expected energies above 0, came -1", "mine.npz"))
        mine.npz: expected energies above 0, came -1
    """

    def __init__(self, detail: str, source: str = "the showers") -> None:
        super().__init__(f"{source}: {detail}")
        self.source = source
        self.detail = detail


@dataclass(frozen=True)
class Geometry:
    """A sampling calorimeter of 15 x 15 cells: layers of a lead and a scintillator plate each.

    Attributes:
        cell_cm: width of a cell, cm.
        n_layers: pairs of plates.
        lead_mm: thickness of a lead plate, mm.
        scintillator_mm: thickness of a scintillator plate, mm.
        depth_cm: depth behind the front face at which a photon's x and y are given, cm. The path of an inclined
            photon crosses different cells at different depths.

    Raises:
        ShowerError: a length or a number of layers that no calorimeter has.

    Example:
        >>> Geometry().length_cm
        39.6
    """

    cell_cm: float = 4.0
    n_layers: int = 66
    lead_mm: float = 2.0
    scintillator_mm: float = 4.0
    depth_cm: float = 0.0

    def __post_init__(self) -> None:
        for made in fields(self):
            value = getattr(self, made.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ShowerError(f"expected a finite number, came {made.name}={value!r}", "the geometry")
            if value <= 0 and made.name != "depth_cm":
                raise ShowerError(f"expected a number above 0, came {made.name}={value!r}", "the geometry")
        if self.n_layers != int(self.n_layers):
            raise ShowerError(f"expected a whole number of layers, came n_layers={self.n_layers!r}", "the geometry")
        if not 0 <= self.depth_cm <= self.length_cm:
            raise ShowerError(
                f"expected a depth inside the calorimeter, 0 to {self.length_cm:g} cm, "
                f"came depth_cm={self.depth_cm!r}",
                "the geometry",
            )

    @property
    def length_cm(self) -> float:
        """From the front face to the back, cm."""
        return self.n_layers * (self.lead_mm + self.scintillator_mm) / 10

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """(15,) where the middles of the cells lie along x, and along y, cm from the middle of the calorimeter."""
        return np.asarray((np.arange(N_CELLS) - N_CELLS // 2) * self.cell_cm, dtype=np.float64)


@dataclass(frozen=True)
class Showers:
    """Showers of N photons, one photon each.

    The arrays are kept in single precision and cannot be written to: trainings share them.

    Attributes:
        cells: (N, 15, 15) energy deposited in the scintillator of each cell, GeV; index [ix, iy], the central cell
            is [7, 7].
        energy: (N,) of the photon, GeV.
        x: (N,) its position, cm from the middle of the central cell, at the depth ``geometry.depth_cm``.
        y: (N,) the same along y.
        theta_x: (N,) angle of incidence in the plane of x and the depth, rad; 0 is along the depth.
        theta_y: (N,) the same in the plane of y and the depth.
        geometry: of the calorimeter.

    Raises:
        ShowerError: images of another size, arrays of different lengths, no showers at all, a number that is nan
            or infinite, a negative deposit, a photon without energy.

    Example:
        >>> cells = np.zeros((2, 15, 15))
        >>> cells[:, 7, 7] = 0.175 * 10
        >>> showers = Showers(cells, energy=[10, 10], x=[0, 0], y=[0, 0], theta_x=[0, 0], theta_y=[0, 0])
        >>> len(showers), showers.sums
        (2, array([1.75, 1.75]))
    """

    cells: Singles
    energy: Singles
    x: Singles
    y: Singles
    theta_x: Singles
    theta_y: Singles
    geometry: Geometry = field(default_factory=Geometry)

    def __post_init__(self) -> None:
        for name in ARRAYS:
            object.__setattr__(self, name, _singles(name, getattr(self, name)))
        cells = self.cells
        if cells.ndim != 3 or cells.shape[1:] != (N_CELLS, N_CELLS):
            raise ShowerError(
                f"expected images of {N_CELLS} x {N_CELLS} cells, cells of shape (N, {N_CELLS}, {N_CELLS}), "
                f"came shape {cells.shape}; a larger image can be cut around its central cell"
            )
        if not len(cells):
            raise ShowerError("expected at least one shower, came none")
        for name in TRUTH:
            shape = getattr(self, name).shape
            if shape != (len(cells),):
                raise ShowerError(
                    f"expected one number a shower, {name} of shape ({len(cells)},) as cells say, came shape {shape}"
                )
        for name in ARRAYS:
            _refuse(name, getattr(self, name), ~np.isfinite(getattr(self, name)), "finite numbers")
        _refuse("cells", cells, cells < 0, "deposited energies of at least 0 GeV")
        _refuse("energy", self.energy, self.energy <= 0, "energies of photons above 0 GeV")

    def __len__(self) -> int:
        """How many showers, N."""
        return len(self.cells)

    @property
    def sums(self) -> npt.NDArray[np.float64]:
        """(N,) energy deposited in the scintillator of all cells, GeV."""
        return np.asarray(self.cells.sum(axis=(1, 2), dtype=np.float64))

    def subset(self, rows: npt.ArrayLike | slice) -> "Showers":
        """Take some of the showers.

        Args:
            rows: a slice, or what numpy takes as an index of one axis: whole numbers or (N,) booleans.

        Raises:
            ShowerError: a row that is not there, or none at all.
        """
        index = rows if isinstance(rows, slice) else np.asarray(rows)
        try:
            taken = {name: getattr(self, name)[index] for name in ARRAYS}
        except IndexError as error:
            raise ShowerError(f"expected rows of {len(self)} showers: {error}") from error
        return Showers(**taken, geometry=self.geometry)

    def split(self, n_held_out: int) -> tuple["Showers", "Showers"]:
        """Split into a population and the held-out showers, always the same way.

        The held-out ones are the last ones: shuffle showers that are not in random order beforehand.

        Args:
            n_held_out: how many are held out, 1 to N - 1.

        Raises:
            ShowerError: nothing would be left of one part.

        Example:
            >>> showers = Showers(np.zeros((5, 15, 15)), *np.ones((5, 5)))
            >>> [len(part) for part in showers.split(2)]
            [3, 2]
        """
        if not 1 <= n_held_out < len(self):
            raise ShowerError(
                f"expected to hold out 1 to {len(self) - 1} of {len(self)} showers, came n_held_out={n_held_out}"
            )
        n_population = len(self) - n_held_out
        return self.subset(slice(n_population)), self.subset(slice(n_population, None))

    def save(self, path: str | Path) -> None:
        """Write a compressed npz file: the arrays under their names, and each number of the geometry.

        Raises:
            ShowerError: the file cannot be written.
        """
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ARRAYS}
        arrays |= {made.name: getattr(self.geometry, made.name) for made in fields(Geometry)}
        try:
            with Path(path).open("wb") as file:
                np.savez_compressed(file, **arrays)
        except OSError as error:
            raise ShowerError(f"cannot be written: {error.strerror or error}", str(path)) from error


def showers_from(arrays: Mapping[str, npt.ArrayLike], geometry: Geometry, source: str) -> Showers:
    """Make showers of arrays that came from somewhere.

    Args:
        arrays: by their names; angles that are not there are 0.
        geometry: of the calorimeter.
        source: where they came from, for messages.

    Raises:
        ShowerError: they are not showers.
    """
    n_showers = np.shape(arrays["cells"])[:1]
    angles = {name: np.zeros(n_showers) for name in ("theta_x", "theta_y")}
    try:
        return Showers(**(angles | dict(arrays)), geometry=geometry)  # type: ignore[arg-type]
    except ShowerError as error:
        raise ShowerError(error.detail, source) from error


def _singles(name: str, values: Any) -> Singles:
    """Turn what was given into single precision, the array of the caller left as it is."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"numbers of the kind {array.dtype}")
        with np.errstate(over="ignore"):  # beyond single precision: infinite, and so refused by name later
            singles = np.ascontiguousarray(array, dtype=np.float32).view()
    except (TypeError, ValueError) as error:
        raise ShowerError(f"expected an array of real numbers as {name}, came {error}") from error
    singles.flags.writeable = False
    return singles


def _refuse(name: str, array: Singles, is_bad: npt.NDArray[np.bool_], expected: str) -> None:
    if is_bad.any():
        first = tuple(int(index) for index in np.argwhere(is_bad)[0])
        place = ", ".join(map(str, first))
        n_showers = int(is_bad.reshape(len(array), -1).any(axis=1).sum())
        raise ShowerError(
            f"expected {expected}, came {name}[{place}]={array[first]:g} (in {n_showers} of {len(array)} showers)"
        )
