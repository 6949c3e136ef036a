"""Residual networks for small images: ResNet-18 without the pooling of its stem, and smaller ones of its family.

Called by ``models``. Knows nothing of training. Source: He, Zhang, Ren, Sun 2016, "Deep residual learning for image
recognition", with the stem that is usual for 32 x 32 pixels (one convolution k3, stride 1, no pooling).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from robust_select.core.errors import InputError
from robust_select.problems.images.activations import activation


class Block(nn.Module):
    """Two convolutions k3 with batch normalisation, around which the input is led and added.

    Args:
        n_inputs: channels.
        n_outputs: channels.
        stride: of the first convolution.
        act: name of the activation.
    """

    def __init__(self, n_inputs: int, n_outputs: int, stride: int, act: str) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(n_inputs, n_outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_outputs)
        self.activation1 = activation(act, n_outputs)
        self.convolution2 = nn.Conv2d(n_outputs, n_outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_outputs)
        self.activation2 = activation(act, n_outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_inputs != n_outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_inputs, n_outputs, 1, stride, bias=False), nn.BatchNorm2d(n_outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """From (B, n_inputs, H, W) to (B, n_outputs, H / stride, W / stride)."""
        y = self.activation1(self.norm1(self.convolution1(x)))
        y = self.norm2(self.convolution2(y))
        return self.activation2(y + self.shortcut(x))  # type: ignore[no-any-return]


def residual_network(
    blocks: Sequence[int] = (2, 2, 2, 2),
    filters: int = 64,
    channels: int = 3,
    classes: int = 10,
    act: str = "relu",
    stem_stride: int = 1,
) -> nn.Sequential:
    """Make a residual network.

    Args:
        blocks: of each stage. The first stage has ``filters`` filters, each further one twice those of the one before
            at half the resolution.
        filters: of the first stage.
        channels: of the images.
        classes: how many logits it gives.
        act: name of the activation.
        stem_stride: of the first convolution; 2 quarters the work, for larger images or smaller budgets.

    Raises:
        InputError: no stage, or a number below 1.

    Example:
        >>> network = residual_network(blocks=(1, 1), filters=8, channels=1)
        >>> sum(parameter.numel() for parameter in network.parameters())
        5122
    """
    if not blocks or min(*blocks, filters, channels, classes, stem_stride) < 1:
        raise InputError(
            f"expected at least one stage, and numbers from 1, came blocks={tuple(blocks)}, filters={filters}, "
            f"channels={channels}, classes={classes}, stem_stride={stem_stride}"
        )
    layers: list[nn.Module] = [
        nn.Conv2d(channels, filters, 3, stem_stride, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        activation(act, filters),
    ]
    n_inputs = filters
    for stage, n_blocks in enumerate(blocks):
        n_outputs = filters * 2**stage
        for number in range(n_blocks):
            layers.append(Block(n_inputs, n_outputs, 2 if stage and number == 0 else 1, act))
            n_inputs = n_outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_inputs, classes))


def resnet18() -> nn.Sequential:
    """Make the base model: ResNet-18 for colour images of 32 x 32 pixels and ten classes, 11,173,962 parameters.

    Example:
        >>> sum(parameter.numel() for parameter in resnet18().parameters())
        11173962
    """
    return residual_network()
