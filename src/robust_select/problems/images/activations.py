"""The activations that candidates choose from, by name.

Called by the networks beside this file. Knows nothing of them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import nn

from robust_select.core.errors import InputError

ACTIVATIONS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "relu": lambda _: nn.ReLU(),
        "leaky-relu": lambda _: nn.LeakyReLU(),
        "prelu": nn.PReLU,  # one slope a channel
        "elu": lambda _: nn.ELU(),
        "gelu": lambda _: nn.GELU(),
        "silu": lambda _: nn.SiLU(),
    }
)


def activation(name: str, n_channels: int) -> nn.Module:
    """Make an activation for so many channels.

    Raises:
        InputError: none of that name.

    Example:
        >>> activation("prelu", 16).weight.shape
        torch.Size([16])
    """
    if name not in ACTIVATIONS:
        raise InputError(f"expected an activation among {', '.join(ACTIVATIONS)}, came activation={name!r}")
    return ACTIVATIONS[name](n_channels)
