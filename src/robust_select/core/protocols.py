"""What the parts expect of each other, and the few words that several rooms share.

Imported everywhere. Knows nothing but the records of this room.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

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
    """

    def __call__(self, params: Mapping[str, Any], instance: Instance, /) -> float | Outcome:
        """Train a candidate with these parameters from this instance's seeds."""
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
