"""Small convolutional networks, for images of few pixels.

Called by ``models``. Knows nothing of training.
"""

from torch import nn

from robust_select.core.errors import InputError
from robust_select.problems.images.activations import activation


def convolutional_network(
    size: int,
    filters: int = 8,
    layers: int = 2,
    channels: int = 1,
    classes: int = 10,
    act: str = "relu",
    has_norm: bool = False,
) -> nn.Sequential:
    """Make a network of convolutions k3, each with an activation and a pooling by 2, and one linear layer.

    Args:
        size: pixels of a side.
        filters: of the first convolution; each further one has twice as many.
        layers: how many convolutions.
        channels: of the images.
        classes: how many logits it gives.
        act: name of the activation.
        has_norm: whether each convolution has batch normalisation in place of a bias.

    Raises:
        InputError: a number below 1, or more layers than the pixels can be halved.

    Example:
        >>> sum(parameter.numel() for parameter in convolutional_network(size=8).parameters())
        1898
    """
    if min(size, filters, layers, channels, classes) < 1 or size >> layers < 1:
        raise InputError(
            f"expected numbers from 1, and layers that leave a pixel, came size={size}, filters={filters}, "
            f"layers={layers}, channels={channels}, classes={classes}"
        )
    made: list[nn.Module] = []
    n_inputs = channels
    for layer in range(layers):
        n_outputs = filters * 2**layer
        made.append(nn.Conv2d(n_inputs, n_outputs, 3, padding=1, bias=not has_norm))
        made += [nn.BatchNorm2d(n_outputs)] if has_norm else []
        made += [activation(act, n_outputs), nn.MaxPool2d(2)]
        n_inputs = n_outputs
    return nn.Sequential(*made, nn.Flatten(), nn.Linear(n_inputs * (size >> layers) ** 2, classes))
