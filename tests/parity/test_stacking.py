"""A stacked instance equals the same module alone: outputs, gradients, statistics, noise, whole trainings."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust_select.train.nn.stacking import Stack

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
K, B = 3, 6


class Joined(nn.Module):
    """Model 2: the sum of all cells joins the features of the convolutions."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(*convolutions(nn.ReLU), nn.MaxPool2d(2), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(577, 9), nn.ReLU(), nn.Linear(9, 1))

    def forward(self, x):
        return self.head(torch.cat([self.features(x), x.sum(dim=(1, 2, 3)).unsqueeze(1)], dim=1))


class Barycentre(nn.Module):
    """Model 4: the barycentre, from constant buffers of coordinates, joins after the first linear layer."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *convolutions(prelu), nn.MaxPool2d(6), nn.Flatten(), nn.Linear(64, 64), nn.PReLU(64)
        )
        self.head = nn.Sequential(nn.Linear(66, 9), nn.PReLU(9), nn.Linear(9, 1))
        centres = (torch.arange(15.0) - 7) / 4
        self.register_buffer("across", centres.repeat(15, 1))
        self.register_buffer("along", centres.unsqueeze(1).repeat(1, 15))

    def forward(self, x):
        cells = x.squeeze(1)
        total = cells.sum((1, 2))
        means = [(cells * grid).sum((1, 2)) / total for grid in (self.across, self.along)]
        return self.head(torch.cat([self.features(x), torch.stack(means, dim=1)], 1))


class Block(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.short = nn.Sequential()
        if stride > 1:
            self.short = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y += self.short(x)
        return F.relu(y)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.blocks = nn.ModuleList([Block(4, 4, 1), Block(4, 8, 2)])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(torch.flatten(self.pool(x), 1))


class Attention(nn.Module):
    """A transformer block written out, with a learnt position and a class token."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.randn(5, 8) / 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 3))

    def forward(self, x):
        b, t, c = x.shape
        x = torch.cat([self.token.expand(b, -1, -1), x], dim=1) + self.position
        qkv = self.qkv(self.norm(x)).view(b, t + 1, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        weights = torch.softmax(q @ k.transpose(-2, -1) / (c // 2) ** 0.5, dim=-1)
        y = (weights @ v).transpose(1, 2).reshape(b, t + 1, c)
        return self.out((x + y)[:, 0])


def prelu(channels: int) -> nn.Module:
    return nn.PReLU(channels)


def convolutions(activation: Callable[..., nn.Module]) -> list[nn.Module]:
    first, second = (activation(n) if activation is prelu else activation() for n in (32, 64))
    return [
        nn.Conv2d(1, 32, 3, bias=False),
        first,
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, bias=False),
        second,
    ]


def model1() -> nn.Module:
    head = (nn.Flatten(), nn.Linear(576, 9), nn.ReLU(), nn.Linear(9, 1))
    return nn.Sequential(*convolutions(nn.ReLU), nn.MaxPool2d(2), *head)


def model3() -> nn.Module:
    head = (nn.Linear(64, 64), nn.PReLU(64), nn.Linear(64, 9), nn.PReLU(9), nn.Linear(9, 1))
    return nn.Sequential(*convolutions(prelu), nn.MaxPool2d(6), nn.Flatten(), *head)


def series() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 6, 5, stride=2, padding=2),
        nn.BatchNorm1d(6),
        nn.LeakyReLU(0.1),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 4, 3, groups=2, dilation=2),
        nn.PReLU(),
        nn.AdaptiveAvgPool1d(2),
        nn.Flatten(),
        nn.Linear(8, 2),
    )


def two_convolutions() -> nn.Module:
    """Without a pooling: here torch 2.13 gives wrong gradients of a batch of one whose strides are odd."""
    head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1), *head)


def noisy() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.Dropout2d(0.3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(64, 3),
        nn.Dropout(0.1),
    )


