"""From a module to a graph of known steps.

Called when a stack is made. Knows which layers and functions have rules, not what the rules do.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from robust_select.train.nn.stacking.errors import NotStackableError
from robust_select.train.nn.stacking.functions import FUNCTIONS, METHODS, NOISY
from robust_select.train.nn.stacking.layers import LAYERS


def skeleton(module: nn.Module) -> nn.Module:
    """Copy a module, all but its parameters, which both then share.

    Tracing leaves constants in the module that it traces, runs what its ``forward`` does to its buffers, and stacks
    switch modes: not in the user's.
    """
    return copy.deepcopy(module, {id(tensor): tensor for tensor in module.parameters()})


def trace(root: nn.Module, training: bool) -> fx.Graph:
    """Write down what a module's ``forward`` does in one mode.

    Args:
        root: a skeleton; it is left in that mode, and with the constants that ``forward`` makes.
        training: which mode, since ``forward`` may ask for it.

    Returns:
        A graph each of whose nodes has a rule.

    Raises:
        NotStackableError: ``forward`` depends on the data, draws random numbers, changes what the module holds, or
            does something without a rule; or something has hooks.

    Example:
        >>> graph = trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), training=True)
        >>> [node.op for node in graph.nodes]
        ['placeholder', 'call_module', 'call_module', 'output']
    """
    root.train(training)
    _check_hooks("", root)
    tracer = _Tracer()
    state, held = torch.random.get_rng_state(), _held(root)
    try:
        graph = tracer.trace(root)
    except NotStackableError:
        raise
    except Exception as error:  # the user's forward, run on stand-ins, may raise anything
        reason = f"its forward cannot be written down without data ({type(error).__name__}: {error})"
        raise NotStackableError(tracer.where(), tracer.kind(root), reason) from error
    drew = not torch.equal(state, torch.random.get_rng_state())
    torch.random.set_rng_state(state)
    if drew:
        raise NotStackableError("", type(root).__name__, "its forward draws random numbers that do not depend on x")
    _check_held(held)
    _check(graph, root)
    return graph


def describe(graph: fx.Graph, root: nn.Module) -> list[str]:
    """Write a graph and its layers' settings as text, so that two of them can be compared."""
    lines = []
    for node in graph.nodes:
        what = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", repr(node.target))
        if node.op == "call_module":
            layer = root.get_submodule(str(node.target))
            what = f"{what}: {type(layer).__name__}({layer.extra_repr()})"
        lines.append(f"{what} of {', '.join(map(str, (*node.args, *node.kwargs.items())))}")
    return lines


class _Tracer(fx.Tracer):
    """Knows layers with a rule as single steps, and remembers where it is."""

    def __init__(self) -> None:
        super().__init__()
        self._path: list[tuple[str, nn.Module]] = []

    def where(self) -> str:
        return self._path[-1][0] if self._path else ""

    def kind(self, root: nn.Module) -> str:
        return type(self._path[-1][1] if self._path else root).__name__

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in LAYERS

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        name = self.path_of_module(m)
        self._path.append((name, m))
        made = type(m).__module__
        if type(m) not in LAYERS and made.startswith("torch.nn.modules.") and not _is_container(m):
            raise NotStackableError(name, type(m).__name__, "no rule is known for this kind of layer")
        _check_hooks(name, m)
        result = super().call_module(m, forward, args, kwargs)
        self._path.pop()
        return result


