"""Schedules give what torch.optim.lr_scheduler gives, over whole trainings."""

import math
import warnings

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from robust_select.core.errors import InputError
from robust_select.train.nn.schedules import OneCycle, Schedule

PEAKS = (0.1, 3e-4)
SMALLEST = 1e-15  # of a peak: torch's cosine is a recursion, which gathers rounding errors


def optimiser_of(kind, peak):
    return kind([nn.Parameter(torch.zeros(1))], lr=peak)


def walked(optimiser, scheduler, n_steps):
    """Give the learning rate and the momentum that each step of a training has."""
    rates, momenta = [], []
    for step in range(n_steps):
        group = optimiser.param_groups[0]
        rates.append(float(group["lr"]))
        momenta.append(group["betas"][0] if "betas" in group else group["momentum"])
        optimiser.step()
        if step < n_steps - 1:
            scheduler.step()
    return rates, momenta


def assert_same(schedule, peak, rates):
    found = [peak * schedule.factor(step) for step in range(len(rates))]
    assert found == pytest.approx(rates, rel=1e-12, abs=SMALLEST * peak * len(rates))


@pytest.mark.parametrize("peak", PEAKS)
@pytest.mark.parametrize("n_steps", [1, 2, 7, 500])
def test_cosine(peak, n_steps):
    optimiser = optimiser_of(torch.optim.SGD, peak)
    rates, _ = walked(optimiser, lr_scheduler.CosineAnnealingLR(optimiser, T_max=n_steps), n_steps)
    assert_same(Schedule("cosine", n_steps), peak, rates)


@pytest.mark.parametrize("peak", PEAKS)
@pytest.mark.parametrize(("n_warmup_steps", "n_steps"), [(1, 3), (20, 100), (99, 100)])
@pytest.mark.parametrize("name", ["constant", "cosine"])
def test_warm_up(name, peak, n_warmup_steps, n_steps):
    optimiser = optimiser_of(torch.optim.SGD, peak)
    rise = lr_scheduler.LinearLR(optimiser, start_factor=1 / (n_warmup_steps + 1), total_iters=n_warmup_steps)
    rest = (
        lr_scheduler.CosineAnnealingLR(optimiser, T_max=n_steps - n_warmup_steps)
        if name == "cosine"
        else lr_scheduler.ConstantLR(optimiser, factor=1.0)
    )
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="The epoch parameter in", category=UserWarning
        )  # SequentialLR's own
        scheduler = lr_scheduler.SequentialLR(optimiser, [rise, rest], milestones=[n_warmup_steps])
        rates, _ = walked(optimiser, scheduler, n_steps)
    schedule = Schedule(name, n_steps, n_warmup_steps)
    assert_same(schedule, peak, rates)
    assert schedule.factor(n_warmup_steps) == 1.0


ONE_CYCLES = [
    (10, {}),
    (11, {}),
    (1000, {}),
    (1, {}),
    (2, {}),
    (3, {}),
    (50, {"pct_start": 0.0}),
    (50, {"pct_start": 1.0}),
    (97, {"pct_start": 0.21, "div_factor": 4.0, "final_div_factor": 50.0}),
    (40, {"base_momentum": 0.5, "max_momentum": 0.99}),
    (40, {"cycle_momentum": False}),
]


@pytest.mark.parametrize("peak", PEAKS)
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
@pytest.mark.parametrize(("n_steps", "shape"), ONE_CYCLES)
def test_one_cycle(kind, peak, n_steps, shape):
    optimiser = optimiser_of(kind, peak)
    scheduler = lr_scheduler.OneCycleLR(optimiser, max_lr=peak, total_steps=n_steps, **shape)
    rates, momenta = walked(optimiser, scheduler, n_steps)
    schedule = Schedule("one-cycle", n_steps, one_cycle=OneCycle(**shape))
    assert_same(schedule, peak, rates)
    found = [schedule.momentum(step) for step in range(n_steps)]
    if shape.get("cycle_momentum", True):
        assert found == pytest.approx(momenta, rel=1e-12)
    else:
        assert set(found) == {None}


def test_one_cycle_where_torch_divides_by_zero():
    optimiser = optimiser_of(torch.optim.SGD, 1.0)
    with pytest.raises(ZeroDivisionError):
        lr_scheduler.OneCycleLR(optimiser, max_lr=1.0, total_steps=4, pct_start=0.25)
    schedule = Schedule("one-cycle", 4, one_cycle=OneCycle(pct_start=0.25))
    assert schedule.factor(0) == 1.0
    assert schedule.momentum(0) == pytest.approx(0.85)
    assert schedule.factor(3) == pytest.approx(1 / 25e4)
    alone = Schedule("one-cycle", 1, one_cycle=OneCycle(pct_start=1.0))
    assert alone.factor(0) == 1.0


def test_constant_is_constant():
    schedule = Schedule("constant", 5)
    assert [schedule.factor(step) for step in range(5)] == [1.0] * 5
    assert [schedule.momentum(step) for step in range(5)] == [None] * 5


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: Schedule("step", 5), "constant, cosine, one-cycle, came 'step'"),
        (lambda: Schedule("cosine", 0), "n_steps=0"),
        (lambda: Schedule("cosine", 5, 5), "n_warmup_steps=5, n_steps=5"),
        (lambda: Schedule("cosine", 5, -1), "n_warmup_steps=-1"),
        (lambda: Schedule("one-cycle", 5, 1), "no warm-up for one-cycle.*pct_start"),
        (lambda: Schedule("cosine", 5).factor(5), "from 0 to 4, came step=5"),
        (lambda: Schedule("one-cycle", 5).momentum(-1), "step=-1"),
        (lambda: OneCycle(pct_start=1.5), "pct_start=1.5"),
        (lambda: OneCycle(div_factor=0.0), "div_factor=0.0"),
        (lambda: OneCycle(final_div_factor=math.inf), "final_div_factor=inf"),
        (lambda: OneCycle(max_momentum=1.0), "max_momentum=1.0"),
    ],
)
def test_what_cannot_be_is_said(what, said):
    with pytest.raises(InputError, match=said):
        what()
