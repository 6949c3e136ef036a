"""A graph as a list of steps that run on stacked values.

Made and run by stacks. Knows the rules by their tables only.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from robust_select.train.nn.stacking.errors import NotStackableError
from robust_select.train.nn.stacking.functions import FUNCTIONS, METHODS, NOISY
from robust_select.train.nn.stacking.kernels import prelu
from robust_select.train.nn.stacking.layers import LAYERS, LayerRule, State
from robust_select.train.nn.stacking.noise import Noise
from robust_select.train.nn.stacking.stacked import Stacked
from robust_select.train.nn.stacking.tracing import attribute, module_of

Values = list[Any]
Tensors = Mapping[str, Tensor]
Step = Callable[[Values, Tensors], Any]


class Program:
    """Runs a traced module on stacked values.

    Args:
        graph: what the module does in one mode.
        root: the traced module; its layers' settings are read whenever a step runs.
        noise: for dropout.
    """

    def __init__(self, graph: fx.Graph, root: nn.Module, noise: Noise) -> None:
        nodes = list(graph.nodes)
        slots = {node: slot for slot, node in enumerate(nodes)}
        last_use = {node: max(node.users, key=slots.__getitem__, default=None) for node in nodes}
        names = {id(tensor): name for name, tensor in (*root.named_parameters(), *root.named_buffers())}
        inputs = [node for node in nodes if node.op == "placeholder"]
        self._n_slots = len(nodes)
        self._input = slots[inputs[0]]
        self._output = slots[nodes[-1].args[0]]
        self._defaults = [(slots[node], node.args[0]) for node in inputs[1:]]
        self._reads = [
            (slots[node], str(node.target), names.get(id(attribute(root, str(node.target)))))
            for node in nodes
            if node.op == "get_attr"
        ]
        self._steps = [
            (
                slots[node],
                _step(node, root, names, noise, slots),
                tuple(slots[other] for other in node.all_input_nodes if last_use[other] is node),
                node,
            )
            for node in nodes
            if node.op.startswith("call_")
        ]

    def __call__(self, x: Tensor, tensors: Tensors, constants: Mapping[str, Stacked | Tensor]) -> Tensor:
        """Run it: (K, B, *features) to (K, B, *outputs).

        Args:
            x: the inputs.
            tensors: all parameters and buffers (K, *shape) by name.
            constants: further tensors that ``forward`` reads, by path; they go before parameters and buffers.

        Raises:
            NotStackableError: a step has no rule for these arguments.
        """
        values: Values = [None] * self._n_slots
        values[self._input] = Stacked(x)
        for slot, default in self._defaults:
            values[slot] = default
        for slot, path, name in self._reads:
            values[slot] = constants[path] if path in constants or name is None else Stacked(tensors[name])
        at: fx.Node | None = None
        try:
            for slot, step, done, node in self._steps:
                at = node
                values[slot] = step(values, tensors)
                for other in done:
                    values[other] = None
        except NotStackableError as error:
            raise NotStackableError(error.module or _place(at), error.kind, error.reason) from None
        except TypeError as error:  # torch takes these arguments, the rule does not: the module alone may run
            raise NotStackableError(
                _place(at), _kind(at), f"no rule is known for such arguments ({error})"
            ) from error
        except Exception as error:  # a shape that does not fit, say: tell where, in the user's words
            error.add_note(f"in {_place(at) or 'the forward'}, when {x.shape[0]} instances ran as one on {_shown(x)}")
            raise
        result = values[self._output]
        if not isinstance(result, Stacked):
            raise NotStackableError("", "forward()", "its output does not depend on its input")
        return result.tensor


def _place(node: fx.Node | None) -> str:
    if node is None:
        return ""
    return str(node.target) if node.op == "call_module" else module_of(node)


def _kind(node: fx.Node | None) -> str:
    if node is None:
        return ""
    if node.op == "call_method":
        return f".{node.target}()"
    return f"{getattr(node.target, '__name__', node.target)}()"


def _shown(x: Tensor) -> str:
    return f"inputs of shape (K, B, *features) = {tuple(x.shape)}"


def _step(
    node: fx.Node, root: nn.Module, names: Mapping[int, str], noise: Noise, slots: Mapping[fx.Node, int]
) -> Step:
    if node.op == "call_module":
        return _layer_step(node, root, names, noise, slots)
    if node.op == "call_method":
        rule = METHODS[str(node.target)]
    elif node.target in NOISY:
        rule = partial(NOISY[node.target], noise=noise)
    else:
        rule = FUNCTIONS[node.target]
    args = [_argument(arg, slots) for arg in node.args]
    kwargs = {name: _argument(arg, slots) for name, arg in node.kwargs.items()}

    def run(values: Values, _: Tensors) -> Any:
        return rule(*[arg(values) for arg in args], **{name: arg(values) for name, arg in kwargs.items()})

    return run


def _layer_step(
    node: fx.Node, root: nn.Module, names: Mapping[int, str], noise: Noise, slots: Mapping[fx.Node, int]
) -> Step:
    source = slots[node.all_input_nodes[0]]
    layer = root.get_submodule(str(node.target))
    own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
    local = [(name, names[id(tensor)]) for name, tensor in own]
    rule = LAYERS[type(layer)]
    if "pool" in node.meta:
        rule = _prelu_and_pool(root.get_submodule(node.meta["pool"]))

    def run(values: Values, tensors: Tensors) -> Stacked:
        state = {name: tensors[full] for name, full in local}
        return Stacked(rule(layer, state, values[source].tensor, noise))

    return run


def _prelu_and_pool(pool: nn.Module) -> LayerRule:
    """Make the rule of a PReLU and a max pooling after it: pools first unless a slope is zero or negative."""
    pooling = LAYERS[type(pool)]

    def run(_: nn.PReLU, state: State, x: Tensor, noise: Noise) -> Tensor:
        slopes = state["weight"]
        if bool((slopes.detach() <= 0).any()):
            return pooling(pool, {}, prelu(x, slopes), noise)
        return prelu(pooling(pool, {}, x, noise), slopes)

    return run


def _argument(arg: Any, slots: Mapping[fx.Node, int]) -> Callable[[Values], Any]:
    """Compile an argument: a node's value, a sequence or slice of such, or a constant."""
    if isinstance(arg, fx.Node):
        slot = slots[arg]
        return lambda values: values[slot]
    if isinstance(arg, (tuple, list)):
        parts = [_argument(part, slots) for part in arg]
        return lambda values: tuple([part(values) for part in parts])
    if isinstance(arg, slice):
        ends = [_argument(end, slots) for end in (arg.start, arg.stop, arg.step)]
        return lambda values: slice(*[end(values) for end in ends])
    return lambda _: arg
