import functools
import importlib.resources
import pickle

import numpy as np
import pytest
import torch

from robust_select.core.instances import Instance, seeds_for
from robust_select.problems import images
from robust_select.problems.images import trainers
from robust_select.problems.images.augmentation import CropAndFlip
from robust_select.study.file import read_study
from robust_select.train.nn import Data, TorchTrainer
from robust_select.train.nn.stacking import Stack

SMALL = {
    "residual": {"family": "residual", "blocks": (1, 1), "filters": 4, "activation": "prelu"},
    "convolutional": {"family": "convolutional", "filters": 4, "has_norm": True},
    "transformer": {"family": "transformer", "width": 16, "depth": 2, "heads": 2, "drop_path": 0.3},
}


def instances(n):
    return [Instance("a", replicate, seeds_for(7, replicate)) for replicate in range(n)]


@pytest.mark.parametrize("family", list(SMALL))
def test_stacked_equals_alone(family):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
    labels = rng.integers(0, 10, 60)
    look = trainers.Look(8, (127.0,), (74.0,))
    data = Data(pixels[:40], labels[:40], pixels[40:], labels[40:])
    settings = {"dtype": "float64", "epochs": 3, "batch_size": 16, "n_train": 33, "lr": 0.05, "stack_size": 3}
    build = functools.partial(trainers.build, look=look)
    trainer = TorchTrainer(
        build, data, loss="cross-entropy", defaults={**trainers.ONE_CYCLE, **settings}, augment=CropAndFlip(1)
    )
    assert trainer.why_alone(SMALL[family]) == ""
    together = trainer.train_together([SMALL[family]] * 3, instances(3))
    alone = [trainer(SMALL[family], instance) for instance in instances(3)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.curve, other.curve, rtol=1e-8)
    assert len({outcome.score for outcome in together}) == 3


def test_batch_norm_keeps_running_statistics_for_each_instance():
    torch.manual_seed(0)
    modules = [trainers.build(SMALL["residual"], trainers.DIGITS) for _ in range(3)]
    alone = [pickle.loads(pickle.dumps(module)).train() for module in modules]  # noqa: S301  of our own making
    stack = Stack(modules)
    stack.train()
    batches = torch.randn(4, 3, 6, 1, 8, 8)
    for batch in batches:
        found = stack(batch)
        for k, module in enumerate(alone):
            torch.testing.assert_close(found[k], module(batch[k]), atol=1e-5, rtol=1e-4)
    for k, module in enumerate(alone):
        ours = stack.state_dict(k)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(ours[name], value, atol=1e-5, rtol=1e-4)
    stack.train(False)
    for k, module in enumerate(alone):
        torch.testing.assert_close(stack(batches[0])[k], module.eval()(batches[0][k]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n_images", [1, 2])
@pytest.mark.parametrize("family", ["residual", "convolutional"])
def test_gradients_of_a_stack_are_those_of_torch(family, n_images):
    """A batch of one image, the last of an epoch perhaps, is where torch itself goes wrong in other strides."""
    torch.manual_seed(0)
    modules = [trainers.build(SMALL[family], trainers.DIGITS).double() for _ in range(2)]
    alone = [pickle.loads(pickle.dumps(module)).train() for module in modules]  # noqa: S301  of our own making
    stack = Stack(modules)
    stack.train()
    pixels, weights = torch.rand(2, n_images, 1, 8, 8).double() * 16, torch.randn(2, n_images, 10).double()
    stack.zero_gradients()
    (stack(pixels) * weights).sum().backward()
    for k, module in enumerate(alone):
        (module(pixels[k]) * weights[k]).sum().backward()
        theirs = torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
        torch.testing.assert_close(stack.gradients[k], theirs)


def test_digits_are_learnt():
    trainer = images.digits_trainer(epochs=6, stack_size=2)
    base = next(made for made in images.small_convolutional() if made.is_base)
    found = trainer.train_together([base.params] * 2, instances(2))
    assert all(len(outcome.curve) == 6 for outcome in found)
    assert max(outcome.score for outcome in found) < 0.15
    assert all(outcome.curve[-1] < outcome.curve[0] for outcome in found)


def test_fashion_mnist_is_loaded_where_it_is_trained(clothes, monkeypatch):
    monkeypatch.setenv("ROBUST_SELECT_FASHION_MNIST", str(clothes))
    trainer = pickle.loads(pickle.dumps(images.fashion_mnist_trainer(n_held_out=10, epochs=2, n_train=20)))  # noqa: S301
    params = images.small_residual()[0].params
    assert len(trainer(params, instances(1)[0]).curve) == 2
    data = trainers.fashion_mnist_data(10)
    assert data.inputs.shape == (60, 1, 28, 28)
    assert data.inputs.dtype == np.uint8
    assert data.n_held_out == 10


def test_label_smoothing_by_hand():
    logits, labels = torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0])
    logs = torch.log_softmax(logits, dim=1)
    expected = -(0.9 * logs[0, 0] + 0.1 * logs[0].mean())
    torch.testing.assert_close(trainers.smoothed_cross_entropy(logits, labels), expected[None])


def test_cifar10_trainers_have_the_published_settings():
    base, transformer = images.cifar10_trainer(), images.cifar10_transformer_trainer()
    for trainer in (base, transformer):
        settings = trainer._settings({})
        assert (settings.epochs, settings.n_train) == (50, 10_000)
    assert (base._settings({}).optimiser, base._settings({}).momentum, base._settings({}).schedule) == (
        *("sgd", 0.9),
        "one-cycle",
    )
    assert (transformer._settings({}).optimiser, transformer._settings({}).warmup_epochs) == ("adamw", 10)


@pytest.mark.parametrize(("name", "n"), [("fashion", 18), ("digits-cnn", 36)])
def test_the_study_files_can_be_read(name, n):
    with importlib.resources.as_file(importlib.resources.files(images) / f"{name}.toml") as path:
        study, _ = read_study(path)
    assert (len(study.candidates), study.direction, study.name) == (n, "minimize", name)
    assert [made.is_base for made in study.candidates].count(True) == 1
    assert study.trainer is getattr(images, {"fashion": "train_fashion_mnist", "digits-cnn": "train_digits"}[name])
