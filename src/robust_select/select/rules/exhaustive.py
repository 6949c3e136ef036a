"""Every candidate the same number of times; with n = 1 the usual grid search.

Called by ``Selection``. Knows nothing of the other rules.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from robust_select.select.rules.base import Decision, Evidence, Trainings, check_count, check_warmup, next_replicates
from robust_select.stats.criteria import Criterion


@dataclass(frozen=True)
class Exhaustive:
    """Train every candidate ``n`` times and take the best by the criterion.

    One look at the data, so repeated looks are no concern; what it guarantees is only what ``n`` scores say.

    Raises:
        InputError: ``n`` below 1.

    Example:
        >>> Exhaustive(5).trainings(12).exact
        60
    """

    n: int = 1
    name = "exhaustive"

    def __post_init__(self) -> None:
        check_count("n", self.n, 1)

    @property
    def warmup(self) -> int:
        """All of it."""
        return self.n

    def settings(self) -> Mapping[str, Any]:
        """Give what the rule was made with."""
        return asdict(self)

    def check(self, criterion: Criterion) -> None:
        """Refuse a criterion that needs more scores than the warm-up gives."""
        check_warmup(self.n, criterion)

    def trainings(self, n_candidates: int, n_available: int | None = None) -> Trainings:
        """Count: candidates times n."""
        return Trainings(n_candidates * self.n, n_candidates * self.n)

    def decide(self, evidence: Evidence) -> Decision:
        """Train everybody, then stop."""
        if evidence.n_instances < self.n:
            return Decision(next_replicates(evidence.alive_positions, evidence.n_instances, self.n))
        return Decision(
            step=self.n,
            best=int(evidence.criterion.order(evidence.losses)[0]),
            best_by=evidence.criterion,
            stop="every candidate is trained as often as asked",
        )
