"""Ours: each next instance goes to the leader or to its closest challengers, where it moves the evidence most.

Called by ``Selection``. Knows nothing of the other rules.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats, Ints
from robust_select.select.rules.base import USED_UP, Decision, Evidence, Trainings, check_count, next_replicates
from robust_select.stats.criteria import Criterion
from robust_select.stats.posteriors import posterior
from robust_select.stats.rivals import Rivals, rivals

_PILOT_INSTANCES = 3
_PILOT_SHARE = 8
_PILOT_LEAST, _PILOT_MOST = 6, 16
_SPREAD_LEAST = 2  # where only the spread counts, one training says nothing of a candidate
_LEADER_LEAST = 5  # nobody is selected with confidence on fewer, see _enough
_TRAININGS_A_DECISION = 50  # a look for each 2 % more trainings: fewer looks, fewer false alarms, full workers
_SCALE_PRICE = 0.5  # see _at_risk


@dataclass(frozen=True)
class TopTwo:
    """Trains where it matters until the leader is surely within the tolerance of the best.

    Everybody is trained ``warmup`` times; the best few twice more, so that the scale of the scores is known. From
    then on each decision compares all candidates with the leader and gives the next instance to whoever lowers the
    sum of the probabilities that a candidate beats the leader by more than the tolerance. It stops when that sum is
    below 1 - confidence, a bound on the probability that the leader is not within the tolerance of the best.
    Nobody is discarded for good: a candidate that started badly keeps a small probability, which grows as the
    others are known better, and the allocation comes back to it.

    Assumes: what ``posterior`` and ``rivals`` assume. The probability is a posterior one, over the candidates that
    studies meet, not a bound for the worst case: where the best rival is just beyond the tolerance, errors are more
    frequent. It is looked at again for each 2 % more trainings; the truth tests measure how often the selected
    candidate is within the tolerance, for mean, q3+iqr and std. With ``tolerance=0`` and two equal candidates it
    ends at ``max_instances`` or the budget, and says so.

    Literature: Russo 2016 (top-two sampling); Garivier and Kaufmann 2016 (the least number of trainings); Chen et
    al. 2000 (optimal computing budget allocation); Smyth 2004 (shrunken variances).

    Args:
        confidence: wanted, that the selected candidate is within the tolerance of the best.
        warmup: instances of everybody at the start; at least 2 where the criterion is a spread.
        tolerance: differences of the criterion below it do not matter, in units of the score.
        max_instances: of one candidate.
        budget: of all trainings together; None for no other limit.
        batch: instances that may be in training at the same time once the warm-up is over: as many as workers, or
            twice as many. The result depends on it, not on the number of workers.
        taken_over: (C,) instances of each candidate, its first ones, that are known from before; missing ones count
            as 0. They are asked for first, all of them, and everybody else as often as the warm-up says; the budget
            and ``max_instances`` count them.

    Raises:
        InputError: a number out of range.

    Example:
        >>> TopTwo(tolerance=0.001, budget=500).trainings(100)
        Trainings(least=100, most=500)
    """

    confidence: float = 0.95
    warmup: int = 1
    tolerance: float = 0.0
    max_instances: int = 200
    budget: int | None = None
    batch: int = 1
    taken_over: tuple[int, ...] = field(default=(), repr=False)
    name = "top-two"

    def __post_init__(self) -> None:
        if isinstance(self.confidence, (bool, str)) or not 0 < self.confidence < 1:
            raise InputError(
                f"expected confidence between 0 and 1, both excluded, came confidence={self.confidence!r}"
            )
        check_count("warmup", self.warmup, 1)
        if isinstance(self.tolerance, (bool, str)) or not 0 <= self.tolerance < math.inf:
            raise InputError(f"expected a tolerance of 0 or more, came tolerance={self.tolerance!r}")
        check_count("max_instances", self.max_instances, max(self.warmup, _PILOT_INSTANCES))
        if self.budget is not None:
            check_count("budget", self.budget, 1)
        check_count("batch", self.batch, 1)
        object.__setattr__(self, "taken_over", tuple(self.taken_over))
        for n in self.taken_over:
            check_count("taken_over", n, 0)

    def settings(self) -> Mapping[str, Any]:
        """Give what the rule was made with; ledgers from before something could be taken over say nothing of it."""
        settings = asdict(self)
        return settings if self.taken_over else {key: settings[key] for key in settings if key != "taken_over"}

    def check(self, criterion: Criterion) -> None:
        """Refuse a criterion of one candidate that depends on the others.

        A short warm-up is no reason: scales are shrunken, so one instance says something about every criterion.
        """
        if criterion.tolerance is not None:
            raise InputError(
                f"expected a criterion that each candidate has by itself, came {criterion.name!r}: with top-two use "
                "criterion 'std', or 'q3+iqr', which weighs typical score and spread; or another rule"
            )

    def trainings(self, n_candidates: int, n_available: int | None = None) -> Trainings:
        """Bound: the warm-up alone, or everybody as often as allowed."""
        most = n_candidates * (self.max_instances if n_available is None else min(self.max_instances, n_available))
        if self.budget is not None:
            most = min(most, max(self.budget, n_candidates * self.warmup))
        return Trainings(min(n_candidates * self.warmup, most), most)

    def decide(self, evidence: Evidence) -> Decision:
        """Train the warm-up, then where it matters."""
        n_most = self.max_instances if evidence.n_available is None else min(self.max_instances, evidence.n_available)
        counts = np.asarray(evidence.n_asked)
        everybody = np.arange(len(counts))
        n_first = self._n_first(evidence.criterion, len(counts), n_most)
        if self.taken_over and counts.max() == 0:
            return Decision(self._known_and_first(len(counts), n_first))
        if counts.min() < n_first:
            return Decision(next_replicates(everybody, int(counts.min()), n_first))
        order = evidence.criterion.order(evidence.losses)
        n_pilot = min(len(counts), max(_PILOT_LEAST, min(_PILOT_MOST, len(counts) // _PILOT_SHARE)))
        if evidence.n_steps == 0 and not self.taken_over and counts.max() < min(_PILOT_INSTANCES, n_most):
            pilot = next_replicates(np.sort(order[:n_pilot]), int(counts.min()), min(_PILOT_INSTANCES, n_most))
            if self.budget is None or counts.sum() + len(pilot) <= self.budget:
                return Decision(pilot)
        return self._allocate(evidence, counts, n_most)

    def _n_first(self, by: Criterion, n_candidates: int, n_most: int) -> int:
        """Say how often everybody is trained first."""
        n_first = min(max(self.warmup, _SPREAD_LEAST if by.kind == "spread" else 1), n_most)
        is_affordable = self.budget is None or n_first * n_candidates <= self.budget
        return n_first if is_affordable else self.warmup

    def _known_and_first(self, n_candidates: int, n_first: int) -> Ints:
        """List what is known from before, and everybody's first instances."""
        if len(self.taken_over) > n_candidates:
            raise InputError(
                f"expected instances taken over of {n_candidates} candidates at most, came {len(self.taken_over)}"
            )
        wanted = np.full(n_candidates, n_first)
        wanted[: len(self.taken_over)] = np.maximum(self.taken_over, n_first)
        rows = [next_replicates(np.flatnonzero(wanted > at), at, at + 1) for at in range(int(wanted.max()))]
        return np.concatenate(rows)

    def _allocate(self, evidence: Evidence, counts: Ints, n_most: int) -> Decision:
        found = posterior(evidence.losses, evidence.criterion)
        ranking = np.lexsort((np.argsort(evidence.criterion.order(evidence.losses)), found.values))
        leader = int(ranking[0])
        compared = rivals(found, leader, self.tolerance)
        if math.isinf(found.values[leader]):
            nobody = "no candidate is usable: each has instances that diverged or failed"
            return self._decision(evidence, compared, ranking, nobody, Decision().train)
        at_risk = _at_risk(compared)
        is_sure = bool(at_risk.sum() <= 1 - self.confidence)
        is_open = counts < n_most
        stop = ""
        if is_sure and (found.counts[leader] >= _enough(compared) or not is_open[leader]):
            stop = f"the selected candidate is within the tolerance of the best with confidence {self.confidence:g}"
        elif self.budget is not None and counts.sum() >= self.budget:
            stop = "the budget is spent"
        elif not is_open[leader] and at_risk[~is_open].sum() > 1 - self.confidence:
            stop = USED_UP  # those in question have no more: training the others would change nothing
        train = self._next(compared, counts, n_most, only=leader if is_sure else None)
        if not stop and len(train) == 0:
            stop = "more instances would tell nothing" if is_open[compared.probabilities > 0].all() else USED_UP
        return self._decision(evidence, compared, ranking, stop, train)

    def _next(self, compared: Rivals, counts: Ints, n_most: int, only: int | None) -> Ints:
        """Choose the next instances one after the other, as if the estimates stayed where they are."""
        n_next = max(self.batch, int(counts.sum()) // _TRAININGS_A_DECISION)
        if self.budget is not None:
            n_next = min(n_next, self.budget - int(counts.sum()))
        counts = counts.copy()
        chosen: list[tuple[int, int]] = []
        while len(chosen) < n_next:
            if only is None:
                gains = np.where(counts < n_most, compared.information(counts), 0.0)
                target = int(np.argmax(gains))
                if not gains[target] > 0:
                    break
            else:
                target = only
                if counts[only] >= min(n_most, _enough(compared)):
                    break
            chosen.append((target, int(counts[target])))
            counts[target] += 1
        return np.array(chosen, dtype=np.int64).reshape(-1, 2)

    def _decision(self, evidence: Evidence, compared: Rivals, ranking: Ints, stop: str, train: Ints) -> Decision:
        """Set aside who hardly matters now, and say what the evidence comes to."""
        at_risk = _at_risk(compared)
        value = float(compared.posterior.values[compared.leader])
        keeps = at_risk > (1 - self.confidence) / len(at_risk)
        keeps[compared.leader] = True
        equivalent = compared.within_tolerance() if self.tolerance > 0 else np.zeros(len(keeps), dtype=bool)
        equivalent[compared.leader] = True
        if stop and math.isfinite(value) and at_risk.sum() <= 1 - self.confidence:
            keeps = equivalent.copy()
        is_step = bool(stop) or evidence.n_steps == 0 or bool((keeps != evidence.alive).any())
        return Decision(
            train=Decision().train if stop else train,
            overlap=self.batch - 1,
            discard=np.flatnonzero(evidence.alive & ~keeps),
            restore=np.flatnonzero(~evidence.alive & keeps),
            step=self.warmup + evidence.n_steps if is_step else None,
            best=compared.leader,
            best_by=evidence.criterion,
            best_value=value,
            ranking=ranking,
            confidence=max(0.0, 1 - float(at_risk.sum())) if math.isfinite(value) else 0.0,
            equivalent=ranking[equivalent[ranking]],
            stop=stop,
        )


def _at_risk(compared: Rivals) -> Floats:
    """Price the probabilities where the criterion weighs location and scale together.

    By simulation (docs/adr/0007-top-two.md): for the mean, the median and spreads the sum of the probabilities
    covers what goes wrong, the repeated looks included; for mean + k x scale a leader with both a lucky mean and
    a lucky scale is chosen more often than it says, the more so the larger k is.

    Returns:
        (C,) probabilities, 1 + 0.5 |k| times as large for such criteria.
    """
    shape = compared.posterior.shape
    return compared.probabilities * (1 + _SCALE_PRICE * abs(shape.k) * shape.location)


def _enough(compared: Rivals) -> int:
    """Count the instances below which a leader is not believed: 5 (1 + |k|), where a criterion weighs both.

    A spread of three or four scores is small by luck often enough; where the criterion adds k times it to the mean,
    it is the leader whose spread was lucky.
    """
    shape = compared.posterior.shape
    return round(_LEADER_LEAST * (1 + abs(shape.k) * shape.location))