NETS = {
    "model 1": (model1, (1, 15, 15)),
    "model 2": (Joined, (1, 15, 15)),
    "model 3": (model3, (1, 15, 15)),
    "model 4": (Barycentre, (1, 15, 15)),
    "residual": (Residual, (3, 8, 8)),
    "attention": (Attention, (4, 8)),
    "series": (series, (2, 24)),
    "dropout": (noisy, (1, 6, 6)),
    "convolutions": (two_convolutions, (1, 6, 6)),
    "mlp": (lambda: nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.Linear(9, 8), nn.SiLU(), nn.Linear(8, 2)), (7,)),
}

ACTIVATIONS = [
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.PReLU, nn.ReLU6,
    nn.Softsign, nn.LogSigmoid, nn.Identity,
]  # fmt: skip
# the layers of a net behind a first layer that has parameters, so that gradients go through them
IMAGE_LAYERS = {
    "conv padding strings": lambda: nn.Conv2d(4, 3, 3, padding="same"),
    "conv stride and dilation": lambda: nn.Conv2d(4, 3, (3, 2), stride=(2, 1), dilation=(1, 2), padding=(1, 2)),
    "conv groups": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "conv depthwise": lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False),
    "conv 1x1": lambda: nn.Conv2d(4, 5, 1),
    "conv circular": lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"),
    "conv reflect": lambda: nn.Conv2d(4, 3, 3, padding=2, padding_mode="reflect"),
    "BatchNorm2d": lambda: nn.BatchNorm2d(4),
    "BatchNorm2d plain": lambda: nn.BatchNorm2d(4, affine=False, track_running_stats=False),
    "BatchNorm2d cumulative": lambda: nn.BatchNorm2d(4, momentum=None),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    "LayerNorm": lambda: nn.LayerNorm([4, 8, 8]),
    "PReLU a channel": lambda: nn.PReLU(4),
    "MaxPool2d": lambda: nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
    "MaxPool2d dilated": lambda: nn.MaxPool2d((2, 3), dilation=2),
    "AvgPool2d": lambda: nn.AvgPool2d(2),
    "AvgPool2d padded": lambda: nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d((3, None)),
    "AdaptiveMaxPool2d": lambda: nn.AdaptiveMaxPool2d(2),
    "Softmax": lambda: nn.Softmax(1),
    "LogSoftmax": lambda: nn.LogSoftmax(-1),
    "Flatten in part": lambda: nn.Flatten(2),
    **{
        f"{made.__name__} and MaxPool2d": lambda made=made: nn.Sequential(made(), nn.MaxPool2d(2))
        for made in ACTIVATIONS
    },
    **{f"{made.__name__} and Flatten": lambda made=made: nn.Sequential(made(), nn.Flatten()) for made in ACTIVATIONS},
}
SERIES_LAYERS = {
    "Conv1d": lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2),
    "Conv1d same": lambda: nn.Conv1d(4, 3, 3, padding="same"),
    "BatchNorm1d": lambda: nn.BatchNorm1d(4),
    "MaxPool1d": lambda: nn.MaxPool1d(3, stride=2, padding=1, ceil_mode=True),
    "AvgPool1d": lambda: nn.AvgPool1d(3, 2, padding=1),
    "AdaptiveAvgPool1d": lambda: nn.AdaptiveAvgPool1d(3),
    "AdaptiveMaxPool1d": lambda: nn.AdaptiveMaxPool1d(3),
    "GroupNorm": lambda: nn.GroupNorm(4, 4),
    "LayerNorm": lambda: nn.LayerNorm(9),
    "Linear on series": lambda: nn.Linear(9, 2),
    "PReLU": lambda: nn.PReLU(4),
}
FLAT_LAYERS = {
    "Linear": lambda: nn.Linear(4, 3, bias=False),
    "BatchNorm1d": lambda: nn.BatchNorm1d(4),
    "LayerNorm": lambda: nn.LayerNorm(4, elementwise_affine=False),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    **{made.__name__: made for made in ACTIVATIONS},
}
SINGLE = {
    **{
        f"image {n}": (lambda m=m: nn.Sequential(nn.Conv2d(2, 4, 1), m()), (2, 8, 8)) for n, m in IMAGE_LAYERS.items()
    },
    **{f"series {n}": (lambda m=m: nn.Sequential(nn.Conv1d(2, 4, 1), m()), (2, 9)) for n, m in SERIES_LAYERS.items()},
    **{f"flat {n}": (lambda m=m: nn.Sequential(nn.Linear(5, 4), m()), (5,)) for n, m in FLAT_LAYERS.items()},
}
ALL = {**SINGLE, **NETS}


