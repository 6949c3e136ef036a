"""Trainers of the image problem: networks on digits, Fashion-MNIST and CIFAR-10, each with its usual settings.

Called by study files and ``validation/images``. Knows nothing of which candidates there are.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from robust_select.problems.images import sources
from robust_select.problems.images.augmentation import CropAndFlip
from robust_select.problems.images.models import CIFAR10, DIGITS, FASHION_MNIST, Look, build
from robust_select.problems.images.records import Images
from robust_select.train.nn import Data, TorchTrainer

SMOOTHING = 0.1

ONE_CYCLE: Mapping[str, Any] = {"optimiser": "sgd", "momentum": 0.9, "schedule": "one-cycle"}
"""How the residual and convolutional networks are trained, as published."""


def digits_data() -> Data:
    """Give scikit-learn's digits: 1,200 to draw from, 597 that give the score."""
    return _data(*sources.digits())


def fashion_mnist_data(n_held_out: int = 10_000) -> Data:
    """Give Fashion-MNIST: 60,000 images to draw from, the first of the 10,000 test images give the score."""
    population, held_out = sources.fashion_mnist()
    return _data(population, held_out.first(n_held_out))


def cifar10_data() -> Data:
    """Give CIFAR-10: 50,000 images to draw from, 10,000 that give the score."""
    return _data(*sources.cifar10())


def smoothed_cross_entropy(predictions: Tensor, targets: Tensor) -> Tensor:
    """Give the cross-entropy of each example, a tenth of its label spread over all classes (label smoothing)."""
    return functional.cross_entropy(predictions, targets, reduction="none", label_smoothing=SMOOTHING)


def digits_trainer(**settings: Any) -> TorchTrainer:
    """Make the trainer for digits: 600 of the 1,200 images, 50 epochs, one-cycle; the score is the share misread.

    Args:
        settings: of the engine, in place of these.

    Example:
        >>> "epochs=2" in digits_trainer(epochs=2).__qualname__  # its name in the ledger
        True
    """
    return _trainer(DIGITS, digits_data, {**ONE_CYCLE, "epochs": 50, "n_train": 600, **settings})


def fashion_mnist_trainer(n_held_out: int = 10_000, **settings: Any) -> TorchTrainer:
    """Make the trainer for Fashion-MNIST: one-cycle, crop (by two pixels) and flip; the score is the share misread.

    Args:
        n_held_out: how many of the test images give the score; fewer take less time.
        settings: of the engine.

    Example:
        >>> "epochs=8" in fashion_mnist_trainer(n_held_out=1000, epochs=8).__qualname__  # its name in the ledger
        True
    """
    data = functools.partial(fashion_mnist_data, n_held_out)
    return _trainer(FASHION_MNIST, data, {**ONE_CYCLE, **settings}, CropAndFlip(2))


def cifar10_trainer(**settings: Any) -> TorchTrainer:
    """Make the trainer of the published study: 50 epochs on 10,000 images, one-cycle, crop and flip.

    Args:
        settings: of the engine, in place of these.

    Example:
        >>> "n_train=10000" in cifar10_trainer().__qualname__  # its name in the ledger
        True
    """
    return _trainer(CIFAR10, cifar10_data, {**ONE_CYCLE, "epochs": 50, "n_train": 10_000, **settings}, CropAndFlip())


def cifar10_transformer_trainer(**settings: Any) -> TorchTrainer:
    """Make the trainer for transformers: AdamW, warm-up and cosine, label smoothing, crop and flip.

    Args:
        settings: of the engine, in place of these.

    Example:
        >>> "schedule=cosine" in cifar10_transformer_trainer().__qualname__  # its name in the ledger
        True
    """
    usual = {"optimiser": "adamw", "schedule": "cosine", "warmup_epochs": 10, "epochs": 50, "n_train": 10_000}
    return _trainer(CIFAR10, cifar10_data, {**usual, **settings}, CropAndFlip(), smoothed_cross_entropy)


def _trainer(
    look: Look,
    data: Callable[[], Data],
    settings: Mapping[str, Any],
    augment: CropAndFlip | None = None,
    loss: Any = "cross-entropy",
) -> TorchTrainer:
    return TorchTrainer(
        functools.partial(build, look=look), data, loss=loss, score="error", defaults=settings, augment=augment
    )


def _data(population: Images, held_out: Images) -> Data:
    return Data(population.planes, population.labels, held_out.planes, held_out.labels)
