"""Losses, example by example, and scores, one number a set; by name or the user's own.

Called by the fitting loop and by whoever evaluates a model. Knows nothing of stacks, optimisers or data sets.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor
from torch.nn import functional

from robust_select.core.errors import InputError

Loss = Callable[[Tensor, Tensor], Tensor]
"""From predictions (N, *outputs) and targets (N, *) to losses (N,)."""

Score = Callable[[Tensor, Tensor], float]
"""From predictions (N, *outputs) and targets (N, *) to a number."""


def _aligned(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Bring predictions (N, 1) and targets (N,), or the other way round, to one shape; nothing else is guessed.

    Raises:
        InputError: any other difference of shapes: broadcasting would compare every prediction with every target.
    """
    if prediction.shape == target.shape:
        return prediction, target
    if prediction.shape == (*target.shape, 1):
        return prediction.squeeze(-1), target
    if target.shape == (*prediction.shape, 1):
        return prediction, target.squeeze(-1)
    raise InputError(
        f"expected predictions and targets of one shape, came predictions of shape {tuple(prediction.shape)} and "
        f"targets of shape {tuple(target.shape)}: let the model's last layer give as many numbers as a target has"
    )


def _by_example(losses: Tensor) -> Tensor:
    """Take the mean of each example's outputs."""
    return losses if losses.ndim == 1 else losses.flatten(1).mean(dim=1)


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    prediction, target = _aligned(prediction, target)
    return _by_example((prediction - target).square())


def _mae(prediction: Tensor, target: Tensor) -> Tensor:
    prediction, target = _aligned(prediction, target)
    return _by_example((prediction - target).abs())


def _huber(prediction: Tensor, target: Tensor) -> Tensor:
    prediction, target = _aligned(prediction, target)
    return _by_example(functional.huber_loss(prediction, target, reduction="none"))


def _relative_mse(prediction: Tensor, target: Tensor) -> Tensor:
    prediction, target = _aligned(prediction, target)
    return _by_example(((prediction - target) / target).square())


def _cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(prediction, _labels(prediction, target).long(), reduction="none")


def _labels(prediction: Tensor, target: Tensor) -> Tensor:
    """Give the labels (N,) of predictions (N, classes)."""
    labels = target.squeeze(-1) if target.ndim == 2 else target
    if prediction.ndim != 2 or labels.shape != prediction.shape[:1] or labels.is_floating_point():
        raise InputError(
            "expected predictions (N, classes) and whole-numbered labels (N,), came predictions of shape "
            f"{tuple(prediction.shape)} and targets of shape {tuple(target.shape)} and type {target.dtype}: "
            "let the model give an output for each class, and the labels be integers"
        )
    return labels


def _binary_cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    prediction, target = _aligned(prediction, target)
    return _by_example(
        functional.binary_cross_entropy_with_logits(prediction, target.to(prediction.dtype), reduction="none")
    )


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "mse": _mse,
        "mae": _mae,
        "huber": _huber,
        "relative-mse": _relative_mse,
        "cross-entropy": _cross_entropy,
        "binary-cross-entropy": _binary_cross_entropy,
    }
)
"""The losses by name; those of classes take logits. Several outputs an example count with their mean."""


def loss(given: str | Loss) -> Loss:
    """Look a loss up, or make sure that the user's own gives a loss an example.

    Args:
        given: a name, or a function from predictions (N, *outputs) and targets (N, *) to losses (N,).

    Raises:
        InputError: no loss of that name, or neither a name nor a function. The function that is returned raises it
            for shapes that do not fit each other, and where the user's own gives another shape than (N,).

    Example:
        >>> import torch
        >>> loss("relative-mse")(torch.tensor([[1.5], [4.0]]), torch.tensor([1.0, 4.0]))
        tensor([0.2500, 0.0000])
    """
    if isinstance(given, str):
        if given not in LOSSES:
            raise InputError(f"expected a loss among {', '.join(LOSSES)}, or a function, came {given!r}")
        return LOSSES[given]
    if not callable(given):
        raise InputError(f"expected a loss among {', '.join(LOSSES)}, or a function, came {given!r}")

    def checked(prediction: Tensor, target: Tensor) -> Tensor:
        found = given(prediction, target)
        if not isinstance(found, Tensor) or found.shape != prediction.shape[:1]:
            came = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)
            raise InputError(
                f"expected the loss to give a number an example, shape {tuple(prediction.shape[:1])}, came {came}: "
                "use reduction='none' and take means over outputs only"
            )
        return found

    return checked


