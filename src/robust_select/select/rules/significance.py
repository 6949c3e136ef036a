"""The published statistical rule: each step discards those that differ significantly from the best.

Called by ``Selection``. Knows nothing of the other rules. Source: the talks that follow IEEE Access 2025,
doi 10.1109/ACCESS.2025.3578926.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robust_select.core.errors import InputError
from robust_select.select.rules.base import (
    ONE_LEFT,
    USED_UP,
    Decision,
    Evidence,
    Trainings,
    check_count,
    check_warmup,
    next_replicates,
)
from robust_select.stats.comparisons import comparison
from robust_select.stats.criteria import Criterion, criterion

CONTROLS = ("per-look",)


@dataclass(frozen=True)
class Significance:
    """Each step compares every alive candidate with the best one; a candidate stays where p >= alpha.

    The best one is the best mean for a test of location (welch, ks, mann-whitney, paired-t, wilcoxon), the
    smallest standard deviation (ddof=1) for a test of width (bartlett, levene, fligner); among those left at
    the end the criterion chooses. It runs until one is left, ``max_instances`` are trained (or the table's
    replicates used up), or ``patience`` steps passed without a discard.

    The published form (``control="per-look"``) is two-sided and uncorrected: ``alpha`` holds for one look at
    one pair. Over many looks and rivals the best candidate is discarded more often than that; the truth tests
    measure how often.

    Raises:
        InputError: an unknown test or control, or a number out of range.
    """

    test: str = "welch"
    alpha: float = 0.05
    warmup: int = 2
    patience: int | None = None
    control: str = "per-look"
    max_instances: int = 50
    name = "significance"

    def __post_init__(self) -> None:
        comparison(self.test)
        if isinstance(self.alpha, (bool, str)) or not 0 < self.alpha < 1:
            raise InputError(f"expected alpha between 0 and 1, both excluded, came alpha={self.alpha!r}")
        check_count("warmup", self.warmup, 1)
        if self.patience is not None:
            check_count("patience", self.patience, 1)
        if self.control not in CONTROLS:
            raise InputError(f"expected control among {', '.join(CONTROLS)}, came control={self.control!r}")
        check_count("max_instances", self.max_instances, self.warmup)

    def settings(self) -> Mapping[str, Any]:
        """Give what the rule was made with."""
        return asdict(self)

    def check(self, criterion: Criterion) -> None:
        """Refuse a criterion that needs more scores than the warm-up gives."""
        check_warmup(self.warmup, criterion)

    def trainings(self, n_candidates: int, n_available: int | None = None) -> Trainings:
        """Bound: everybody discarded at once, or nobody ever."""
        most = self.max_instances if n_available is None else min(self.max_instances, n_available)
        return Trainings(n_candidates * self.warmup, n_candidates * most)

    def decide(self, evidence: Evidence) -> Decision:
        """Discard whoever differs significantly from the best."""
        alive, n_instances = evidence.alive_positions, evidence.n_instances
        if n_instances < self.warmup:
            return Decision(next_replicates(alive, n_instances, self.warmup))
        test = comparison(self.test)
        by = criterion("mean" if test.kind == "location" else "std")
        losses = evidence.alive_losses()
        best = int(by.order(losses)[0])
        stays = test(losses, losses[best]) >= self.alpha
        stays[best] = True
        n_most = self.max_instances
        if evidence.n_available is not None:
            n_most = min(n_most, evidence.n_available)
        patience_is_over = (
            self.patience is not None and stays.all() and evidence.steps_without_discard + 1 >= self.patience
        )
        stop = ""
        if np.count_nonzero(stays) == 1:
            stop = ONE_LEFT
        elif n_instances >= n_most:
            stop = USED_UP
        elif patience_is_over:
            stop = f"{self.patience} steps passed without a discard"
        return Decision(
            train=Decision().train if stop else next_replicates(alive[stays], n_instances, n_instances + 1),
            discard=alive[~stays],
            step=n_instances,
            best=int(alive[best]),
            best_by=by,
            stop=stop,
        )