def _is_container(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.container"


def _check(graph: fx.Graph, root: nn.Module) -> None:
    """Refuse what has no rule.

    Raises:
        NotStackableError: naming the first such thing.
    """
    inputs = 0
    for node in graph.nodes:
        where = module_of(node)
        if node.op == "placeholder":
            inputs += 1
            if inputs > 1 and not node.args:
                reason = f"expected a forward with one argument, came a further one, {node.target!r}"
                raise NotStackableError(where, type(root).__name__, reason)
        elif node.op == "call_module":
            _check_layer(node, root)
        elif node.op == "call_function" and node.target not in FUNCTIONS and node.target not in NOISY:
            name = getattr(node.target, "__name__", repr(node.target))
            raise NotStackableError(where, f"{name}()", "no rule is known for this function")
        elif node.op == "call_method" and node.target not in METHODS:
            raise NotStackableError(where, f".{node.target}()", "no rule is known for this method of tensors")
        elif node.op == "output" and not isinstance(node.args[0], fx.Node):
            raise NotStackableError("", type(root).__name__, "expected a forward that returns one tensor")
        if _is_in_place(node, root) and _is_seen_later(node):
            reason = "it changes in place a value that is used again, or that the module keeps"
            name = str(node.target) if node.op == "call_module" else where
            raise NotStackableError(name, str(getattr(node.target, "__name__", node.target)), reason)


def _check_layer(node: fx.Node, root: nn.Module) -> None:
    layer = root.get_submodule(str(node.target))
    if len(node.args) != 1 or node.kwargs or not isinstance(node.args[0], fx.Node):
        raise NotStackableError(str(node.target), type(layer).__name__, "it is called with more than one tensor")
    if getattr(layer, "return_indices", False):
        raise NotStackableError(str(node.target), type(layer).__name__, "it returns indices")
    if isinstance(layer, (nn.Softmax, nn.LogSoftmax)) and layer.dim is None:
        raise NotStackableError(str(node.target), type(layer).__name__, "it has no dim")


def _check_hooks(name: str, module: nn.Module) -> None:
    """Refuse hooks, of a module or of its own parameters.

    Raises:
        NotStackableError: naming the module.
    """
    kinds = {
        "forward hooks": module._forward_hooks or module._forward_pre_hooks,
        "backward hooks": module._backward_hooks or module._backward_pre_hooks,
        "hooks of its parameters": any(
            each._backward_hooks or each._post_accumulate_grad_hooks for each in module.parameters(recurse=False)
        ),
    }
    for kind, found in kinds.items():
        if found:
            raise NotStackableError(name, type(module).__name__, f"it has {kind}, which a stack would not call")


class _Held(NamedTuple):
    """What a module holds besides parameters and submodules: a buffer, a tensor, a number or a text."""

    path: str
    module: nn.Module
    name: str
    value: Any
    copied: Any


def _held(root: nn.Module) -> list[_Held]:
    """Note what modules hold, so that it shows what a ``forward`` changes; it runs only once, when it is traced."""
    return [
        _Held(path, module, name, value, value.detach().clone() if isinstance(value, Tensor) else value)
        for path, module in root.named_modules()
        for name, value in (*vars(module).items(), *module._buffers.items())
        if isinstance(value, (Tensor, bool, int, float, str))
    ]


def _check_held(held: list[_Held]) -> None:
    """Refuse a ``forward`` that changes what its modules hold.

    Raises:
        NotStackableError: naming the first such thing.
    """
    for path, module, name, value, copied in held:
        now = getattr(module, name, None)
        if isinstance(now, fx.Proxy):  # kept for later only: nothing of the graph reads it
            continue
        if isinstance(value, Tensor):
            is_same = torch.equal(torch.nan_to_num(value), torch.nan_to_num(copied)) and now is value
        else:
            is_same = type(now) is type(copied) and (now == copied or now != now)
        if not is_same:
            raise NotStackableError(path, type(module).__name__, f"its forward changes {name!r}, which it keeps")


def module_of(node: fx.Node) -> str:
    """Name the module whose ``forward`` made this node."""
    stack = node.meta.get("nn_module_stack")
    return str(next(reversed(stack))) if stack else ""


def _is_in_place(node: fx.Node, root: nn.Module) -> bool:
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(str(node.target)), "inplace", False))
    ends = node.op == "call_method" and str(node.target).endswith("_")
    return ends or bool(node.kwargs.get("inplace", False))


def _is_seen_later(node: fx.Node) -> bool:
    changed = node.args[0]
    if not isinstance(changed, fx.Node):
        return False
    if changed.op == "get_attr":  # a buffer, or a parameter
        return True
    order = {each: position for position, each in enumerate(node.graph.nodes)}
    return any(order[user] > order[node] for user in changed.users)


def attribute(root: nn.Module, path: str) -> Any:
    """Look up what a ``get_attr`` node means.

    Args:
        root: the traced skeleton.
        path: with dots.
    """
    found: Any = root
    for name in path.split("."):
        found = getattr(found, name)
    if not isinstance(found, Tensor):
        raise NotStackableError(path, type(found).__name__, "expected a tensor as an attribute used in forward")
    return found
