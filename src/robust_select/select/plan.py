"""The plan: how many trainings a rule takes, before the first one.

Called by the command line and studies. Knows nothing of scores.
"""

from dataclasses import dataclass

from robust_select.core.errors import InputError
from robust_select.select.rules import Rule
from robust_select.select.rules.base import check_count


@dataclass(frozen=True)
class Plan:
    """How many trainings a rule takes, against training every candidate equally often.

    Attributes:
        rule: its name.
        n_candidates: C.
        trainings: the number; None if it depends on the scores.
        least: at least so many.
        most: at most so many; None if there is no limit.
        against: how often the exhaustive search trains every candidate.
        exhaustive: how many trainings that is.

    Example:
        >>> from robust_select.select.rules import Exhaustive
        >>> plan(10, Exhaustive(5), against=50).ratio
        10.0
    """

    rule: str
    n_candidates: int
    trainings: int | None
    least: int
    most: int | None
    against: int
    exhaustive: int

    @property
    def ratio(self) -> float | None:
        """How many times fewer trainings than exhaustive; by ``most`` where the number is not known."""
        n_trainings = self.most if self.trainings is None else self.trainings
        return None if n_trainings is None else self.exhaustive / n_trainings


def plan(n_candidates: int, rule: Rule, against: int = 50, n_available: int | None = None) -> Plan:
    """Count the trainings of a rule beforehand.

    Args:
        n_candidates: C.
        rule: the rule with its settings.
        against: how often the exhaustive search to compare with trains every candidate.
        n_available: how many replicates of a candidate can be had; None if there is no limit.

    Raises:
        InputError: no candidates, or ``against`` below 1.

    Example:
        >>> from robust_select.select.rules import Halving
        >>> plan(6912, Halving(warmup=5, final_instances=100)).exhaustive
        345600
    """
    check_count("candidates", n_candidates, 1)
    check_count("against", against, 1)
    if n_available is not None and n_available < rule.warmup:
        raise InputError(f"expected replicates for the warm-up, came warmup={rule.warmup}, {n_available} replicates")
    trainings = rule.trainings(n_candidates, n_available)
    return Plan(
        rule=rule.name,
        n_candidates=n_candidates,
        trainings=trainings.exact,
        least=trainings.least,
        most=trainings.most,
        against=against,
        exhaustive=n_candidates * against,
    )
