"""From a candidate's parameters to its network: family, sizes, activation.

Called by the engine through the trainers beside this file, in whatever process they run. Knows nothing of training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import nn

from robust_select.core.errors import InputError
from robust_select.problems.images.augmentation import Normalise
from robust_select.problems.images.convolutional import convolutional_network
from robust_select.problems.images.residual import residual_network
from robust_select.problems.images.transformer import CompactTransformer
from robust_select.train.nn.settings import NAMES


@dataclass(frozen=True)
class Look:
    """What a network must know of a set of images.

    Attributes:
        size: pixels of a side.
        means: of each channel's bytes.
        stds: of each channel's bytes.
        classes: how many there are.
    """

    size: int
    means: tuple[float, ...]
    stds: tuple[float, ...]
    classes: int = 10


DIGITS = Look(8, (4.887,), (6.022,))
FASHION_MNIST = Look(28, (72.94,), (90.02,))
CIFAR10 = Look(32, (125.31, 122.95, 113.87), (62.99, 62.09, 66.70))
"""Of the images to train on; CIFAR-10 as it is usually given: 0.4914, 0.4822, 0.4465 and 0.247, 0.2435, 0.2616."""

Made = Callable[[Look, Mapping[str, Any]], nn.Module]


def _residual(look: Look, own: Mapping[str, Any]) -> nn.Module:
    sizes = {name: own[name] for name in ("blocks", "filters", "stem_stride") if name in own}
    return residual_network(
        channels=len(look.means), classes=look.classes, act=own.get("activation", "relu"), **sizes
    )


def _convolutional(look: Look, own: Mapping[str, Any]) -> nn.Module:
    sizes = {name: own[name] for name in ("filters", "layers", "has_norm") if name in own}
    return convolutional_network(
        look.size, channels=len(look.means), classes=look.classes, act=own.get("activation", "relu"), **sizes
    )


def _transformer(look: Look, own: Mapping[str, Any]) -> nn.Module:
    return CompactTransformer(look.size, len(look.means), look.classes, **own)


FAMILIES: Mapping[str, tuple[Made, frozenset[str]]] = MappingProxyType(
    {
        "residual": (_residual, frozenset({"blocks", "filters", "activation", "stem_stride"})),
        "convolutional": (_convolutional, frozenset({"filters", "layers", "activation", "has_norm"})),
        "transformer": (
            _transformer,
            frozenset({"width", "convolutions", "depth", "heads", "ratio", "drop_path"}),
        ),
    }
)
"""What makes a family's networks, and the parameters that it knows."""


def build(params: Mapping[str, Any], look: Look) -> nn.Module:
    """Build the network of a candidate, untrained; its first layer normalises bytes.

    Args:
        params: ``family`` and what the family knows; settings of the training are left to the engine.
        look: of the images.

    Raises:
        InputError: an unknown family, or a parameter that neither the family nor the engine knows.

    Example:
        >>> network = build({"family": "convolutional", "filters": 4, "lr": 0.1}, DIGITS)
        >>> sum(parameter.numel() for parameter in network.parameters())
        666
    """
    family = str(params.get("family"))
    if family not in FAMILIES:
        raise InputError(f"expected a family among {', '.join(FAMILIES)}, came family={params.get('family')!r}")
    make, known = FAMILIES[family]
    unknown = sorted(set(params) - known - set(NAMES) - {"family"})
    if unknown:
        raise InputError(
            f"expected parameters among {', '.join(sorted(known))} for a {family} network, or settings of the "
            f"training ({', '.join(NAMES)}), came {unknown[0]}={params[unknown[0]]!r}"
        )
    own = {name: value for name, value in params.items() if name in known}
    return nn.Sequential(Normalise(look.means, look.stds), make(look, own))
