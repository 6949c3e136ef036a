"""The data that networks are trained on: arrays in memory, or files that all processes map.

Made by users, read by the trainer beside this file. Knows nothing of torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import InputError

Array = npt.NDArray[Any]

_BYTES_CHECKED_AT_ONCE = 2**24
_NAMES = ("inputs", "targets", "held_out_inputs", "held_out_targets")


@dataclass(frozen=True, eq=False, init=False)
class Data:
    """A population that training samples are drawn from, and held-out examples that nobody trains on.

    Each field is an array, or the path of a ``.npy`` file, which is then mapped into memory and not read at once:
    all processes of a machine share it. Pickled, a path stays a path.

    Attributes:
        inputs: (N, *features) of the population. Floating-point numbers are trained on in the trainer's precision;
            bytes (images) are kept as bytes and become floating-point numbers, 0 to 255, a batch at a time; other
            whole numbers reach the module as they are (indices of an embedding).
        targets: (N, *) what the module shall say; whole numbers are class labels where the loss wants labels.
        held_out_inputs: (M, *features).
        held_out_targets: (M, *).

    Raises:
        InputError: no examples, arrays that do not fit each other, nan or infinite values, no numbers.

    Example:
        >>> Data(np.zeros((4, 3)), np.zeros(4), np.zeros((2, 3)), np.zeros(2)).n_population
        4
    """

    inputs: Array
    targets: Array
    held_out_inputs: Array
    held_out_targets: Array

    def __init__(
        self,
        inputs: Array | str | Path,
        targets: Array | str | Path,
        held_out_inputs: Array | str | Path,
        held_out_targets: Array | str | Path,
    ) -> None:
        given = (inputs, targets, held_out_inputs, held_out_targets)
        self._open(given)
        for name in _NAMES:
            _check_numbers(name, getattr(self, name))
        _check_fit("inputs", self.inputs, "targets", self.targets)
        _check_fit("held_out_inputs", self.held_out_inputs, "held_out_targets", self.held_out_targets)
        _check_features("inputs", self.inputs, self.held_out_inputs)
        _check_features("targets", self.targets, self.held_out_targets)

    @property
    def n_population(self) -> int:
        """How many examples training samples are drawn from."""
        return len(self.inputs)

    @property
    def n_held_out(self) -> int:
        """How many examples give the score."""
        return len(self.held_out_inputs)

    def saved(self, folder: Path, dtype: str) -> "Data":
        """Write what is in memory to files, so that other processes map it instead of holding a copy each.

        Args:
            folder: where the files go.
            dtype: of floating-point numbers in the files.

        Returns:
            The same data, in files.
        """
        sources: list[Array | Path] = []
        for name in _NAMES:
            source = self.__dict__["_sources"][name]
            array = getattr(self, name)
            if isinstance(source, Path) and as_trained(array, dtype) is array:
                sources.append(source)
                continue
            path = folder / f"{name}.npy"
            with path.open("wb") as file:
                np.save(file, as_trained(array, dtype))
            sources.append(path)
        return _reopened(tuple(sources))

    def is_rounded(self, dtype: str) -> bool:
        """Whether ``saved`` in this precision would round floating-point numbers."""
        arrays = [getattr(self, name) for name in _NAMES]
        return any(array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(dtype).itemsize for array in arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (tuple(self.__dict__["_sources"].values()),)

    def _open(self, given: tuple[Any, ...]) -> None:
        """Keep the arrays, and where they came from."""
        sources: dict[str, Array | Path] = {}
        for name, source in zip(_NAMES, given, strict=True):
            if isinstance(source, (str, Path)):
                path = Path(source).absolute()
                sources[name], array = path, _mapped(name, path)
            else:
                sources[name] = array = np.asarray(source)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "_sources", sources)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name).shape}" for name in _NAMES)
        return f"Data({shown})"


def as_trained(array: Array, dtype: str) -> Array:
    """Give an array as it is trained on: floating-point numbers in the precision of the training, in native order.

    Returns:
        The array itself where nothing is to be changed.

    Example:
        >>> as_trained(np.zeros(2), "float32").dtype, as_trained(np.zeros(2, dtype=np.uint8), "float32").dtype
        (dtype('float32'), dtype('uint8'))
    """
    wanted = np.dtype(dtype)
    if array.dtype.kind != "f":
        wanted = np.dtype(np.uint8) if array.dtype == np.uint8 else np.dtype(np.int64)
    is_ready = array.dtype == wanted and array.dtype.isnative and array.flags.c_contiguous
    return array if is_ready else np.ascontiguousarray(array, dtype=wanted)


def _reopened(sources: tuple[Array | Path, ...]) -> Data:
    """Make data that were checked before, in another process."""
    data = object.__new__(Data)
    data._open(sources)
    return data


def _mapped(name: str, path: Path) -> Array:
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
        if not isinstance(array, np.ndarray):  # an archive of several arrays
            raise ValueError(f"it holds {type(array).__name__}")
        return array
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"expected {name} to be an array or the path of a .npy file, came {path} "
            f"({type(error).__name__}: {error})"
        ) from error


def _check_numbers(name: str, array: Array) -> None:
    if array.dtype.kind not in "fiub":
        raise InputError(f"expected {name} to hold real numbers, came an array of dtype {array.dtype}")
    if array.ndim == 0 or array.size == 0:
        raise InputError(f"expected {name} to hold at least one example, came an array of shape {array.shape}")
    if array.dtype.kind != "f":
        return
    n_at_once = max(1, _BYTES_CHECKED_AT_ONCE // max(1, array[0].nbytes))
    for first in range(0, len(array), n_at_once):
        is_finite = np.isfinite(array[first : first + n_at_once])
        if not is_finite.all():
            at = np.argwhere(~is_finite)[0]
            place = (first + int(at[0]), *(int(index) for index in at[1:]))
            n_bad = sum(
                int(np.count_nonzero(~np.isfinite(array[start : start + n_at_once])))
                for start in range(first, len(array), n_at_once)
            )
            where = ", ".join(map(str, place))
            raise InputError(
                f"expected finite numbers, came {name}[{where}]={array[place]} ({n_bad} such values in all): remove "
                "or replace these examples"
            )


def _check_fit(name: str, inputs: Array, target_name: str, targets: Array) -> None:
    if len(inputs) != len(targets):
        raise InputError(
            f"expected as many {target_name} as {name}, came {len(inputs)} {name} and {len(targets)} {target_name}"
        )


def _check_features(name: str, ours: Array, held_out: Array) -> None:
    if ours.shape[1:] != held_out.shape[1:]:
        raise InputError(
            f"expected {name} and held_out_{name} of one shape after the first axis, came {ours.shape} and "
            f"{held_out.shape}"
        )
    if as_trained(ours[:0], "float32").dtype != as_trained(held_out[:0], "float32").dtype:
        raise InputError(
            f"expected {name} and held_out_{name} of one kind of number, came {ours.dtype} and {held_out.dtype}"
        )
