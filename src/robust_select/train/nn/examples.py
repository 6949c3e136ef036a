"""The data as tensors: once in memory, shared with the arrays or files that they come from where that can be.

Called by the trainer beside this file. Knows nothing of modules or of instances.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robust_select.train.nn.data import Array, Data, as_trained

_N_FEW = 2


@dataclass(frozen=True)
class Examples:
    """The data as tensors on the device.

    Attributes:
        inputs: (N, *features) of the population.
        targets: (N, *) of the population.
        held_out_inputs: (M, *features).
        held_out_targets: (M, *).
        dtype: what bytes become, a batch at a time.
    """

    inputs: Tensor
    targets: Tensor
    held_out_inputs: Tensor
    held_out_targets: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, data: Data, dtype: str, device: str, has_labels: bool) -> "Examples":
        """Make tensors of data; nothing is copied that is in the right precision and on the right device.

        Args:
            data: arrays or mapped files.
            dtype: "float32" or "float64".
            device: where they go.
            has_labels: whether whole numbers among the targets are labels, or numbers like others.

        Example:
            >>> data = Data(np.zeros((4, 3)), np.arange(4), np.zeros((2, 3)), np.arange(2))
            >>> Examples.of(data, "float32", "cpu", has_labels=False).targets
            tensor([0., 1., 2., 3.])
        """
        inputs, held_out_inputs = (
            _tensor(as_trained(array, dtype)).to(device) for array in (data.inputs, data.held_out_inputs)
        )
        wanted = getattr(torch, dtype)
        targets, held_out_targets = (
            _tensor(as_trained(array, dtype)).to(device) for array in (data.targets, data.held_out_targets)
        )
        if not targets.is_floating_point():
            as_label = torch.int64 if has_labels else wanted
            targets, held_out_targets = targets.to(as_label), held_out_targets.to(as_label)
        return cls(inputs, targets, held_out_inputs, held_out_targets, wanted)

    def few(self) -> Tensor:
        """Give the inputs of a few examples, to try a module on."""
        return self.ready(self.inputs[:_N_FEW])

    def rows(self, n: int) -> Tensor:
        """Give (n,) positions in the population, from the first on, again and again."""
        return torch.arange(n, device=self.inputs.device) % len(self.inputs)

    def ready(self, inputs: Tensor) -> Tensor:
        """Turn inputs into what a module is given: bytes become floating-point numbers."""
        return inputs.to(self.dtype) if inputs.dtype == torch.uint8 else inputs


def _tensor(array: Array) -> Tensor:
    """Look at an array as a tensor, without a copy; nobody writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(array))
