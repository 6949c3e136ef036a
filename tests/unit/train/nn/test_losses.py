import math

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from robust_select.core.errors import InputError
from robust_select.train.nn.losses import LOSSES, SCORES, check_targets, loss, mean_of, score

N, N_CLASSES = 7, 4
RNG = np.random.default_rng(5)
NUMBERS = torch.tensor(RNG.normal(size=(N, 3)))
AIMS = torch.tensor(RNG.normal(2.0, 1.0, size=(N, 3)))
LOGITS = torch.tensor(RNG.normal(size=(N, N_CLASSES)))
LABELS = torch.tensor(RNG.integers(0, N_CLASSES, N))

BY_NUMPY = {
    "mse": lambda p, t: (p - t) ** 2,
    "mae": lambda p, t: np.abs(p - t),
    "huber": lambda p, t: np.where(np.abs(p - t) < 1, (p - t) ** 2 / 2, np.abs(p - t) - 0.5),
    "relative-mse": lambda p, t: ((p - t) / t) ** 2,
    "binary-cross-entropy": lambda p, t: -t * special.log_expit(p) - (1 - t) * special.log_expit(-p),
}


def aims(name):
    return (AIMS > 2).double() if name == "binary-cross-entropy" else AIMS


@pytest.mark.parametrize("name", BY_NUMPY)
def test_a_loss_an_example(name):
    found = LOSSES[name](NUMBERS, aims(name))
    expected = BY_NUMPY[name](NUMBERS.numpy(), aims(name).numpy()).mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", BY_NUMPY)
def test_one_output_and_a_flat_target_are_not_compared_across(name):
    prediction, target = NUMBERS[:, 0], aims(name)[:, 0]
    expected = BY_NUMPY[name](prediction.numpy(), target.numpy())
    for shaped in ((prediction, target), (prediction[:, None], target), (prediction, target[:, None])):
        found = LOSSES[name](*shaped)
        assert found.shape == (N,)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", BY_NUMPY)
@pytest.mark.parametrize("shape", [(N, 2), (N, 3, 1, 1), (N - 1, 3), (1, 3), (N,), (N, 1)])
def test_other_shapes_are_refused(name, shape):
    with pytest.raises(InputError, match=r"one shape, came predictions of shape \(7, 3\) and targets of shape \("):
        LOSSES[name](NUMBERS, torch.ones(shape))


def test_many_dimensions_count_with_their_mean():
    prediction = torch.tensor(RNG.normal(size=(2, 3, 4)))
    np.testing.assert_allclose(
        LOSSES["mse"](prediction, torch.zeros(2, 3, 4)), (prediction.numpy() ** 2).mean(axis=(1, 2))
    )


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_cross_entropy(kind, shape):
    found = LOSSES["cross-entropy"](LOGITS, LABELS.to(kind).view(shape))
    expected = -special.log_softmax(LOGITS.numpy(), axis=1)[np.arange(N), LABELS.numpy()]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        (LOGITS, LABELS.double()),
        (LOGITS[:, 0], LABELS),
        (LOGITS, LABELS[:-1]),
        (LOGITS, torch.eye(N_CLASSES)[LABELS]),
    ],
)
def test_cross_entropy_wants_classes_and_labels(prediction, target):
    with pytest.raises(InputError, match=r"\(N, classes\) and whole-numbered labels"):
        LOSSES["cross-entropy"](prediction, target)


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.float32])
def test_binary_targets_of_any_type(kind):
    target = (AIMS > 2).to(kind)
    expected = LOSSES["binary-cross-entropy"](NUMBERS, aims("binary-cross-entropy"))
    assert torch.equal(LOSSES["binary-cross-entropy"](NUMBERS, target), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_torch(name):
    """A step on the mean loss goes the way that a competent user's own would."""
    plain = {
        "mse": nn.functional.mse_loss,
        "mae": nn.functional.l1_loss,
        "huber": nn.functional.huber_loss,
        "relative-mse": lambda p, t: (((p - t) / t) ** 2).mean(),
        "cross-entropy": nn.functional.cross_entropy,
        "binary-cross-entropy": nn.functional.binary_cross_entropy_with_logits,
    }[name]
    target = LABELS if name == "cross-entropy" else aims(name)
    prediction = (LOGITS if name == "cross-entropy" else NUMBERS).clone().requires_grad_()
    (found,) = torch.autograd.grad(LOSSES[name](prediction, target).mean(), prediction)
    (expected,) = torch.autograd.grad(plain(prediction, target), prediction)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0.0)


