"""Photons in an electromagnetic calorimeter: showers, networks, baselines, study files.

Called by its study files, the command line's demos and ``validation/ecal``. Knows nothing of studies; what it
exports is imported when it is asked for, so that listing candidates needs no PyTorch.
"""

import importlib
from typing import Any

_HOMES = {
    "Architecture": "architectures",
    "Geometry": "showers",
    "ShowerError": "showers",
    "Showers": "showers",
    "load": "data",
    "read_showers": "readers",
    "simulate": "simulation",
    "build": "models",
    "draw": "candidates",
    "few_for_energy": "candidates",
    "few_for_position": "candidates",
    "hundred": "candidates",
    "published": "candidates",
    "space": "candidates",
    "energy_a": "trainers",
    "energy_a_medium": "trainers",
    "energy_a_small": "trainers",
    "energy_b": "trainers",
    "energy_b_medium": "trainers",
    "energy_b_small": "trainers",
    "position_a": "trainers",
    "position_a_medium": "trainers",
    "position_a_small": "trainers",
    "position_b": "trainers",
    "position_b_medium": "trainers",
    "position_b_small": "trainers",
    "make_trainer": "trainers",
}

__all__ = list(_HOMES)


def require_torch() -> None:
    """Say at once if the networks cannot be trained here.

    Raises:
        MissingExtraError: torch is not installed.
    """
    importlib.import_module(f"{__name__}.models")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
