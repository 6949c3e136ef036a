"""K instances of one architecture as one function.

Made by ``make_stacks``, called by the fitting loop. Knows nothing of losses, optimisers or data.
"""

import copy
from collections.abc import Sequence
from itertools import zip_longest

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from robust_select.core.errors import InputError
from robust_select.train.nn.stacking.noise import Noise
from robust_select.train.nn.stacking.parameters import Parameters, check_alike, differ
from robust_select.train.nn.stacking.program import Program
from robust_select.train.nn.stacking.rewriting import simplify
from robust_select.train.nn.stacking.stacked import Stacked
from robust_select.train.nn.stacking.tracing import attribute, describe, skeleton, trace


class Stack:
    """K instances of one architecture, run as one function of stacked inputs.

    Instance k computes what its module alone would, from its own parameters, buffers and noise: no instance sees
    another. The modules are read once and never changed; ``module`` gives an instance back as one.

    Args:
        modules: K modules of the same structure, each with its own initial weights.

    Attributes:
        n_instances: K.
        values: (K, P), row k all trainable parameters of instance k, in the order of ``named_parameters``. Change it
            in place; ``keep`` makes a new one.
        gradients: (K, P), laid out alike; ``backward`` adds to it.

    Raises:
        InputError: the modules differ in structure.
        NotStackableError: a part of the module has no rule.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> stack = Stack([nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)) for _ in range(5)])
        >>> stack.values.shape
        torch.Size([5, 21])
        >>> y = stack(torch.ones(5, 32, 3))
        >>> y.shape
        torch.Size([5, 32, 1])
        >>> y.square().mean((1, 2)).sum().backward()  # the instances' losses add up, their gradients do not mix
        >>> bool((stack.gradients.abs().sum(1) > 0).all())
        True
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        check_alike(modules)
        first = modules[0]
        self._template = skeleton(first)
        self._root = skeleton(first)
        graphs = {mode: trace(self._root, mode) for mode in (True, False)}
        self._constants = _constants_of(graphs, self._root, modules)
        for graph in graphs.values():
            simplify(graph, self._root)
        self._parameters = Parameters(modules)
        self._noise = Noise(range(len(modules)), self.values.device)
        self._programs = {mode: Program(graph, self._root, self._noise) for mode, graph in graphs.items()}
        self.train(first.training)

    @property
    def n_instances(self) -> int:
        """K."""
        return self._parameters.values.shape[0]

    @property
    def values(self) -> Tensor:
        """All trainable parameters, (K, P)."""
        return self._parameters.values

    @property
    def gradients(self) -> Tensor:
        """Their gradients, (K, P)."""
        return self._parameters.gradients

    def train(self, mode: bool = True) -> None:
        """Switch to training, or to evaluation (``train(False)``), as ``nn.Module.train`` does."""
        self._root.train(mode)

    def seed_noise(self, seeds: Sequence[int]) -> None:
        """Seed the instances' dropout; before, the seeds are 0 to K - 1.

        Args:
            seeds: K of them; instance k then draws what its module alone draws after ``torch.manual_seed(seeds[k])``.

        Raises:
            InputError: there are not K seeds.
        """
        if len(seeds) != self.n_instances:
            raise InputError(f"expected a seed an instance, n_instances={self.n_instances}, came {len(seeds)} seeds")
        self._noise.seed(seeds)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Run every instance on its own batch.

        Args:
            inputs: (K, B, *features); the user's module sees (B, *features).

        Returns:
            (K, B, *outputs).

        Raises:
            InputError: the first dimension is not K.
            NotStackableError: the module uses a function in a way that has no rule.
        """
        if inputs.dim() < 2 or inputs.shape[0] != self.n_instances:
            raise InputError(
                f"expected inputs of shape (K, B, *features) with K={self.n_instances}, came shape "
                f"{tuple(inputs.shape)}: stack the instances' batches along a new first dimension"
            )
        tensors = self._parameters.read()
        return self._programs[self._root.training](inputs, tensors, self._constants)

    def zero_gradients(self) -> None:
        """Set all gradients to zero, before the next ``backward`` adds to them."""
        self._parameters.gradients.zero_()

    def keep(self, positions: Sequence[int]) -> None:
        """Drop all other instances: parameters, gradients, buffers and noise.

        Args:
            positions: which to keep, in the order that they get.

        Raises:
            InputError: a position does not exist or is given twice, or there is none.
        """
        chosen = [int(position) for position in positions]
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(self.n_instances)):
            raise InputError(
                f"expected different positions from 0 to {self.n_instances - 1} to keep, came positions={chosen}"
            )
        self._parameters.keep(chosen)
        self._noise.keep(chosen)
        self._constants = {name: _rows(value, chosen) for name, value in self._constants.items()}

    def module(self, k: int) -> nn.Module:
        """Give instance k as an ordinary module, a copy."""
        module = copy.deepcopy(self._template)
        self._parameters.write(k, module)
        module.train(self._root.training)
        return module

    def state_dict(self, k: int) -> dict[str, Tensor]:
        """Give the state dict of instance k, a copy."""
        return dict(self.module(k).state_dict())


def _rows(value: Stacked | Tensor, positions: Sequence[int]) -> Stacked | Tensor:
    return Stacked(value.tensor[list(positions)]) if isinstance(value, Stacked) else value


def _constants_of(
    graphs: dict[bool, fx.Graph], root: nn.Module, modules: Sequence[nn.Module]
) -> dict[str, Stacked | Tensor]:
    """Compare what the modules do, and gather the constants that they read.

    Args:
        graphs: of the first module, by mode.
        root: the first module's skeleton.
        modules: all of them.

    Returns:
        Constants by name: buffers and plain tensors that are the same in all modules as they are, plain tensors that
        differ stacked. Buffers that differ and parameters are left out.

    Raises:
        InputError: two modules do different things.
    """
    roots = [root]
    for position, module in enumerate(modules[1:], start=1):
        other = skeleton(module)
        for mode, graph in graphs.items():
            ours, theirs = describe(graph, root), describe(trace(other, mode), other)
            for mine, its in zip_longest(ours, theirs, fillvalue="nothing more"):
                if mine != its:
                    raise InputError(differ(position, its, mine))
        roots.append(other)
    changing = {
        str(node.target)
        for graph in graphs.values()
        for node in graph.nodes
        if any(user.target is F.batch_norm for user in node.users)
    }
    parameters = {id(parameter) for parameter in root.parameters()}
    buffers = {id(buffer) for buffer in root.buffers()}
    constants: dict[str, Stacked | Tensor] = {}
    for path in {str(node.target) for graph in graphs.values() for node in graph.nodes if node.op == "get_attr"}:
        tensors = [attribute(each, path) for each in roots]
        if id(tensors[0]) in parameters or path in changing:
            continue
        if all(torch.equal(tensors[0], tensor) for tensor in tensors[1:]):
            constants[path] = tensors[0].detach().clone()
        elif id(tensors[0]) not in buffers:
            constants[path] = Stacked(torch.stack(tensors))
    return constants
