"""Random numbers of dropout, one generator an instance.

Used by the rules for dropout; seeded by the fitting loop. Knows nothing of layers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Noise:
    """One random number generator an instance.

    Args:
        seeds: one an instance.
        device: where the masks are wanted.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self._device = device
        self.seed(seeds)

    def seed(self, seeds: Sequence[int]) -> None:
        """Start anew."""
        self._generators = [torch.Generator(self._device).manual_seed(int(seed)) for seed in seeds]

    def keep(self, positions: Sequence[int]) -> None:
        """Forget the generators of all other instances."""
        self._generators = [self._generators[position] for position in positions]

    def mask(self, shape: Sequence[int], keep: float, dtype: torch.dtype) -> Tensor:
        """Draw what ``torch.nn.functional.dropout`` multiplies by.

        Args:
            shape: of one instance's mask, as a module alone would draw it.
            keep: probability that an element stays, above 0.
            dtype: of the values.

        Returns:
            (K, *shape) of 0 and 1 / keep; row k is what instance k alone would draw (on a CPU).

        Example:
            >>> Noise([1, 2], torch.device("cpu")).mask((1, 4), 0.5, torch.float32).shape
            torch.Size([2, 1, 4])
        """
        mask = torch.empty((len(self._generators), *shape), dtype=dtype, device=self._device)
        for row, generator in zip(mask, self._generators, strict=True):
            row.bernoulli_(keep, generator=generator)
        return mask.div_(keep)
