"""What an instance is: one training of one candidate, its seeds, and the outcome it ends with.

Made by studies, read by trainers. Knows nothing of candidates' parameters or of ledgers.
"""

import enum
import math
from collections.abc import Collection
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
class Instance:
    """One training of one candidate.

    Attributes:
        candidate: the candidate's name.
        replicate: the index of this training within its candidate, from 0.
        seeds: one seed a random stream.

    Example:
        >>> instance = Instance("small", 0, seeds_for(7, 0))
        >>> instance.rng("training_sample").permutation(5)
        array([0, 4, 2, 3, 1])
    """

    candidate: str
    replicate: int
    seeds: Seeds

    def rng(self, stream: Stream) -> np.random.Generator:
        """Give a fresh generator for a random stream."""
        return np.random.default_rng(getattr(self.seeds, stream))


class State(enum.StrEnum):
    """How a training ended."""

    COMPLETE = "complete"
    DIVERGED = "diverged"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What a training ended with.

    A score that is nan or infinite makes the outcome diverged; it then counts as the worst possible score.

    Attributes:
        score: on held-out data; nan unless the state is complete.
        curve: (E,) the validation score after each epoch, if the trainer gives it.
        seconds: of wall-clock time; filled in by the executor where it is nan.
        state: complete, diverged or failed.
        message: why it failed; empty otherwise.
        log: the traceback of a failure; empty otherwise.

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
        object.__setattr__(self, "state", state)

    @classmethod
    def failed(cls, message: str, seconds: float = math.nan, log: str = "") -> "Outcome":
        """Make the outcome of a training that raised or whose worker was lost."""
        return cls(math.nan, seconds=seconds, state=State.FAILED, message=message, log=log)
