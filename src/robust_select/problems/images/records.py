"""What images are: bytes with labels, checked when they are made.

Made by the readers, read by whoever trains on them. Knows nothing of files or torch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats, Ints

Bytes = npt.NDArray[np.uint8]

_AT_ONCE = 1000


class ImageError(InputError):
    """Images cannot be read.

    Attributes:
        source: the file or folder they were to come from.

    Example:
        >>> print(ImageError("expected 60,000 labels, came 59,999", "train-labels-idx1-ubyte"))
        train-labels-idx1-ubyte: expected 60,000 labels, came 59,999
    """

    def __init__(self, message: str, source: str) -> None:
        super().__init__(f"{source}: {message}")
        self.source = source


@dataclass(frozen=True, eq=False)
class Images:
    """N images of one size, and what each shows.

    Attributes:
        images: (N, H, W) grey or (N, channels, H, W), one byte a pixel and channel.
        labels: (N,) classes, counted from 0.

    Raises:
        InputError: other shapes, no bytes, no images, or labels below 0.

    Example:
        >>> Images(np.zeros((2, 8, 8), dtype=np.uint8), np.array([3, 1]))
        Images(2 of 8 x 8, 1 channel)
    """

    images: Bytes
    labels: Ints

    def __post_init__(self) -> None:
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.size == 0:
            raise InputError(
                f"expected images of shape (N, H, W) or (N, channels, H, W) as bytes (uint8), came shape "
                f"{images.shape} of {images.dtype}"
            )
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise InputError(
                f"expected one whole number as label for each of {len(images)} images, came shape {labels.shape} "
                f"of {labels.dtype}"
            )
        labels = labels.astype(np.int64)
        if labels.min() < 0:
            raise InputError(f"expected labels from 0, came label={labels.min()} for image {int(labels.argmin())}")
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        *_, height, width = self.images.shape
        channels = f"{self.n_channels} channel{'s' if self.n_channels > 1 else ''}"
        return f"Images({len(self)} of {height} x {width}, {channels})"

    @property
    def n_channels(self) -> int:
        """1 for grey, 3 for red, green and blue."""
        return 1 if self.images.ndim == 3 else int(self.images.shape[1])

    @property
    def planes(self) -> Bytes:
        """(N, channels, H, W), as networks want them; a view."""
        return self.images[:, None] if self.images.ndim == 3 else self.images

    def first(self, n: int) -> "Images":
        """Give the first n of them; all, if there are not so many."""
        return Images(self.images[:n], self.labels[:n])

    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Give mean and standard deviation of each channel's bytes, to normalise by.

        Example:
            >>> grey = np.array([[[0, 2], [2, 4]]], dtype=np.uint8)
            >>> Images(grey, np.array([0])).moments()
            ((2.0,), (1.4142135623730951,))
        """
        counts = np.zeros((self.n_channels, 256))
        for first in range(0, len(self), _AT_ONCE):  # to count, numpy makes 8 bytes of each
            part = self.planes[first : first + _AT_ONCE]
            counts += [np.bincount(part[:, row].ravel(), minlength=256) for row in range(self.n_channels)]
        values: Floats = np.arange(256, dtype=float)
        shares = counts / counts.sum(axis=1, keepdims=True)
        means = shares @ values
        stds = np.sqrt((shares * (values - means[:, None]) ** 2).sum(axis=1))
        return tuple(means.tolist()), tuple(stds.tolist())
