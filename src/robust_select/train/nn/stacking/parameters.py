"""The parameters and buffers of K instances.

Used by stacks. Knows modules only as bags of named tensors.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from robust_select.core.errors import InputError
from robust_select.train.nn.stacking.errors import NotStackableError


class _Reading(torch.autograd.Function):
    """Reads views of the flat buffer; going back, adds their gradients to the flat gradients.

    Views that are leaves themselves would do the same, but autograd warns of leaves that are not dense.
    """

    @staticmethod
    def forward(ctx: Any, _: Tensor, views: tuple[Tensor, ...], gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        ctx.gradients = gradients
        ctx.set_materialize_grads(False)
        return tuple(view.detach() for view in views)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[None, None, None]:
        for total, grad in zip(ctx.gradients, grads, strict=True):
            if grad is not None:
                total.add_(grad)
        return None, None, None


class Parameters:
    """All trainable parameters of K instances in one buffer, and views of it in their shapes.

    Args:
        modules: K modules of the same structure.

    Attributes:
        values: (K, P), row k all trainable parameters of instance k in the order of ``named_parameters``.
        gradients: (K, P), laid out alike.
        names: of the trainable parameters, in order.
        frozen: parameters that are not trained and buffers (K, *shape), by name.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        first = modules[0]
        self._shapes = {name: each.shape for name, each in first.named_parameters() if each.requires_grad}
        self.names = tuple(self._shapes)
        self._check(first)
        rows = [_row(module) for module in modules]
        self.frozen = {
            name: torch.stack([tensor.detach() for tensor in tensors])
            for name, tensors in _side_by_side([_frozen(module) for module in modules]).items()
        }
        self._bind(torch.stack(rows))

    def keep(self, positions: Sequence[int]) -> None:
        """Drop all other instances; the buffers are new ones afterwards."""
        index = torch.as_tensor(positions, device=self.values.device)
        gradients = self.gradients.index_select(0, index)
        self.frozen = {name: tensor.index_select(0, index) for name, tensor in self.frozen.items()}
        self._bind(self.values.index_select(0, index))
        self.gradients.copy_(gradients)

    def write(self, k: int, module: nn.Module) -> None:
        """Copy instance k into a module of the same structure."""
        with torch.no_grad():
            all_tensors = self.read()
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                tensor.copy_(all_tensors[name][k])

    def read(self) -> dict[str, Tensor]:
        """Give all parameters and buffers (K, *shape) by name; gradients of the former add to ``gradients``."""
        views = self._views
        if torch.is_grad_enabled() and views:
            views = _Reading.apply(self._anchor, views, self._gradient_views)  # type: ignore[no-untyped-call]
        return {**self.frozen, **dict(zip(self.names, views, strict=True))}

    def lend(self, module: nn.Module) -> None:
        """Make a module's parameters, and their gradients, views of instance 0."""
        views = {
            name: (view[0], grad[0])
            for name, view, grad in zip(self.names, self._views, self._gradient_views, strict=True)
        }
        for name, parameter in module.named_parameters():
            if name in views:
                parameter.data, parameter.grad = views[name]

    def _bind(self, values: Tensor) -> None:
        self.values = values
        self.gradients = torch.zeros_like(values)
        self._views = self._split(self.values)
        self._gradient_views = self._split(self.gradients)
        self._anchor = torch.zeros((), dtype=values.dtype, device=values.device, requires_grad=True)

    def _split(self, flat: Tensor) -> tuple[Tensor, ...]:
        parts = torch.split(flat, [shape.numel() for shape in self._shapes.values()], dim=1)
        return tuple(part.view(-1, *shape) for part, shape in zip(parts, self._shapes.values(), strict=True))

    def _check(self, module: nn.Module) -> None:
        trained = {name: each for name, each in module.named_parameters() if each.requires_grad}
        kinds = {(each.dtype, each.device) for each in trained.values()}
        if len(kinds) > 1:
            raise NotStackableError(
                "", type(module).__name__, f"its parameters have several types or devices: {sorted(map(str, kinds))}"
            )


def check_alike(modules: Sequence[nn.Module]) -> None:
    """Make sure that modules have the same parameters and buffers.

    Raises:
        InputError: there are none, or two of them differ.

    Example:
        >>> try:
        ...     check_alike([nn.Linear(2, 3), nn.Linear(2, 4)])
        ... except InputError as error:
        ...     print(str(error).partition(" where ")[0])
        expected modules of one structure, came module 1 with weight (4, 2) float32
    """
    if not modules:
        raise InputError("expected at least one module to stack, came modules=[]")
    ours = _described(modules[0])
    for position, module in enumerate(modules[1:], start=1):
        for mine, its in zip_longest(ours, _described(module), fillvalue="nothing more"):
            if mine != its:
                raise InputError(differ(position, its, mine))


def differ(position: int, its: str, mine: str) -> str:
    """Say that a module differs from the first.

    Args:
        position: of the module.
        its: what it has.
        mine: what the first module has there.
    """
    return (
        f"expected modules of one structure, came module {position} with {its} where module 0 has {mine}: "
        "give only candidates of equal architecture to one stack"
    )


def _described(module: nn.Module) -> list[str]:
    named = [
        *((name, each, "" if each.requires_grad else " not trained") for name, each in module.named_parameters()),
        *((name, each, " a buffer") for name, each in module.named_buffers()),
    ]
    return [
        f"{name} {tuple(each.shape)} {str(each.dtype).removeprefix('torch.')}{kind}" for name, each, kind in named
    ]


def _row(module: nn.Module) -> Tensor:
    flat = [each.detach().flatten() for each in module.parameters() if each.requires_grad]
    return torch.cat(flat) if flat else torch.zeros(0)


def _frozen(module: nn.Module) -> dict[str, Tensor]:
    parameters = {name: each for name, each in module.named_parameters() if not each.requires_grad}
    return parameters | dict(module.named_buffers())


def _side_by_side(all_tensors: Sequence[dict[str, Tensor]]) -> dict[str, list[Tensor]]:
    return {name: [tensors[name] for tensors in all_tensors] for name in all_tensors[0]}
