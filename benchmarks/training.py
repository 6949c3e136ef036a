"""Four ways to train the same networks, each as a step that does the whole work: what ``throughput.py`` times.

Called by benchmarks/throughput.py in every process it starts. Knows nothing of processes, rounds or clocks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from robust_select.core.instances import Instance, seeds_for
from robust_select.problems import ecal
from robust_select.train.nn.data import Data
from robust_select.train.nn.examples import Examples
from robust_select.train.nn.fitting import Fit, Objective
from robust_select.train.nn.losses import loss, mean_of
from robust_select.train.nn.sampling import Batches
from robust_select.train.nn.settings import Settings
from robust_select.train.nn.stacking import Stack, flops_of

N_EXAMPLES = 4096
LR, WEIGHT_DECAY = 1e-3, 0.1
_STACK_SIZES = (1, 2, 4, 8, 16, 32)
_MOST_IN_A_STEP = 2048  # examples x instances

Step = Callable[[], None]
LossFunction = Callable[[Tensor, Tensor], Tensor]


class ResidualBlock(nn.Module):
    """Two convolutions with BatchNorm, and a way around them."""

    def __init__(self, n_inputs: int, n_outputs: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(n_inputs, n_outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_outputs),
            nn.ReLU(),
            nn.Conv2d(n_outputs, n_outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_outputs),
        )
        is_same = stride == 1 and n_inputs == n_outputs
        self.around = nn.Identity() if is_same else nn.Conv2d(n_inputs, n_outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, n_inputs, H, W) to (B, n_outputs, H / stride, W / stride)."""
        return torch.relu(self.inner(x) + self.around(x))


