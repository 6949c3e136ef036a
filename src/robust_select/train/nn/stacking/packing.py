"""Makes a stack of modules where that is possible, and says why where it is not.

Called by the trainer. Knows nothing of losses, optimisers or data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robust_select.train.nn.stacking.alone import Alone
from robust_select.train.nn.stacking.errors import NotStackableError
from robust_select.train.nn.stacking.stack import Stack


@dataclass(frozen=True)
class Packed:
    """Modules ready to be trained.

    Attributes:
        parts: each stack with the positions of its instances in the modules given.
        reason: why they could not be stacked, in words that name the module; None where they are.
    """

    parts: tuple[tuple[Stack | Alone, tuple[int, ...]], ...]
    reason: str | None


def make_stacks(modules: Sequence[nn.Module], example: Tensor | None = None) -> Packed:
    """Stack modules of one architecture, or take each alone if they cannot be stacked.

    Args:
        modules: K modules of the same structure.
        example: a batch (B, *features), for a trial: the stack then has to give what the modules give.

    Raises:
        InputError: the modules differ in structure.

    Example:
        >>> make_stacks([nn.Linear(2, 1) for _ in range(4)]).parts[0][1]
        (0, 1, 2, 3)
        >>> packed = make_stacks([nn.Bilinear(2, 2, 1)])
        >>> len(packed.parts), "Bilinear" in packed.reason
        (1, True)
    """
    try:
        stack = Stack(modules)
        if example is not None:
            _try(stack, modules, example)
    except NotStackableError as error:
        return Packed(tuple((Alone(module), (k,)) for k, module in enumerate(modules)), str(error))
    return Packed(((stack, tuple(range(len(modules)))),), None)


def _try(stack: Stack, modules: Sequence[nn.Module], example: Tensor) -> None:
    """Compare a stack with its modules in evaluation mode, which changes neither.

    Raises:
        NotStackableError: they differ, or only the stack raises.
    """
    mode = modules[0].training
    stack.train(False)
    with torch.no_grad():
        all_alone = [stack.module(k)(example) for k in range(len(modules))]  # raises what is wrong with the module
        try:
            ours = stack(example.expand(len(modules), *example.shape))
        except NotStackableError:
            raise
        except Exception as error:
            reason = f"a trial of the stack raised {type(error).__name__}: {error}"
            raise NotStackableError("", type(modules[0]).__name__, reason) from error
        for k, (module, alone) in enumerate(zip(modules, all_alone, strict=True)):
            if ours[k].shape != alone.shape or not torch.allclose(ours[k], alone, 1e-3, 1e-4, equal_nan=True):
                raise NotStackableError("", type(module).__name__, "a trial of the stack gave other outputs than it")
    stack.train(mode)
