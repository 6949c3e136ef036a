"""Trains the networks on the embedded showers: energy or position, of data set A or B.

Named by the study files beside it and made by ``validation/ecal``. Knows nothing of which candidates there are.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import InputError
from robust_select.problems.ecal.data import N_HELD_OUT, population_and_held_out
from robust_select.problems.ecal.models import build
from robust_select.train.nn import Data, TorchTrainer

if TYPE_CHECKING:
    from torch import Tensor

Target = Literal["energy", "x"]
Name = Literal["A", "B"]
Singles = npt.NDArray[np.float32]

SAMPLING_FRACTION = 0.175
"""Share of a photon's energy that the scintillator sees. Networks are trained to energies times it, so that they need
not amplify their inputs, which a penalty on the weights would hinder; RMSE(E)/E is the same on every scale."""

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"epochs": 50, "batch_size": 32, "optimiser": "adamw", "lr": 1e-3, "weight_decay": 0.1}
)
"""The published number of epochs, and the settings of Model 2. A candidate's parameters override them."""

_WHOLE = {"resample": "bootstrap"}  # as many as there are: only with replacement is each sample another one
_SMALL = {"epochs": 10, "n_train": 2_000}
_MEDIUM = {"epochs": 20, "n_train": 8_000}
_N_HELD_OUT_SMALL = 2_000

_TYPICAL_LOSS = 0.025


@dataclass(frozen=True)
class Split:
    """The showers of a data set as a regression problem, split once and for all.

    Attributes:
        population: (N, 1, 15, 15) images that training samples are drawn from, GeV in the scintillator.
        population_truth: (N,) energy of the photon in GeV, or x in cm.
        held_out: (M, 1, 15, 15) images that nobody trains on.
        held_out_truth: (M,)
    """

    population: Singles
    population_truth: Singles
    held_out: Singles
    held_out_truth: Singles


def split(target: Target, name: Name, n_held_out: int | None = None) -> Split:
    """Split the embedded showers into a population and held-out showers.

    Args:
        target: energy, or position x.
        name: of the data set.
        n_held_out: so many of the showers that are held out are used; None for all of them. The population does not
            depend on it.

    Raises:
        InputError: another target or data set, or more held out than there are.

    Example:
        >>> split("x", "B").population.shape
        (27516, 1, 15, 15)
    """
    _check(target, name, n_held_out)
    population, held_out = population_and_held_out(name)
    used = slice(0, n_held_out or len(held_out))
    return Split(
        population.cells[:, None],
        getattr(population, target),
        held_out.cells[used, None],
        getattr(held_out, target)[used],
    )


def make_data(target: Target, name: Name, n_held_out: int | None = None) -> Data:
    """Give a split as the engine takes it: energies on the scale of the scintillator, positions in cm."""
    found = split(target, name, n_held_out)
    scale = np.float32(SAMPLING_FRACTION if target == "energy" else 1.0)
    return Data(found.population, found.population_truth * scale, found.held_out, found.held_out_truth * scale)


def energy_loss(prediction: "Tensor", target: "Tensor") -> "Tensor":
    """Give the loss that energy is trained to: the squares of the relative errors, times a constant.

    Published is the root of their mean. Near 2.5 %, where trainings end, the constant makes gradients as large as
    those of the root, so that the published penalties on the weights weigh as much as they did.

    Args:
        prediction: (N, 1)
        target: (N,)

    Returns:
        (N,)
    """
    return ((prediction.reshape(target.shape) - target) / target).square() * (0.5 / _TYPICAL_LOSS)


def make_trainer(
    target: Target, name: Name, n_held_out: int | None = None, defaults: Mapping[str, Any] | None = None
) -> TorchTrainer:
    """Make a trainer of networks for this problem.

    The score is RMSE(E)/E of the energy, or RMSE(x) in cm. The showers are loaded with the first training.

    Args:
        target: energy, or position x.
        name: of the data set.
        n_held_out: see ``split``. Fewer make every epoch's score cheaper; what they deviate is common to all scores.
        defaults: settings instead of ``DEFAULTS``, for what a candidate's parameters leave open.

    Raises:
        InputError: an unknown target or data set, or an unknown setting.

    Example:
        >>> trainer = make_trainer("energy", "B", defaults={"epochs": 10, "n_train": 2000})
    """
    _check(target, name, n_held_out)
    is_energy = target == "energy"
    return TorchTrainer(
        build,
        functools.partial(make_data, target, name, n_held_out),
        loss=energy_loss if is_energy else "mse",
        score="relative-rmse" if is_energy else "rmse",
        defaults={**DEFAULTS, **(defaults or {})},
    )


def _check(target: str, name: str, n_held_out: int | None) -> None:
    if target not in get_args(Target) or name not in get_args(Name):
        raise InputError(f"expected target energy or x, and showers A or B, came target={target!r}, name={name!r}")
    most = N_HELD_OUT[name]  # type: ignore[index]
    if n_held_out is not None and not 1 <= n_held_out <= most:
        raise InputError(f"expected 1 to {most:,} showers of {name} to be held out, came n_held_out={n_held_out!r}")


energy_a = make_trainer("energy", "A", defaults=_WHOLE)
energy_b = make_trainer("energy", "B", defaults=_WHOLE)
position_a = make_trainer("x", "A", defaults=_WHOLE)
position_b = make_trainer("x", "B", defaults=_WHOLE)

energy_a_medium = make_trainer("energy", "A", defaults=_MEDIUM)
energy_b_medium = make_trainer("energy", "B", defaults=_MEDIUM)
position_a_medium = make_trainer("x", "A", defaults=_MEDIUM)
position_b_medium = make_trainer("x", "B", defaults=_MEDIUM)

energy_a_small = make_trainer("energy", "A", _N_HELD_OUT_SMALL, _SMALL)
energy_b_small = make_trainer("energy", "B", _N_HELD_OUT_SMALL, _SMALL)
position_a_small = make_trainer("x", "A", _N_HELD_OUT_SMALL, _SMALL)
position_b_small = make_trainer("x", "B", _N_HELD_OUT_SMALL, _SMALL)
