"""How a network is trained: the settings that a candidate's parameters may override by name.

Made by the trainer beside this file. Knows nothing of modules, data or torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from robust_select.core.errors import InputError
from robust_select.train.nn.hyperparameters import Hyperparameters
from robust_select.train.nn.schedules import SCHEDULES, OneCycle, Schedule

Resample = Literal["subset", "bootstrap"]
Precision = Literal["float32", "float64"]
OPTIMISER_NAMES = ("sgd", "adam", "adamw", "nadam", "rmsprop", "adadelta")


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes:
        epochs: how often the training sample is gone through.
        batch_size: examples a step; the last step of an epoch takes what is left.
        optimiser: "sgd", "adam", "adamw", "nadam", "rmsprop" or "adadelta", as in torch.optim.
        lr: learning rate; the peak of a schedule.
        schedule: of the learning rate over the whole training: "constant", "cosine" (to 0), "one-cycle" (as torch's
            ``OneCycleLR``, momentum included).
        warmup_epochs: epochs of a linear rise before the schedule, for one-cycle none; may be a fraction.
        weight_decay: as in torch.optim: decoupled for AdamW, L2 in the gradient for the others.
        momentum: of SGD and RMSprop.
        dampening: of SGD's momentum.
        nesterov: of SGD.
        betas: of Adam, AdamW and NAdam.
        momentum_decay: of NAdam.
        eps: of the optimisers that have one; None for torch's default.
        alpha: of RMSprop.
        centered: of RMSprop: whether the squared mean of the gradient is subtracted.
        rho: of Adadelta.
        clip_norm: the norm that gradients are clipped to, one instance by itself; None for no clipping.
        n_train: size of the training sample; None for the whole population.
        resample: "subset" draws the sample without replacement, "bootstrap" with.
        pct_start: of one-cycle: the share of the steps in which the learning rate rises.
        div_factor: of one-cycle: peak over first learning rate.
        final_div_factor: of one-cycle: first over last learning rate.
        cycle_momentum: of one-cycle: whether the momentum falls from 0.95 to 0.85 and back, as torch has it.
        dtype: "float32" or "float64".
        stack_size: how many instances are trained as one at most; None measures what is best.

    Raises:
        InputError: a value out of range, or an unknown name.

    Example:
        >>> Settings(epochs=50).overridden({"lr": 0.01, "width": 16}).lr
        0.01
    """

    epochs: int = 10
    batch_size: int = 32
    optimiser: str = "adamw"
    lr: float = 1e-3
    schedule: str = "constant"
    warmup_epochs: float = 0
    weight_decay: float = 0
    momentum: float = 0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float | None = None
    alpha: float = 0.99
    rho: float = 0.9
    clip_norm: float | None = None
    n_train: int | None = None
    resample: Resample = "subset"
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    cycle_momentum: bool = True
    dtype: Precision = "float32"
    stack_size: int | None = None
    dampening: float = 0
    momentum_decay: float = 4e-3
    centered: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "n_train", "stack_size"):
            value = getattr(self, name)
            if value is not None or name in ("epochs", "batch_size"):
                object.__setattr__(self, name, _whole(name, value))
        for name in ("lr", "weight_decay", "momentum", "alpha", "rho", "warmup_epochs", "clip_norm", "eps"):
            value = getattr(self, name)
            if value is not None or name not in ("clip_norm", "eps"):
                object.__setattr__(self, name, _number(name, value))
        for name in ("pct_start", "div_factor", "final_div_factor", "dampening", "momentum_decay"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        object.__setattr__(self, "betas", _pair("betas", self.betas))
        object.__setattr__(self, "nesterov", bool(self.nesterov))
        object.__setattr__(self, "centered", bool(self.centered))
        _one_of("optimiser", self.optimiser, OPTIMISER_NAMES)
        _one_of("schedule", self.schedule, tuple(SCHEDULES))
        _one_of("resample", self.resample, get_args(Resample))
        _one_of("dtype", self.dtype, get_args(Precision))
        for name in ("clip_norm", "lr", "div_factor", "final_div_factor"):
            if getattr(self, name) == 0:
                raise InputError(f"expected {name} above 0, came {name}=0")
        for name in ("momentum", "alpha", "rho", "pct_start"):
            if getattr(self, name) > 1:
                raise InputError(f"expected {name} between 0 and 1, came {name}={getattr(self, name)!r}")
        object.__setattr__(self, "cycle_momentum", bool(self.cycle_momentum))
        self.hyperparameters()  # checks what they have in common
        if self.schedule == "one-cycle" and self.warmup_epochs:
            raise InputError(
                "expected no warm-up epochs for one-cycle, which rises by itself, came "
                f"warmup_epochs={self.warmup_epochs:g}: set pct_start"
            )
        if self.warmup_epochs >= self.epochs:
            raise InputError(
                f"expected fewer warm-up epochs than epochs, came warmup_epochs={self.warmup_epochs:g} and "
                f"epochs={self.epochs}"
            )

    def overridden(self, params: Mapping[str, Any]) -> "Settings":
        """Give the settings of a candidate: its parameters with the name of a setting override it.

        Raises:
            InputError: a value out of range.
        """
        found = {name: params[name] for name in NAMES if name in params}
        return replace(self, **found) if found else self

    def hyperparameters(self) -> Hyperparameters:
        """Give what the optimiser is set to."""
        return Hyperparameters(**{field.name: getattr(self, field.name) for field in fields(Hyperparameters)})

    def learning_rates(self, n_steps_an_epoch: int) -> Schedule:
        """Give the schedule of the learning rate over the whole training.

        Example:
            >>> Settings(epochs=4, schedule="cosine").learning_rates(n_steps_an_epoch=10).factor(20)
            0.5
        """
        has_momentum = self.optimiser != "adadelta"
        return Schedule(
            self.schedule,
            self.epochs * n_steps_an_epoch,
            round(self.warmup_epochs * n_steps_an_epoch),
            OneCycle(
                self.pct_start,
                self.div_factor,
                self.final_div_factor,
                cycle_momentum=self.cycle_momentum and has_momentum,
            ),
        )


NAMES = tuple(field.name for field in fields(Settings))
"""The names that a candidate's parameters may override."""

STACKED = (
    *("lr", "weight_decay", "momentum", "dampening", "betas", "momentum_decay", "eps", "alpha", "rho", "clip_norm"),
)
"""The settings in which instances of one stack may differ."""


def settings_from(given: Mapping[str, Any] | Settings | None) -> Settings:
    """Make settings of what a user gives as defaults.

    Raises:
        InputError: an unknown name, or a value out of range.

    Example:
        >>> settings_from({"epochs": 50}).epochs
        50
    """
    if isinstance(given, Settings):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"expected Settings or a dictionary of settings as defaults, came {given!r}")
    found = dict(given or {})
    unknown = sorted(set(map(str, found)) - set(NAMES))
    if unknown:
        raise InputError(f"expected settings among {', '.join(NAMES)}, came {', '.join(unknown)}")
    return Settings(**found)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"expected {name} to be a whole number of at least 1, came {name}={value!r}")
    return int(value)


def _number(name: str, value: Any) -> float:
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise InputError(f"expected {name} to be a finite number of at least 0, came {name}={value!r}")
    return float(value)


def _pair(name: str, value: Any) -> tuple[float, float]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise InputError(f"expected {name} to be two numbers, came {name}={value!r}") from None
    pair = (_number(name, first), _number(name, second))
    if max(pair) >= 1:
        raise InputError(f"expected {name} below 1, came {name}={value!r}")
    return pair


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"expected {name} among {', '.join(allowed)}, came {name}={value!r}")
