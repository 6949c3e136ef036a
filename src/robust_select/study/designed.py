"""Trainers that train by a design: each replicate gets the design's seeds instead of its own.

Called by ``measure --sources`` and users. Knows nothing of what becomes of the scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from robust_select.core.designs import Crossed, Varying
from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import SharesData, StackTrainer, Trainer
from robust_select.study.study import trainer_name


@dataclass(frozen=True)
class DesignedTrainer:
    """A trainer whose random streams vary by a design; ``designed`` makes it.

    Attributes:
        trainer: trains.
        design: says which seeds a replicate gets.
        seed: the study's.
    """

    trainer: Trainer
    design: Crossed | Varying
    seed: int

    def __post_init__(self) -> None:
        name = f"{trainer_name(self.trainer)}, {self.design}"
        object.__setattr__(self, "__qualname__", name)  # by which a ledger knows a trainer

    def __call__(self, params: Mapping[str, Any], instance: Instance, /) -> float | Outcome:
        """Train with the design's seeds."""
        return self.trainer(params, self.seeded(instance))

    def seeded(self, instance: Instance) -> Instance:
        """Give an instance with the design's seeds."""
        return replace(instance, seeds=self.design.seeds(self.seed, instance.replicate))

    def with_data_in(self, folder: Path, /) -> Self:
        """Have the trainer write its data to files, if it can."""
        return (
            replace(self, trainer=self.trainer.with_data_in(folder)) if isinstance(self.trainer, SharesData) else self
        )


@dataclass(frozen=True)
class DesignedStackTrainer(DesignedTrainer):
    """The same of a trainer that can train several instances as one."""

    trainer: StackTrainer

    def stack_key(self, params: Mapping[str, Any], /) -> str:
        """Say which candidates can be trained together."""
        return self.trainer.stack_key(params)

    def stack_size(self, params: Mapping[str, Any], /) -> int:
        """Say how many instances of this key are best trained together."""
        return self.trainer.stack_size(params)

    def why_alone(self, params: Mapping[str, Any], /) -> str:
        """Say why these instances can only be trained one by one; empty where they can be stacked."""
        return self.trainer.why_alone(params)

    def train_together(
        self, params: Sequence[Mapping[str, Any]], instances: Sequence[Instance], /
    ) -> Sequence[Outcome]:
        """Train instances of one key with the design's seeds."""
        return self.trainer.train_together(params, [self.seeded(instance) for instance in instances])


def designed(trainer: Trainer, design: Crossed | Varying, seed: int) -> DesignedTrainer:
    """Make a trainer vary its random streams by a design; give it to a study, which stays as resumable as ever.

    Train each candidate as often as the design has instances: ``Exhaustive(design.n_instances)``.

    Args:
        trainer: of one instance, or of several together.
        design: says which seeds a replicate gets.
        seed: the study's.

    Example:
        >>> from robust_select.core.instances import seeds_for
        >>> def train(params, instance):
        ...     return float(instance.seeds.initial_weights)
        >>> made = designed(train, Crossed(2, 2), seed=7)
        >>> scores = [made({}, Instance("a", replicate, seeds_for(7, replicate))) for replicate in range(4)]
        >>> scores[0] == scores[1], scores[1] == scores[2]
        (True, False)
    """
    if isinstance(trainer, StackTrainer):
        return DesignedStackTrainer(trainer, design, seed)
    return DesignedTrainer(trainer, design, seed)
