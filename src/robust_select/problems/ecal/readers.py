"""Reads showers from files of npz, HDF5, Parquet and ROOT, the user's own or the embedded ones.

Called by users and by the embedded data. Knows nothing of how a format is read: ``readers_formats`` does.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import MissingExtraError
from robust_select.problems.ecal.readers_formats import FORMATS, Columns, first_line
from robust_select.problems.ecal.showers import ARRAYS, N_CELLS, Geometry, ShowerError, Showers, showers_from

NEEDED = ("cells", "energy", "x", "y")
"""The arrays that every file must have; angles that are not there are 0."""

_N_COLUMNS = N_CELLS * N_CELLS
_N_LISTED = 20


def read_showers(
    path: str | Path,
    names: Mapping[str, str] | None = None,
    scale: Mapping[str, float] | None = None,
    inside: str = "",
    geometry: Geometry | None = None,
) -> Showers:
    """Read showers from a file.

    The image of a shower may be an array of 15 x 15 or of 225 numbers (index ``15 * ix + iy``), a list of them, or
    225 columns ``cells_0`` to ``cells_224``.

    Args:
        path: the format is told by the suffix: ``.npz``; ``.h5``, ``.hdf5`` (extra ``hdf5``); ``.parquet``, ``.pq``
            (extra ``parquet``); ``.root`` (extra ``root``).
        names: how the file calls an array, where it is not by its own name, as ``{"energy": "true_e"}``.
        scale: what an array is multiplied by to become GeV, cm or rad, as ``{"cells": 1e-3, "x": 0.1}``.
        inside: the group of an HDF5 file or the tree (TTree, RNTuple) of a ROOT file; not needed for a single tree.
        geometry: of the calorimeter; by default the numbers that an npz or HDF5 file holds under the names of the
            ``Geometry``, else ``Geometry()``.

    Raises:
        ShowerError: the file is not there, is not complete, has not what is needed, or holds no showers.
        MissingExtraError: what reads the format is not installed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
        >>> np.savez(path, image=np.ones((3, 15, 15)), energy=[1, 2, 3], x=[0, 1, 2], y=[0, 0, 0])
        >>> read_showers(path, names={"cells": "image"}).x
        array([0., 1., 2.], dtype=float32)
    """
    path = Path(path)
    suffixes = {suffix for made in FORMATS for suffix in made.suffixes}
    fitting = [made for made in FORMATS if path.suffix.lower() in made.suffixes]
    if not fitting:
        raise ShowerError(
            f"expected a file that ends in {', '.join(sorted(suffixes))}, came {path.name!r}", str(path)
        )
    if not path.is_file():
        raise ShowerError("there is no such file", str(path))
    wanted = _checked(names or {}, "names", str(path))
    factors = _checked(scale or {}, "scale", str(path))
    try:
        with fitting[0].open(path, inside) as columns:
            arrays = _arrays(columns, wanted, str(path))
            found = _geometry(columns) if geometry is None else {}
    except (ShowerError, MissingExtraError):
        raise
    except Exception as error:  # on a damaged file the formats' libraries raise whatever they like
        raise ShowerError(
            f"cannot be read as {fitting[0].name}: {type(error).__name__}: {first_line(error)}; "
            "is the file complete, and of the format that its suffix says?",
            str(path),
        ) from error
    try:
        known = geometry or Geometry(**found)
    except ShowerError as error:
        raise ShowerError(error.detail, str(path)) from error
    return showers_from(_scaled(arrays, factors, str(path)), known, str(path))


def _checked(given: Mapping[str, Any], argument: str, source: str) -> Mapping[str, Any]:
    unknown = [name for name in given if name not in ARRAYS]
    if unknown:
        raise ShowerError(f"expected {argument} of {', '.join(ARRAYS)}, came {argument} of {unknown[0]!r}", source)
    return given


def _arrays(columns: Columns, wanted: Mapping[str, str], source: str) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays that are there; the cells may be spread over 225 columns."""
    theirs = {name: wanted.get(name, name) for name in ARRAYS}
    spread = [f"{theirs['cells']}_{index}" for index in range(_N_COLUMNS)]
    is_spread = theirs["cells"] not in columns.names and spread[0] in columns.names
    needed = {name: [theirs[name]] for name in ARRAYS if name in NEEDED or name in wanted}
    if is_spread:
        needed["cells"] = spread
    missing = [(name, column) for name, those in needed.items() for column in those if column not in columns.names]
    if missing:
        name, column = missing[0]
        listed = ", ".join(columns.names[:_N_LISTED]) or "none at all"
        more = len(columns.names) - _N_LISTED
        raise ShowerError(
            f"expected {columns.word} {', '.join(theirs[name] for name in needed)}, {column!r} is not there; there "
            f"are: {listed}{f' and {more} more' if more > 0 else ''}. Say how the file calls it: "
            f'names={{"{name}": "..."}}',
            source,
        )
    arrays = {
        name: columns.read(theirs[name])
        for name in ARRAYS
        if theirs[name] in columns.names and not (name == "cells" and is_spread)
    }
    if is_spread:
        arrays["cells"] = np.stack([columns.read(column) for column in spread], axis=-1)
    if arrays["cells"].ndim == 2 and arrays["cells"].shape[1] == _N_COLUMNS:
        arrays["cells"] = arrays["cells"].reshape(-1, N_CELLS, N_CELLS)
    return arrays


def _geometry(columns: Columns) -> dict[str, Any]:
    """Read the numbers of the geometry that the file holds."""
    return {
        made.name: columns.read(made.name).item()
        for made in fields(Geometry)
        if made.name in columns.names and columns.is_number(made.name)
    }


def _scaled(
    arrays: Mapping[str, npt.NDArray[Any]], factors: Mapping[str, float], source: str
) -> dict[str, npt.NDArray[Any]]:
    for name, factor in factors.items():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not np.isfinite(factor) or factor == 0:
            raise ShowerError(f"expected finite factors other than 0, came scale of {name}={factor!r}", source)
        if arrays[name].dtype.kind not in "fiub":
            raise ShowerError(f"expected numbers to scale as {name}, came {arrays[name].dtype}", source)
    with np.errstate(all="ignore"):  # what is beyond all bounds is refused by name later
        return {name: values * factors[name] if name in factors else values for name, values in arrays.items()}
