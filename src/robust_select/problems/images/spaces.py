"""The candidates: variations of the base model, the larger space, transformers, small networks for quick studies.

Called by study files and ``validation/images``. Knows nothing of networks or training: candidates are parameters.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from robust_select.core.candidates import Candidate, as_candidates, name_of

BASE = {"batch_size": 128, "lr": 0.1, "weight_decay": 1e-4}
"""The base model's settings. Which of the variations the base model is, is not published: this is what is usual."""

BATCH_SIZES = (128, 256, 384, 512, 768, 1024)
PEAK_LRS = (0.1, 0.12, 0.15, 0.2)
WEIGHT_DECAYS = (1e-5, 1e-4, 1e-3)
ACTIVATIONS = ("relu", "leaky-relu", "prelu")
FILTERS = (32, 64, 128)


def variations() -> tuple[Candidate, ...]:
    """List the 72 variations of the base model: batch size x peak learning rate x L2.

    Published are the number 72, four learning rates, three L2 and that batches have 128 to 1,024 images; so there
    must be six batch sizes. Which ones is reconstructed: multiples of 128.

    Example:
        >>> len(variations()), next(made.name for made in variations() if made.is_base)
        (72, 'batch_size=128, lr=0.1, weight_decay=0.0001')
    """
    return _listed(
        {"family": "residual"}, {"batch_size": BATCH_SIZES, "lr": PEAK_LRS, "weight_decay": WEIGHT_DECAYS}, BASE
    )


def larger_space() -> tuple[Candidate, ...]:
    """List the larger space: the variations by activation, number of filters and optimiser, 1,296 candidates.

    Reconstructed: AdamW stands for the other optimisers, with a hundredth of the learning rate and a hundred times
    the weight decay, which is not multiplied by the gradient's scale there.

    Example:
        >>> len(larger_space()), sum(made.is_base for made in larger_space())
        (1296, 1)
    """
    sgd = {
        "activation": ACTIVATIONS,
        "filters": FILTERS,
        "optimiser": ("sgd",),
        "batch_size": BATCH_SIZES,
        "lr": PEAK_LRS,
        "weight_decay": WEIGHT_DECAYS,
    }
    adamw = {
        **sgd,
        "optimiser": ("adamw",),
        "lr": tuple(round(lr / 100, 6) for lr in PEAK_LRS),
        "weight_decay": tuple(round(100 * decay, 6) for decay in WEIGHT_DECAYS),
    }
    base = {"activation": "relu", "filters": 64, "optimiser": "sgd", **BASE}
    family = {"family": "residual"}
    return (*_listed(family, sgd, base), *_listed(family, adamw, {}))


def transformers() -> tuple[Candidate, ...]:
    """List 64 compact convolutional transformers: depth x batch size x learning rate x weight decay x drop path.

    Published are the architecture, depths 6 and 7, and the number 64; the other values are reconstructed.

    Example:
        >>> len(transformers()), sum(made.is_base for made in transformers())
        (64, 1)
    """
    axes = {
        "depth": (6, 7),
        "batch_size": (128, 256),
        "lr": (3e-4, 6e-4, 1e-3, 2e-3),
        "weight_decay": (0.03, 0.06),
        "drop_path": (0.0, 0.1),
    }
    base = {"depth": 7, "batch_size": 128, "lr": 6e-4, "weight_decay": 0.06, "drop_path": 0.1}
    return _listed({"family": "transformer", "width": 128, "convolutions": 2, "heads": 4}, axes, base)


def small_convolutional() -> tuple[Candidate, ...]:
    """List 36 small convolutional networks: filters x batch size x peak learning rate x L2.

    Example:
        >>> len(small_convolutional()), sum(made.is_base for made in small_convolutional())
        (36, 1)
    """
    axes = {
        "filters": (8, 16),
        "batch_size": (16, 32, 64),
        "lr": (0.02, 0.05, 0.1),
        "weight_decay": (1e-4, 1e-2),
    }
    base = {"filters": 8, "batch_size": 32, "lr": 0.05, "weight_decay": 1e-4}
    return _listed({"family": "convolutional", "layers": 2}, axes, base)


def small_residual() -> tuple[Candidate, ...]:
    """List 18 small residual networks: blocks x filters x peak learning rate.

    Example:
        >>> len(small_residual()), sum(made.is_base for made in small_residual())
        (18, 1)
    """
    family = {"family": "residual", "stem_stride": 2}
    axes = {
        "blocks": ((1, 1), (1, 1, 1)),
        "filters": (4, 6, 8),
        "lr": (0.05, 0.1, 0.2),
    }
    base = {"blocks": (1, 1, 1), "filters": 8, "lr": 0.1}
    return _listed(family, axes, base)


def _listed(
    common: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], base: Mapping[str, Any]
) -> tuple[Candidate, ...]:
    """List every combination, named by what varies; the last axis changes fastest."""
    varied = [name for name, values in axes.items() if len(values) > 1 or name == "optimiser"]
    made = []
    for values in itertools.product(*axes.values()):
        own = dict(zip(axes, values, strict=True))
        name = name_of({key: own[key] for key in varied})
        made.append(Candidate(name, {**common, **own}, own == dict(base)))
    return as_candidates(made)
