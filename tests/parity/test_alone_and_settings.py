"""Against a plain loop of torch.optim: a layer that forward skips now and then, and settings of single optimisers."""

import numpy as np
import pytest
import torch
from torch import nn

from robust_select.core.instances import Instance, seeds_for
from robust_select.train.nn import Data, TorchTrainer

RNG = np.random.default_rng(2)
INPUTS = RNG.normal(size=(120, 3))
TARGETS = np.tanh(INPUTS).sum(axis=1)
DATA = Data(INPUTS[:80], TARGETS[:80], INPUTS[80:], TARGETS[80:])
EPOCHS, BATCH, LR, DECAY = 6, 16, 0.01, 0.1
KINDS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
}


class Skipping(nn.Module):
    """Every other batch or so goes past the layer in the middle; one layer is never used at all."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.head = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)
        self.unused = nn.Linear(2, 2)

    def forward(self, inputs):
        hidden = torch.tanh(self.first(inputs))
        if float(inputs.sum()) > 0:
            hidden = torch.tanh(self.middle(hidden))
        return self.head(hidden)


def plain(build, optimiser, instance, **options):
    """Train as everybody does; give the curve and the weights."""
    torch.manual_seed(instance.seeds.initial_weights)
    module = build({}).double()
    made = KINDS[optimiser](module.parameters(), lr=LR, weight_decay=DECAY, **options)
    inputs, targets = torch.from_numpy(INPUTS), torch.from_numpy(TARGETS)
    rng, curve = np.random.default_rng(instance.seeds.batch_order), []
    for _ in range(EPOCHS):
        order = rng.permutation(80)
        for begin in range(0, 80, BATCH):
            rows = torch.from_numpy(order[begin : begin + BATCH])
            made.zero_grad()
            ((module(inputs[rows]).squeeze(1) - targets[rows]) ** 2).mean().backward()
            made.step()
        with torch.no_grad():
            curve.append(float(((module(inputs[80:]).squeeze(1) - targets[80:]) ** 2).mean()))
    return curve, module


def trainer_of(build, optimiser, **settings):
    defaults = {"epochs": EPOCHS, "batch_size": BATCH, "lr": LR, "weight_decay": DECAY, "dtype": "float64"}
    checkpoints = settings.pop("checkpoints", None)
    return TorchTrainer(
        build, DATA, defaults={**defaults, "optimiser": optimiser, **settings}, checkpoints=checkpoints
    )


@pytest.mark.parametrize("optimiser", KINDS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_what_forward_skips_is_left_as_torch_leaves_it(optimiser, momentum, tmp_path):
    options = {"momentum": momentum} if optimiser in ("sgd", "rmsprop") else {}
    instance = Instance("a", 0, seeds_for(5, 0))
    curve, module = plain(lambda params: Skipping(), optimiser, instance, **options)
    trainer = trainer_of(lambda params: Skipping(), optimiser, checkpoints=tmp_path, **options)
    assert trainer.why_alone({})
    np.testing.assert_allclose(trainer({}, instance).curve, curve, rtol=1e-6)
    held = torch.load(next(tmp_path.glob("*/0.pt")), weights_only=True)["state"]
    for name, expected in module.state_dict().items():
        np.testing.assert_allclose(held[name], expected, rtol=1e-5, atol=1e-9)


def network(params):
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))


@pytest.mark.parametrize(
    ("optimiser", "options"),
    [
        ("sgd", {"momentum": 0.9, "dampening": 0.5}),
        ("rmsprop", {"centered": True}),
        ("rmsprop", {"centered": True, "momentum": 0.5}),
        ("nadam", {"momentum_decay": 0.1}),
    ],
)
def test_settings_of_single_optimisers_mean_what_they_mean_in_torch(optimiser, options):
    trainer = trainer_of(network, optimiser, **options)
    instances = [Instance("a", at, seeds_for(5, at)) for at in range(3)]
    for instance, outcome in zip(instances, trainer.train_together([{}] * 3, instances), strict=True):
        np.testing.assert_allclose(outcome.curve, plain(network, optimiser, instance, **options)[0], rtol=1e-6)
    other = trainer_of(network, optimiser)({}, instances[0])
    assert not np.allclose(other.curve, plain(network, optimiser, instances[0], **options)[0], rtol=1e-3)


def test_instances_of_one_stack_may_differ_in_dampening_and_momentum_decay():
    for optimiser, name, shared in (("sgd", "dampening", {"momentum": 0.9}), ("nadam", "momentum_decay", {})):
        trainer = trainer_of(network, optimiser, **shared)
        params = [{name: value} for value in (0.0, 0.2, 0.4)]
        assert len({trainer.stack_key(own) for own in params}) == 1
        instances = [Instance("a", at, seeds_for(5, at)) for at in range(3)]
        found = trainer.train_together(params, instances)
        for own, instance, outcome in zip(params, instances, found, strict=True):
            expected, _ = plain(network, optimiser, instance, **shared, **own)
            np.testing.assert_allclose(outcome.curve, expected, rtol=1e-6)
