"""Candidates: the space of 6,912, draws from it, the six published models, and a few for a short study.

Called by study files and ``validation/ecal``. Knows nothing of PyTorch nor of data. The published grid is not known
in full: this one is reconstructed. It has the published size, the published limits (two convolutions, four linear
layers, 30,000 parameters), the published optimisers, and the published models with their training settings in it.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError
from robust_select.problems.ecal.architectures import ARCHITECTURES, JOINED, Activation, Architecture

N_PARAMETERS = 30_000
"""The most that a candidate may train."""

_BODIES: Mapping[tuple[tuple[int, int], int], tuple[tuple[int, ...], ...]] = {
    ((32, 64), 3): ((9,), (16,), (16, 9), (16, 16, 9)),
    ((32, 16), 3): ((9,), (32, 9), (64, 9), (64, 32, 9)),
    ((32, 64), 1): ((9,), (32, 9), (64, 9), (64, 64, 9)),
    ((32, 16), 1): ((9,), (32, 9), (64, 9), (128, 64, 9)),
}
"""Hidden layers that keep to the limit, for the filters and the side after pooling."""

_ACTIVATIONS: tuple[Activation, ...] = ("relu", "prelu")

_RATES: Mapping[str, tuple[float, float, float]] = {
    "adadelta": (0.1, 0.3, 1.0),
    "adam": (1e-4, 3e-4, 1e-3),
    "adamw": (1e-4, 3e-4, 1e-3),
    "nadam": (1e-4, 3e-4, 1e-3),
    "rmsprop": (1e-4, 3e-4, 1e-3),
    "sgd": (1e-4, 1e-3, 1e-2),
}
"""Learning rates of each optimiser; Adadelta takes steps of its own size, so that a usual rate would stand still."""

_BATCHES_AND_DECAYS: tuple[tuple[int, float], ...] = ((32, 0.0), (32, 0.1), (64, 0.01))


@dataclass(frozen=True)
class Settings:
    """How a candidate is trained.

    Attributes:
        optimiser: by the trainer's name of it.
        lr: learning rate.
        batch_size: examples a step.
        weight_decay: decoupled for AdamW, a penalty L2 in the gradient for the others.
    """

    optimiser: str
    lr: float
    batch_size: int
    weight_decay: float

    def params(self) -> dict[str, Any]:
        """Give them as parameters of a candidate."""
        return {
            "optimiser": self.optimiser,
            "lr": self.lr,
            "batch_size": self.batch_size,
            "weight_decay": self.weight_decay,
        }


PUBLISHED: Mapping[str, Settings] = MappingProxyType(
    {
        "Model 1": Settings("nadam", 1e-4, 64, 0.01),
        "Model 2": Settings("adamw", 1e-3, 32, 0.1),
        "Model 3": Settings("adamw", 1e-4, 32, 0.1),
        "Model 4": Settings("adamw", 1e-4, 32, 0.1),
        "NAS 1": Settings("adamw", 1e-3, 32, 0.1),
        "NAS 2": Settings("adamw", 1e-3, 32, 0.1),
    }
)
"""Training settings of the published models. Those of NAS 1 and 2 are not published: they have Model 2's."""


def architectures() -> tuple[Architecture, ...]:
    """List the 128 architectures, always in the same order.

    Example:
        >>> found = architectures()
        >>> len(found), max(item.n_parameters for item in found)
        (128, 28551)
    """
    return tuple(
        Architecture(filters, pooled, hidden, activation, joined)
        for (filters, pooled), bodies in _BODIES.items()
        for hidden, activation, joined in itertools.product(bodies, _ACTIVATIONS, JOINED)
    )


def settings() -> tuple[Settings, ...]:
    """List the 54 training settings, always in the same order.

    Example:
        >>> len(settings()), settings()[0]
        (54, Settings(optimiser='adadelta', lr=0.1, batch_size=32, weight_decay=0.0))
    """
    return tuple(
        Settings(optimiser, rate, batch_size, decay)
        for optimiser, rates in _RATES.items()
        for rate, (batch_size, decay) in itertools.product(rates, _BATCHES_AND_DECAYS)
    )


def space() -> tuple[Candidate, ...]:
    """List all 6,912 candidates, always in the same order; the published models bear their names.

    Example:
        >>> found = space()
        >>> len(found), found[0].name
        (6912, 'conv 32-64, 3 x 3, linear 9, relu; adadelta, lr 0.1, batch 32, decay 0')
    """
    names = {(ARCHITECTURES[name], PUBLISHED[name]): name for name in ARCHITECTURES}
    return tuple(
        Candidate(
            names.get((architecture, chosen), f"{_words(architecture)}; {_training_words(chosen)}"),
            architecture.params() | chosen.params(),
        )
        for architecture, chosen in itertools.product(architectures(), settings())
    )


def published() -> tuple[Candidate, ...]:
    """List the six published models with their training settings.

    Example:
        >>> [candidate.name for candidate in published()]
        ['Model 1', 'Model 2', 'Model 3', 'Model 4', 'NAS 1', 'NAS 2']
    """
    return tuple(
        Candidate(name, architecture.params() | PUBLISHED[name].params())
        for name, architecture in ARCHITECTURES.items()
    )


