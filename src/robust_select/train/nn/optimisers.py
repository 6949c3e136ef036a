"""Optimisers of K stacked instances, each with its own hyperparameters: those of torch.optim on flat (K, P) values.

Called by the fitting loop, one optimiser a stack. Knows nothing of modules, losses or schedules: a schedule's factor
and momentum come as numbers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from robust_select.core.errors import InputError
from robust_select.train.nn.hyperparameters import Hyperparameters

__all__ = ["OPTIMISERS", "Hyperparameters", "Optimiser", "clip_gradients", "optimiser"]

_NORM_FLOOR = 1e-6  # as torch.nn.utils.clip_grad_norm_ has it


@dataclass(eq=False)
class _Piece:
    """Instances next to each other that share every number, so that one scalar serves them all.

    Attributes:
        first: position of the first instance.
        last: position after the last instance.
        hyperparameters: of every instance of the piece.
        mu_product: NAdam's product of momenta so far.
        has_buffer: whether SGD's momentum has begun.
        views: flat views of this piece of the values, the gradients, the states and the scratch space, by name.
    """

    first: int
    last: int
    hyperparameters: Hyperparameters
    mu_product: float = 1.0
    has_buffer: bool = False
    views: dict[str, Tensor] = field(default_factory=dict)

    def of(self, first: int, last: int) -> "_Piece":
        """Give the same piece with other positions; its views are to be made anew."""
        return _Piece(first, last, self.hyperparameters, self.mu_product, self.has_buffer)


class Optimiser(ABC):
    """Takes steps of K instances at once; each ends where torch.optim would take it alone.

    Instances next to each other with equal hyperparameters are updated together, by scalars: order a stack by its
    hyperparameters. Everything is in place; states are allocated when they are first needed.

    Args:
        values: (K, P) parameters, contiguous, float32 or float64; updated in place.
        hyperparameters: K of them.

    Raises:
        InputError: values of another shape or type, or hyperparameters of another number.

    Example:
        >>> values = torch.ones(2, 3)
        >>> made = OPTIMISERS["sgd"](values, [Hyperparameters(lr=0.5), Hyperparameters(lr=0.25)])
        >>> made.step(torch.ones(2, 3))
        >>> values[:, 0]
        tensor([0.5000, 0.7500])
    """

    has_momentum: ClassVar[bool] = True
    """Whether a schedule can set the momentum (beta1 in Adam's family), as one-cycle does."""

    def __init__(self, values: Tensor, hyperparameters: Sequence[Hyperparameters]) -> None:
        if values.ndim != 2 or not values.is_contiguous() or not values.is_floating_point():
            raise InputError(
                f"expected values (K, P), contiguous and of floating point, came shape={tuple(values.shape)}, "
                f"dtype={values.dtype}: give Stack.values"
            )
        if len(hyperparameters) != len(values):
            raise InputError(
                f"expected hyperparameters for each of {len(values)} instances, came {len(hyperparameters)} of them"
            )
        self._values = values
        self._gradients: Tensor | None = None
        self._states: dict[str, Tensor] = {}
        self._n_steps = 0
        self._step_tensor = torch.zeros((), device=values.device)  # for torch's fused kernels
        self._pieces = _joined([_Piece(k, k + 1, own) for k, own in enumerate(hyperparameters)])

    def step(self, gradients: Tensor, factor: float | Tensor = 1.0, momentum: float | Tensor | None = None) -> None:
        """Take one step.

        Args:
            gradients: (K, P) of the values; left as they are.
            factor: the schedule's multiplier of the learning rate, one for all or (K,).
            momentum: replaces the momentum (beta1 in Adam's family), one for all or (K,); None leaves it.

        Raises:
            InputError: gradients, a factor or a momentum of another shape, or a momentum for an optimiser without.

        Example:
            >>> values = torch.ones(1, 2)
            >>> OPTIMISERS["adam"](values, [Hyperparameters(lr=0.1)]).step(torch.tensor([[3.0, -3.0]]), factor=0.5)
            >>> values
            tensor([[0.9500, 1.0500]])
        """
        if gradients is not self._gradients:
            self._look_at(gradients)
        if momentum is not None and not self.has_momentum:
            raise InputError(
                f"expected no momentum for {_name_of(self)}, which has none, came momentum={momentum}: "
                "use a schedule that does not cycle the momentum"
            )
        factors, momenta = self._by_instance("factor", factor), self._by_instance("momentum", momentum)
        if isinstance(factors, list) or isinstance(momenta, list):
            self._split()
        self._n_steps += 1
        self._step_tensor.fill_(self._n_steps)
        with torch.no_grad():
            for piece in self._pieces:
                scale = factors[piece.first] if isinstance(factors, list) else factors
                own = momenta[piece.first] if isinstance(momenta, list) else momenta
                self._update(piece, piece.hyperparameters.lr * (1.0 if scale is None else scale), own)

    def keep(self, positions: Sequence[int], values: Tensor) -> None:
        """Go on with some of the instances only; they go on as if nothing had happened.

        Args:
            positions: of the instances to keep, in their new order.
            values: (len(positions), P) the new tensor of their parameters (``Stack.values`` after ``Stack.keep``).

        Raises:
            InputError: a position that is not there, or values of another shape.

        Example:
            >>> made = OPTIMISERS["sgd"](torch.ones(2, 3), [Hyperparameters(lr=0.5), Hyperparameters(lr=0.25)])
            >>> left = torch.ones(1, 3)
            >>> made.keep([1], left)
            >>> made.step(torch.ones(1, 3))
            >>> left
            tensor([[0.7500, 0.7500, 0.7500]])
        """
        n_instances, n_parameters = self._values.shape
        if any(not 0 <= position < n_instances for position in positions):
            raise InputError(f"expected positions from 0 to {n_instances - 1}, came positions={list(positions)}")
        if values.shape != (len(positions), n_parameters) or not values.is_contiguous():
            raise InputError(
                f"expected contiguous values of shape {(len(positions), n_parameters)} for positions="
                f"{list(positions)}, came shape={tuple(values.shape)}: give Stack.values after Stack.keep"
            )
        index = torch.tensor(positions, dtype=torch.long, device=values.device)
        old = {k: piece for piece in self._pieces for k in range(piece.first, piece.last)}
        self._values, self._gradients = values, None
        self._states = {name: state[index] for name, state in self._states.items()}
        self._pieces = _joined([old[position].of(k, k + 1) for k, position in enumerate(positions)])

    @abstractmethod
    def _update(self, piece: _Piece, lr: float, momentum: float | None) -> None:
        """Update the values of a piece and its states."""

    def _by_instance(self, name: str, given: float | Tensor | None) -> float | list[float] | None:
        """Read a number that is one for all, or one for each; equal ones are one for all."""
        if not isinstance(given, Tensor):
            return given
        if given.shape != (len(self._values),):
            raise InputError(
                f"expected {name} as one number or of shape ({len(self._values)},), came shape={tuple(given.shape)}"
            )
        numbers: list[float] = given.tolist()
        return numbers[0] if len(set(numbers)) == 1 else numbers

    def _split(self) -> None:
        """Make each instance a piece of its own, for good: their states are no longer alike."""
        if len(self._pieces) < len(self._values):
            self._pieces = [piece.of(k, k + 1) for piece in self._pieces for k in range(piece.first, piece.last)]
            self._gradients, gradients = None, self._gradients
            if gradients is not None:
                self._look_at(gradients)

    def _look_at(self, gradients: Tensor) -> None:
        if gradients.shape != self._values.shape or not gradients.is_contiguous():
            raise InputError(
                f"expected contiguous gradients of the values' shape {tuple(self._values.shape)}, came "
                f"shape={tuple(gradients.shape)}: give Stack.gradients"
            )
        self._gradients = gradients
        for piece in self._pieces:
            piece.views["values"] = _flat(self._values, piece)
            piece.views["gradients"] = _flat(gradients.detach(), piece)

    def _state(self, piece: _Piece, name: str) -> Tensor:
        """Give a piece's part of a state; it starts with zeros."""
        if name not in piece.views:
            if name not in self._states:
                self._states[name] = torch.zeros_like(self._values)
            piece.views[name] = _flat(self._states[name], piece)
        return piece.views[name]

    def _scratch(self, piece: _Piece, name: str) -> Tensor:
        """Give space that is overwritten: what is in it is lost after the update."""
        if name not in piece.views:
            piece.views[name] = torch.empty_like(piece.views["values"])
        return piece.views[name]

    def _with_l2(self, piece: _Piece) -> Tensor:
        """Give the gradients with the L2 term added, as every optimiser but AdamW has it."""
        weight_decay = piece.hyperparameters.weight_decay
        if weight_decay == 0:
            return piece.views["gradients"]
        found = self._scratch(piece, "with_l2")
        torch.add(piece.views["gradients"], piece.views["values"], alpha=weight_decay, out=found)
        return found


def _flat(tensor: Tensor, piece: _Piece) -> Tensor:
    return tensor[piece.first : piece.last].view(-1)


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Join neighbours that share every number."""
    found: list[_Piece] = []
    for piece in pieces:
        before = found[-1] if found else None
        if before is not None and _shares(before, piece):
            before.last = piece.last
        else:
            found.append(piece)
    return found


def _shares(one: _Piece, other: _Piece) -> bool:
    return (one.hyperparameters, one.mu_product, one.has_buffer) == (
        other.hyperparameters,
        other.mu_product,
        other.has_buffer,
    )


def _fused(name: str, values: Tensor) -> Callable[..., None] | None:
    """Look up a kernel of torch that makes one pass over memory; it is private, so it may be gone some day."""
    found: Callable[..., None] | None = getattr(torch, name, None)
    return found if values.device.type == "cpu" else None


class SGD(Optimiser):
    """Stochastic gradient descent with momentum, dampening and Nesterov's momentum."""

    def _update(self, piece: _Piece, lr: float, momentum: float | None) -> None:
        own = piece.hyperparameters
        momentum = own.momentum if momentum is None else momentum
        kernel = _fused("_fused_sgd_", self._values)
        if kernel is not None:
            buffers = [self._state(piece, "momentum")] if momentum != 0 else []
            kernel(
                [piece.views["values"]],
                [piece.views["gradients"]],
                buffers,
                weight_decay=own.weight_decay,
                momentum=momentum,
                lr=lr,
                dampening=own.dampening,
                nesterov=own.nesterov,
                maximize=False,
                is_first_step=not piece.has_buffer,
            )
            piece.has_buffer = piece.has_buffer or momentum != 0
            return
        gradients = self._with_l2(piece)
        if momentum == 0:
            piece.views["values"].add_(gradients, alpha=-lr)
            return
        buffer = self._state(piece, "momentum")
        buffer.mul_(momentum).add_(gradients, alpha=1 - own.dampening if piece.has_buffer else 1.0)
        piece.has_buffer = True
        if own.nesterov:
            piece.views["values"].add_(gradients, alpha=-lr)
        piece.views["values"].add_(buffer, alpha=-lr * momentum if own.nesterov else -lr)


class Adam(Optimiser):
    """Adam, Kingma and Ba 2015; weight decay is an L2 term of the gradient."""

    _kernel: ClassVar[str] = "_fused_adam_"
    _is_decoupled: ClassVar[bool] = False

    def _update(self, piece: _Piece, lr: float, momentum: float | None) -> None:
        own = piece.hyperparameters
        beta1 = own.betas[0] if momentum is None else momentum
        beta2, eps = own.betas[1], own.eps_or(1e-8)
        mean, square = self._state(piece, "mean"), self._state(piece, "square")
        kernel = _fused(self._kernel, self._values)
        if kernel is not None:
            kernel(
                [piece.views["values"]],
                [piece.views["gradients"]],
                [mean],
                [square],
                [],
                [self._step_tensor],
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                weight_decay=own.weight_decay,
                eps=eps,
                amsgrad=False,
                maximize=False,
            )
            return
        values = piece.views["values"]
        if self._is_decoupled:
            values.mul_(1 - lr * own.weight_decay)
        gradients = piece.views["gradients"] if self._is_decoupled else self._with_l2(piece)
        mean.lerp_(gradients, 1 - beta1)
        square.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        scale = torch.sqrt(square, out=self._scratch(piece, "scale"))
        scale.div_((1 - beta2**self._n_steps) ** 0.5).add_(eps)
        values.addcdiv_(mean, scale, value=-lr / (1 - beta1**self._n_steps))


class AdamW(Adam):
    """AdamW, Loshchilov and Hutter 2019: weight decay apart from the gradient."""

    _kernel = "_fused_adamw_"
    _is_decoupled = True


class NAdam(Optimiser):
    """NAdam, Dozat 2016; weight decay is an L2 term of the gradient.

    torch.optim.NAdam rounds its product of momenta to torch's default type; here it is float64.
    """

    def _update(self, piece: _Piece, lr: float, momentum: float | None) -> None:
        own, step = piece.hyperparameters, self._n_steps
        beta1 = own.betas[0] if momentum is None else momentum
        beta2 = own.betas[1]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * own.momentum_decay))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * own.momentum_decay))
        piece.mu_product *= mu
        values, gradients = piece.views["values"], self._with_l2(piece)
        mean, square = self._state(piece, "mean"), self._state(piece, "square")
        mean.lerp_(gradients, 1 - beta1)
        square.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        scale = torch.div(square, 1 - beta2**step, out=self._scratch(piece, "scale"))
        scale.sqrt_().add_(own.eps_or(1e-8))
        values.addcdiv_(gradients, scale, value=-lr * (1.0 - mu) / (1.0 - piece.mu_product))
        values.addcdiv_(mean, scale, value=-lr * mu_next / (1.0 - piece.mu_product * mu_next))


