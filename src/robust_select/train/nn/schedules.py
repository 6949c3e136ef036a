"""Schedules of the learning rate over a whole training, step by step, as torch.optim.lr_scheduler has them.

Called by the fitting loop, which hands the numbers to the optimisers. Knows nothing of tensors or of PyTorch.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from robust_select.core.errors import InputError


@dataclass(frozen=True)
class OneCycle:
    """The shape of a one-cycle schedule (Smith and Topin 2018), by torch's names and defaults.

    Attributes:
        pct_start: share of the steps in which the learning rate rises.
        div_factor: peak over first learning rate.
        final_div_factor: first over last learning rate.
        cycle_momentum: whether the momentum (beta1 in Adam's family) falls while the learning rate rises, and back;
            it then replaces the optimiser's own. False for an optimiser without (``Optimiser.has_momentum``).
        base_momentum: the lowest, at the peak.
        max_momentum: the highest, at the start and the end.

    Raises:
        InputError: a number out of its range.

    Example:
        >>> OneCycle(pct_start=0.25).max_momentum
        0.95
    """

    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    cycle_momentum: bool = True
    base_momentum: float = 0.85
    max_momentum: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.pct_start <= 1:
            raise InputError(f"expected pct_start from 0 to 1, came pct_start={self.pct_start}")
        for name in ("div_factor", "final_div_factor"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"expected {name} as a finite number above 0, came {name}={getattr(self, name)}")
        for name in ("base_momentum", "max_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"expected {name} from 0 to below 1, came {name}={getattr(self, name)}")


@dataclass(frozen=True)
class Schedule:
    """What multiplies an instance's own learning rate, its peak, at each step of a training.

    ``constant`` leaves it; ``cosine`` falls from 1 to 0 over the steps after the warm-up (torch's CosineAnnealingLR,
    a step at a time); ``one-cycle`` rises and falls (torch's OneCycleLR). The warm-up of W steps rises linearly from
    1 / (W + 1), the step after it has 1 (torch's LinearLR with that start_factor and W total_iters, followed by the
    schedule in a SequentialLR).

    Attributes:
        name: of the schedule.
        n_steps: of the whole training, warm-up included.
        n_warmup_steps: of a linear rise before it; one-cycle rises by itself and takes none.
        one_cycle: the shape of one-cycle.

    Raises:
        InputError: no schedule of that name, or numbers of steps that cannot be.

    Example:
        >>> Schedule("cosine", n_steps=4).factor(2)
        0.5
        >>> rising = Schedule("constant", n_steps=9, n_warmup_steps=3)
        >>> [rising.factor(step) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    name: str
    n_steps: int
    n_warmup_steps: int = 0
    one_cycle: OneCycle = OneCycle()

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise InputError(f"expected a schedule among {', '.join(SCHEDULES)}, came {self.name!r}")
        if self.n_steps < 1:
            raise InputError(f"expected a training of at least one step, came n_steps={self.n_steps}")
        if not 0 <= self.n_warmup_steps < self.n_steps:
            raise InputError(
                f"expected a warm-up shorter than the training, came n_warmup_steps={self.n_warmup_steps}, "
                f"n_steps={self.n_steps}"
            )
        if self.name == "one-cycle" and self.n_warmup_steps:
            raise InputError(
                "expected no warm-up for one-cycle, which rises by itself, came "
                f"n_warmup_steps={self.n_warmup_steps}: set its pct_start"
            )

    def factor(self, step: int) -> float:
        """Give the multiplier of the learning rate at a step, counted from 0.

        Raises:
            InputError: a step that the training does not have.
        """
        self._check(step)
        if step < self.n_warmup_steps:
            return (step + 1) / (self.n_warmup_steps + 1)
        return SCHEDULES[self.name](self, step - self.n_warmup_steps, self.n_steps - self.n_warmup_steps)

    def momentum(self, step: int) -> float | None:
        """Give the momentum at a step, counted from 0; None where the optimiser's own stays.

        Raises:
            InputError: a step that the training does not have.

        Example:
            >>> Schedule("one-cycle", n_steps=10).momentum(2), Schedule("cosine", n_steps=10).momentum(2)
            (0.85, None)
        """
        self._check(step)
        if self.name != "one-cycle" or not self.one_cycle.cycle_momentum:
            return None
        low, high = self.one_cycle.base_momentum, self.one_cycle.max_momentum
        is_rising, share = _phase(self.one_cycle.pct_start, step, self.n_steps)
        return _annealed(high, low, share) if is_rising else _annealed(low, high, share)

    def _check(self, step: int) -> None:
        if not 0 <= step < self.n_steps:
            raise InputError(f"expected a step from 0 to {self.n_steps - 1}, came step={step}")


def _constant(schedule: Schedule, step: int, n_steps: int) -> float:
    return 1.0


def _cosine(schedule: Schedule, step: int, n_steps: int) -> float:
    return (1 + math.cos(math.pi * step / n_steps)) / 2


def _one_cycle(schedule: Schedule, step: int, n_steps: int) -> float:
    first = 1 / schedule.one_cycle.div_factor
    is_rising, share = _phase(schedule.one_cycle.pct_start, step, n_steps)
    if is_rising:
        return _annealed(first, 1.0, share)
    return _annealed(1.0, first / schedule.one_cycle.final_div_factor, share)


def _phase(pct_start: float, step: int, n_steps: int) -> tuple[bool, float]:
    """Tell whether the learning rate rises at a step, and which share of that phase is over, as torch counts it.

    Where torch divides by zero (the rise is one step long), the rise is over.
    """
    peak = pct_start * n_steps - 1
    if step <= peak or peak >= n_steps - 1:
        return True, step / peak if peak else 1.0
    return False, (step - max(peak, -1.0)) / (n_steps - 1 - max(peak, -1.0))


def _annealed(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


SCHEDULES: Mapping[str, Callable[[Schedule, int, int], float]] = MappingProxyType(
    {"constant": _constant, "cosine": _cosine, "one-cycle": _one_cycle}
)
"""The schedules by the names that users write: from a schedule, a step after the warm-up and their number."""
