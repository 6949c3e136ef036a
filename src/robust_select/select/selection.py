"""A selection: a pure ask/tell state machine around a rule.

The same object drives a live study, a resumed one, a replayed table and a simulation. Knows nothing of
trainers, ledgers or clocks.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.instances import EpochLimits, Outcome, State
from robust_select.core.limits import MOST_AT_ONCE
from robust_select.core.protocols import Direction, Floats, Ints, check_direction, losses_of
from robust_select.select.pruning import FirstRound, Pruned
from robust_select.select.rules import Decision, Evidence, Rule
from robust_select.select.rules.base import check_count, next_replicates
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
        trainings: how many trainings were finished when it was decided, of all candidates together but those stopped
            by their epochs before the rule began.
        seconds: how long these took together; nan if a time is not known.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2], [5.0, 5.0]]))
        >>> step = replay(table, Halving(warmup=2), criterion("mean")).steps[0]
        >>> step.best, step.removed, step.trainings
        ('a', ('b',), 4)
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
        fresh: how often the selected candidate is trained once more when the rule has stopped: these instances
            change nothing of the choice. May be raised at any time, a finished selection then goes on.
        first_round: trains every candidate once before the rule begins, and stops some of them by their epochs; the
            rule never hears of these. None where nothing is pruned.

    Raises:
        InputError: no candidates, a negative number of fresh instances, a warm-up longer than the replicates
            available or too short for the criterion.

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
        fresh: int = 0,
        first_round: FirstRound | None = None,
    ) -> None:
        check_count("fresh", fresh, 0)
        self.fresh = int(fresh)
        self.candidates = tuple(candidates)
        self.rule = rule
        self.criterion = criterion
        self.direction = check_direction(direction)
        self.n_available = n_available
        self.steps: list[Step] = []
        if not self.candidates:
            raise InputError("expected at least one candidate, came none")
        rule.check(criterion)
        if n_available is not None and rule.warmup > n_available:
            raise InputError(
                f"expected at least as many replicates as the warm-up takes, came warmup={rule.warmup} and "
                f"{n_available} replicates"
            )
        n_candidates = len(self.candidates)
        if n_candidates * rule.warmup > MOST_AT_ONCE:
            raise InputError(
                f"expected at most {MOST_AT_ONCE:,} trainings in the warm-up, came warmup={rule.warmup} of "
                f"{n_candidates:,} candidates"
            )
        self.alive = np.ones(n_candidates, dtype=bool)
        self._scores: Floats = np.full((n_candidates, max(rule.warmup, 1)), np.nan)
        self._seconds: Floats = np.full(self._scores.shape, np.nan)
        self._queue: deque[Asked] = deque()
        self._pending: set[Asked] = set()
        self._history: list[Asked] = []
        self._n_asked = np.zeros(n_candidates, dtype=np.int64)
        self._n_settled = 0  # so many of the history's first instances are told
        self._n_heard = 0  # so many of them the rule knew when it decided last
        self._overlap = 0
        self._seconds_heard = 0.0
        self._last = Decision()
        self._steps_without_discard = 0
        self._discarded_at = np.full(n_candidates, -1, dtype=np.int64)
        self._first_round = first_round
        self._stopped: dict[int, int] = {}  # position of a candidate and the epoch at which it was stopped
        self._field: Ints | None = None  # those whom the rule knows; None: everybody
        self._reason = ""  # why the rule stopped
        self._choice: tuple[str, ...] = ()  # those left when the choice was made
        self._n_chosen_on = 0  # instances of the selected one that the choice rests on
        self._n_fresh_asked = 0
        self._is_stopped = False  # from outside

    @property
    def is_finished(self) -> bool:
        """Whether the rule has stopped and the fresh instances are trained."""
        return bool(self.stop_reason)

    @property
    def stop_reason(self) -> str:
        """Why the rule stopped, in words; empty while something is to be trained."""
        if not self._reason or self._is_stopped:
            return self._reason
        is_waiting = self._n_settled < len(self._history) or self._n_fresh_open() > 0
        return "" if is_waiting else self._reason

    @property
    def n_fresh(self) -> int:
        """How many of the selected candidate's instances, its last ones, the choice does not rest on."""
        if not self._choice:
            return 0
        return int(np.count_nonzero(~np.isnan(self._scores[self._position()]))) - self._n_chosen_on

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
        """(C,) the step that discarded each candidate; None for those alive, 0 for those stopped by their epochs."""
        return tuple(None if step < 0 else int(step) for step in self._discarded_at)

    @property
    def stopped(self) -> Ints | None:
        """(C, R) the epoch at which an instance was stopped, 0 where none was; None where none was at all."""
        if not self._stopped:
            return None
        found = np.zeros(self._scores.shape, dtype=np.int64)
        found[list(self._stopped), 0] = list(self._stopped.values())
        return found

    @property
    def pruned(self) -> Pruned | None:
        """What pruning by epochs did; None where it was not asked for."""
        return None if self._first_round is None else self._first_round.result

    @property
    def n_entered(self) -> int:
        """How many candidates there are for the rule: all but those stopped by their epochs."""
        return len(self.candidates) - len(self._stopped)

    @property
    def n_first_asked(self) -> int:
        """Of how many candidates an instance is asked for before any outcome has to be told."""
        n_candidates = len(self.candidates)
        return n_candidates if self._first_round is None else min(self._first_round.prune.first, n_candidates)

    @property
    def remaining(self) -> tuple[str, ...]:
        """The candidates that are alive, the best first."""
        if self._choice:
            return self._choice
        if self._last.ranking is not None:
            return self._names(self._last.ranking[self.alive[self._last.ranking]])
        alive = np.flatnonzero(self.alive)
        return tuple(self.candidates[alive[row]] for row in self.criterion.order(self.losses[alive]))

    @property
    def confidence(self) -> float | None:
        """The probability that the selected one is within the tolerance of the best, where the rule gives it."""
        return self._last.confidence

    @property
    def equivalent(self) -> tuple[str, ...]:
        """Candidates that the rule calls as good as the selected one, which is among them; empty if it does not."""
        return self._names(self._last.equivalent)

    @property
    def history(self) -> Ints:
        """(N, 2) candidate and replicate of every instance asked for; ``Step.trainings`` counts along it."""
        return np.array(self._history, dtype=np.int64).reshape(-1, 2)

    @property
    def selected(self) -> str:
        """The best of the alive candidates by the criterion, so far."""
        return self.remaining[0]

    @property
    def n_trainings(self) -> int:
        """How many outcomes were told, those of instances that were stopped, too."""
        return int(np.count_nonzero(~np.isnan(self._scores))) + len(self._stopped)

    @property
    def total_seconds(self) -> float:
        """How long the trainings took together; nan if a time is not known."""
        is_told = ~np.isnan(self._scores)
        is_told[list(self._stopped), 0] = True
        return float(self._seconds[is_told].sum())

    def ask(self, n: int | None = None) -> list[Asked]:
        """Ask for instances to train.

        Args:
            n: at most how many; None for all that can be trained now.

        Returns:
            Candidate position and replicate of each; empty when finished, or when the scores of instances
            asked for before must be told first.
        """
        is_first_round = self._first_round is not None and self._ask_first_round(self._first_round)
        while (
            not self._queue
            and not self._reason
            and not is_first_round
            and self._n_settled >= len(self._history) - self._overlap
        ):
            self._decide()
        if not self._queue and self._reason and not self._is_stopped and self._n_fresh_open() > 0:
            self._ask_fresh()
        asked = [self._queue.popleft() for _ in range(len(self._queue) if n is None else min(n, len(self._queue)))]
        self._pending.update(asked)
        return asked

    def limits(self, candidate: int, replicate: int) -> EpochLimits:
        """Give what an instance that was asked for has to reach on the way, else it is stopped by its epochs."""
        if self._first_round is None or replicate > 0:
            return EpochLimits()
        return self._first_round.limits(candidate)

    def hear(self, candidate: int, replicate: int, outcome: Outcome) -> None:
        """Tell the outcome of an instance that was asked for, its curve included; else as ``tell``.

        Raises:
            InputError: it was not asked for, told before, or stopped by its epochs where that is not asked for.
        """
        is_first = self._first_round is not None and not self._first_round.is_over and replicate == 0
        if outcome.state is State.PRUNED and not is_first:
            raise InputError(
                f"expected that only first trainings of a study with prune_epochs are stopped by their epochs, came "
                f"candidate {self.candidates[candidate]!r}, replicate {replicate}: {outcome.message}"
            )
        self._check_pending(candidate, replicate)
        if is_first and self._first_round is not None:
            self._first_round.tell(candidate, outcome)
        if outcome.state is State.PRUNED:
            self._pending.remove((candidate, replicate))
            self.set_aside(candidate, len(outcome.curve), outcome.seconds)
        else:
            self._note(candidate, replicate, outcome.score, outcome.seconds)

    def set_aside(self, candidate: int, epoch: int, seconds: float = float("nan")) -> None:
        """Leave a candidate out before the rule begins, because its first training was stopped.

        Args:
            candidate: its position.
            epoch: after which it was stopped.
            seconds: how long it took up to there.

        Raises:
            RuntimeError: the rule has begun.
        """
        if self._history:
            raise RuntimeError(f"candidate {self.candidates[candidate]!r} was to be set aside after the rule began")
        self._stopped[candidate] = epoch
        self._seconds[candidate, 0] = seconds
        self.alive[candidate] = False
        self._discarded_at[candidate] = 0
        self._field = np.flatnonzero(self._discarded_at != 0)

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
        if self._first_round is not None:
            self.hear(candidate, replicate, Outcome(score, seconds=seconds))
            return
        self._check_pending(candidate, replicate)
        self._note(candidate, replicate, score, seconds)

    def stop(self, reason: str) -> None:
        """End the selection from outside; the best so far is selected."""
        self._queue.clear()
        self._pending.clear()
        self._choose()
        self._is_stopped = True
        self._reason = self._reason or reason

    def _check_pending(self, candidate: int, replicate: int) -> None:
        if (candidate, replicate) not in self._pending:
            raise InputError(
                f"expected an instance that was asked for and not told yet, came candidate {candidate}, "
                f"replicate {replicate}"
            )

    def _note(self, candidate: int, replicate: int, score: float, seconds: float) -> None:
        self._pending.remove((candidate, replicate))
        self._scores[candidate, replicate] = score if np.isfinite(score) else np.inf
        self._seconds[candidate, replicate] = seconds
        self._settle()

    def _settle(self) -> None:
        while self._n_settled < len(self._history) and not np.isnan(self._scores[self._history[self._n_settled]]):
            self._n_settled += 1

    def _ask_first_round(self, first_round: FirstRound) -> bool:
        """Queue the next group of first trainings when the one before is told; say whether the round goes on."""
        if not (self._queue or self._pending or first_round.is_over or self._is_stopped):
            self._queue.extend((position, 0) for position in first_round.next_group())
        return not first_round.is_over

    def _decide(self) -> None:
        """Ask the rule; what it hears depends on the order of asking alone, not on who was trained faster."""
        n_heard = max(self._n_heard, len(self._history) - self._overlap)
        for asked in self._history[self._n_heard : n_heard]:
            self._seconds_heard += float(self._seconds[asked])
        self._n_heard = n_heard
        losses = self.losses
        for asked in self._history[n_heard:]:
            losses[asked] = np.nan
        if self._first_round is not None:
            losses[self._n_asked == 0] = np.nan  # the rule hears of first trainings when it asks for them
        field = self._field
        evidence = Evidence(
            losses if field is None else losses[field],
            self.alive.copy() if field is None else self.alive[field],
            self.criterion,
            self.n_available,
            len(self.steps),
            self._steps_without_discard,
            self._n_asked.copy() if field is None else self._n_asked[field],
        )
        decision = self.rule.decide(evidence)
        if field is not None:
            decision = _placed(decision, field)
        if decision.stop and n_heard < len(self._history):
            self._overlap = 0  # to be decided again when all that is still in training is told
            return
        self._last = decision
        self._overlap = decision.overlap
        self.alive[decision.discard] = False
        self.alive[decision.restore] = True
        self._discarded_at[decision.restore] = -1
        if decision.step is not None:
            self._record(decision, decision.step, losses, evidence.n_instances)
        if decision.is_final or decision.stop:
            self._choose()
        if decision.stop:
            self._reason = decision.stop
            return
        if len(decision.train) == 0:
            raise RuntimeError(f"rule {self.rule.name!r} neither asked for an instance nor stopped")
        self._put(decision.train)

    def _put(self, train: Ints) -> None:
        """Queue instances."""
        self._reserve(int(train[:, 1].max()) + 1)
        asked_now = [(candidate, replicate) for candidate, replicate in train.tolist()]
        self._queue.extend(asked for asked in asked_now if np.isnan(self._scores[asked]))  # else of the first round
        self._history.extend(asked_now)
        np.add.at(self._n_asked, train[:, 0], 1)
        self._settle()

    def _position(self) -> int:
        return self.candidates.index(self._choice[0])

    def _choose(self) -> None:
        """Fix who is left: what is trained from now on is fresh, and where nobody could be chosen all is."""
        if not self._choice:
            self._choice = self.remaining
            n_known = int(np.count_nonzero(~np.isnan(self._scores[self._position()])))
            self._n_chosen_on = n_known if len(self.candidates) > 1 else 0

    def _n_fresh_open(self) -> int:
        """How many fresh instances are still to be asked for."""
        position = self._position()
        n_open = self.fresh - self._n_fresh_asked
        if self.n_available is not None:
            n_open = min(n_open, self.n_available - int(self._n_asked[position]))
        return n_open

    def _ask_fresh(self) -> None:
        position, n_open = self._position(), self._n_fresh_open()
        first = int(self._n_asked[position])
        self._n_fresh_asked += n_open
        self._put(next_replicates(np.array([position]), first, first + n_open))

    def _record(self, decision: Decision, step: int, losses: Floats, n_instances: int) -> None:
        self._discarded_at[decision.discard] = step
        self._steps_without_discard = 0 if len(decision.discard) else self._steps_without_discard + 1
        by = decision.best_by or self.criterion
        value = by(losses[decision.best]) if decision.best_value is None else np.array(decision.best_value)
        self.steps.append(
            Step(
                step=step,
                instances_used=n_instances,
                best=self.candidates[decision.best],
                best_value=float(by.in_score_units(value, self.direction)),
                kept=self._names(np.flatnonzero(self.alive)),
                removed=self._names(decision.discard),
                trainings=self._n_heard,
                seconds=self._seconds_heard,
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


def _placed(decision: Decision, field: Ints) -> Decision:
    """Turn positions among those whom the rule knows into positions among all candidates."""
    train = decision.train.copy()
    train[:, 0] = field[train[:, 0]]
    return replace(
        decision,
        train=train,
        discard=field[decision.discard],
        restore=field[decision.restore],
        best=int(field[decision.best]),
        ranking=None if decision.ranking is None else field[decision.ranking],
        equivalent=field[decision.equivalent],
    )
