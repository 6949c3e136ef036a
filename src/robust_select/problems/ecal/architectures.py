"""Architectures of the calorimeter's networks as records, the six published ones by name, and their sizes.

Called by the space and by the models. Knows nothing of PyTorch: a space can be listed without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

from robust_select.core.errors import InputError

Activation = Literal["relu", "prelu", "elu", "gelu", "leaky-relu", "sigmoid", "tanh"]
Joined = Literal["none", "sum", "barycentre", "both"]

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
JOINED: tuple[Joined, ...] = get_args(Joined)
KEYS = ("filters", "pooled", "hidden", "activation", "joined")
"""Names of an architecture's parameters in a candidate."""

N_SIDE = 15
"""Cells along each side of an image."""

_N_JOINED: Mapping[Joined, int] = {"none": 0, "sum": 1, "barycentre": 2, "both": 3}
_KERNEL_AREA = 9
_MOST_HIDDEN = 3


@dataclass(frozen=True)
class Architecture:
    """Two convolutions of 3 x 3 without bias, each with an activation and a maximum pooling, then linear layers.

    The first convolution makes 15 x 15 cells 13 x 13, its pooling makes 6 x 6; the second keeps them (padding 1).

    Attributes:
        filters: of both convolutions.
        pooled: side of the image after the second pooling, 3 or 1.
        hidden: units of the hidden linear layers, one to three of them; a linear layer of one unit follows.
        activation: after each layer but the last; ``prelu`` has one slope a channel.
        joined: what is joined to the inputs of the last hidden layer: the sum of all cells, the barycentre (x, y).

    Raises:
        InputError: an attribute that is not one of these.

    Example:
        >>> Architecture((32, 64), 3, (9,), "relu", "sum").n_parameters
        23932
    """

    filters: tuple[int, int]
    pooled: int
    hidden: tuple[int, ...]
    activation: Activation = "relu"
    joined: Joined = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", _counts("filters", self.filters))
        object.__setattr__(self, "hidden", _counts("hidden", self.hidden))
        if len(self.filters) != 2:
            raise InputError(f"expected filters of two convolutions, came filters={list(self.filters)}")
        if not 1 <= len(self.hidden) <= _MOST_HIDDEN:
            raise InputError(f"expected one to {_MOST_HIDDEN} hidden layers, came hidden={list(self.hidden)}")
        if self.pooled not in {1, 3}:
            raise InputError(f"expected pooled=3 or pooled=1 (the side of the image), came pooled={self.pooled!r}")
        for key, allowed in (("activation", ACTIVATIONS), ("joined", JOINED)):
            if getattr(self, key) not in allowed:
                raise InputError(f"expected {key} among {', '.join(allowed)}, came {key}={getattr(self, key)!r}")

    @property
    def n_features(self) -> int:
        """How many numbers the convolutions hand on."""
        return self.filters[1] * self.pooled**2

    @property
    def n_joined(self) -> int:
        """How many numbers are joined to them."""
        return _N_JOINED[self.joined]

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained, in closed form."""
        first, second = self.filters
        found = _KERNEL_AREA * (first + first * second)
        n_inputs = self.n_features
        for position, units in enumerate(self.hidden):
            n_inputs += self.n_joined if position == len(self.hidden) - 1 else 0
            found += (n_inputs + 1) * units
            n_inputs = units
        found += n_inputs + 1
        return found + (first + second + sum(self.hidden) if self.activation == "prelu" else 0)

    def params(self) -> dict[str, Any]:
        """Give it as parameters of a candidate."""
        return {
            "filters": list(self.filters),
            "pooled": self.pooled,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "joined": self.joined,
        }


def _counts(key: str, given: Any) -> tuple[int, ...]:
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise InputError(f"expected a list of whole numbers, came {key}={given!r}")
    found = tuple(given)
    if any(isinstance(item, bool) or not isinstance(item, int) or item < 1 for item in found):
        raise InputError(f"expected whole numbers from 1, came {key}={list(found)}")
    return found


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "Model 1": Architecture((32, 64), 3, (9,)),
        "Model 2": Architecture((32, 64), 3, (9,), joined="sum"),
        "Model 3": Architecture((32, 64), 1, (64, 9), "prelu"),
        "Model 4": Architecture((32, 64), 1, (64, 9), "prelu", joined="barycentre"),
        "NAS 1": Architecture((32, 16), 1, (32, 9), joined="sum"),
        "NAS 2": Architecture((32, 16), 1, (128, 64, 9), joined="sum"),
    }
)
"""The published ones. NAS 1 and 2 have their published sizes (5,756 and 15,932) only with the sum joined."""


def named(name: str) -> Architecture:
    """Look up a published architecture: ``"Model 1"``, or ``"model1"``.

    Raises:
        InputError: an unknown name.

    Example:
        >>> named("nas1").hidden
        (32, 9)
    """
    known = {_squeezed(key): found for key, found in ARCHITECTURES.items()}
    if _squeezed(str(name)) not in known:
        raise InputError(f"expected a model among {', '.join(ARCHITECTURES)}, came {name!r}")
    return known[_squeezed(str(name))]


def _squeezed(name: str) -> str:
    return "".join(name.split()).lower()


def architecture_of(params: Mapping[str, Any]) -> Architecture:
    """Read the architecture out of a candidate's parameters; those of the training are left alone.

    Args:
        params: ``filters``, ``pooled``, ``hidden`` and maybe ``activation``, ``joined``; or ``model``, the name of a
            published one, which any of the others may vary.

    Raises:
        InputError: one is missing, or is not what an architecture has.

    Example:
        >>> architecture_of({"model": "Model 1", "activation": "gelu", "lr": 1e-3}).activation
        'gelu'
    """
    base = named(params["model"]).params() if "model" in params else {}
    found = base | {key: params[key] for key in KEYS if key in params}
    missing = [key for key in ("filters", "pooled", "hidden") if key not in found]
    if missing:
        raise InputError(
            f"expected parameters filters, pooled and hidden, or model=NAME, came none of {', '.join(missing)} "
            f"among {', '.join(params) or 'no parameters'}"
        )
    return Architecture(**found)