def mean_of(given: str | Loss) -> Score:
    """Make a loss a score: its mean over the examples, added up in float64.

    Raises:
        InputError: as ``loss``.

    Example:
        >>> import torch
        >>> mean_of("mae")(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]))
        1.5
    """
    by_example = loss(given)
    return lambda predictions, targets: by_example(predictions, targets).double().mean().item()


def _root(name: str) -> Score:
    mean = mean_of(name)
    return lambda predictions, targets: math.sqrt(mean(predictions, targets))


def _accuracy(predictions: Tensor, targets: Tensor) -> float:
    """Share of right classes: the largest of several outputs, or one logit above 0; nan where a model diverged."""
    if predictions.ndim == 2 and predictions.shape[1] > 1:
        labels = _labels(predictions, targets)
        classes = predictions.argmax(dim=1)
    else:
        predictions, labels = _aligned(predictions, targets)
        classes = (predictions > 0).to(labels.dtype)
    if not bool(predictions.isfinite().all()):
        return math.nan
    return (classes == labels).double().mean().item()


SCORES: Mapping[str, Score] = MappingProxyType(
    {
        **{name: mean_of(name) for name in LOSSES},
        "rmse": _root("mse"),
        "relative-rmse": _root("relative-mse"),
        "accuracy": _accuracy,
        "error": lambda predictions, targets: 1.0 - _accuracy(predictions, targets),
    }
)
"""The scores by name: the mean of each loss, roots of two of them, and shares of right and wrong classes."""


def score(given: str | Score) -> Score:
    """Look a score up, or make sure that the user's own gives a number.

    Raises:
        InputError: no score of that name, or neither a name nor a function.

    Example:
        >>> import torch
        >>> score("accuracy")(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        0.5
    """
    if isinstance(given, str) and given in SCORES:
        return SCORES[given]
    if isinstance(given, str) or not callable(given):
        raise InputError(f"expected a score among {', '.join(SCORES)}, or a function, came {given!r}")

    def checked(predictions: Tensor, targets: Tensor) -> float:
        found = given(predictions, targets)
        try:
            return float(found)
        except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor of several numbers
            raise InputError(f"expected the score to give one number, came {found!r}") from error

    return checked


def check_targets(given: str | Loss, prediction: Tensor, targets: Tensor) -> None:
    """Make sure, once for all data, that targets fit a loss and a model's outputs.

    Args:
        given: the loss; of the user's own only the shapes are tried.
        prediction: (N, *outputs) of a model for some examples, one at least.
        targets: (M, *) all of the data.

    Raises:
        InputError: shapes that do not fit, labels that are out of range, targets of 0 for a relative loss.

    Example:
        >>> import torch
        >>> check_targets("cross-entropy", torch.zeros(1, 3), torch.tensor([0, 2, 1]))
    """
    n = min(len(prediction), len(targets))
    if given == "cross-entropy":
        _labels(prediction[:n], targets[:n])
        _check_labels(targets, prediction.shape[1])
        return
    loss(given)(prediction[:n].detach(), targets[:n])
    if given == "binary-cross-entropy":
        wrong = ~((targets >= 0) & (targets <= 1))  # nan is wrong, too
        if bool(wrong.any()):
            where = int(wrong.flatten().nonzero()[0])
            raise InputError(
                "expected targets from 0 to 1 for binary-cross-entropy, came "
                f"target={targets.flatten()[where].item():g} (number {where})"
            )
    elif given == "relative-mse" and bool((targets == 0).any()):
        where = int((targets == 0).flatten().nonzero()[0])
        raise InputError(
            f"expected targets other than 0 for relative-mse, which divides by them, came target=0 (number {where}): "
            "leave such examples out, or use mse"
        )


def _check_labels(targets: Tensor, n_classes: int) -> None:
    lowest, highest = int(targets.min()), int(targets.max())
    if lowest < 0 or highest >= n_classes:
        raise InputError(
            f"expected labels from 0 to {n_classes - 1} for a model with {n_classes} outputs, came labels from "
            f"{lowest} to {highest}: number the classes from 0, or give the model an output for each class"
        )
