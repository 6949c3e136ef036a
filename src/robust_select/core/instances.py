"""What an instance is: one training of one candidate, its seeds, and the outcome it ends with.

Made by studies, read by trainers. Knows nothing of candidates' parameters or of ledgers.
"""

import enum
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from robust_select.core.errors import InputError

Stream = Literal["initial_weights", "training_sample", "batch_order"]
"""The separate sources of randomness of a training."""

STREAMS: tuple[Stream, ...] = get_args(Stream)


@dataclass(frozen=True)
class Seeds:
    """One seed for each random stream, a whole number below 2**32 that every library accepts.

    Attributes:
        initial_weights: for the initialisation of the model.
        training_sample: for the choice of the training examples from the population.
        batch_order: for the order of examples, and whatever noise goes with it (dropout, augmentation).

    Example:
        >>> Seeds(initial_weights=1, training_sample=2, batch_order=3).training_sample
        2
    """

    initial_weights: int
    training_sample: int
    batch_order: int


def seeds_for(seed: int, replicate: int, fixed: Collection[Stream] = ()) -> Seeds:
    """Derive the seeds of a replicate with numpy's SeedSequence.

    The same for every candidate (common random numbers), so that scores of the same replicate are paired.

    Args:
        seed: the study's seed.
        replicate: counted from 0.
        fixed: streams that do not vary: they keep the seed of replicate 0.

    Raises:
        InputError: a negative seed or replicate, or an unknown stream.

    Example:
        >>> seeds_for(7, 0) == seeds_for(7, 0)
        True
        >>> seeds_for(7, 3, fixed=["training_sample"]).training_sample == seeds_for(7, 0).training_sample
        True
    """
    if seed < 0 or replicate < 0:
        raise InputError(f"expected seed and replicate at least 0, came seed={seed}, replicate={replicate}")
    unknown = set(fixed) - set(STREAMS)
    if unknown:
        raise InputError(f"expected streams among {', '.join(STREAMS)}, came {', '.join(sorted(unknown))}")
    drawn = [
        int(np.random.SeedSequence(seed, spawn_key=(0 if stream in fixed else replicate, index)).generate_state(1)[0])
        for index, stream in enumerate(STREAMS)
    ]
    return Seeds(*drawn)


@dataclass(frozen=True)
class EpochLimits:
    """What an instance's scores have to reach on the way, else it is stopped; where there is nothing, it never is.

    Attributes:
        worst: pairs of an epoch, from 1, and the worst score that is allowed after it.
        is_maximized: whether the higher scores are the better ones.

    Example:
        >>> limits = EpochLimits(((2, 0.5),))
        >>> limits.is_missed([0.9]), limits.is_missed([0.9, 0.5]), limits.is_missed([0.9, 0.6])
        (False, False, True)
    """

    worst: tuple[tuple[int, float], ...] = ()
    is_maximized: bool = False

    def is_missed(self, curve: Sequence[float]) -> bool:
        """Whether the last score of a curve is beyond the limit of its epoch; never where it is not finite."""
        limit = next((score for epoch, score in self.worst if epoch == len(curve)), None)
        if limit is None or not math.isfinite(curve[-1]):
            return False
        return bool(curve[-1] < limit if self.is_maximized else curve[-1] > limit)


_NO_LIMITS = EpochLimits()


@dataclass(frozen=True)
class Instance:
    """One training of one candidate.

    Attributes:
        candidate: the candidate's name.
        replicate: the index of this training within its candidate, from 0.
        seeds: one seed a random stream.
        limits: what its scores have to reach on the way, where the study prunes by epochs.

    Example:
        >>> instance = Instance("small", 0, seeds_for(7, 0))
        >>> instance.rng("training_sample").permutation(5)
        array([0, 4, 2, 3, 1])
    """

    candidate: str
    replicate: int
    seeds: Seeds
    limits: EpochLimits = _NO_LIMITS

    def rng(self, stream: Stream) -> np.random.Generator:
        """Give a fresh generator for a random stream."""
        return np.random.default_rng(getattr(self.seeds, stream))

    def should_stop(self, curve: Sequence[float]) -> bool:
        """Ask after each epoch but the last whether to stop here, and then give back ``Outcome.pruned(curve)``.

        Only a study with ``prune_epochs`` ever says yes. A trainer that never asks is never stopped.

        Args:
            curve: (E,) the score after each epoch so far.

        Example:
            >>> Instance("small", 0, seeds_for(7, 0)).should_stop([0.9, 0.8])
            False
        """
        return self.limits.is_missed(curve)


class State(enum.StrEnum):
    """How a training ended.

    Example:
        >>> State("diverged") is State.DIVERGED
        True
    """

    COMPLETE = "complete"
    DIVERGED = "diverged"
    FAILED = "failed"
    PRUNED = "pruned"


@dataclass(frozen=True)
class Outcome:
    """What a training ended with.

    A score that is nan or infinite makes the outcome diverged; it then counts as the worst possible score.

    Attributes:
        score: on held-out data; nan unless the state is complete.
        curve: (E,) the validation score after each epoch, if the trainer gives it.
        seconds: of wall-clock time; filled in by the executor where it is nan.
        state: complete, diverged, failed, or pruned (stopped after an epoch because the study asked for it).
        message: why it failed, or where it was stopped; empty otherwise.
        log: the traceback of a failure; empty otherwise.

    Raises:
        InputError: pruned without a curve.

    Example:
        >>> Outcome(0.25).state, Outcome(float("inf")).state
        (<State.COMPLETE: 'complete'>, <State.DIVERGED: 'diverged'>)
    """

    score: float
    curve: tuple[float, ...] = ()
    seconds: float = math.nan
    state: State = State.COMPLETE
    message: str = ""
    log: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", float(self.score))
        object.__setattr__(self, "curve", tuple(float(value) for value in self.curve))
        state = State(self.state)
        if state is State.COMPLETE and not math.isfinite(self.score):
            state = State.DIVERGED
        if state is not State.COMPLETE:
            object.__setattr__(self, "score", math.nan)
        if state is State.PRUNED and not self.curve:
            raise InputError("expected the curve up to the epoch at which the training was stopped, came none")
        object.__setattr__(self, "state", state)

    @classmethod
    def pruned(cls, curve: Sequence[float], seconds: float = math.nan) -> "Outcome":
        """Make the outcome of a training that stopped because ``Instance.should_stop(curve)`` asked for it.

        Example:
            >>> Outcome.pruned([0.9, 0.8]).message
            'stopped after epoch 2'
        """
        message = f"stopped after epoch {len(curve)}"
        return cls(math.nan, tuple(curve), seconds, State.PRUNED, message)

    @classmethod
    def failed(cls, message: str, seconds: float = math.nan, log: str = "") -> "Outcome":
        """Make the outcome of a training that raised or whose worker was lost."""
        return cls(math.nan, seconds=seconds, state=State.FAILED, message=message, log=log)