def test_scores_by_hand():
    predictions, targets = torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([2.0, 2.0, 4.0])
    expected = {"mse": 5 / 3, "mae": 1.0, "rmse": (5 / 3) ** 0.5, "relative-rmse": (0.5 / 3) ** 0.5}
    assert {name: SCORES[name](predictions, targets) for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_the_mean_of_every_loss_is_a_score(name):
    target = LABELS if name == "cross-entropy" else aims(name)
    prediction = LOGITS if name == "cross-entropy" else NUMBERS
    expected = float(np.mean(LOSSES[name](prediction, target).numpy()))
    assert SCORES[name](prediction, target) == pytest.approx(expected, rel=1e-12)
    assert mean_of(LOSSES[name])(prediction, target) == pytest.approx(expected, rel=1e-12)


def test_many_examples_are_added_up_in_double_precision():
    losses = torch.full((2**22,), 0.1)
    assert mean_of(lambda p, t: p)(losses, losses) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_accuracy_and_error():
    predictions = torch.tensor([[3.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 5.0, 2.0], [9.0, 5.0, 2.0]])
    labels = torch.tensor([0, 2, 2, 0])
    for shaped in (labels, labels[:, None], labels.to(torch.uint8)):
        assert SCORES["accuracy"](predictions, shaped) == 0.75
        assert SCORES["error"](predictions, shaped) == 0.25


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.float32])
def test_accuracy_of_two_classes_by_one_logit(kind):
    predictions, labels = torch.tensor([[-1.0], [2.0], [3.0], [-0.5]]), torch.tensor([0, 1, 0, 1]).to(kind)
    assert SCORES["accuracy"](predictions, labels) == 0.5
    assert SCORES["accuracy"](predictions[:, 0], labels) == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", SCORES)
def test_a_model_that_diverged_has_no_finite_score(name, bad):
    """The largest of outputs that are not finite is some class, which would be right now and then."""
    has_classes = name in {"cross-entropy", "accuracy", "error"}
    prediction, target = (LOGITS.clone(), LABELS) if has_classes else (NUMBERS.clone(), aims(name))
    prediction[2] = bad
    assert not math.isfinite(SCORES[name](prediction, target))


def test_accuracy_wants_labels():
    with pytest.raises(InputError, match="whole-numbered labels"):
        SCORES["accuracy"](LOGITS, LABELS.double())
    with pytest.raises(InputError, match="one shape"):
        SCORES["accuracy"](LOGITS[:, :1], LABELS[:-1])


def test_a_loss_of_ones_own():
    own = loss(lambda prediction, target: (prediction[:, 0] - target).pow(4))
    np.testing.assert_allclose(own(NUMBERS, AIMS[:, 0]), (NUMBERS - AIMS)[:, 0].numpy() ** 4)


@pytest.mark.parametrize(
    ("own", "came"),
    [
        (nn.functional.mse_loss, r"shape \(\)"),
        (lambda p, t: (p - t).square(), r"shape \(7, 3\)"),
        (lambda p, t: 0.5, "0.5"),
    ],
)
def test_a_loss_of_ones_own_gives_a_number_an_example(own, came):
    with pytest.raises(InputError, match=rf"shape \(7,\), came {came}: use reduction='none'"):
        loss(own)(NUMBERS, AIMS)


def test_a_score_of_ones_own():
    assert score(lambda p, t: (p - t).abs().max())(NUMBERS, AIMS) == float((NUMBERS - AIMS).abs().max())
    assert score(lambda p, t: 3)(NUMBERS, AIMS) == 3.0
    for own in (lambda p, t: p, lambda p, t: None, lambda p, t: "good"):
        with pytest.raises(InputError, match="the score to give one number, came"):
            score(own)(NUMBERS, AIMS)


@pytest.mark.parametrize("given", ["hinge", None, 3])
def test_unknown_losses_and_scores(given):
    with pytest.raises(InputError, match=r"a loss among mse, mae, .* or a function, came"):
        loss(given)
    with pytest.raises(InputError, match=r"a score among mse, .*relative-rmse.* or a function, came"):
        score(given)


@pytest.mark.parametrize(
    ("name", "prediction", "targets", "said"),
    [
        ("cross-entropy", LOGITS, torch.tensor([0, 1, 4]), "from 0 to 3 for a model with 4 outputs.* from 0 to 4"),
        ("cross-entropy", LOGITS, torch.tensor([-1, 3]), "from -1 to 3"),
        ("cross-entropy", LOGITS, torch.tensor([0.0, 1.0]), "whole-numbered labels.*torch.float32"),
        ("cross-entropy", LOGITS[:, 0], LABELS, "whole-numbered labels"),
        ("binary-cross-entropy", LOGITS[:, :1], torch.tensor([0.0, 1.0, 2.0]), r"target=2 \(number 2\)"),
        ("binary-cross-entropy", LOGITS[:, :1], torch.tensor([0.0, math.nan]), r"target=nan \(number 1\)"),
        ("relative-mse", LOGITS[:, :1], torch.tensor([1.0, 0.0]), r"target=0 \(number 1\).*use mse"),
        ("mse", LOGITS, AIMS, r"one shape, came predictions of shape \(7, 4\)"),
        (nn.functional.mse_loss, NUMBERS, AIMS, "reduction='none'"),
    ],
)
def test_targets_that_do_not_fit_are_found_beforehand(name, prediction, targets, said):
    with pytest.raises(InputError, match=said):
        check_targets(name, prediction, targets)


@pytest.mark.parametrize(
    ("name", "prediction", "targets"),
    [
        ("cross-entropy", LOGITS[:2], LABELS),
        ("binary-cross-entropy", LOGITS[:, :1], torch.tensor([True, False])),
        ("relative-mse", NUMBERS[:2], AIMS),
        (lambda p, t: (p - t).square().mean(dim=1), NUMBERS[:2], AIMS),
    ],
)
def test_targets_that_fit(name, prediction, targets):
    check_targets(name, prediction, targets)
