"""The rules for modules: which kinds can be stacked, and how each is run.

Read by the tracer (what is one step of a graph) and by programs. Knows nothing of graphs.

A rule gets the layer (its settings), the stacked parameters and buffers by their names in the layer, x (K, B, ...)
and the noise, and gives (K, B, ...).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from robust_select.train.nn.stacking import kernels
from robust_select.train.nn.stacking.noise import Noise
from robust_select.train.nn.stacking.stacked import dimension

State = Mapping[str, Tensor]
LayerRule = Callable[[Any, State, Tensor, Noise], Tensor]


def _linear(_: nn.Linear, state: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.linear(x, state["weight"], state.get("bias"))


def _convolution(layer: nn.Conv1d | nn.Conv2d, state: State, x: Tensor, _: Noise) -> Tensor:
    padding: Any = layer.padding
    if layer.padding_mode != "zeros":
        x = kernels.pad(x, layer._reversed_padding_repeated_twice, layer.padding_mode)
        padding = 0
    return kernels.convolve(
        x, state["weight"], state.get("bias"), layer.stride, padding, layer.dilation, layer.groups
    )


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, state: State, x: Tensor, _: Noise) -> Tensor:
    mean, variance = state.get("running_mean"), state.get("running_var")
    momentum = 0.0 if layer.momentum is None else layer.momentum
    if layer.training and "num_batches_tracked" in state:
        state["num_batches_tracked"].add_(1)
        if layer.momentum is None:  # the average of all batches so far
            momentum = 1 / float(state["num_batches_tracked"][0])
    training = layer.training or mean is None
    return kernels.batch_norm(
        x, mean, variance, state.get("weight"), state.get("bias"), training, momentum, layer.eps
    )


def _group_norm(layer: nn.GroupNorm, state: State, x: Tensor, _: Noise) -> Tensor:
    return kernels.group_norm(x, layer.num_groups, state.get("weight"), state.get("bias"), layer.eps)


def _layer_norm(layer: nn.LayerNorm, state: State, x: Tensor, _: Noise) -> Tensor:
    return kernels.layer_norm(x, layer.normalized_shape, state.get("weight"), state.get("bias"), layer.eps)


def _prelu(_: nn.PReLU, state: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.prelu(x, state["weight"])


def _max_pool(layer: nn.MaxPool1d | nn.MaxPool2d, _: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.max_pool(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)


def _avg_pool1d(layer: nn.AvgPool1d, _: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.avg_pool(
        x, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad
    )


def _avg_pool2d(layer: nn.AvgPool2d, _: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.avg_pool(
        x,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.ceil_mode,
        layer.count_include_pad,
        layer.divisor_override,
    )


def _adaptive_avg_pool(layer: Any, _: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.adaptive_pool(F.adaptive_avg_pool2d, x, layer.output_size)


def _adaptive_max_pool(layer: Any, _: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.adaptive_pool(F.adaptive_max_pool2d, x, layer.output_size)


def _dropout(n_shared: int) -> LayerRule:
    def run(layer: nn.Dropout, _: State, x: Tensor, noise: Noise) -> Tensor:
        return kernels.dropout(x, layer.p, layer.training, noise, n_shared)

    return run


def _flatten(layer: nn.Flatten, _: State, x: Tensor, __: Noise) -> Tensor:
    return kernels.flatten(x, layer.start_dim, layer.end_dim)


def _softmax(function: Callable[..., Tensor]) -> LayerRule:
    def run(layer: Any, _: State, x: Tensor, __: Noise) -> Tensor:
        return function(x, dimension(layer.dim, x.dim() - 1))

    return run


def _elementwise(layer: nn.Module, _: State, x: Tensor, __: Noise) -> Tensor:
    return layer(x)  # type: ignore[no-any-return]


def _leaky_relu(layer: nn.LeakyReLU, _: State, x: Tensor, __: Noise) -> Tensor:
    return F.leaky_relu(x, layer.negative_slope)


def _elu(layer: nn.ELU, _: State, x: Tensor, __: Noise) -> Tensor:
    return F.elu(x, layer.alpha)


LAYERS: dict[type[nn.Module], LayerRule] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.PReLU: _prelu,
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool1d: _avg_pool1d,
    nn.AvgPool2d: _avg_pool2d,
    nn.AdaptiveAvgPool1d: _adaptive_avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive_avg_pool,
    nn.AdaptiveMaxPool1d: _adaptive_max_pool,
    nn.AdaptiveMaxPool2d: _adaptive_max_pool,
    nn.Dropout: _dropout(0),
    nn.Dropout1d: _dropout(1),
    nn.Dropout2d: _dropout(2),
    nn.Flatten: _flatten,
    nn.Softmax: _softmax(F.softmax),
    nn.LogSoftmax: _softmax(F.log_softmax),
    # out of place, whatever the layer says: the tracer has made sure that nobody sees the difference
    nn.ReLU: lambda _, __, x, ___: F.relu(x),
    nn.LeakyReLU: _leaky_relu,
    nn.ELU: _elu,
    nn.SiLU: lambda _, __, x, ___: F.silu(x),
    nn.ReLU6: lambda _, __, x, ___: F.relu6(x),
    nn.GELU: _elementwise,
    nn.Sigmoid: _elementwise,
    nn.Tanh: _elementwise,
    nn.Softplus: _elementwise,
    nn.Softsign: _elementwise,
    nn.LogSigmoid: _elementwise,
    nn.Identity: _elementwise,
}
