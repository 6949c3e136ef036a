"""What the parts expect of each other, and the few words that several rooms share.

Imported everywhere. Knows nothing but the records of this room.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, Self, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import InputError
from robust_select.core.instances import Instance, Outcome

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Direction = Literal["minimize", "maximize"]


class Trainer(Protocol):
    """Trains one instance: any function of the parameters and the instance.

    It gives the score on held-out data, or an ``Outcome`` with a curve. It may raise: the training is then
    recorded as failed.

    Example:
        >>> def train(params: Mapping[str, Any], instance: Instance) -> float:
        ...     return abs(params["lr"] - 0.1) + 0.01 * instance.rng("initial_weights").normal()
        >>> from robust_select.core.instances import seeds_for
        >>> trainer: Trainer = train
        >>> trainer({"lr": 0.1}, Instance("a", 0, seeds_for(0, 0))) < 0.05
        True
    """

    def __call__(self, params: Mapping[str, Any], instance: Instance, /) -> float | Outcome:
        """Train a candidate with these parameters from this instance's seeds."""
        ...


@runtime_checkable
class StackTrainer(Trainer, Protocol):
    """A trainer that can train several instances as one, faster than one after the other.

    Crews give it instances of one stack key together, as many as the stack size at most.

    Example:
        >>> isinstance(len, StackTrainer)
        False
    """

    def stack_key(self, params: Mapping[str, Any], /) -> str:
        """Say which candidates can be trained together: those of the same key. Asked often, so cheap."""
        ...

    def stack_size(self, params: Mapping[str, Any], /) -> int:
        """Say how many instances of this key are best trained together; asked once, where they will be trained."""
        ...

    def why_alone(self, params: Mapping[str, Any], /) -> str:
        """Say in words why these instances can only be trained one by one; empty where they can be stacked."""
        ...

    def train_together(
        self, params: Sequence[Mapping[str, Any]], instances: Sequence[Instance], /
    ) -> Sequence[Outcome]:
        """Train instances of one key; an outcome each, the same but for rounding as if it was trained alone."""
        ...


@runtime_checkable
class SharesData(Protocol):
    """A trainer whose data other processes of the machine can share, instead of being sent a copy each."""

    def with_data_in(self, folder: Path, /) -> Self:
        """Write the data to files of a folder, and give a trainer that maps them; pickled, it is small."""
        ...


def check_direction(direction: str) -> Direction:
    """Check a direction.

    Raises:
        InputError: it is neither "minimize" nor "maximize".
    """
    for allowed in get_args(Direction):
        if direction == allowed:
            return allowed  # type: ignore[no-any-return]
    raise InputError(f"expected direction 'minimize' or 'maximize', came {direction!r}")


def losses_of(scores: Floats, direction: Direction) -> Floats:
    """Turn scores into losses, the smaller the better.

    Args:
        scores: any shape; nan where not trained, infinite (of either sign) where diverged or failed.
        direction: "maximize" negates.

    Returns:
        The same shape; nan where not trained, +inf where diverged or failed: the worst possible.

    Example:
        >>> losses_of(np.array([0.9, np.nan, np.inf]), "maximize")
        array([-0.9,  nan,  inf])
    """
    signed = np.negative(scores) if direction == "maximize" else np.array(scores, dtype=float)
    return np.where(np.isinf(scores), np.inf, signed)
