"""Pruning by epochs: the first training of each candidate, in groups, and who of them is stopped on the way.

Called by ``Selection`` and, to say whether it was safe, by analysis. Knows nothing of rules, trainers or ledgers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.instances import EpochLimits, Outcome, State
from robust_select.core.protocols import Bools, Direction, Floats, Ints, losses_of

_STREAM = 0x45504F43  # apart from the streams of the instances' seeds


@dataclass(frozen=True)
class PruneEpochs:
    """Stop the first training of a candidate that is behind others after some epochs: the percentile rule.

    Before the rule of the study begins, every candidate is trained once, in an order drawn from the study's seed and
    in groups: ``first`` candidates, which are never stopped, then each time as many as before together. Who is worse
    after one of the epochs than the ``keep`` quantile of those in the groups before it is stopped, and the candidate
    leaves the study. Of those compared at an epoch are all that came so far and were not due to be stopped at an
    earlier one. A share ``audit`` of the others, drawn from the seed, is trained to the end in any case: without
    them the curves of the study would be those of survivors, and could not say whether it was safe. A candidate that
    was once trained to the end is judged by the rule alone.

    Whether an epoch tells of the end depends on the schedule of the learning rate: under one-cycle it may not, until
    late (``robust-select stability``). So nothing is pruned unless it is asked for.

    Reference: the percentile and median stopping rules of Golovin et al. 2017, "Google Vizier: a service for
    black-box optimization", KDD.

    Attributes:
        epochs: after which, counted from 1.
        keep: the share that goes on at each of them.
        audit: the share of candidates that is never stopped, to find out whether it was safe.
        first: so many candidates are trained to the end before anybody is stopped.

    Raises:
        InputError: no epochs, or a number out of range.

    Example:
        >>> PruneEpochs((10, 20), keep=0.25).settings()
        {'epochs': [10, 20], 'keep': 0.25, 'audit': 0.1, 'first': 8}
    """

    epochs: tuple[int, ...]
    keep: float = 0.5
    audit: float = 0.1
    first: int = 8

    def __post_init__(self) -> None:
        given = self.epochs if isinstance(self.epochs, Sequence) and not isinstance(self.epochs, str) else None
        if not given or not all(_is_whole(epoch) for epoch in given) or len(set(given)) < len(given):
            raise InputError(
                f"expected epochs to prune after, different whole numbers of at least 1, came epochs={self.epochs!r}"
            )
        object.__setattr__(self, "epochs", tuple(sorted(int(epoch) for epoch in given)))
        if isinstance(self.keep, (bool, str)) or not 0 < self.keep < 1:
            raise InputError(f"expected keep between 0 and 1, both excluded, came keep={self.keep!r}")
        if isinstance(self.audit, (bool, str)) or not 0 <= self.audit <= 1:
            raise InputError(f"expected audit from 0 to 1, came audit={self.audit!r}")
        if not _is_whole(self.first):
            raise InputError(f"expected first to be a whole number of at least 1, came first={self.first!r}")

    def settings(self) -> dict[str, Any]:
        """Give what it was made with, fit for JSON."""
        return {**asdict(self), "epochs": list(self.epochs)}

    @classmethod
    def of(cls, given: "PruneEpochs | Sequence[int] | Mapping[str, Any] | None") -> "PruneEpochs | None":
        """Take what a user gives, epochs alone, say, or what ``settings`` gave.

        Raises:
            InputError: it is nothing of this.

        Example:
            >>> PruneEpochs.of([20, 10])
            PruneEpochs(epochs=(10, 20), keep=0.5, audit=0.1, first=8)
        """
        if given is None or isinstance(given, PruneEpochs):
            return given
        if not isinstance(given, Mapping):
            return cls(given)  # type: ignore[arg-type]  # checked there
        names = tuple(cls.__dataclass_fields__)
        unknown = [str(key) for key in given if key not in names]
        if unknown or "epochs" not in given:
            came = f"unknown {', '.join(unknown)}" if unknown else "no epochs"
            raise InputError(f"expected epochs, and if wanted {', '.join(names[1:])}, to prune by, came {came}")
        return cls(**given)


@dataclass(frozen=True)
class Pruned:
    """What pruning by epochs did to the first trainings of C candidates.

    Attributes:
        prune: its settings.
        due_at: (C,) the epoch at which the training was behind, stopped or not; 0 if it never was.
        is_stopped: (C,) whether it was stopped there.
        is_audited: (C,) whether it was to be trained to the end in any case.
        is_known: (C,) whether it gave a curve that reaches an epoch to prune after.
    """

    prune: PruneEpochs
    due_at: Ints
    is_stopped: Bools
    is_audited: Bools
    is_known: Bools


class FirstRound:
    """The first training of each candidate, group by group; what a group may do depends on the groups before alone.

    Args:
        prune: whom to stop.
        n_candidates: C.
        direction: of the scores.
        seed: of the study: it gives the order, and who is audited.

    Example:
        >>> found = FirstRound(PruneEpochs((1,), first=2), 3, seed=0)
        >>> group = found.next_group()
        >>> for position in group:
        ...     found.tell(position, Outcome(0.5, curve=(0.7, 0.5)))
        >>> len(group), [found.limits(position).worst for position in found.next_group()]
        (2, [((1, 0.7),)])
    """

    def __init__(
        self, prune: PruneEpochs, n_candidates: int, direction: Direction = "minimize", seed: int = 0
    ) -> None:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM,)))
        self.prune = prune
        self.is_over = False
        self._direction: Direction = direction
        self._order = [int(position) for position in rng.permutation(n_candidates)]
        self._is_audited: Bools = np.zeros(n_candidates, dtype=bool)
        turns = np.floor(np.arange(len(self._order) - prune.first + 1) * prune.audit + rng.random())
        self._is_audited[self._order[prune.first :]] = np.diff(turns) > 0  # the order is random, so they are, too
        self._losses: Floats = np.full((n_candidates, len(prune.epochs)), np.nan)
        self._due_at: Ints = np.zeros(n_candidates, dtype=np.int64)
        self._is_stopped: Bools = np.zeros(n_candidates, dtype=bool)
        self._limits: Floats = np.full(len(prune.epochs), np.inf)
        self._n_begun = 0
        self._untold: set[int] = set()

    @property
    def result(self) -> Pruned:
        """What it has come to so far."""
        is_known = np.asarray(~np.isnan(self._losses).all(axis=1))
        return Pruned(self.prune, self._due_at.copy(), self._is_stopped.copy(), self._is_audited.copy(), is_known)

    def next_group(self) -> list[int]:
        """Give the positions of the candidates to be trained next; none when the round is over.

        Raises:
            RuntimeError: the group before is not told yet.
        """
        if self._untold:
            raise RuntimeError("the next group was asked for before the one in training was told")
        if self._n_begun:
            self._limits = self._next_limits()
        end = min(max(self.prune.first, 2 * self._n_begun), len(self._order))
        group = self._order[self._n_begun : end]
        self._n_begun = end
        self._untold = set(group)
        self.is_over = not group
        return group

    def limits(self, position: int) -> EpochLimits:
        """Give what the first training of a candidate of this group has to reach."""
        if position not in self._untold or self._is_audited[position]:
            return EpochLimits()
        sign = -1.0 if self._direction == "maximize" else 1.0
        found = [
            (epoch, sign * float(limit))
            for epoch, limit in zip(self.prune.epochs, self._limits, strict=True)
            if math.isfinite(limit)
        ]
        return EpochLimits(tuple(found), self._direction == "maximize")

    def tell(self, position: int, outcome: Outcome) -> None:
        """Tell how the first training of a candidate of this group ended."""
        self._untold.remove(position)
        curve = losses_of(np.array(outcome.curve, dtype=float), self._direction)
        n_epochs = len(curve)
        for column, epoch in enumerate(self.prune.epochs):
            if epoch <= n_epochs and np.isfinite(curve[epoch - 1]):
                self._losses[position, column] = curve[epoch - 1]
            elif outcome.state is State.DIVERGED:
                self._losses[position, column] = np.inf
        if outcome.state is State.PRUNED:
            self._due_at[position], self._is_stopped[position] = n_epochs, True
        elif outcome.state is not State.FAILED:
            is_behind = (self._losses[position] > self._limits) & (np.array(self.prune.epochs) < n_epochs)
            self._due_at[position] = self.prune.epochs[int(np.argmax(is_behind))] if is_behind.any() else 0

    def _next_limits(self) -> Floats:
        """(L,) losses that the next group has to reach; infinite where too little is known."""
        found = np.full(len(self.prune.epochs), np.inf)
        for column, epoch in enumerate(self.prune.epochs):
            was_there = (self._due_at == 0) | (self._due_at >= epoch)
            known = self._losses[was_there & ~np.isnan(self._losses[:, column]), column]
            if 2 * len(known) >= self.prune.first:
                found[column] = np.sort(known)[math.ceil(self.prune.keep * (len(known) - 1))]
        return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 1)