def perceptron() -> nn.Module:
    """Build a perceptron of three layers."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1))


def residual_network() -> nn.Module:
    """Build a small residual network for images of 16 x 16 and ten classes."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        ResidualBlock(16, 16, 1),
        ResidualBlock(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


@dataclass(frozen=True)
class Model:
    """A network to be trained.

    Attributes:
        build: makes one, with weights of its own.
        shape: of an input.
        loss: of robust_select, by name.
        plain_loss: the same of torch, the mean over a batch.
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    loss: str = "mse"
    plain_loss: LossFunction = nn.functional.mse_loss

    def data(self, seed: int) -> tuple[Tensor, Tensor]:
        """Draw inputs (N, *shape) and targets; what they are changes nothing about the time."""
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.rand(N_EXAMPLES, *self.shape, generator=generator)
        if self.loss == "cross-entropy":
            return inputs, torch.randint(10, (N_EXAMPLES,), generator=generator)
        return inputs, inputs.flatten(1).mean(dim=1, keepdim=True)


MODELS: Mapping[str, Model] = {
    **{f"model{n}": Model(partial(ecal.build, f"model{n}"), (1, 15, 15)) for n in (1, 2, 3, 4)},
    "mlp": Model(perceptron, (64,)),
    "resnet": Model(residual_network, (3, 16, 16), "cross-entropy", nn.functional.cross_entropy),
}


def _layout(model: Model, given: str) -> Callable[[Any], Any]:
    """Give what brings a network or a batch into a memory layout."""
    if given == "channels_last":
        return lambda thing: thing.to(memory_format=torch.channels_last)
    return lambda thing: thing


def plain_step(
    model: Model, layout: str, next_batch: Callable[[], Sequence[Tensor]], is_fused: bool | None = None
) -> Step:
    """Make the step that everybody writes; None leaves it to torch whether the optimiser is fused."""
    ready = _layout(model, layout)
    network = ready(model.build())
    optimiser = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, fused=is_fused)

    def step() -> None:
        inputs, targets = next_batch()
        optimiser.zero_grad()
        model.plain_loss(network(ready(inputs)), targets).backward()
        optimiser.step()

    return step


def plain_dataloader(model: Model, batch: int, layout: str, seed: int) -> Step:
    """Make a step whose batches come from a DataLoader, epoch after epoch."""
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*model.data(seed)), batch_size=batch, shuffle=True, drop_last=True
    )

    def batches() -> Iterator[Sequence[Tensor]]:
        while True:
            yield from loader

    return plain_step(model, layout, partial(next, batches()))


def orders(batch: int, n_instances: int) -> Iterator[Tensor]:
    """Give rows (K, B) of the data, each instance's in an order of its own, epoch after epoch."""
    while True:
        rows = torch.stack([torch.randperm(N_EXAMPLES) for _ in range(n_instances)])
        yield from rows[:, : N_EXAMPLES // batch * batch].split(batch, dim=1)


def plain_processes(model: Model, batch: int, layout: str, seed: int) -> Step:
    """Make a step whose batches are taken out of the tensors by index."""
    inputs, targets = model.data(seed)
    rows = orders(batch, 1)

    def next_batch() -> Sequence[Tensor]:
        chosen = next(rows)[0]
        return inputs.index_select(0, chosen), targets.index_select(0, chosen)

    return plain_step(model, layout, next_batch, is_fused=True)


def vmapped(model: Model, batch: int, n_instances: int, seed: int) -> Step:
    """Make a step of torch.func's stacked networks."""
    inputs, targets = model.data(seed)
    networks = [model.build() for _ in range(n_instances)]
    parameters, buffers = stack_module_state(networks)
    optimiser = torch.optim.AdamW(parameters.values(), lr=LR, weight_decay=WEIGHT_DECAY, fused=True)
    rows = orders(batch, n_instances)

    def loss_of_one(own: dict[str, Tensor], state: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return model.plain_loss(functional_call(networks[0], (own, state), (x,)), y)

    losses = vmap(loss_of_one)

    def step() -> None:
        chosen = next(rows)
        x, y = (tensor.index_select(0, chosen.reshape(-1)).unflatten(0, chosen.shape) for tensor in (inputs, targets))
        optimiser.zero_grad()
        losses(parameters, buffers, x, y).sum().backward()
        optimiser.step()

    return step


def stacked(model: Model, batch: int, n_instances: int, seed: int) -> Step:
    """Make a step of robust_select's fitting loop."""
    inputs, targets = (tensor.numpy() for tensor in model.data(seed))
    data = Data(inputs, targets, inputs[:1], targets[:1])
    examples = Examples.of(data, "float32", "cpu", has_labels=model.loss == "cross-entropy")
    settings = Settings(epochs=10**9, batch_size=batch, optimiser="adamw", lr=LR, weight_decay=WEIGHT_DECAY)
    instances = [Instance("a", k, seeds_for(seed, k)) for k in range(n_instances)]
    stack = Stack([model.build() for _ in instances])
    objective = Objective(loss(model.loss), mean_of(model.loss), None)
    fit = Fit(stack, examples, [settings] * n_instances, instances, objective)
    batches = Batches(instances, torch.arange(N_EXAMPLES).expand(n_instances, -1).numpy(), batch)

    def orders_of_batches() -> Iterator[Tensor]:
        while True:
            yield from torch.from_numpy(batches.epoch()[0])

    rows = orders_of_batches()
    stack.train()

    def step() -> None:
        fit.train_batch(next(rows).reshape(-1), n_instances)

    return step


def sgemm(size: int) -> Step:
    """Make a product of square matrices."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    c = torch.empty(size, size)

    def step() -> None:
        torch.mm(a, b, out=c)

    return step


WAYS: Mapping[str, Callable[[Model, int, Any, int], Step]] = {
    "plain_dataloader": plain_dataloader,
    "plain_processes": plain_processes,
    "vmap": vmapped,
    "stacked": stacked,
}


def settings_of(way: str, model: Model, batch: int) -> tuple[str, ...] | tuple[int, ...]:
    """List the settings of a way to choose the best of."""
    if way == "plain_dataloader":
        return ("contiguous",)
    if way == "plain_processes":
        return ("contiguous", "channels_last") if len(model.shape) == 3 else ("contiguous",)
    return tuple(size for size in _STACK_SIZES if size == 1 or size * batch <= _MOST_IN_A_STEP)


@dataclass(frozen=True)
class Job:
    """What processes do at the same time.

    Attributes:
        way: one of the ways, or "sgemm".
        setting: layout, stack size, or the size of the matrices.
        model: name of the network.
        batch: examples of an instance a step.
    """

    way: str
    setting: Any
    model: str = ""
    batch: int = 0

    def step(self, seed: int) -> Step:
        """Make what is timed."""
        if self.way == "sgemm":
            return sgemm(self.setting)
        return WAYS[self.way](MODELS[self.model], self.batch, self.setting, seed)

    @property
    def gflop(self) -> float:
        """Work of a step in GFLOP, all its instances together."""
        if self.way == "sgemm":
            return 2e-9 * self.setting**3
        model = MODELS[self.model]
        n_instances = 1 if self.way.startswith("plain") else self.setting
        return 1e-9 * flops_of(model.build(), model.shape) * self.batch * n_instances
