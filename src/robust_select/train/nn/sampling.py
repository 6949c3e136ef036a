"""Which examples an instance is trained on, and in which order: all of it from the instance's seeds.

Called by the fitting loop. Knows nothing of modules or torch.
"""

from collections.abc import Sequence

import numpy as np

from robust_select.core.instances import Instance
from robust_select.core.protocols import Ints
from robust_select.train.nn.settings import Settings

_NOISE_STREAM, _AUGMENTATION_STREAM = 1, 2


def training_sample(instance: Instance, n_population: int, settings: Settings) -> Ints:
    """Draw an instance's training sample from the population.

    The same for every candidate of a replicate; a smaller subset is part of a larger one.

    Args:
        instance: its seed for the training sample is used.
        n_population: N.
        settings: the size of the sample, and whether it is a subset or a bootstrap sample.

    Returns:
        (n_train,) positions in the population.

    Example:
        >>> from robust_select.core.instances import seeds_for
        >>> training_sample(Instance("a", 0, seeds_for(7, 0)), 5, Settings(n_train=3)).tolist()
        [0, 4, 2]
    """
    n_train = settings.n_train or n_population
    rng = instance.rng("training_sample")
    if settings.resample == "bootstrap":
        return rng.integers(0, n_population, n_train)
    if n_train == n_population:
        return np.arange(n_population)
    return rng.permutation(n_population)[:n_train]


def noise_seed(instance: Instance) -> int:
    """Derive the seed of dropout and the like; another number than the one that orders the batches."""
    return _derived(instance, _NOISE_STREAM)


def augmentation_seed(instance: Instance) -> int:
    """Derive the seed of the augmentation of training batches."""
    return _derived(instance, _AUGMENTATION_STREAM)


def _derived(instance: Instance, stream: int) -> int:
    sequence = np.random.SeedSequence(instance.seeds.batch_order, spawn_key=(stream,))
    return int(sequence.generate_state(1)[0])


class Batches:
    """The order in which several instances see their examples, epoch by epoch.

    Args:
        instances: (K,) their seeds for the batch order are used.
        samples: (K, n_train) their training samples.
        batch_size: B.
    """

    def __init__(self, instances: Sequence[Instance], samples: Ints, batch_size: int) -> None:
        self._rngs = [instance.rng("batch_order") for instance in instances]
        self._samples = samples
        self.batch_size = batch_size

    @property
    def n_train(self) -> int:
        """How many examples each instance is trained on."""
        return int(self._samples.shape[1])

    def epoch(self) -> tuple[Ints, Ints]:
        """Order the next epoch.

        Returns:
            (steps, K, B) positions in the population for the whole batches, and (K, rest) for the last, smaller one.
        """
        n_train = self.n_train
        rows = np.stack(
            [sample[rng.permutation(n_train)] for rng, sample in zip(self._rngs, self._samples, strict=True)]
        )
        n_whole = n_train // self.batch_size
        end = n_whole * self.batch_size
        whole = rows[:, :end].reshape(len(rows), n_whole, self.batch_size).transpose(1, 0, 2)
        return np.ascontiguousarray(whole), np.ascontiguousarray(rows[:, end:])

    def keep(self, positions: Sequence[int]) -> None:
        """Go on with some of the instances only."""
        self._rngs = [self._rngs[position] for position in positions]
        self._samples = self._samples[list(positions)]
