"""A selection: a pure ask/tell state machine around a rule.

The same object drives a live study, a resumed one, a replayed table and a simulation. Knows nothing of
trainers, ledgers or clocks.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, check_direction, losses_of
from robust_select.select.rules import Decision, Evidence, Rule
from robust_select.stats.criteria import Criterion

Asked = tuple[int, int]
"""Position of a candidate and replicate: an instance that the selection wants trained."""


@dataclass(frozen=True)
class Step:
    """What one step did; the names are the contract of ``replay --json``.

    Attributes:
        step: its number.
        instances_used: how many instances of each alive candidate it looked at.
        best: the best candidate.
        best_value: by what it is best, in units of the score.
        kept: candidates alive after the step.
        removed: candidates that the step discarded.
        trainings: how many trainings were finished when it was decided, of all candidates together.
        seconds: how long these took together; nan if a time is not known.
    """

    step: int
    instances_used: int
    best: str
    best_value: float
    kept: tuple[str, ...]
    removed: tuple[str, ...]
    trainings: int
    seconds: float


class Selection:
    """Ask it which instances to train, tell it what came out, until it is finished.

    Scores may be told in any order; the steps do not depend on it.

    Args:
        candidates: (C,) names.
        rule: who goes on.
        criterion: by which candidates are ranked.
        direction: of the scores that will be told.
        n_available: how many replicates of a candidate can be had; None if there is no limit.

    Raises:
        InputError: no candidates, a warm-up longer than the replicates available or too short for the
            criterion.

    Example:
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> selection = Selection(["a", "b"], Halving(warmup=1), criterion("mean"))
        >>> for candidate, replicate in selection.ask():
        ...     selection.tell(candidate, replicate, score=float(candidate))
        >>> selection.ask(), selection.selected
        ([], 'a')
    """

    def __init__(
        self,
        candidates: Sequence[str],
        rule: Rule,
        criterion: Criterion,
        direction: Direction = "minimize",
        n_available: int | None = None,
    ) -> None:
        self.candidates = tuple(candidates)
        self.rule = rule
        self.criterion = criterion
        self.direction = check_direction(direction)
        self.n_available = n_available
        self.steps: list[Step] = []
        self.stop_reason = ""
        if not self.candidates:
            raise InputError("expected at least one candidate, came none")
        if rule.warmup < criterion.min_instances:
            raise InputError(
                f"expected at least {criterion.min_instances} instances of each candidate before criterion "
                f"{criterion.name!r} is asked, came warmup={rule.warmup}"
            )
        if n_available is not None and rule.warmup > n_available:
            raise InputError(
                f"expected at least as many replicates as the warm-up takes, came warmup={rule.warmup} and "
                f"{n_available} replicates"
            )
        n_candidates = len(self.candidates)
        self.alive = np.ones(n_candidates, dtype=bool)
        self._scores: Floats = np.full((n_candidates, max(rule.warmup, 1)), np.nan)
        self._seconds: Floats = np.full(self._scores.shape, np.nan)
        self._queue: deque[Asked] = deque()
        self._pending: set[Asked] = set()
        self._steps_without_discard = 0
        self._discarded_at = np.full(n_candidates, -1, dtype=np.int64)

    @property
    def is_finished(self) -> bool:
        """Whether the rule has stopped."""
        return bool(self.stop_reason)

    @property
    def scores(self) -> Floats:
        """(C, R) scores told so far; nan where not trained, infinite where diverged or failed."""
        return self._scores

    @property
    def seconds(self) -> Floats:
        """(C, R) seconds told so far."""
        return self._seconds

    @property
    def losses(self) -> Floats:
        """(C, R) the scores as losses."""
        return losses_of(self._scores, self.direction)

    @property
    def discarded_at(self) -> tuple[int | None, ...]:
        """(C,) the step that discarded each candidate; None for those that are alive."""
        return tuple(None if step < 0 else int(step) for step in self._discarded_at)

    @property
    def remaining(self) -> tuple[str, ...]:
        """The candidates that are alive, the best first."""
        alive = np.flatnonzero(self.alive)
        return tuple(self.candidates[alive[row]] for row in self.criterion.order(self.losses[alive]))

    @property
    def selected(self) -> str:
        """The best of the alive candidates by the criterion, so far."""
        return self.remaining[0]

    @property
    def n_trainings(self) -> int:
        """How many scores were told."""
        return int(np.count_nonzero(~np.isnan(self._scores)))

    @property
    def total_seconds(self) -> float:
        """How long the trainings took together; nan if a time is not known."""
        return float(self._seconds[~np.isnan(self._scores)].sum())

    def ask(self, n: int | None = None) -> list[Asked]:
        """Ask for instances to train.

        Args:
            n: at most how many; None for all that can be trained now.

        Returns:
            Candidate position and replicate of each; empty when finished, or when the scores of instances
            asked for before must be told first.
        """
        while not self._queue and not self._pending and not self.is_finished:
            self._decide()
        asked = [self._queue.popleft() for _ in range(len(self._queue) if n is None else min(n, len(self._queue)))]
        self._pending.update(asked)
        return asked

    def tell(self, candidate: int, replicate: int, score: float, seconds: float = float("nan")) -> None:
        """Tell the outcome of an instance that was asked for.

        Args:
            candidate: its position.
            replicate: its replicate.
            score: nan or infinite if the training diverged or failed: the worst possible score.
            seconds: how long it took.

        Raises:
            InputError: it was not asked for, or told before.
        """
        if (candidate, replicate) not in self._pending:
            raise InputError(
                f"expected an instance that was asked for and not told yet, came candidate {candidate}, "
                f"replicate {replicate}"
            )
        self._pending.remove((candidate, replicate))
        self._scores[candidate, replicate] = score if np.isfinite(score) else np.inf
        self._seconds[candidate, replicate] = seconds

    def stop(self, reason: str) -> None:
        """End the selection from outside; the best so far is selected."""
        self._queue.clear()
        self._pending.clear()
        self.stop_reason = self.stop_reason or reason

    def _decide(self) -> None:
        evidence = Evidence(
            self.losses,
            self.alive.copy(),
            self.criterion,
            self.n_available,
            len(self.steps),
            self._steps_without_discard,
        )
        decision = self.rule.decide(evidence)
        self.alive[decision.discard] = False
        if decision.step is not None:
            self._record(decision, decision.step, evidence)
        if decision.stop:
            self.stop_reason = decision.stop
            return
        if len(decision.train) == 0:
            raise RuntimeError(f"rule {self.rule.name!r} neither asked for an instance nor stopped")
        self._reserve(int(decision.train[:, 1].max()) + 1)
        self._queue.extend(map(tuple, decision.train.tolist()))

    def _record(self, decision: Decision, step: int, evidence: Evidence) -> None:
        self._discarded_at[decision.discard] = step
        self._steps_without_discard = 0 if len(decision.discard) else self._steps_without_discard + 1
        by = decision.best_by or self.criterion
        best_value = by.in_score_units(by(evidence.losses[decision.best]), self.direction)
        self.steps.append(
            Step(
                step=step,
                instances_used=evidence.n_instances,
                best=self.candidates[decision.best],
                best_value=float(best_value),
                kept=self._names(np.flatnonzero(self.alive)),
                removed=self._names(decision.discard),
                trainings=self.n_trainings,
                seconds=self.total_seconds,
            )
        )

    def _names(self, positions: Any) -> tuple[str, ...]:
        return tuple(self.candidates[position] for position in positions)

    def _reserve(self, n_replicates: int) -> None:
        """Make room for more replicates."""
        n_now = self._scores.shape[1]
        if n_replicates > n_now:
            room = np.full((len(self.candidates), max(n_replicates, min(2 * n_now, n_now + 64)) - n_now), np.nan)
            self._scores = np.concatenate([self._scores, room], axis=1)
            self._seconds = np.concatenate([self._seconds, room], axis=1)
