"""Rewrites a graph into one that computes the same with less work.

Called when a stack is made. Knows what graphs look like, not how they are run.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import fx, nn

_RISING = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh)
_RISING_FUNCTIONS = {F.relu, torch.relu, F.relu6, F.sigmoid, torch.sigmoid, F.tanh, torch.tanh}
_RISING_METHODS = {"relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_"}
_ELEMENTWISE = (*_RISING, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.GELU, nn.SiLU)
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
_POOL_FUNCTIONS = {F.max_pool1d, F.max_pool2d, torch.max_pool1d, torch.max_pool2d}

Question = Callable[[fx.Node, nn.Module], bool]


def simplify(graph: fx.Graph, root: nn.Module) -> None:
    """Pool and flatten before activations instead of after them.

    The largest of f(x) is f of the largest x where f never falls: the same numbers, from a quarter of the work for
    pools of 2 x 2. The gradient goes to the same x, except where two different x of a window have the same rounded
    f(x): then it goes to the larger x, not to the first one. A PReLU falls where its slope is negative, which only
    the values tell: its node is marked with the pool, and the program decides when it runs. Flattening images that
    come from a convolution copies them into another order; an activation after it finds values and gradients in one.

    Args:
        graph: changed in place.
        root: the module that it is the graph of.

    Example:
        >>> from robust_select.train.nn.stacking.tracing import trace
        >>> model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        >>> graph = trace(model, training=True)
        >>> simplify(graph, model)
        >>> [node.target for node in graph.nodes if node.op == "call_module"]
        ['1', '2', '0']
    """
    for node in list(graph.nodes):
        if _is_pool(node, root):
            _pull_before(node, root, _is_rising)
            _join_prelu(node, root)
        elif _is_flatten(node, root):
            _pull_before(node, root, _is_elementwise)


def _pull_before(node: fx.Node, root: nn.Module, may_follow: Question) -> None:
    """Move a node before the nodes that feed it alone."""
    before = _source(node)
    while before is not None and list(before.users) == [node] and may_follow(before, root):
        source = _source(before)
        if source is None:
            return
        node.replace_all_uses_with(before)
        node.args = (source, *node.args[1:])
        before.args = (node, *before.args[1:])
        node.append(before)
        before = source


def _join_prelu(pool: fx.Node, root: nn.Module) -> None:
    """Mark a PReLU that feeds a pool alone with that pool, which then goes."""
    before = _source(pool)
    if before is None or list(before.users) != [pool] or {pool.op, before.op} != {"call_module"}:
        return
    if isinstance(root.get_submodule(str(before.target)), nn.PReLU):
        before.meta["pool"] = str(pool.target)
        pool.replace_all_uses_with(before)
        pool.graph.erase_node(pool)


def _source(node: fx.Node) -> fx.Node | None:
    """Give the node that is this one's first argument."""
    return node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None


def _is_pool(node: fx.Node, root: nn.Module) -> bool:
    if node.op == "call_module":
        return isinstance(root.get_submodule(str(node.target)), _POOLS)
    return node.op == "call_function" and node.target in _POOL_FUNCTIONS


def _is_flatten(node: fx.Node, root: nn.Module) -> bool:
    if node.op == "call_module":
        return isinstance(root.get_submodule(str(node.target)), nn.Flatten)
    return (node.op == "call_function" and node.target is torch.flatten) or (
        node.op == "call_method" and node.target == "flatten"
    )


def _is_rising(node: fx.Node, root: nn.Module) -> bool:
    """Say whether a node is an elementwise function that never falls."""
    if node.op == "call_function":
        return node.target in _RISING_FUNCTIONS
    if node.op == "call_method":
        return node.target in _RISING_METHODS
    if node.op != "call_module":
        return False
    layer = root.get_submodule(str(node.target))
    if isinstance(layer, nn.LeakyReLU):
        return layer.negative_slope >= 0
    if isinstance(layer, nn.ELU):
        return layer.alpha >= 0
    if isinstance(layer, nn.Softplus):
        return layer.beta > 0
    return isinstance(layer, _RISING)


def _is_elementwise(node: fx.Node, root: nn.Module) -> bool:
    """Say whether a node is an elementwise function of one value."""
    if node.op == "call_module":
        return isinstance(root.get_submodule(str(node.target)), _ELEMENTWISE)
    return _is_rising(node, root)
