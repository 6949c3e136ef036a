"""Normalisation, crop and flip: operations on whole batches of images.

Called by networks (normalisation) and, as ``augment``, by the engine (crop and flip). Knows nothing of data sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from robust_select.core.errors import InputError


class Normalise(nn.Module):
    """Subtracts a mean from each channel and divides by a standard deviation; the first layer of a network.

    Args:
        means: one a channel, in units of the pixels.
        stds: one a channel, above 0.

    Raises:
        InputError: not as many of both, or a standard deviation that is not above 0.

    Example:
        >>> Normalise([2.0], [4.0])(torch.tensor([[[[2.0, 6.0]]]]))
        tensor([[[[0., 1.]]]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, means: Sequence[float], stds: Sequence[float]) -> None:
        super().__init__()
        if len(means) != len(stds) or not means or not min(stds) > 0:
            raise InputError(
                f"expected as many means as standard deviations, these above 0, came means={tuple(means)} and "
                f"stds={tuple(stds)}"
            )
        self.register_buffer("mean", torch.tensor(means)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(stds)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images (B, channels, H, W)."""
        return (images - self.mean) / self.std

    def extra_repr(self) -> str:
        """Say by what."""
        return f"{self.mean.flatten().tolist()}, {self.std.flatten().tolist()}"


@dataclass(frozen=True)
class CropAndFlip:
    """Augmentation: each image of a batch shifted at random, mirrored or not; to be a trainer's ``augment``.

    Attributes:
        padding: the largest shift, in pixels; what comes in is black (0, so crop before you normalise).
        is_flipped: whether half of the images are mirrored, left for right.

    Example:
        >>> images = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> CropAndFlip(padding=0)(images, torch.Generator().manual_seed(1)).flatten().tolist()
        [1.0, 0.0, 3.0, 2.0]
    """

    padding: int = 4
    is_flipped: bool = True

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise InputError(f"expected a padding of at least 0 pixels, came padding={self.padding}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment images (B, channels, H, W)."""
        if self.padding:
            images = crop(images, self.padding, generator)
        return flip(images, generator) if self.is_flipped else images


def crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Cut each image out of itself with a black border, at a random place.

    Args:
        images: (B, channels, H, W).
        padding: width of the border.
        generator: draws (B, 2) places, down and right, evenly from 0 to twice the padding.

    Returns:
        (B, channels, H, W).
    """
    n_images, _, height, width = images.shape
    corners = torch.randint(0, 2 * padding + 1, (n_images, 2), generator=generator).to(images.device)
    padded = functional.pad(images, (padding, padding, padding, padding))
    rows = corners[:, :1] + torch.arange(height, device=images.device)
    columns = corners[:, 1:] + torch.arange(width, device=images.device)
    of_image = torch.arange(n_images, device=images.device)
    # the channels, between indices that broadcast, come last
    return padded[of_image[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1).contiguous()


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image, left for right, with probability one half.

    Args:
        images: (B, channels, H, W).
        generator: draws (B,) coins.

    Returns:
        (B, channels, H, W).
    """
    is_mirrored = torch.randint(0, 2, (len(images),), generator=generator).to(images.device, torch.bool)
    return torch.where(is_mirrored[:, None, None, None], images.flip(-1), images)
