"""What a rule is: a pure function from the evidence so far to a decision.

Implemented by the files beside this one (and by users), called by ``Selection``. Knows nothing of either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.limits import MOST_AT_ONCE, MOST_COUNTED
from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.stats.criteria import Criterion


@dataclass(frozen=True)
class Evidence:
    """All that a rule may look at.

    Attributes:
        losses: (C, R) of all candidates; nan where not trained, +inf where diverged or failed.
        alive: (C,) which candidates are not discarded.
        criterion: by which candidates are ranked.
        n_available: how many replicates of a candidate can be had at all; None if there is no limit.
        n_steps: how many steps there were so far.
        steps_without_discard: how many of the last steps discarded nobody.
        n_asked: (C,) how many instances of each candidate were asked for, those still in training included.

    Example:
        >>> from robust_select.stats.criteria import criterion
        >>> losses = np.array([[1.0, 1.2], [5.0, np.nan], [2.0, 2.1]])
        >>> evidence = Evidence(losses, np.array([True, False, True]), criterion("mean"))
        >>> evidence.alive_positions.tolist(), evidence.n_instances
        ([0, 2], 2)
    """

    losses: Floats
    alive: Bools
    criterion: Criterion
    n_available: int | None = None
    n_steps: int = 0
    steps_without_discard: int = 0
    n_asked: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def alive_positions(self) -> Ints:
        """(A,) positions of the alive candidates, ascending."""
        return np.flatnonzero(self.alive)

    @property
    def n_instances(self) -> int:
        """How many instances each alive candidate has at least."""
        return int(np.count_nonzero(~np.isnan(self.losses[self.alive]), axis=1).min(initial=2**31))

    def alive_losses(self) -> Floats:
        """(A, n_instances) losses of the alive candidates on the replicates that all of them have."""
        return self.losses[self.alive, : self.n_instances]


@dataclass(frozen=True)
class Decision:
    """What a rule decides.

    Attributes:
        train: (n, 2) candidate and replicate of the instances to train next; empty if none. The replicates of a
            candidate are asked for in order, from 0.
        overlap: how many of the instances asked for may still be in training when the rule is asked again.
        discard: (d,) positions of the candidates to discard.
        restore: (r,) positions of discarded candidates that are alive again.
        step: the number of the step that this decision closes; None if it closes none (the start, say).
        best: position of the candidate that is best at this step.
        best_by: the criterion by which it is.
        best_value: its value on the loss side, if the rule estimates it otherwise than from its scores alone.
        ranking: (C,) all candidates, the best first, if the rule ranks them otherwise than by the criterion.
        confidence: the probability that the best one is within the tolerance of the best, if the rule gives it.
        equivalent: (q,) positions of the candidates that are as good as the best one within the tolerance.
        is_final: whether the choice is made: what is trained from now on is the selected candidate, and its scores
            change nothing (such instances are fresh: an estimate from them is free of the winner's curse).
        stop: why the selection ends, in words; empty if it goes on.

    Example:
        >>> Decision(train=next_replicates(np.array([0, 2]), 2, 3), discard=np.array([1]), step=2, best=0).stop
        ''
    """

    train: Ints = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    overlap: int = 0
    discard: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    restore: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    step: int | None = None
    best: int = -1
    best_by: Criterion | None = None
    best_value: float | None = None
    ranking: Ints | None = None
    confidence: float | None = None
    equivalent: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    is_final: bool = False
    stop: str = ""


@dataclass(frozen=True)
class Trainings:
    """How many trainings a rule takes: at least and at most (None: no limit).

    Example:
        >>> Trainings(41567, 41567).exact, Trainings(100, None).exact
        (41567, None)
    """

    least: int
    most: int | None

    @property
    def exact(self) -> int | None:
        """The number, if it is known beforehand."""
        return self.least if self.least == self.most else None


@runtime_checkable
class Rule(Protocol):
    """Decides, from all scores so far, who is discarded and who is trained next.

    Example:
        >>> from robust_select.select.rules.halving import Halving
        >>> isinstance(Halving(warmup=3), Rule)
        True
    """

    @property
    def name(self) -> str:
        """As users write it."""
        ...

    @property
    def warmup(self) -> int:
        """How many instances every candidate is given before anybody is discarded."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Give what the rule was made with, fit for JSON."""
        ...

    def check(self, criterion: Criterion) -> None:
        """Refuse a criterion that the rule cannot work with.

        Raises:
            InputError: what the rule needs (``check_warmup`` is the usual check).
        """
        ...

    def trainings(self, n_candidates: int, n_available: int | None = None) -> Trainings:
        """Count the trainings beforehand."""
        ...

    def decide(self, evidence: Evidence) -> Decision:
        """Decide; called at the start, and whenever no more is in training than the last decision's ``overlap``."""
        ...


def next_replicates(positions: Ints, first: int, stop: int) -> Ints:
    """List the instances of some candidates, replicate by replicate.

    Returns:
        (n, 2) candidate and replicate.

    Raises:
        InputError: more than anybody trains.

    Example:
        >>> next_replicates(np.array([0, 2]), 1, 3).tolist()
        [[0, 1], [2, 1], [0, 2], [2, 2]]
    """
    if len(positions) * (stop - first) > MOST_AT_ONCE:
        raise InputError(
            f"expected at most {MOST_AT_ONCE:,} trainings in one round, came {len(positions) * (stop - first):,}"
        )
    replicates = np.arange(first, stop, dtype=np.int64)
    return np.column_stack([np.tile(positions, len(replicates)), np.repeat(replicates, len(positions))])


def check_count(name: str, value: int, least: int) -> None:
    """Check a whole number among a rule's settings.

    Raises:
        InputError: it is too small, or no whole number.

    Example:
        >>> check_count("warmup", 3, least=1)
        >>> try:
        ...     check_count("warmup", 0, least=1)
        ... except InputError as error:
        ...     print(error)
        expected warmup to be a whole number of at least 1, came warmup=0
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"expected {name} to be a whole number of at least {least}, came {name}={value!r}")
    if value > MOST_COUNTED:
        raise InputError(f"expected {name} to be a whole number of at most {MOST_COUNTED:,}, came {name}={value!r}")


def check_warmup(warmup: int, criterion: Criterion) -> None:
    """Check that the warm-up is long enough for the criterion to say something.

    Raises:
        InputError: it is not.

    Example:
        >>> from robust_select.stats.criteria import criterion
        >>> try:
        ...     check_warmup(1, criterion("std"))
        ... except InputError as error:
        ...     print(str(error)[:57])
        expected at least 2 instances of each candidate before cr
    """
    if warmup < criterion.min_instances:
        raise InputError(
            f"expected at least {criterion.min_instances} instances of each candidate before criterion "
            f"{criterion.name!r} is asked, came warmup={warmup}"
        )


USED_UP = "the replicates are used up"
ONE_LEFT = "one candidate is left"
