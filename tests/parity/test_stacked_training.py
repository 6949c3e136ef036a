"""An instance of a stack ends as it does alone, and as a plain loop of torch.optim with the same seeds does."""

import numpy as np
import pytest
import torch
from torch import nn

from robust_select.core.instances import Instance, seeds_for
from robust_select.train.nn import Data, TorchTrainer

N_POPULATION, N_TRAIN, BATCH = 120, 78, 16
N_EPOCHS = 10  # of five steps, the last one of 14 examples: 50 steps
RTOL = {"float64": 1e-5, "float32": 1e-3}
OPTIMISERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {"betas": (0.8, 0.99)}),
    "nadam": (torch.optim.NAdam, {"eps": 1e-6}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.5, "alpha": 0.9}),
    "adadelta": (torch.optim.Adadelta, {"rho": 0.8}),
}
LR = {"sgd": 0.01, "adadelta": 0.3}


class Residual(nn.Module):
    """Convolutions, an addition, features that are joined later, dropout and batch norm."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1, bias=False)  # before a norm its gradient is rounding alone
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.slope = nn.PReLU(width)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(4 * width + 1, 1)

    def forward(self, images):
        hidden = torch.relu(self.norm(self.first(images)))
        hidden = self.pool(hidden + self.slope(self.second(hidden)))
        joined = torch.cat([hidden.flatten(1), images.sum((1, 2, 3)).unsqueeze(1)], dim=1)
        return self.head(self.drop(joined))


class Unknown(nn.Module):
    """Something that no stack can know: data decide what is done."""

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Dropout(0.1), nn.Linear(4, 1))

    def forward(self, images):
        return self.head(images) if float(images.detach().mean()) > -100 else self.head(-images)


def build(params):
    return Unknown() if params["module"] == "unknown" else Residual(params["width"])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    images = rng.normal(size=(N_POPULATION + 40, 1, 4, 4))
    targets = np.tanh(images[:, 0, 0]).sum(1) + 0.1 * images[:, 0].sum((1, 2))
    return Data(images[:-40], targets[:-40], images[-40:], targets[-40:])


def plain_curve(data, params, instance, dtype, optimiser, settings):
    """Train one instance the way that everybody does."""
    kind, options = OPTIMISERS[optimiser]
    number = getattr(torch, dtype)
    torch.manual_seed(instance.seeds.initial_weights)
    module = build(params).to(number)
    made = kind(module.parameters(), lr=params["lr"], weight_decay=params["weight_decay"], **options)
    inputs, held_out = (torch.from_numpy(array).to(number) for array in (data.inputs, data.held_out_inputs))
    targets, held_out_targets = (
        torch.from_numpy(array).to(number) for array in (data.targets, data.held_out_targets)
    )
    sample = np.random.default_rng(instance.seeds.training_sample).permutation(N_POPULATION)[:N_TRAIN]
    n_steps = N_EPOCHS * -(-N_TRAIN // BATCH)
    schedule = {
        "constant": lambda: torch.optim.lr_scheduler.LambdaLR(made, lambda step: 1.0),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(made, n_steps),
        "one-cycle": lambda: torch.optim.lr_scheduler.OneCycleLR(
            made, params["lr"], total_steps=n_steps, cycle_momentum=optimiser != "adadelta"
        ),
    }[settings["schedule"]]()
    rng = np.random.default_rng(instance.seeds.batch_order)
    noise = np.random.SeedSequence(instance.seeds.batch_order, spawn_key=(1,)).generate_state(1)
    torch.manual_seed(int(noise[0]))
    curve = []
    for _ in range(N_EPOCHS):
        order = sample[rng.permutation(N_TRAIN)]
        module.train()
        for first in range(0, N_TRAIN, BATCH):
            rows = order[first : first + BATCH]
            made.zero_grad()
            loss = nn.functional.mse_loss(module(inputs[rows]).squeeze(1), targets[rows])
            loss.backward()
            if settings["clip_norm"] is not None:
                nn.utils.clip_grad_norm_(module.parameters(), settings["clip_norm"])
            made.step()
            schedule.step()
        module.eval()
        with torch.no_grad():
            curve.append(nn.functional.mse_loss(module(held_out).squeeze(1), held_out_targets).item())
    return curve


def members(optimiser, module="residual", n=3):
    """Make instances that differ in replicate, learning rate and weight decay."""
    lr = LR.get(optimiser, 3e-3)
    params = [
        {"module": module, "width": 3, "lr": lr * (1 + k % 2), "weight_decay": 0.01 * (k // 2)} for k in range(n)
    ]
    return params, [Instance(f"c{k % 2}", k // 2, seeds_for(11, k // 2)) for k in range(n)]


def trainer_of(data, dtype, optimiser, settings):
    defaults = {"epochs": N_EPOCHS, "batch_size": BATCH, "n_train": N_TRAIN, "optimiser": optimiser, "dtype": dtype}
    return TorchTrainer(build, data, defaults={**defaults, **OPTIMISERS[optimiser][1], **settings})


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "constant", "clip_norm": None},
        {"schedule": "cosine", "clip_norm": 0.5},
        {"schedule": "one-cycle", "clip_norm": None},
    ],
    ids=lambda settings: settings["schedule"],
)
def test_together_alone_and_by_a_plain_loop(data, dtype, optimiser, settings):
    if optimiser in ("sgd", "rmsprop") and settings["schedule"] == "one-cycle":
        settings = {**settings, "clip_norm": 1.0}  # tame enough to compare numbers after 50 steps
    trainer = trainer_of(data, dtype, optimiser, settings)
    params, instances = members(optimiser)
    together = [outcome.curve for outcome in trainer.train_together(params, instances)]
    assert np.ptp([curve[-1] for curve in together]) > 1e-4
    np.testing.assert_allclose(together[-1], trainer(params[-1], instances[-1]).curve, rtol=RTOL[dtype])
    plain = [
        plain_curve(data, own, instance, dtype, optimiser, settings)
        for own, instance in zip(params, instances, strict=True)
    ]
    np.testing.assert_allclose(together, plain, rtol=RTOL[dtype])


def test_what_cannot_be_stacked_trains_as_a_plain_loop_does(data):
    settings = {"schedule": "constant", "clip_norm": None}
    trainer = trainer_of(data, "float64", "adam", settings)
    params, instances = members("adam", "unknown")
    assert trainer.why_alone(params[0]) != ""
    curves = [outcome.curve for outcome in trainer.train_together(params, instances)]
    plain = [
        plain_curve(data, own, instance, "float64", "adam", settings)
        for own, instance in zip(params, instances, strict=True)
    ]
    np.testing.assert_allclose(curves, plain, rtol=1e-5)


def test_who_trains_together_changes_nothing_but_the_last_digits(data):
    trainer = trainer_of(data, "float64", "adamw", {"schedule": "cosine"})
    params, instances = members("adamw", n=6)
    together = [outcome.score for outcome in trainer.train_together(params, instances)]
    others = trainer.train_together(params[4:1:-1], instances[4:1:-1])
    np.testing.assert_allclose([outcome.score for outcome in others], together[4:1:-1], rtol=1e-8)
