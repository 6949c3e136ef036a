"""The layers' arithmetic for K instances at once.

Called by the rules for modules and for functions. Knows tensors only: x is (K, B, ...), parameters are (K, *shape).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from robust_select.train.nn.stacking.noise import Noise
from robust_select.train.nn.stacking.stacked import dimension, joined, parted

Size = int | tuple[int, ...]


class _Linear(torch.autograd.Function):
    """A product whose gradients come out as its factors lie in memory, which autograd's own do not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        turned = weight.transpose(1, 2)
        return torch.bmm(x, turned) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, turned)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            torch.bmm(grad, weight) if needs_x else None,
            torch.bmm(grad.transpose(1, 2), x) if needs_weight else None,
            grad.sum(1) if needs_bias else None,
        )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply ``F.linear``: (K, B, ..., F) by weights (K, O, F) to (K, B, ..., O)."""
    rows = x if x.dim() == 3 else x.reshape(x.shape[0], -1, x.shape[-1])
    y: Tensor = _Linear.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    return y if x.dim() == 3 else y.view(*x.shape[:-1], y.shape[-1])


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Apply ``F.conv1d`` or ``F.conv2d`` as one grouped convolution in channels_last.

    Args:
        x: (K, B, C, *S), S of one or two dimensions.
        weight: (K, O, C / groups, *kernel).
        bias: (K, O).
        stride: as in torch.
        padding: as in torch.
        dilation: as in torch.
        groups: as in torch, of one instance.

    Returns:
        (K, B, O, *S), in memory (B, *S, K, O).
    """
    images, n_spatial = _images(x)
    if n_spatial == 1:
        weight = weight.unsqueeze(3)
    # the one copy that brings the weights out of the flat buffer also puts them into channels_last
    filters = weight.permute(0, 1, 3, 4, 2).flatten(0, 1).permute(0, 3, 1, 2)
    y = F.conv2d(
        _channels_last(images),
        filters,
        _flat(bias),
        _two(stride, n_spatial, 1),
        padding if isinstance(padding, str) else _two(padding, n_spatial, 0),
        _two(dilation, n_spatial, 1),
        groups * x.shape[0],
    )
    return _series(y, x)


def max_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Apply ``F.max_pool1d`` or ``F.max_pool2d`` to (K, B, C, *S)."""
    images, n_spatial = _images(x)
    kernel = _two(kernel_size, n_spatial, 1)
    step = _two(stride, n_spatial, 1) if stride else kernel
    y = F.max_pool2d(images, kernel, step, _two(padding, n_spatial, 0), _two(dilation, n_spatial, 1), ceil_mode)
    return _series(y, x)


def avg_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Apply ``F.avg_pool1d`` or ``F.avg_pool2d`` to (K, B, C, *S)."""
    images, n_spatial = _images(x)
    kernel = _two(kernel_size, n_spatial, 1)
    step = _two(stride, n_spatial, 1) if stride else kernel
    zeros = _two(padding, n_spatial, 0)
    return _series(F.avg_pool2d(images, kernel, step, zeros, ceil_mode, count_include_pad, divisor_override), x)


def adaptive_pool(function: Callable[..., Tensor], x: Tensor, output_size: Size | None) -> Tensor:
    """Apply an adaptive pooling of images, such as ``F.adaptive_avg_pool2d``, to (K, B, C, *S)."""
    images, n_spatial = _images(x)
    size = output_size if n_spatial == 2 else _two(output_size or x.shape[-1], 1, 1)
    return _series(function(images, size), x)


