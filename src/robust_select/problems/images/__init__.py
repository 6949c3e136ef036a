"""Images: digits, Fashion-MNIST, CIFAR-10; residual, convolutional and transformer networks; their spaces.

Called by its study files, the command line's demos and ``validation/images``. Knows nothing of studies; what it
exports is imported when it is asked for, so that reading images and listing candidates need no PyTorch.
"""

import importlib
from typing import Any

from robust_select.core.errors import MissingExtraError

_HOMES = {
    "ImageError": "records",
    "Images": "records",
    "cifar10": "sources",
    "cifar10_trainer": "trainers",
    "cifar10_transformer_trainer": "trainers",
    "digits": "sources",
    "digits_trainer": "trainers",
    "fashion_mnist": "sources",
    "fashion_mnist_trainer": "trainers",
    "larger_space": "spaces",
    "resnet18": "residual",
    "small_convolutional": "spaces",
    "small_residual": "spaces",
    "transformers": "spaces",
    "variations": "spaces",
}

_TRAINED = {
    "train_digits": ("digits_trainer", {}),
    "train_fashion_mnist": (
        "fashion_mnist_trainer",
        {"n_held_out": 1000, "epochs": 8, "n_train": 1000, "batch_size": 64},
    ),
}
"""What study files name: trainers, made when they are asked for."""

__all__ = [*_HOMES, *_TRAINED]


def __getattr__(name: str) -> Any:
    if name in _TRAINED:
        maker, settings = _TRAINED[name]
        found = globals()[name] = __getattr__(maker)(**settings)
        return found
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "torch") from error
    return getattr(home, name)