def draw(n: int, seed: int = 0, published: bool = True) -> tuple[Candidate, ...]:
    """Draw candidates of the space at random, all different.

    Args:
        n: how many.
        seed: the same seed draws the same; a smaller ``n`` draws the first of them.
        published: whether the six published models are the first ones.

    Raises:
        InputError: more than there are, or fewer than the published ones where they are wanted.

    Example:
        >>> drawn = draw(8, seed=1)
        >>> drawn[5].name, drawn[:7] == draw(7, seed=1)
        ('NAS 2', True)
    """
    everybody = space()
    least = len(ARCHITECTURES) if published else 1
    if not least <= n <= len(everybody):
        raise InputError(f"expected {least} to {len(everybody)} candidates to draw, came n={n}")
    by_name = {item.name: item for item in everybody}
    first = [by_name.pop(name) for name in ARCHITECTURES] if published else []
    rest = tuple(by_name.values())
    order = np.random.default_rng(seed).permutation(len(rest))
    return (*first, *(rest[position] for position in order[: n - len(first)]))


def hundred() -> tuple[Candidate, ...]:
    """Give the six published models and 94 drawn from the space, for a study of an hour.

    Example:
        >>> len(hundred()), hundred()[:6] == published()
        (100, True)
    """
    return draw(100, seed=1)


def few_for_energy() -> tuple[Candidate, ...]:
    """Give the published models for energy and variations of Model 2, which is the base.

    Example:
        >>> len(few_for_energy()), few_for_energy()[1].is_base
        (16, True)
    """
    return _few(
        "Model 2",
        ("Model 1", "Model 2", "NAS 1", "NAS 2"),
        {
            "Model 1, trained as Model 2": {"joined": "none"},
            "no decay": {"weight_decay": 0.0},
            "lr 0.0003": {"lr": 3e-4},
            "batch 64": {"batch_size": 64},
            "Adam": {"optimiser": "adam", "weight_decay": 0.0},
            "NAdam": {"optimiser": "nadam", "weight_decay": 0.0},
            "RMSprop": {"optimiser": "rmsprop", "weight_decay": 0.0},
            "PReLU": {"activation": "prelu"},
            "joined both": {"joined": "both"},
            "16 filters": {"filters": [32, 16]},
            "linear 16": {"hidden": [16]},
            "linear 16-9": {"hidden": [16, 9]},
        },
    )


def few_for_position() -> tuple[Candidate, ...]:
    """Give the published models for position and variations of Model 4, which is the base.

    Example:
        >>> len(few_for_position()), few_for_position()[1].is_base
        (14, True)
    """
    return _few(
        "Model 4",
        ("Model 3", "Model 4"),
        {
            "Model 3, lr 0.001": {"joined": "none", "lr": 1e-3},
            "lr 0.001": {"lr": 1e-3},
            "lr 0.001, no decay": {"lr": 1e-3, "weight_decay": 0.0},
            "lr 0.001, batch 64": {"lr": 1e-3, "batch_size": 64},
            "Adam, lr 0.001": {"lr": 1e-3, "optimiser": "adam", "weight_decay": 0.0},
            "NAdam, lr 0.001": {"lr": 1e-3, "optimiser": "nadam", "weight_decay": 0.0},
            "RMSprop, lr 0.001": {"lr": 1e-3, "optimiser": "rmsprop", "weight_decay": 0.0},
            "ReLU, lr 0.001": {"lr": 1e-3, "activation": "relu"},
            "joined both, lr 0.001": {"lr": 1e-3, "joined": "both"},
            "16 filters, lr 0.001": {"lr": 1e-3, "filters": [32, 16]},
            "linear 9, lr 0.001": {"lr": 1e-3, "hidden": [9]},
            "3 x 3, linear 9, lr 0.001": {"lr": 1e-3, "pooled": 3, "hidden": [9]},
        },
    )


def _few(base: str, names: tuple[str, ...], changes: Mapping[str, Mapping[str, Any]]) -> tuple[Candidate, ...]:
    """Give published models, and a base model with changes; each name says what was changed."""
    by_name = {item.name: item for item in published()}
    shown = [Candidate(name, by_name[name].params, is_base=name == base) for name in names]
    varied = [Candidate(name, {**by_name[base].params, **changed}) for name, changed in changes.items()]
    return (*shown, *varied)


def _words(architecture: Architecture) -> str:
    filters = "-".join(map(str, architecture.filters))
    hidden = "-".join(map(str, architecture.hidden))
    side = architecture.pooled
    words = f"conv {filters}, {side} x {side}, linear {hidden}, {architecture.activation}"
    return words if architecture.joined == "none" else f"{words}, joined {architecture.joined}"


def _training_words(chosen: Settings) -> str:
    return f"{chosen.optimiser}, lr {chosen.lr:g}, batch {chosen.batch_size}, decay {chosen.weight_decay:g}"