def made(build: Callable[[], nn.Module], dtype: torch.dtype, n: int = K) -> list[nn.Module]:
    torch.manual_seed(5)
    return [build().to(dtype) for _ in range(n)]


def batches(shape: tuple[int, ...], dtype: torch.dtype, n_batches: int, n: int = K) -> Tensor:
    return torch.rand(n_batches, n, B, *shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


def flat_gradients(module: nn.Module) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in module.parameters()])


def sum_of_losses(y: Tensor) -> Tensor:
    """One smooth loss an instance, (K, B, *outputs) to (K,)."""
    return (y.flatten(1).square() + y.flatten(1).sin()).mean(1)


@pytest.mark.parametrize(
    ("case", "dtype"), [*((case, torch.float64) for case in ALL), *((case, torch.float32) for case in NETS)], ids=str
)
def test_outputs_gradients_and_buffers_are_those_of_the_module_alone(case: str, dtype: torch.dtype):
    build, shape = ALL[case]
    modules = made(build, dtype)
    stack = Stack(modules)
    stack.seed_noise([11, 12, 13])
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    x = batches(shape, dtype, 3)
    for batch in x:
        y = stack(batch)
        sum_of_losses(y).sum().backward()
    for k, module in enumerate(modules):
        torch.manual_seed(11 + k)
        for batch in x:
            alone = module(batch[k])
            sum_of_losses(alone.unsqueeze(0)).sum().backward()
        torch.testing.assert_close(y[k], alone, **close)
        torch.testing.assert_close(stack.gradients[k], flat_gradients(module), **close)
        torch.testing.assert_close(stack.state_dict(k), dict(module.state_dict()), **close)
    stack.train(False)
    for k, module in enumerate(modules):
        with torch.no_grad():
            torch.testing.assert_close(stack(x[0])[k], module.eval()(x[0, k]), **close)
            torch.testing.assert_close(stack.module(k)(x[0, k]), module(x[0, k]), **close)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.float32, 1e-3)])
@pytest.mark.parametrize("case", NETS)
def test_fifty_steps_of_gradient_descent_are_those_of_the_module_alone(
    case: str, dtype: torch.dtype, tolerance: float
):
    build, shape = NETS[case]
    modules = made(build, dtype)
    stack = Stack(modules)
    rates = torch.tensor([[0.003], [0.01], [0.02]], dtype=dtype)
    stack.seed_noise([1, 2, 3])
    x = batches(shape, dtype, 50)
    losses = torch.empty(50, K, dtype=dtype)
    for step, batch in enumerate(x):
        stack.zero_gradients()
        loss = sum_of_losses(stack(batch) - 1)
        loss.sum().backward()
        losses[step] = loss.detach()
        stack.values.sub_(rates * stack.gradients)
    for k, module in enumerate(modules):
        torch.manual_seed(1 + k)
        optimiser = torch.optim.SGD(module.parameters(), lr=float(rates[k]))
        for step, batch in enumerate(x):
            optimiser.zero_grad()
            loss = sum_of_losses(module(batch[k]).unsqueeze(0) - 1).sum()
            loss.backward()
            optimiser.step()
            assert float(losses[step, k]) == pytest.approx(loss.item(), rel=tolerance)
    assert (losses[-5:].mean(0) < losses[:5].mean(0)).all()


