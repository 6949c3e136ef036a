"""Makes the modules of instances, each with its own initial weights, and makes sure that they fit the data.

Called by the trainer beside this file. Knows nothing of stacks or of how modules are trained.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from robust_select.core.errors import InputError
from robust_select.core.instances import Instance
from robust_select.train.nn.examples import Examples
from robust_select.train.nn.losses import Loss, check_targets

Build = Callable[[Mapping[str, Any]], nn.Module]


def build_module(build: Build, params: Mapping[str, Any], instance: Instance, examples: Examples) -> nn.Module:
    """Make the module of an instance, in the precision and on the device of the data.

    Args:
        build: the user's.
        params: of the candidate.
        instance: its seed for the initial weights is what torch's generator has while ``build`` runs.
        examples: the data; lazy modules look at them.

    Raises:
        InputError: ``build`` gave something else than a module with parameters to train.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(instance.seeds.initial_weights)
        module = build(params)
        if not isinstance(module, nn.Module):
            raise InputError(
                f"expected build to give a torch.nn.Module, came {module!r} for candidate {instance.candidate!r}"
            )
        if any(is_lazy(parameter) for parameter in module.parameters()):
            try_module(module.to(examples.dtype), examples)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise InputError(
            f"expected build to give a module with parameters to train, came {module} for candidate "
            f"{instance.candidate!r}"
        )
    return module.to(examples.inputs.device, examples.dtype)


def check_module(module: nn.Module, examples: Examples, loss: str | Loss) -> None:
    """Make sure that a module takes the inputs, and that what it gives fits the targets.

    Raises:
        InputError: it does not; shapes and the module's own error are named.
    """
    predictions = try_module(module, examples)
    if not isinstance(predictions, Tensor) or predictions.shape[:1] != examples.few().shape[:1]:
        came = f"shape {tuple(predictions.shape)}" if isinstance(predictions, Tensor) else repr(predictions)
        raise InputError(
            f"expected the module to give a prediction for each example of a batch, came {came} for inputs of shape "
            f"{_shape(examples)}"
        )
    for targets in (examples.targets, examples.held_out_targets):
        check_targets(loss, predictions[: len(targets)], targets)


def try_module(module: nn.Module, examples: Examples) -> Any:
    """Run a module on a few examples; it is left as it was.

    Raises:
        InputError: it raised.
    """
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return module(examples.few())
    except Exception as error:
        raise InputError(
            f"expected a module for inputs of shape {_shape(examples)}, came {type(module).__name__}, which raised "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        module.train(was_training)


def _shape(examples: Examples) -> str:
    return f"({', '.join(['B', *map(str, examples.inputs.shape[1:])])})"
