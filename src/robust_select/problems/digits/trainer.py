"""Trains a scikit-learn classifier on a random sample of the digits and scores it on images nobody trains on.

Called by the digits study, in worker processes. Knows nothing of which candidates there are.
"""

import functools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.instances import Instance
from robust_select.core.protocols import Floats

N_HELD_OUT = 597
N_TRAINING = 600
_SPLIT_SEED = 1998


@dataclass(frozen=True)
class Digits:
    """The images, split once and for all.

    Attributes:
        population: (1200, 64) images that training samples are drawn from, grey values 0 to 1.
        population_labels: (1200,) digits.
        held_out: (597, 64) images that nobody trains on.
        held_out_labels: (597,) digits.
    """

    population: Floats
    population_labels: npt.NDArray[np.int64]
    held_out: Floats
    held_out_labels: npt.NDArray[np.int64]


@functools.cache
def load() -> Digits:
    """Load the digits, split by a fixed seed.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    Example:
        >>> load().population.shape, load().held_out.shape
        ((1200, 64), (597, 64))
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "sklearn") from error
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    images, labels = images[order] / 16.0, labels[order].astype(np.int64)
    return Digits(images[N_HELD_OUT:], labels[N_HELD_OUT:], images[:N_HELD_OUT], labels[:N_HELD_OUT])


def train(params: Mapping[str, Any], instance: Instance) -> float:
    """Train a model of a family on 600 random images of the population.

    Args:
        params: ``family`` names it, the others go to scikit-learn's estimator.
        instance: its seeds choose the sample, the initial weights, and the order of the examples.

    Returns:
        The share of the 597 held-out images that it misreads.

    Raises:
        InputError: an unknown family.

    Example:
        >>> from robust_select.core.instances import seeds_for
        >>> train({"family": "neighbours", "n_neighbors": 3}, Instance("3 neighbours", 0, seeds_for(0, 0))) < 0.05
        True
    """
    digits = load()
    chosen = instance.rng("training_sample").permutation(len(digits.population_labels))[:N_TRAINING]
    chosen = instance.rng("batch_order").permutation(np.sort(chosen))
    model = build(params, instance.seeds.initial_weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged: a candidate's own business, its score tells
        model.fit(digits.population[chosen], digits.population_labels[chosen])
    return float(np.mean(model.predict(digits.held_out) != digits.held_out_labels))


def build(params: Mapping[str, Any], seed: int) -> Any:
    """Build the estimator of a candidate, unfitted.

    Args:
        params: ``family`` and scikit-learn's parameters.
        seed: where the estimator has a ``random_state``.

    Raises:
        InputError: an unknown family.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    families: dict[str, Any] = {
        "logistic": LogisticRegression,
        "svm": SVC,
        "forest": RandomForestClassifier,
        "extra-trees": ExtraTreesClassifier,
        "tree": DecisionTreeClassifier,
        "neighbours": KNeighborsClassifier,
        "bayes": GaussianNB,
        "discriminant": LinearDiscriminantAnalysis,
        "mlp": MLPClassifier,
    }
    settings = dict(params)
    family = settings.pop("family", None)
    if family not in families:
        raise InputError(f"expected a family among {', '.join(families)}, came family={family!r}")
    if family == "mlp" and "width" in settings:
        settings["hidden_layer_sizes"] = (settings.pop("width"),) * settings.pop("depth", 1)
    estimator = families[family](**settings)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=seed)
    return estimator
