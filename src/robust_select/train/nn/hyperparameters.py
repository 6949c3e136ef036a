"""What one instance's optimiser is set to, checked when it is made.

Read by the optimisers, made by the settings of a training. Knows nothing of PyTorch.
"""

import math
from dataclasses import dataclass

from robust_select.core.errors import InputError


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of one instance, by the names and defaults of torch.optim; each optimiser reads its own.

    Attributes:
        lr: the learning rate; a schedule multiplies it.
        weight_decay: apart from the gradient for AdamW, an L2 term of the gradient for all others.
        momentum: of SGD and RMSprop.
        dampening: of SGD's momentum.
        nesterov: whether SGD's momentum is Nesterov's.
        betas: of Adam, AdamW and NAdam.
        eps: added to denominators; None is the optimiser's own (1e-6 for Adadelta, else 1e-8).
        alpha: of RMSprop.
        centered: whether RMSprop subtracts the squared mean of the gradient.
        rho: of Adadelta.
        momentum_decay: of NAdam.

    Raises:
        InputError: a number out of its range, or Nesterov's momentum without momentum or with dampening.

    Example:
        >>> Hyperparameters(lr=1e-3, weight_decay=0.1).betas
        (0.9, 0.999)
    """

    lr: float
    weight_decay: float = 0.0
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float | None = None
    alpha: float = 0.99
    centered: bool = False
    rho: float = 0.9
    momentum_decay: float = 4e-3

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        if len(self.betas) != 2:
            raise InputError(f"expected betas as two numbers, came betas={self.betas}")
        for name in ("lr", "weight_decay", "momentum", "alpha", "momentum_decay"):
            self._check(name, getattr(self, name), math.inf)
        if self.eps is not None:
            self._check("eps", self.eps, math.inf)
        if not math.isfinite(self.dampening):
            raise InputError(f"expected a finite dampening, came dampening={self.dampening}")
        self._check("rho", self.rho, math.nextafter(1.0, 2.0))  # rho may be 1, as in torch.optim
        for name, value in zip(("betas[0]", "betas[1]"), self.betas, strict=True):
            self._check(name, value, 1.0)
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise InputError(
                "expected nesterov with a momentum above 0 and dampening=0, came "
                f"momentum={self.momentum}, dampening={self.dampening}"
            )

    def eps_or(self, default: float) -> float:
        """Give eps, or the optimiser's own where none is set."""
        return default if self.eps is None else self.eps

    @staticmethod
    def _check(name: str, value: float, below: float) -> None:
        if not 0 <= value < below:  # nan is refused, too
            limit = "a finite number" if below == math.inf else f"a number {'up to' if below > 1 else 'below'} 1"
            raise InputError(f"expected {name} as {limit} from 0, came {name}={value}")
