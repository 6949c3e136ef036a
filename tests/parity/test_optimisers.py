"""Stacked optimisers end where torch.optim ends, instance by instance, each with its own hyperparameters."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from robust_select.core.errors import InputError
from robust_select.train.nn.hyperparameters import Hyperparameters
from robust_select.train.nn.optimisers import OPTIMISERS, clip_gradients, optimiser
from robust_select.train.nn.schedules import OneCycle, Schedule

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
SIZES = ((3, 5), (7,), (1,))
N_PARAMETERS = 23
N_STEPS = 50
KERNELS = ("_fused_sgd_", "_fused_adam_", "_fused_adamw_")

PLAIN = Hyperparameters(lr=0.01)
DECAYING = Hyperparameters(lr=0.03, weight_decay=0.1)
SETS = {
    "sgd": [
        PLAIN,
        DECAYING,
        Hyperparameters(lr=0.01, momentum=0.9, dampening=0.3, weight_decay=0.02),
        Hyperparameters(lr=0.02, momentum=0.8, nesterov=True, weight_decay=0.02),
    ],
    "adam": [PLAIN, DECAYING, Hyperparameters(lr=0.001, betas=(0.8, 0.95), eps=1e-3)],
    "adamw": [PLAIN, DECAYING, Hyperparameters(lr=0.001, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.5)],
    "nadam": [PLAIN, DECAYING, Hyperparameters(lr=0.001, betas=(0.8, 0.95), eps=1e-3, momentum_decay=0.05)],
    "rmsprop": [
        PLAIN,
        DECAYING,
        Hyperparameters(lr=0.01, momentum=0.9, alpha=0.9, weight_decay=0.02),
        Hyperparameters(lr=0.01, centered=True, eps=1e-4),
        Hyperparameters(lr=0.01, centered=True, momentum=0.5),
    ],
    "adadelta": [Hyperparameters(lr=1.0), DECAYING, Hyperparameters(lr=0.5, rho=0.8, eps=1e-4, weight_decay=0.1)],
}
READ = {
    "sgd": ("momentum", "dampening", "nesterov"),
    "adam": ("betas",),
    "adamw": ("betas",),
    "nadam": ("betas", "momentum_decay"),
    "rmsprop": ("momentum", "alpha", "centered"),
    "adadelta": ("rho",),
}
TORCH = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
}
CASES = [(name, dtype) for name in SETS for dtype in TOLERANCE]


@pytest.fixture(autouse=True)
def _one_type(request):
    """NAdam of torch rounds its product of momenta to torch's default type, whatever the parameters' type."""
    before = torch.get_default_dtype()
    called_with = getattr(request.node, "callspec", None)
    torch.set_default_dtype(called_with.params.get("dtype", before) if called_with else before)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(params=["fused", "plain"])
def kernels(request, monkeypatch):
    if request.param == "plain":
        for kernel in KERNELS:
            monkeypatch.delattr(torch, kernel)


def torch_optimiser(name, parameters, own):
    settings = {key: getattr(own, key) for key in READ[name]}
    if own.eps is not None and name != "sgd":
        settings["eps"] = own.eps
    return TORCH[name](parameters, lr=own.lr, weight_decay=own.weight_decay, foreach=False, **settings)


class Alone:
    """One instance by plain torch: its parameters in several tensors, an optimiser of its own."""

    def __init__(self, name, values, own):
        pieces = values.clone().split([math.prod(size) for size in SIZES])
        self.parameters = [nn.Parameter(piece.view(size)) for piece, size in zip(pieces, SIZES, strict=True)]
        self.optimiser = torch_optimiser(name, self.parameters, own)

    def step(self, gradients):
        pieces = gradients.split([math.prod(size) for size in SIZES])
        for parameter, piece in zip(self.parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter).clone()
        self.optimiser.step()

    @property
    def values(self):
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters])


def assert_same(found, expected, dtype):
    """Compare (K, P) values: the largest difference of an instance in units of its largest value."""
    assert torch.isfinite(expected).all()
    difference = (found - expected).abs().amax(dim=1) / expected.abs().amax(dim=1)
    assert difference.max() <= TOLERANCE[dtype], difference


def drawn(n_instances, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(n_instances, N_PARAMETERS, dtype=dtype, generator=generator)


def together_and_alone(name, hyperparameters, dtype):
    random = drawn(len(hyperparameters), dtype)
    values = next(random)
    alone = [Alone(name, row, own) for row, own in zip(values, hyperparameters, strict=True)]
    return values, optimiser(name, values, hyperparameters), alone, random


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_random_gradients(name, dtype):
    sets = SETS[name]
    hyperparameters = [sets[0], *sets, sets[-1], sets[0]]  # equal neighbours, and equal ones that are none
    values, made, alone, random = together_and_alone(name, hyperparameters, dtype)
    for _ in range(N_STEPS):
        gradients = next(random)
        before = gradients.clone()
        made.step(gradients)
        assert torch.equal(gradients, before)
        for one, own_gradients in zip(alone, gradients, strict=True):
            one.step(own_gradients)
    assert_same(values, torch.stack([one.values for one in alone]), dtype)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("name", "dtype"), CASES)
@pytest.mark.parametrize("which", [0, -1])
def test_all_instances_share_their_hyperparameters(name, dtype, which):
    values, made, alone, random = together_and_alone(name, [SETS[name][which]] * 3, dtype)
    gradients = next(random)  # the same tensor each time, as a stack has it
    for _ in range(N_STEPS):
        made.step(gradients.copy_(next(random)))
        for one, own_gradients in zip(alone, gradients, strict=True):
            one.step(own_gradients)
    assert_same(values, torch.stack([one.values for one in alone]), dtype)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.PReLU(4), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1)
    )


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_a_real_network(name, dtype):
    """Losses and parameters of 50 steps: networks whose parameters are views of the rows, and networks alone."""
    hyperparameters = [dataclasses.replace(own, lr=own.lr / 4) for own in SETS[name]]
    torch.manual_seed(3)
    alone = [network().to(dtype) for _ in hyperparameters]
    together = [network().to(dtype) for _ in hyperparameters]
    values = torch.stack([nn.utils.parameters_to_vector(model.parameters()) for model in alone]).detach()
    gradients = torch.zeros_like(values)
    for model, row, gradient_row in zip(together, values, gradients, strict=True):
        first = 0
        for parameter in model.parameters():
            last = first + parameter.numel()
            parameter.data = row[first:last].view_as(parameter)
            parameter.grad = gradient_row[first:last].view_as(parameter)
            first = last
    made = optimiser(name, values, hyperparameters)
    optimisers = [
        torch_optimiser(name, model.parameters(), own) for model, own in zip(alone, hyperparameters, strict=True)
    ]
    losses = torch.empty(2, N_STEPS, len(hyperparameters), dtype=dtype)
    for step in range(N_STEPS):
        inputs = torch.randn(16, 1, 6, 6, dtype=dtype)
        targets = inputs.mean(dim=(1, 2, 3)).view(-1, 1)
        gradients.zero_()
        for k, models in enumerate(zip(together, alone, strict=True)):
            optimisers[k].zero_grad()
            for way, model in enumerate(models):
                loss = nn.functional.mse_loss(model(inputs), targets)
                loss.backward()
                losses[way, step, k] = loss.detach()
            optimisers[k].step()
        made.step(gradients)
    assert (losses[0] / losses[1] - 1).abs().max() <= TOLERANCE[dtype]
    expected = torch.stack([nn.utils.parameters_to_vector(model.parameters()) for model in alone]).detach()
    assert_same(values, expected, dtype)
    assert (losses[1, -1] != losses[1, 0]).all()


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_one_cycle_moves_learning_rate_and_momentum(name, dtype):
    n_steps = 30
    cycles = OPTIMISERS[name].has_momentum
    schedule = Schedule("one-cycle", n_steps, one_cycle=OneCycle(cycle_momentum=cycles))
    sets = [own for own in SETS[name] if own.momentum > 0 or name not in {"sgd", "rmsprop"}]
    values, made, alone, random = together_and_alone(name, sets, dtype)
    schedulers = [
        torch.optim.lr_scheduler.OneCycleLR(one.optimiser, own.lr, total_steps=n_steps, cycle_momentum=cycles)
        for one, own in zip(alone, sets, strict=True)
    ]
    for step in range(n_steps):
        gradients = next(random)
        made.step(gradients, schedule.factor(step), schedule.momentum(step))
        for one, own_gradients, scheduler in zip(alone, gradients, schedulers, strict=True):
            one.step(own_gradients)
            if step < n_steps - 1:
                scheduler.step()
    assert_same(values, torch.stack([one.values for one in alone]), dtype)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_a_factor_and_a_momentum_of_its_own_for_each(name, dtype):
    """Differ for some steps only: instances that were alike before are not alike afterwards."""
    sets = [dataclasses.replace(SETS[name][-1], nesterov=False)] * 3
    values, made, alone, random = together_and_alone(name, sets, dtype)
    has_momentum = OPTIMISERS[name].has_momentum
    for step in range(20):
        gradients = next(random)
        differ = 5 <= step < 10
        factors = torch.tensor([0.5, 1.0, 2.0] if differ else [0.5] * 3)
        momenta = torch.tensor([0.5, 0.75, 0.875] if differ else [0.5] * 3) if has_momentum else None
        made.step(gradients, factors, momenta)
        for k, (one, own_gradients) in enumerate(zip(alone, gradients, strict=True)):
            group = one.optimiser.param_groups[0]
            group["lr"] = sets[k].lr * factors[k].item()
            if "betas" in group:
                group["betas"] = (momenta[k].item(), group["betas"][1])
            elif has_momentum:
                group["momentum"] = momenta[k].item()
            one.step(own_gradients)
    assert_same(values, torch.stack([one.values for one in alone]), dtype)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_momentum_that_begins_late_begins_undamped(dtype):
    sets = [Hyperparameters(lr=0.1, dampening=0.5)] * 2
    values, made, alone, random = together_and_alone("sgd", sets, dtype)
    for step in range(6):
        gradients = next(random)
        momentum = 0.0 if step < 3 else 0.9
        made.step(gradients, momentum=momentum)
        for one, own_gradients in zip(alone, gradients, strict=True):
            one.optimiser.param_groups[0]["momentum"] = momentum
            one.step(own_gradients)
    assert_same(values, torch.stack([one.values for one in alone]), dtype)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_the_others_go_on_when_some_are_dropped(name, dtype):
    sets = SETS[name]
    values, made, alone, random = together_and_alone(name, [*sets, sets[0], sets[0]], dtype)
    kept = [len(sets) + 1, len(sets), 1]
    for step in range(20):
        if step == 8:
            values = values[kept].contiguous()
            alone = [alone[k] for k in kept]
            made.keep(kept, values)
        gradients = next(random)[: len(values)]
        made.step(gradients)
        for one, own_gradients in zip(alone, gradients, strict=True):
            one.step(own_gradients)
    assert_same(values, torch.stack([one.values for one in alone]), dtype)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", SETS)
def test_one_that_diverges_leaves_its_neighbours_alone(name):
    results = []
    for spoilt in (False, True):
        values, made, _, random = together_and_alone(name, [SETS[name][1]] * 3, torch.float64)
        for step in range(5):
            gradients = next(random)
            if spoilt and step == 2:
                gradients[1, 0] = math.nan
            made.step(gradients)
        results.append(values)
    assert torch.equal(results[0][[0, 2]], results[1][[0, 2]])
    assert results[1][1].isnan().any()


@pytest.mark.parametrize("name", SETS)
def test_nobody_left(name):
    _, made, _, _ = together_and_alone(name, SETS[name], torch.float64)
    made.keep([], torch.empty(0, N_PARAMETERS))
    made.step(torch.empty(0, N_PARAMETERS))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gradients_are_clipped_as_torch_clips_them(dtype):
    gradients = torch.cat([next(drawn(4, dtype)), torch.zeros(1, N_PARAMETERS, dtype=dtype)])
    limits = torch.tensor([0.5, 100.0, math.inf, 2.0, 1.0])
    expected = []
    for row, limit in zip(gradients, limits, strict=True):
        pieces = [nn.Parameter(torch.zeros_like(piece)) for piece in row.split([3, 20])]
        for parameter, piece in zip(pieces, row.split([3, 20]), strict=True):
            parameter.grad = piece.clone()
        nn.utils.clip_grad_norm_(pieces, limit.item())
        expected.append(torch.cat([parameter.grad for parameter in pieces]))
    before = gradients.clone()
    clip_gradients(gradients, limits)
    torch.testing.assert_close(gradients, torch.stack(expected), rtol=TOLERANCE[dtype], atol=0.0)
    assert [torch.equal(*rows) for rows in zip(before, gradients, strict=True)] == [False, True, True, False, True]


def test_clipping_a_diverged_instance_leaves_its_neighbours_alone():
    gradients = torch.tensor([[3.0, 4.0], [math.nan, 1.0], [math.inf, 1.0], [math.inf, 1.0]])
    clip_gradients(gradients, torch.tensor([1.0, 1.0, 1.0, math.inf]))
    torch.testing.assert_close(gradients[0], torch.tensor([0.6, 0.8]))
    assert gradients[1].isnan().all()
    assert gradients[2, 0].isnan()  # as in torch: infinity times 0
    assert torch.equal(gradients[3], torch.tensor([math.inf, 1.0]))


OURS = Hyperparameters(lr=0.1)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: optimiser("adagrad", torch.zeros(1, 2), [OURS]), "an optimiser among sgd, adam.*'adagrad'"),
        (lambda: optimiser("sgd", torch.zeros(2), [OURS]), r"values \(K, P\).*shape=\(2,\)"),
        (lambda: optimiser("sgd", torch.zeros(1, 2, dtype=torch.int64), [OURS]), "dtype=torch.int64"),
        (lambda: optimiser("sgd", torch.zeros(3, 2).T, [OURS] * 2), "contiguous"),
        (lambda: optimiser("sgd", torch.zeros(3, 2), [OURS] * 2), "each of 3 instances, came 2"),
        (
            lambda: optimiser("sgd", torch.zeros(1, 2), [OURS]).step(torch.zeros(1, 3)),
            r"\(1, 2\), came shape=\(1, 3\)",
        ),
        (
            lambda: optimiser("sgd", torch.zeros(1, 2), [OURS]).step(torch.zeros(1, 2), torch.ones(2)),
            r"factor as one number or of shape \(1,\), came shape=\(2,\)",
        ),
        (
            lambda: optimiser("adadelta", torch.zeros(1, 2), [OURS]).step(torch.zeros(1, 2), momentum=0.9),
            "no momentum for adadelta.*momentum=0.9",
        ),
        (
            lambda: optimiser("sgd", torch.zeros(2, 2), [OURS] * 2).keep([2], torch.zeros(1, 2)),
            r"from 0 to 1, came positions=\[2\]",
        ),
        (
            lambda: optimiser("sgd", torch.zeros(2, 2), [OURS] * 2).keep([1], torch.zeros(2, 2)),
            r"shape \(1, 2\).*came shape=\(2, 2\)",
        ),
        (lambda: clip_gradients(torch.zeros(2, 3), torch.ones(3)), r"shape \(2,\).*came shape=\(3,\)"),
        (lambda: Hyperparameters(lr=-1.0), "lr as a finite number from 0, came lr=-1.0"),
        (lambda: Hyperparameters(lr=math.nan), "lr=nan"),
        (lambda: Hyperparameters(lr=math.inf), "lr=inf"),
        (lambda: Hyperparameters(lr=0.1, eps=-1e-8), "eps"),
        (lambda: Hyperparameters(lr=0.1, dampening=math.nan), "dampening=nan"),
        (lambda: Hyperparameters(lr=0.1, rho=1.1), "rho as a number up to 1 from 0, came rho=1.1"),
        (lambda: Hyperparameters(lr=0.1, betas=(0.9, 1.0)), r"betas\[1\] as a number below 1 from 0"),
        (lambda: Hyperparameters(lr=0.1, betas=(0.9,)), "two numbers"),
        (lambda: Hyperparameters(lr=0.1, nesterov=True), "nesterov with a momentum"),
        (lambda: Hyperparameters(lr=0.1, nesterov=True, momentum=0.9, dampening=0.1), "dampening=0.1"),
    ],
)
def test_what_cannot_be_is_said(what, said):
    with pytest.raises(InputError, match=said):
        what()