class RMSprop(Optimiser):
    """RMSprop, Tieleman and Hinton 2012, with momentum and centred if asked for."""

    def _update(self, piece: _Piece, lr: float, momentum: float | None) -> None:
        own = piece.hyperparameters
        momentum = own.momentum if momentum is None else momentum
        values, gradients = piece.views["values"], self._with_l2(piece)
        square, scale = self._state(piece, "square"), self._scratch(piece, "scale")
        square.mul_(own.alpha).addcmul_(gradients, gradients, value=1 - own.alpha)
        if own.centered:
            mean = self._state(piece, "mean")
            mean.lerp_(gradients, 1 - own.alpha)
            torch.addcmul(square, mean, mean, value=-1, out=scale).sqrt_()
        else:
            torch.sqrt(square, out=scale)
        scale.add_(own.eps_or(1e-8))
        if momentum > 0:
            buffer = self._state(piece, "momentum")
            buffer.mul_(momentum).addcdiv_(gradients, scale)
            values.add_(buffer, alpha=-lr)
        else:
            values.addcdiv_(gradients, scale, value=-lr)


class Adadelta(Optimiser):
    """Adadelta, Zeiler 2012."""

    has_momentum = False

    def _update(self, piece: _Piece, lr: float, momentum: float | None) -> None:
        own = piece.hyperparameters
        eps, gradients = own.eps_or(1e-6), self._with_l2(piece)
        square, moved = self._state(piece, "square"), self._state(piece, "moved")
        square.mul_(own.rho).addcmul_(gradients, gradients, value=1 - own.rho)
        scale = torch.add(square, eps, out=self._scratch(piece, "scale")).sqrt_()
        change = torch.add(moved, eps, out=self._scratch(piece, "change")).sqrt_().div_(scale).mul_(gradients)
        moved.mul_(own.rho).addcmul_(change, change, value=1 - own.rho)
        piece.views["values"].add_(change, alpha=-lr)


