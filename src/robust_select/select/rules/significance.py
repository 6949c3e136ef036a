"""The statistical rule, as published and under familywise control: discard those significantly worse than the best.

Called by ``Selection``. Knows nothing of the other rules. Source: the talks that follow IEEE Access 2025,
doi 10.1109/ACCESS.2025.3578926; the familywise control is ours (docs/adr/0003-familywise-control.md).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Floats
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
from robust_select.stats.sequential import Spending, spend, worse_than_leader

CONTROLS = ("per-look", "familywise")
"""What ``alpha`` holds for: one look at one pair (as published), or the whole selection."""


@dataclass(frozen=True)
class Significance:
    """Each step compares every alive candidate with the best one; a candidate stays where p >= alpha.

    The best one is the best mean for a test of location (welch, ks, mann-whitney, paired-t, wilcoxon), the
    smallest standard deviation (ddof=1) for a test of width (bartlett, levene, fligner, pitman-morgan);
    among those left at the end the criterion chooses. It runs until one is left, ``max_instances`` are trained (or
    the table's replicates used up), or ``patience`` steps passed without a discard.

    The published form (``control="per-look"``) is two-sided and uncorrected: ``alpha`` holds for one look at
    one pair. Over many looks and rivals the best candidate is discarded far more often: one of 2 candidates with
    equal means in 13 % of the studies, one of 20 in 58 %, one of 100 in 79 % (welch, alpha 0.05, 30 instances).

    Under ``control="familywise"`` the probability that the best candidate is EVER discarded, over all looks and
    all rivals, stays below ``alpha`` (the best: smallest true mean, for a test of width smallest true standard
    deviation; where several are equal this holds for each of them). Comparisons are one-sided, each at a level
    of alpha / (rivals x looks); looks come at every number of instances up to 10, then a fifth further each
    (``stats.sequential.spend``). Never after two instances, nor where the test cannot reach the level: mann-whitney
    needs 8 instances for 20 candidates at alpha 0.05, wilcoxon 12. Steps between looks discard nobody, and count
    for ``patience``. Welch's p-value is replaced by one that is right at such levels whatever the variances
    (``welch_level``), Bartlett's by the F distribution's. One diverged instance discards nobody: such pairs are
    compared by ranks (tests of location) or by counting the diverged (tests of width).

    Assumes (familywise; replicates always independent of each other, scores not rounded so coarsely that all of
    a candidate's are often equal). Measured at alpha 0.05, 2 to 100 candidates, up to 30 instances:
        welch: normal scores of any variances, columns independent or positively correlated; 0.03 at most, heavy
            symmetric tails (t with 3 degrees of freedom) included.
        paired-t: normal differences; 0.03 at most, correlation 0 to 0.7, unequal variances, heavy tails.
        wilcoxon: differences symmetric about their mean; 0.04 at most, the same.
        mann-whitney: distributions equal but for a shift; 0.02 at most. CAUTION where spreads differ: 0.07 for a
            best candidate of a seventh of the others' spread.
        levene, fligner: distributions equal but for location and scale; 0.02 at most, heavy tails included.
        bartlett: normal scores; 0.04 at most. CAUTION with heavy tails: 0.34. Use levene.
        pitman-morgan: normal scores; 0.04 at most, correlation 0 to 0.7. CAUTION with heavy tails: 0.29. Use levene.
        ks: refused, because it reacts to any difference of two distributions: a best candidate whose spread is not
            that of the others is discarded in up to 0.78 of the studies.
    No test protects a best mean from a rival that is usually better and rarely disastrous (better by one standard
    deviation, once in ten worse by 15: 0.22 with welch and paired-t, 0.32 with wilcoxon).

    Raises:
        InputError: an unknown test or control, a number out of range, or ks under familywise control.

    Example:
        >>> Significance("paired-t", control="familywise").trainings(20)
        Trainings(least=60, most=1000)
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
        if self.control == "familywise" and self.test == "ks":
            raise InputError(
                "expected a test whose false discards can be bounded, came test='ks' with control='familywise': it "
                "reacts to any difference between two distributions, a smaller spread of the best one included; "
                "use welch, mann-whitney, paired-t or wilcoxon, or control='per-look'"
            )
        check_count("max_instances", self.max_instances, self.warmup)

    def settings(self) -> Mapping[str, Any]:
        """Give what the rule was made with."""
        return asdict(self)

    def check(self, criterion: Criterion) -> None:
        """Refuse a criterion that needs more scores than the warm-up gives."""
        check_warmup(self.warmup, criterion)

    def trainings(self, n_candidates: int, n_available: int | None = None) -> Trainings:
        """Bound: everybody discarded at once, or nobody ever."""
        most = self._most(n_available)
        least = self.warmup
        if self.control == "familywise" and n_candidates > 1:
            looks = self._spending(n_candidates, most).looks
            least = looks[0] if looks else most
            if self.patience is not None:
                least = min(least, self.warmup + self.patience - 1)
        return Trainings(n_candidates * least, n_candidates * most)

    def decide(self, evidence: Evidence) -> Decision:
        """Discard whoever differs significantly from the best."""
        alive, n_instances = evidence.alive_positions, evidence.n_instances
        if n_instances < self.warmup:
            return Decision(next_replicates(alive, n_instances, self.warmup))
        by = criterion("mean" if comparison(self.test).kind == "location" else "std")
        losses = evidence.alive_losses()
        best = int(by.order(losses)[0])
        n_most = self._most(evidence.n_available)
        if self.control == "familywise":
            best, stays = self._who_stays(losses, best, self._spending(len(evidence.losses), n_most))
        else:
            stays = comparison(self.test)(losses, losses[best]) >= self.alpha
            stays[best] = True
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

    def _most(self, n_available: int | None) -> int:
        return self.max_instances if n_available is None else min(self.max_instances, n_available)

    def _spending(self, n_candidates: int, n_most: int) -> Spending:
        return spend(self.test, self.alpha, n_candidates - 1, self.warmup, n_most)

    def _who_stays(self, losses: Floats, best: int, spending: Spending) -> tuple[int, Bools]:
        """Compare with the best one, if this is a look; between looks everybody stays."""
        if losses.shape[1] not in spending.looks:
            return best, np.ones(len(losses), dtype=bool)
        alive = np.ones((1, len(losses)), dtype=bool)
        worse, leaders = worse_than_leader(self.test, losses[None], alive, spending.level)
        return int(leaders[0]), ~worse[0]