@pytest.mark.parametrize("case", NETS)
def test_a_diverged_instance_leaves_its_neighbours_as_they_are(case: str):
    build, shape = NETS[case]
    x = batches(shape, torch.float32, 1)[0]
    results = []
    for poison in (None, torch.nan):
        stack = Stack(made(build, torch.float32))
        if poison is not None:
            stack.values[1] = poison
        y = stack(x)
        sum_of_losses(y).sum().backward()
        results.append((y.detach(), stack.gradients))
    (y, gradients), (poisoned, poisoned_gradients) = results
    assert poisoned[1].isnan().all()
    for k in (0, 2):
        assert torch.equal(y[k], poisoned[k])
        assert torch.equal(gradients[k], poisoned_gradients[k])


@pytest.mark.parametrize("case", NETS)
def test_kept_instances_go_on_as_if_nothing_happened(case: str):
    build, shape = NETS[case]
    first, second = batches(shape, torch.float64, 2)
    whole, kept = (Stack(made(build, torch.float64)) for _ in range(2))
    for stack in (whole, kept):
        stack.seed_noise([4, 5, 6])
        sum_of_losses(stack(first)).sum().backward()
    kept.keep([2, 0])
    assert kept.n_instances == 2
    torch.testing.assert_close(kept.gradients, whole.gradients[[2, 0]], rtol=0, atol=0)
    y, all_y = kept(second[[2, 0]]), whole(second)
    torch.testing.assert_close(y, all_y[[2, 0]])
    sum_of_losses(y).sum().backward()
    sum_of_losses(all_y).sum().backward()
    torch.testing.assert_close(kept.gradients, whole.gradients[[2, 0]])
    for position, k in enumerate([2, 0]):
        torch.testing.assert_close(kept.state_dict(position), whole.state_dict(k))


@pytest.mark.parametrize("n_examples", [1, 2])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("case", sorted(set(NETS) - {"residual", "series"}))  # whose BatchNorm refuses one example
def test_a_small_last_batch(case: str, n: int, n_examples: int):
    build, shape = NETS[case]
    modules = made(build, torch.float64, n)
    stack = Stack(modules)
    stack.seed_noise(range(n))
    x = batches(shape, torch.float64, 1, n)[0][:, :n_examples]
    y = stack(x)
    sum_of_losses(y).sum().backward()
    for k, module in enumerate(modules):
        torch.manual_seed(k)
        alone = module(x[k])
        sum_of_losses(alone.unsqueeze(0)).sum().backward()
        torch.testing.assert_close(y[k], alone, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(stack.gradients[k], flat_gradients(module), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("slope", [-0.4, 0.0, 0.3])
def test_pooling_before_a_prelu_is_right_for_slopes_of_either_sign(slope: float):
    modules = made(lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.PReLU(2, init=slope), nn.MaxPool2d(2)), torch.float64)
    with torch.no_grad():
        modules[1][1].weight.fill_(0.2)
    stack = Stack(modules)
    x = batches((1, 7, 7), torch.float64, 1)[0] - 0.5
    y = stack(x)
    sum_of_losses(y).sum().backward()
    for k, module in enumerate(modules):
        alone = module(x[k])
        sum_of_losses(alone.unsqueeze(0)).sum().backward()
        torch.testing.assert_close(y[k], alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(stack.gradients[k], flat_gradients(module), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.4), nn.Dropout(0.0), nn.Dropout(1.0), nn.Dropout1d(0.5), nn.Dropout2d(0.5)], ids=str
)
def test_dropout_draws_what_the_module_alone_draws(layer: nn.Module):
    shape = (3, 4, 4) if isinstance(layer, nn.Dropout2d) else (3, 4)
    modules = [nn.Sequential(layer, nn.Flatten(), nn.Dropout(0.3)) for _ in range(K)]
    stack = Stack(modules)
    x = 1 + batches(shape, torch.float32, 4)
    for _ in range(2):  # seeded anew, it starts anew
        stack.seed_noise([100, 7, 7])
        y = torch.stack([stack(batch) for batch in x])
        for k, seed in enumerate([100, 7, 7]):
            torch.manual_seed(seed)
            assert torch.equal(y[:, k], torch.stack([modules[k](batch) for batch in x[:, k]]))
