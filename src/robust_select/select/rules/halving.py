"""The published rule: after the warm-up each step keeps the better half.

Called by ``Selection``. Knows nothing of the other rules. Source: IEEE Access 2025,
doi 10.1109/ACCESS.2025.3578926, Algorithm 1 with the median as selection criterion.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

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
from robust_select.stats.criteria import Criterion


@dataclass(frozen=True)
class Halving:
    """After ``warmup`` instances of everybody, each step keeps the better half (rounded down).

    The last survivor is trained ``final_instances`` more times. The number of trainings is known beforehand.
    Halving asks for no evidence: it discards half however close the scores are, so its error rate is not
    bounded; a longer warm-up lowers it.

    Raises:
        InputError: ``warmup`` below 1 or ``final_instances`` below 0.

    Example:
        >>> Halving(warmup=5, final_instances=100).trainings(6912).exact
        41567
    """

    warmup: int = 5
    final_instances: int = 0
    name = "halving"

    def __post_init__(self) -> None:
        check_count("warmup", self.warmup, 1)
        check_count("final_instances", self.final_instances, 0)

    def settings(self) -> Mapping[str, Any]:
        """Give what the rule was made with."""
        return asdict(self)

    def check(self, criterion: Criterion) -> None:
        """Refuse a criterion that needs more scores than the warm-up gives."""
        check_warmup(self.warmup, criterion)

    def trainings(self, n_candidates: int, n_available: int | None = None) -> Trainings:
        """Count exactly: the warm-up, then half as many at each step, then the survivor's final instances."""
        n_trainings, n_alive, n_instances = n_candidates * self.warmup, n_candidates // 2, self.warmup
        while n_alive > 1 and (n_available is None or n_instances < n_available):
            n_trainings, n_alive, n_instances = n_trainings + n_alive, n_alive // 2, n_instances + 1
        n_final = self.final_instances
        if n_available is not None:
            n_final = min(n_final, n_available - n_instances) if n_alive <= 1 else 0
        return Trainings(n_trainings + n_final, n_trainings + n_final)

    def decide(self, evidence: Evidence) -> Decision:
        """Discard the worse half once the warm-up is over."""
        alive, n_instances = evidence.alive_positions, evidence.n_instances
        if n_instances < self.warmup:
            return Decision(next_replicates(alive, n_instances, self.warmup))
        if len(alive) == 1 and evidence.n_steps > 0:
            return Decision(stop=ONE_LEFT)  # its final instances are trained
        order = evidence.criterion.order(evidence.alive_losses())
        n_kept = max(1, len(alive) // 2)
        stop_at = n_instances + (1 if n_kept > 1 else self.final_instances)
        if evidence.n_available is not None:
            stop_at = min(stop_at, evidence.n_available)
        kept = np.sort(alive[order[:n_kept]])
        train = next_replicates(kept, n_instances, stop_at)
        return Decision(
            train=train,
            discard=np.sort(alive[order[n_kept:]]),
            step=n_instances,
            best=int(alive[order[0]]),
            best_by=evidence.criterion,
            is_final=n_kept == 1,
            stop="" if len(train) else (ONE_LEFT if n_kept == 1 else USED_UP),
        )
