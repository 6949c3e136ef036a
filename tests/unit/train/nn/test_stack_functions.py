"""Functions and methods in a forward: a stack gives what the module alone gives, dimension by dimension."""

import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from robust_select.train.nn.stacking import NotStackableError, Stack

SHAPED = {
    "+ number": lambda x, w: x + 1,
    "number -": lambda x, w: 2 - x,
    "* parameter": lambda x, w: x * w,
    "/ tensor": lambda x, w: x / (1 + x.sum(-1, keepdim=True)),
    "**": lambda x, w: x**2,
    "-": lambda x, w: -x,
    "abs": lambda x, w: (x - 0.5).abs(),
    "augmented": lambda x, w: operator.iadd(x * 2, x),
    "constant of the forward": lambda x, w: x * torch.tensor([1.0, -2.0, 3.0, 4.0]),
    "left of a higher rank": lambda x, w: w * x.sum((1, 2), keepdim=True),
    "where": lambda x, w: torch.where(x > 0.5, x, w),
    "maximum": lambda x, w: torch.maximum(x, w),
    "clamp": lambda x, w: x.clamp(0.2, 0.8) + torch.clamp(x, min=0.4),
    "exp log sqrt": lambda x, w: (x.exp() + 1).log().sqrt() + torch.rsqrt(1 + x),
    "sum": lambda x, w: x.sum(),
    "sum of one": lambda x, w: x.sum(1),
    "sum of the batch": lambda x, w: x - x.sum(0),
    "sum of two": lambda x, w: torch.sum(x, dim=(1, -1)),
    "mean keepdim": lambda x, w: x - x.mean(dim=-1, keepdim=True),
    "mean axis": lambda x, w: x.mean(axis=1),
    "named arguments": lambda x, w: torch.add(input=x, other=w) * torch.mul(x, other=w) + x.clamp(min=w / 2),
    "std and var by position": lambda x, w: x.std(1, False, True).sum(1) + x.var(1, False) + x.std(False),
    "std and var": lambda x, w: x.std(-1) + torch.var(x, 2, keepdim=True).sum(2),
    "amax": lambda x, w: x.amax((1, 2)),
    "max of one": lambda x, w: x.max(1)[0],
    "max by name": lambda x, w: torch.max(x, dim=2)[0],
    "max of all": lambda x, w: x - x.max(),
    "min of two": lambda x, w: torch.min(x, w),
    "logsumexp": lambda x, w: torch.logsumexp(x, 1),
    "softmax": lambda x, w: F.softmax(x, dim=1) + x.softmax(-1) + torch.log_softmax(x, 2),
    "cumsum": lambda x, w: x.cumsum(1),
    "cat": lambda x, w: torch.cat([x, 2 * x], 1),
    "cat last": lambda x, w: torch.cat((x, x.exp()), dim=-1),
    "cat of the batch": lambda x, w: torch.cat([x, x]),
    "stack": lambda x, w: torch.stack([x, x + 1], dim=-1),
    "stack first": lambda x, w: torch.stack([x, x + 1]).sum(0),
    "chunk": lambda x, w: x.chunk(2, dim=-1)[0] * x.chunk(2, -1)[1],
    "split": lambda x, w: torch.split(x, [1, 2], 1)[1],
    "flatten": lambda x, w: x.flatten(1),
    "flatten all": lambda x, w: torch.flatten(x),
    "flatten some": lambda x, w: torch.flatten(x, start_dim=-2, end_dim=-1),
    "view": lambda x, w: x.view(x.size(0), -1),
    "view of sizes": lambda x, w: x.view(x.shape[0], 2, x.shape[1] * x.shape[2] // 2),
    "reshape": lambda x, w: torch.reshape(x, (-1, 4)),
    "unpacked shape": lambda x, w: unpacked(x),
    "unsqueeze": lambda x, w: x.unsqueeze(1) + x.unsqueeze(-1).sum(-1).unsqueeze(1),
    "squeeze": lambda x, w: x[:, :1].squeeze(1) + torch.squeeze(x[:, :, 1:2].sum(1)).unsqueeze(1),
    "transpose": lambda x, w: x.transpose(1, -1),
    "permute": lambda x, w: x.permute(0, 2, 1) + torch.permute(x, (0, 2, 1)),
    "expand": lambda x, w: w.expand(x.size(0), -1) * x.sum(1) + w.expand(6, 4),
    "index": lambda x, w: x[:, 0],
    "index of the batch": lambda x, w: x[1:],
    "index with dots": lambda x, w: x[..., -1] + x[:, :, 2],
    "index with None": lambda x, w: x[:, None],
    "index with a step": lambda x, w: x[:, ::2, 1:3],
    "index with constants": lambda x, w: x[:, torch.tensor([2, 0, 2])],
    "matmul of matrices": lambda x, w: x @ x.transpose(1, 2),
    "matmul with a constant": lambda x, w: x @ torch.arange(8.0, dtype=torch.float64).view(4, 2),
    "constant matmul": lambda x, w: torch.matmul(torch.arange(6.0, dtype=torch.float64).view(2, 3), x),
    "matmul with a vector": lambda x, w: x @ w,
    "vector matmul": lambda x, w: w @ x.transpose(1, 2),
    "vectors": lambda x, w: (w @ w) * x,
    "attention": lambda x, w: F.scaled_dot_product_attention(x.unsqueeze(1), x.unsqueeze(1) * 2, x.unsqueeze(1)),
    "pad": lambda x, w: F.pad(x, (1, 2)),
    "pad reflect": lambda x, w: F.pad(x, (1, 2), mode="reflect"),
    "layer_norm": lambda x, w: F.layer_norm(x, (4,), w),
    "max_pool1d": lambda x, w: F.max_pool1d(F.relu(x - 0.5), 2),
    "avg_pool1d": lambda x, w: F.avg_pool1d(x, 2, stride=1),
    "adaptive": lambda x, w: F.adaptive_avg_pool1d(x, 2) + F.adaptive_max_pool1d(x, 2),
    "pool of images": lambda x, w: F.max_pool2d(x.unsqueeze(1), 2) + F.avg_pool2d(x.unsqueeze(1), 2),
    "linear": lambda x, w: F.linear(x, w.unsqueeze(0)),
    "conv1d": lambda x, w: F.conv1d(x, w.view(1, 1, 4).expand(3, 1, 4), groups=3),
    "prelu": lambda x, w: F.prelu(x - 0.5, w[:3]),
    "batch_norm": lambda x, w: F.batch_norm(x, None, None, w[:3], training=True),
    "group_norm": lambda x, w: F.group_norm(x, 3, w[:3]),
    "activations": lambda x, w: F.relu(x) * F.leaky_relu(x - 0.5, 0.3) + F.elu(x) * F.gelu(x) + F.silu(x),
    "in place": lambda x, w: F.relu(x - 0.5, inplace=True),
    "method in place": lambda x, w: (x - 0.5).relu_(),
    "dtype and device": lambda x, w: x * torch.ones(4, dtype=torch.float64).to(x.dtype),
    "clone detach contiguous": lambda x, w: x.clone().contiguous() + x.detach(),
    "dim": lambda x, w: x.sum(x.dim() - 1) / x.ndim,
}


def unpacked(x):
    b, c, n = x.shape
    return x.reshape(b * c, n)


class Function(nn.Module):
    """A forward that is one function of x (B, 3, 4) and a parameter (4,)."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.rand(4))

    def forward(self, x):
        return self.function(x * self.weight, self.weight)


@pytest.mark.parametrize("case", SHAPED)
def test_a_function_gives_what_it_gives_unstacked(case: str):
    torch.manual_seed(2)
    modules = [Function(SHAPED[case]).double() for _ in range(2)]
    x = torch.rand(2, 6, 3, 4, dtype=torch.float64)
    stack = Stack(modules)
    y = stack(x)
    y.square().sum().backward()
    for k, module in enumerate(modules):
        alone = module(x[k])
        alone.square().sum().backward()
        torch.testing.assert_close(y[k], alone, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(stack.gradients[k], module.weight.grad, rtol=1e-10, atol=1e-10)


REFUSED = {
    "a branch on the data": (lambda x, w: x if x.sum() > 0 else -x, "cannot be written down without data"),
    "the length of the batch": (lambda x, w: x.sum() if len(x) else x, "cannot be written down without data"),
    "unknown function": (lambda x, w: torch.fft.rfft(x), "no rule is known for this function"),
    "unknown method": (lambda x, w: x.roll(1, 1), "no rule is known for this method"),
    "random numbers of the input's shape": (lambda x, w: x + torch.randn_like(x), "no rule is known"),
    "random numbers": (lambda x, w: x + torch.randn(4), "draws random numbers"),
    "in place and seen later": (lambda x, w: F.relu(x, inplace=True) + x, "changes in place"),
    "indices of a pool": (lambda x, w: F.max_pool1d(x, 2, return_indices=True)[0], "no rule is known"),
    "several outputs": (lambda x, w: (x, w), "returns one tensor"),
}
REFUSED_WHEN_RUN = {
    "a mask": (lambda x, w: x[x > 0.5], "expected numbers, slices"),
    "unknown attribute": (lambda x, w: x.mT, "no rule is known for this attribute"),
    "a name that the rule does not know": (lambda x, w: torch.softmax(input=x, dim=1), "for such arguments"),
    "nothing of the input": (lambda x, w: torch.ones(3) * 2, "does not depend on its input"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_rule_is_refused_when_the_stack_is_made(case: str):
    function, reason = REFUSED[case]
    outer = nn.Sequential(nn.Identity(), nn.Sequential(Function(function)))
    with pytest.raises(NotStackableError, match=reason) as caught:
        Stack([outer, outer])
    assert caught.value.module in ("1.0", "")
    assert reason in caught.value.reason


@pytest.mark.parametrize("case", REFUSED_WHEN_RUN)
def test_what_has_no_rule_for_its_arguments_is_refused_when_it_runs(case: str):
    function, reason = REFUSED_WHEN_RUN[case]
    stack = Stack([Function(function), Function(function)])
    with pytest.raises(NotStackableError, match=reason):
        stack(torch.rand(2, 6, 3, 4))


@pytest.mark.parametrize("dim", [3, -4])
def test_a_dimension_that_the_module_does_not_see_is_not_the_stacks(dim: int):
    stack = Stack([Function(lambda x, w: x.sum(dim))])
    with pytest.raises(IndexError, match=rf"expected a dimension from -3 to 2, came dim={dim}"):
        stack(torch.rand(1, 6, 3, 4))