OPTIMISERS: Mapping[str, type[Optimiser]] = MappingProxyType(
    {"sgd": SGD, "adam": Adam, "adamw": AdamW, "nadam": NAdam, "rmsprop": RMSprop, "adadelta": Adadelta}
)
"""The optimisers by the names that users write, which are those of torch.optim in lower case."""


def _name_of(made: Optimiser) -> str:
    return next(name for name, kind in OPTIMISERS.items() if kind is type(made))


def optimiser(name: str, values: Tensor, hyperparameters: Sequence[Hyperparameters]) -> Optimiser:
    """Make an optimiser by name.

    Args:
        name: ``sgd``, ``adam``, ``adamw``, ``nadam``, ``rmsprop`` or ``adadelta``.
        values: (K, P) parameters, updated in place.
        hyperparameters: K of them.

    Raises:
        InputError: no optimiser of that name, or as ``Optimiser`` has it.

    Example:
        >>> type(optimiser("nadam", torch.zeros(1, 4), [Hyperparameters(lr=1e-4)])).__name__
        'NAdam'
    """
    if name not in OPTIMISERS:
        raise InputError(f"expected an optimiser among {', '.join(OPTIMISERS)}, came {name!r}")
    return OPTIMISERS[name](values, hyperparameters)


def clip_gradients(gradients: Tensor, max_norm: Tensor) -> None:
    """Scale each instance's gradients down to its largest norm, as torch.nn.utils.clip_grad_norm_ does; in place.

    Args:
        gradients: (K, P), changed where their Euclidean norm is too large.
        max_norm: (K,) the largest norm of each instance; infinite where there is none.

    Raises:
        InputError: max_norm of another shape.

    Example:
        >>> gradients = torch.tensor([[3.0, 4.0], [30.0, 40.0]])
        >>> clip_gradients(gradients, torch.tensor([10.0, 5.0]))
        >>> gradients.round(decimals=3)
        tensor([[3., 4.],
                [3., 4.]])
    """
    if max_norm.shape != gradients.shape[:1]:
        raise InputError(
            f"expected max_norm of shape ({len(gradients)},), one an instance, came shape={tuple(max_norm.shape)}"
        )
    norms: Any = torch.linalg.vector_norm(gradients, dim=1)
    scales = (max_norm.to(norms) / (norms + _NORM_FLOOR)).clamp_(max=1.0)
    scales.masked_fill_(max_norm.isinf(), 1.0)
    if bool((scales != 1.0).any()):
        gradients.mul_(scales[:, None])
