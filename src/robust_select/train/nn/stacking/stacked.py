"""A stacked value, and the two ways to look at one.

Used by every rule of this package. Knows nothing of modules or graphs.

K is the number of instances. A value that the user's module sees as (B, C, *S) is here (K, B, C, *S), whatever its
strides. Channelwise kernels want (B, K*C, *S): between two of them both are views of the same memory, so that nothing
is copied; in memory such an image is (B, H, W, K, C), which is what convolutions like (channels_last).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Stacked:
    """One value of every instance.

    Attributes:
        tensor: (K, ...), with the unstacked value of instance k in row k.
    """

    tensor: Tensor

    @property
    def n_instances(self) -> int:
        """K."""
        return self.tensor.shape[0]

    @property
    def rank(self) -> int:
        """The number of dimensions that the user's module sees."""
        return self.tensor.dim() - 1


def joined(tensor: Tensor) -> Tensor:
    """Look at (K, B, C, *S) as (B, K*C, *S).

    Example:
        >>> import torch
        >>> joined(torch.zeros(4, 32, 3, 8, 8)).shape
        torch.Size([32, 12, 8, 8])
    """
    return tensor.transpose(0, 1).flatten(1, 2)


def parted(tensor: Tensor, n_instances: int) -> Tensor:
    """Look at (B, K*C, *S) as (K, B, C, *S).

    Example:
        >>> import torch
        >>> parted(torch.zeros(32, 12, 8, 8), 4).shape
        torch.Size([4, 32, 3, 8, 8])
    """
    batch, channels, *spatial = tensor.shape
    return tensor.view(batch, n_instances, channels // n_instances, *spatial).transpose(0, 1)


def dimension(number: int, rank: int) -> int:
    """Turn a dimension of an unstacked tensor into the stacked one's.

    Args:
        number: as the user wrote it, maybe negative.
        rank: how many dimensions the user's module sees.

    Raises:
        IndexError: there is no such dimension.

    Example:
        >>> dimension(1, 4), dimension(-1, 4)
        (2, 4)
    """
    if not -rank <= number < rank:
        raise IndexError(f"expected a dimension from {-rank} to {rank - 1}, came dim={number}")
    return number % rank + 1


def widened(value: Stacked, rank: int) -> Tensor:
    """Give a stacked value more leading dimensions, so that it broadcasts as the unstacked ones do.

    Args:
        value: of a rank up to the given one.
        rank: the rank to reach.

    Returns:
        (K, 1, ..., 1, *shape).
    """
    missing = rank - value.rank
    if missing <= 0:
        return value.tensor
    n_instances, *shape = value.tensor.shape
    return value.tensor.view(n_instances, *[1] * missing, *shape)


def aligned(values: Iterable[Any]) -> list[Any]:
    """Make stacked values, shared tensors and numbers fit each other in an elementwise function.

    Args:
        values: arguments of the function.

    Returns:
        The same, stacked ones as tensors; shared tensors and numbers as they are, for they broadcast.
    """
    given = list(values)
    ranks = [value.rank if isinstance(value, Stacked) else value.dim() for value in given if is_tensor(value)]
    rank = max(ranks, default=0)
    return [widened(value, rank) if isinstance(value, Stacked) else value for value in given]


def is_tensor(value: object) -> bool:
    """Say whether a value is a tensor, stacked or shared."""
    return isinstance(value, (Stacked, Tensor))
