"""Designs: which random streams vary from instance to instance, so that each one's part of the variance shows.

Called by ``measure --sources``, by users, and by the analysis of what comes out. Knows nothing of scores.
"""

import re
from dataclasses import dataclass

from robust_select.core.errors import InputError
from robust_select.core.instances import STREAMS, Seeds, Stream, seeds_for

_MOST = 1000


@dataclass(frozen=True)
class Crossed:
    """Every one of some initial weights with every one of some training samples; the batch order is always new.

    Instance ``(k, i, j)``, that is repeat k of weights i and sample j, is replicate ``(k * W + i) * S + j``.

    Attributes:
        n_weights: W, how many initial weights.
        n_samples: S, how many training samples.
        n_repeats: K, how often each pair is trained; from 2 on the interaction can be told from the rest.

    Raises:
        InputError: fewer than 2 weights or samples, no repeat, or more than 1,000 of one of them.

    Example:
        >>> design = Crossed(2, 3)
        >>> first, last = design.seeds(7, 0), design.seeds(7, 5)
        >>> design.seeds(7, 2).initial_weights == first.initial_weights
        True
        >>> design.seeds(7, 2).training_sample == last.training_sample
        True
    """

    n_weights: int = 8
    n_samples: int = 8
    n_repeats: int = 1

    def __post_init__(self) -> None:
        for name, n, least in (("n_weights", self.n_weights, 2), ("n_samples", self.n_samples, 2)):
            _check_number(name, n, least)
        _check_number("n_repeats", self.n_repeats, 1)

    def __str__(self) -> str:
        repeats = f" x {self.n_repeats}" if self.n_repeats > 1 else ""
        return f"{self.n_weights} x {self.n_samples}{repeats}"

    @classmethod
    def parse(cls, text: str) -> "Crossed":
        """Read a design as users write it.

        Raises:
            InputError: it is not two or three whole numbers with an x between them, or one is out of range.

        Example:
            >>> Crossed.parse("8x6x2")
            Crossed(n_weights=8, n_samples=6, n_repeats=2)
        """
        if not re.fullmatch(r"\s*\d+(\s*[xX×]\s*\d+){1,2}\s*", text):
            raise InputError(
                f"expected a design such as 8x8 (initial weights x training samples) or 8x8x2 (the same, each pair "
                f"trained twice), came {text!r}"
            )
        return cls(*(int(part) for part in re.split(r"[xX×]", text)))

    @property
    def n_instances(self) -> int:
        """How many instances of each candidate it takes."""
        return self.n_weights * self.n_samples * self.n_repeats

    def seeds(self, seed: int, replicate: int) -> Seeds:
        """Give the seeds of a replicate: those of initial weights and sample come again in others.

        Args:
            seed: the study's seed.
            replicate: counted from 0.

        Raises:
            InputError: a replicate that the design does not have.
        """
        if not 0 <= replicate < self.n_instances:
            raise InputError(f"expected a replicate from 0 to {self.n_instances - 1}, came replicate={replicate}")
        weights, sample = divmod(replicate % (self.n_weights * self.n_samples), self.n_samples)
        return Seeds(
            initial_weights=seeds_for(seed, weights).initial_weights,
            training_sample=seeds_for(seed, sample).training_sample,
            batch_order=seeds_for(seed, replicate).batch_order,
        )


@dataclass(frozen=True)
class Varying:
    """Only some streams vary; the others keep the seed of replicate 0.

    Attributes:
        varying: the streams that vary.
        n_instances: how many instances of each candidate.

    Raises:
        InputError: an unknown stream, none at all, or fewer than 2 instances.

    Example:
        >>> design = Varying(("initial_weights",), 20)
        >>> str(design), design.seeds(7, 3).training_sample == design.seeds(7, 4).training_sample
        ('initial weights alone', True)
    """

    varying: tuple[Stream, ...]
    n_instances: int

    def __post_init__(self) -> None:
        unknown = [stream for stream in self.varying if stream not in STREAMS]
        if unknown or not self.varying or len(set(self.varying)) < len(self.varying):
            raise InputError(f"expected different streams among {', '.join(STREAMS)}, came {self.varying!r}")
        _check_number("n_instances", self.n_instances, 2)

    def __str__(self) -> str:
        if len(self.varying) == len(STREAMS):
            return "all streams"
        names = [stream.replace("_", " ") for stream in STREAMS if stream in self.varying]
        return f"{names[0]} alone" if len(names) == 1 else " and ".join(names)

    def seeds(self, seed: int, replicate: int) -> Seeds:
        """Give the seeds of a replicate.

        Args:
            seed: the study's seed.
            replicate: counted from 0.
        """
        return seeds_for(seed, replicate, fixed=[stream for stream in STREAMS if stream not in self.varying])


def _check_number(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"expected {name} to be a whole number from {least}, came {name}={value!r}")
    if name != "n_instances" and value > _MOST:
        raise InputError(f"expected {name} to be {_MOST} at most, came {name}={value}")
