"""One module that cannot be stacked, behind the interface of a stack.

Made by ``make_stacks``, called by the fitting loop. Knows nothing of losses, optimisers or data.
"""

import copy
import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from robust_select.core.errors import InputError
from robust_select.train.nn.stacking.parameters import Parameters


class Alone:
    """A stack of one instance that runs the module itself, whatever it does.

    Args:
        module: is copied.

    Attributes:
        n_instances: 1.
        values: (1, P), all trainable parameters; the copy's own parameters are views of it.
        gradients: (1, P), laid out alike; ``backward`` adds to it.
        columns: of each trainable parameter in ``values``.
        has_gradient: whether ``backward`` has reached each of them since the gradients were last set to zero.

    Example:
        >>> alone = Alone(nn.Linear(3, 2))
        >>> alone.values.shape, alone(torch.ones(1, 32, 3)).shape
        (torch.Size([1, 8]), torch.Size([1, 32, 2]))
    """

    n_instances = 1

    def __init__(self, module: nn.Module) -> None:
        self._module = copy.deepcopy(module)
        _copy_hooks(module, self._module)
        parameters = Parameters([self._module])
        self.values = parameters.values
        self.gradients = parameters.gradients
        parameters.lend(self._module)
        trained = [each for each in self._module.parameters() if each.requires_grad]
        ends = list(itertools.accumulate((each.numel() for each in trained), initial=0))
        self.columns = tuple(itertools.starmap(slice, itertools.pairwise(ends)))
        self.has_gradient = [False] * len(trained)
        for at, parameter in enumerate(trained):
            parameter.register_post_accumulate_grad_hook(self._note(at))  # type: ignore[no-untyped-call]
        self._noise = torch.Generator().manual_seed(0).get_state()

    def train(self, mode: bool = True) -> None:
        """Switch to training, or to evaluation (``train(False)``), as ``nn.Module.train`` does."""
        self._module.train(mode)

    def seed_noise(self, seeds: Sequence[int]) -> None:
        """Seed what the module draws while it runs; before, the seed is 0.

        Args:
            seeds: one; the module then draws what it draws after ``torch.manual_seed(seeds[0])``.

        Raises:
            InputError: there is not one seed.
        """
        if len(seeds) != 1:
            raise InputError(f"expected one seed for one instance, came {len(seeds)} seeds")
        self._noise = torch.Generator().manual_seed(int(seeds[0])).get_state()

    def __call__(self, inputs: Tensor) -> Tensor:
        """Run the module.

        Args:
            inputs: (1, B, *features).

        Returns:
            (1, B, *outputs).

        Raises:
            InputError: the first dimension is not 1.
        """
        if inputs.dim() < 2 or inputs.shape[0] != 1:
            raise InputError(f"expected inputs of shape (1, B, *features), came shape {tuple(inputs.shape)}")
        with torch.random.fork_rng(devices=[]):
            torch.random.set_rng_state(self._noise)
            outputs: Tensor = self._module(inputs[0])
            self._noise = torch.random.get_rng_state()
        return outputs.unsqueeze(0)

    def zero_gradients(self) -> None:
        """Set all gradients to zero, before the next ``backward`` adds to them."""
        self.gradients.zero_()
        self.has_gradient[:] = [False] * len(self.has_gradient)

    def _note(self, at: int) -> Callable[[Tensor], None]:
        flags = self.has_gradient

        def reached(_: Tensor) -> None:
            flags[at] = True

        return reached

    def keep(self, positions: Sequence[int]) -> None:
        """Keep the one instance.

        Raises:
            InputError: the positions are not [0].
        """
        if [int(position) for position in positions] != [0]:
            raise InputError(f"expected positions=[0] for one instance, came positions={list(positions)}")

    def module(self, k: int) -> nn.Module:
        """Give the instance as an ordinary module, a copy."""
        self.keep([k])
        return _own(self._module)

    def state_dict(self, k: int) -> dict[str, Tensor]:
        """Give the state dict of the instance, a copy."""
        return dict(self.module(k).state_dict())


def _copy_hooks(source: nn.Module, target: nn.Module) -> None:
    """Copy the hooks of parameters, which a deep copy leaves behind."""
    for given, own in zip(source.parameters(), target.parameters(), strict=True):
        for hook in (given._backward_hooks or {}).values():
            own.register_hook(hook)  # type: ignore[no-untyped-call]
        for hook in (given._post_accumulate_grad_hooks or {}).values():
            own.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]


def _own(module: nn.Module) -> nn.Module:
    """Copy a module, with parameters that are views of no buffer and without gradients."""
    copied = copy.deepcopy(module)
    for parameter in copied.parameters():
        parameter.data = parameter.data.clone()
        parameter.grad = None
    return copied
