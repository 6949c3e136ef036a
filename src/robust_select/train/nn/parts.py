"""The optimiser of a module that is trained alone: what its forward has skipped is left as it is, as torch does.

Called by the fitting loop. Knows nothing of losses or schedules.
"""

from collections.abc import Sequence

from torch import Tensor

from robust_select.train.nn.hyperparameters import Hyperparameters
from robust_select.train.nn.optimisers import optimiser
from robust_select.train.nn.stacking import Alone


class PartwiseOptimiser:
    """One optimiser a parameter of one instance, each with steps and states of its own.

    A layer that ``forward`` skips has no gradient in torch, and its optimisers skip it, too: neither weight decay nor
    momentum moves it, nor does its number of steps go up. A gradient of zero would.

    Args:
        name: of the optimiser.
        alone: the instance.
        hyperparameters: (1,)

    Raises:
        InputError: no optimiser of that name.

    Example:
        >>> from torch import nn
        >>> alone = Alone(nn.Linear(2, 1))
        >>> made = PartwiseOptimiser("sgd", alone, [Hyperparameters(lr=0.1, weight_decay=0.5)])
        >>> before = alone.values.clone()
        >>> made.step(alone.gradients)
        >>> bool((alone.values == before).all())
        True
    """

    def __init__(self, name: str, alone: Alone, hyperparameters: Sequence[Hyperparameters]) -> None:
        self._alone = alone
        self._parts = [optimiser(name, alone.values[:, columns], hyperparameters) for columns in alone.columns]
        self._gradients = [alone.gradients[:, columns] for columns in alone.columns]

    def step(self, gradients: Tensor, factor: float | Tensor = 1.0, momentum: float | Tensor | None = None) -> None:
        """Take one step, as ``Optimiser.step``; the gradients are those of the instance."""
        for part, own, is_there in zip(self._parts, self._gradients, self._alone.has_gradient, strict=True):
            if is_there:
                part.step(own, factor, momentum)

    def keep(self, positions: Sequence[int], values: Tensor) -> None:
        """Go on with the one instance.

        Raises:
            InputError: the positions are not [0].
        """
        self._alone.keep(positions)