def prelu(x: Tensor, slopes: Tensor) -> Tensor:
    """Apply ``F.prelu``: x (K, B, C, *S) or (K, B), slopes (K, C) or (K, 1)."""
    if x.dim() == 2:
        return F.prelu(x.t(), slopes.flatten()).t()
    spread = slopes.expand(-1, x.shape[2]) if slopes.shape[1] == 1 else slopes
    return parted(F.prelu(joined(x), spread.flatten()), x.shape[0])


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Apply ``F.batch_norm`` to (K, B, C, *S); the running statistics (K, C) are changed in place."""
    mean, variance = _flat(running_mean), _flat(running_var)
    images = joined(x)
    if images.dim() == 4 and images.shape[0] == 1:
        images = _channels_last(images)
    y = F.batch_norm(images, mean, variance, _flat(weight), _flat(bias), training, momentum, eps)
    return parted(y, x.shape[0])


def group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Apply ``F.group_norm`` to (K, B, C, *S), weights (K, C)."""
    y = F.group_norm(joined(x), num_groups * x.shape[0], _flat(weight), _flat(bias), eps)
    return parted(y, x.shape[0])


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Apply ``F.layer_norm`` to (K, B, ..., *shape), weights (K, *shape)."""
    y = F.layer_norm(x, list(normalized_shape), eps=eps)
    ones = [1] * (x.dim() - 1 - len(normalized_shape))
    if weight is not None:
        y = y * weight.view(weight.shape[0], *ones, *weight.shape[1:])
    if bias is not None:
        y = y + bias.view(bias.shape[0], *ones, *bias.shape[1:])
    return y


def dropout(x: Tensor, p: float, training: bool, noise: Noise, n_shared: int = 0) -> Tensor:
    """Apply ``F.dropout``, or ``F.dropout1d`` and ``F.dropout2d``, which drop whole channels.

    Args:
        x: (K, B, ...).
        p: probability that an element is dropped.
        training: else nothing is dropped.
        noise: where the masks come from.
        n_shared: this many last dimensions share one draw.
    """
    if not training or p == 0 or x.numel() == 0:
        return x
    if p == 1:
        return x * torch.zeros((), dtype=x.dtype, device=x.device)
    shape = [*x.shape[1 : x.dim() - n_shared], *[1] * n_shared]
    return x * noise.mask(shape, 1 - p, x.dtype)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Apply ``torch.flatten`` to (K, B, ...), the dimensions counted without K."""
    rank = x.dim() - 1
    if rank == 0:
        return x.unsqueeze(1)
    return x.flatten(dimension(start_dim, rank), dimension(end_dim, rank))


def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Apply ``F.pad`` to (K, B, ...)."""
    if mode == "constant":
        return F.pad(x, list(pad), mode, value)
    n_instances, batch, *_ = x.shape
    y = F.pad(x.flatten(0, 1), list(pad), mode)
    return y.view(n_instances, batch, *y.shape[1:])


def _images(x: Tensor) -> tuple[Tensor, int]:
    """Look at (K, B, C, *S) as images (B, K*C, H, W), a series as one of one row; also give the rank of S."""
    n_spatial = x.dim() - 3
    if n_spatial not in (1, 2):
        raise ValueError(
            f"expected a batch of series (B, C, L) or of images (B, C, H, W), came shape {tuple(x.shape[1:])}"
        )
    images = joined(x)
    return (images.unsqueeze(2) if n_spatial == 1 else images), n_spatial


class _Parted(torch.autograd.Function):
    """Looks at images (B, K*C, H, W) as (K, B, C, H, W) or (K, B, C, W); going back, puts gradients in channels_last.

    Gradients that come from a flatten are in another order, in which pooling is many times slower.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, n_instances: int, is_series: bool) -> Tensor:
        ctx.is_series = is_series
        return parted(images.squeeze(2) if is_series else images, n_instances)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        images = joined(grad)
        return _channels_last(images.unsqueeze(2) if ctx.is_series else images), None, None


def _series(images: Tensor, x: Tensor) -> Tensor:
    """Look at images (B, K*C, H, W) as x was: (K, B, C, *S)."""
    y: Tensor = _Parted.apply(images, x.shape[0], x.dim() == 4)  # type: ignore[no-untyped-call]
    return y


def _channels_last(images: Tensor) -> Tensor:
    """Lay out images (B, C, H, W) as (B, H, W, C), with the strides of that also where a size is 1.

    There strides mean nothing, but torch reads them: a convolution of one channel is then slow, and the gradients of
    one image are wrong (seen in 2.13, float64).
    """
    if 1 not in images.shape:
        return images.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = images.shape
    rows = images.permute(0, 2, 3, 1).reshape(-1)
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _flat(each: Tensor | None) -> Tensor | None:
    """Look at a channelwise parameter (K, C) as (K*C,)."""
    return None if each is None else each.flatten()


def _two(size: Size, n_spatial: int, neutral: int) -> Size:
    """Turn a size of a series into one of an image of one row."""
    if n_spatial == 2:
        return size
    (length,) = (size,) if isinstance(size, int) else size
    return (neutral, length)
