"""Counts the work of training a module.

Called by the throughput benchmark. Knows nothing of stacks.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def flops_of(module: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the floating-point operations of one training step, per example.

    Convolutions and matrix products of the forward and the backward pass, a multiply-add as two; so about 6 for each
    weight and place where it is used. The gradient with respect to the input is not counted, for nobody needs it.
    Activations, pooling, normalisation and the optimiser count as nothing.

    Args:
        module: any module.
        input_shape: of one example, without the batch.

    Example:
        >>> flops_of(nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1)), [10])
        920
    """
    n_examples = 2  # one alone would not do for a BatchNorm
    copied = copy.deepcopy(module)
    like = next(copied.parameters(), torch.zeros(0))
    counts = {torch.ops.aten.convolution_backward: _convolution_backward}
    counter = FlopCounterMode(display=False, custom_mapping=counts)
    with torch.random.fork_rng(devices=[]), counter:
        copied(torch.zeros(n_examples, *input_shape, dtype=like.dtype, device=like.device)).sum().backward()
    return int(counter.get_total_flops()) // n_examples


def _convolution_backward(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    *settings: Any,
    **_: Any,
) -> int:
    """Count the backward pass of a convolution; torch's own count is wrong where there are groups (in 2.13)."""
    _, _, _, _, is_transposed, _, _, output_mask = settings
    once: int = 2 * math.prod(x_shape if is_transposed else grad_shape) * math.prod(weight_shape[1:])
    return once * (int(output_mask[0]) + int(output_mask[1]))
