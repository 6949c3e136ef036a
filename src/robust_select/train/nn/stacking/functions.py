"""The rules for functions and tensor methods that a ``forward`` may call.

Read by the tracer (what is known) and by programs. Knows nothing of modules or graphs.

A rule is called as the user's code calls the function, with ``Stacked`` values in place of tensors; where no argument
is stacked (sizes, shared constants) it does what the function does. Dimensions are those of the unstacked tensor.
"""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from robust_select.train.nn.stacking import kernels
from robust_select.train.nn.stacking.errors import NotStackableError
from robust_select.train.nn.stacking.stacked import Stacked, aligned, dimension, is_tensor, widened

Rule = Callable[..., Any]


class Extremes(NamedTuple):
    """What ``x.max(dim)`` gives."""

    values: Any
    indices: Any


def _elementwise(function: Rule) -> Rule:
    def run(*args: Any, inplace: bool = False, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if not any(isinstance(value, Stacked) for value in given):
            return function(*args, **kwargs)
        ready = aligned(given)
        return Stacked(function(*ready[: len(args)], **dict(zip(kwargs, ready[len(args) :], strict=True))))

    return run


def _by_dimension(function: Rule) -> Rule:
    """Make the rule of a function of ``(x, dim)`` that needs its dimension, such as softmax or cumsum."""

    def run(x: Any, dim: int, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("_stacklevel", None)
        if not isinstance(x, Stacked):
            return function(x, dim, *args, **kwargs)
        return _stacked(function(x.tensor, dimension(dim, x.rank), *args, **kwargs))

    return run


def _reduction(function: Rule) -> Rule:
    """Make the rule of a function of ``(x, dim=None, keepdim=False)``, such as sum."""

    def run(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, **kwargs: Any) -> Any:
        dim = axis if dim is None else dim
        if not isinstance(x, Stacked):
            return function(x, **kwargs) if dim is None else function(x, dim, keepdim=keepdim, **kwargs)
        if x.rank == 0:
            return Stacked(function(x.tensor.unsqueeze(1), 1, **kwargs))
        numbers = range(x.rank) if dim is None or dim == () else (dim,) if isinstance(dim, int) else dim
        dims = [dimension(number, x.rank) for number in numbers]
        return Stacked(function(x.tensor, dims[0] if isinstance(dim, int) else dims, keepdim=keepdim, **kwargs))

    return run


def _spread(function: Rule) -> Rule:
    """Make the rule of std or var: of ``(x, unbiased)`` or ``(x, dim=None, unbiased=True, keepdim=False)``."""
    reduce = _reduction(function)

    def run(x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **kwargs: Any) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        return reduce(x, dim, keepdim, **{"correction": int(unbiased), **kwargs})

    return run


def _extreme(one: Rule, over: Rule, between: Rule) -> Rule:
    """Make the rule of max or min: over everything, along a dimension, or of two tensors."""

    def run(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if is_tensor(dim):
            return _elementwise(between)(x, dim)
        if dim is None:
            return _reduction(over)(x)
        if not isinstance(x, Stacked):
            return one(x, dim, keepdim)
        values, indices = one(x.tensor, dimension(dim, x.rank), keepdim)
        return Extremes(Stacked(values), Stacked(indices))

    return run


def _joining(function: Rule, more: int) -> Rule:
    """Make the rule of cat (more=0) or stack (more=1): a sequence of tensors of equal rank, and a dimension."""

    def run(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Any:
        dim = dim if axis is None else axis
        given = list(tensors)
        stacked = [value for value in given if isinstance(value, Stacked)]
        if not stacked:
            return function(given, dim)
        n_instances = stacked[0].n_instances
        all_rows = [
            value.tensor if isinstance(value, Stacked) else value.expand(n_instances, *value.shape) for value in given
        ]
        return Stacked(function(all_rows, dimension(dim, stacked[0].rank + more)))

    return run


def _stacked(result: Any) -> Any:
    return tuple(Stacked(part) for part in result) if isinstance(result, (tuple, list)) else Stacked(result)


def _pieces(function: Rule) -> Rule:
    """Make the rule of chunk, split or unbind-like functions ``(x, sizes, dim=0)``."""

    def run(x: Any, sizes: Any, dim: int = 0) -> Any:
        if not isinstance(x, Stacked):
            return function(x, sizes, dim)
        return _stacked(function(x.tensor, sizes, dimension(dim, x.rank)))

    return run


def _sizes(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Read sizes or dimensions that may come one by one or as one sequence."""
    return tuple(given[0]) if len(given) == 1 and not isinstance(given[0], int) else given


def _view(x: Any, *shape: Any) -> Any:
    sizes = _sizes(shape)
    return Stacked(x.tensor.reshape(x.n_instances, *sizes)) if isinstance(x, Stacked) else x.reshape(sizes)


def _flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if not isinstance(x, Stacked):
        return torch.flatten(x, start_dim, end_dim)
    return Stacked(kernels.flatten(x.tensor, start_dim, end_dim))


def _unsqueeze(x: Any, dim: int) -> Any:
    return Stacked(x.tensor.unsqueeze(dimension(dim, x.rank + 1))) if isinstance(x, Stacked) else x.unsqueeze(dim)


def _squeeze(x: Any, dim: Any = None) -> Any:
    if not isinstance(x, Stacked):
        return x.squeeze() if dim is None else x.squeeze(dim)
    numbers = range(x.rank) if dim is None else (dim,) if isinstance(dim, int) else dim
    return Stacked(x.tensor.squeeze(tuple(dimension(number, x.rank) for number in numbers)))


def _transpose(x: Any, dim0: int, dim1: int) -> Any:
    if not isinstance(x, Stacked):
        return x.transpose(dim0, dim1)
    return Stacked(x.tensor.transpose(dimension(dim0, x.rank), dimension(dim1, x.rank)))


def _permute(x: Any, *dims: Any) -> Any:
    numbers = _sizes(dims)
    if not isinstance(x, Stacked):
        return x.permute(numbers)
    return Stacked(x.tensor.permute(0, *(dimension(number, x.rank) for number in numbers)))


def _expand(x: Any, *shape: Any) -> Any:
    sizes = _sizes(shape)
    return (
        Stacked(widened(x, len(sizes)).expand(x.n_instances, *sizes)) if isinstance(x, Stacked) else x.expand(sizes)
    )


def _size(x: Any, dim: int | None = None) -> Any:
    shape = x.tensor.shape[1:] if isinstance(x, Stacked) else x.shape
    return shape if dim is None else shape[dim]


def _rank(x: Any) -> int:
    return x.rank if isinstance(x, Stacked) else int(x.dim())


def _getattr(x: Any, name: str) -> Any:
    if not isinstance(x, Stacked):
        return getattr(x, name)
    if name == "shape":
        return x.tensor.shape[1:]
    if name == "ndim":
        return x.rank
    if name in ("dtype", "device", "is_cuda"):
        return getattr(x.tensor, name)
    raise NotStackableError("", f".{name}", "no rule is known for this attribute of tensors")


def _getitem(x: Any, index: Any) -> Any:
    if not isinstance(x, Stacked):
        return x[index]
    parts = index if isinstance(index, tuple) else (index,)
    if (
        any(isinstance(part, Stacked) for part in parts)
        or sum(isinstance(part, (Tensor, list)) for part in parts) > 1
    ):
        raise NotStackableError("", "indexing", "expected numbers, slices and at most one constant tensor")
    return Stacked(x.tensor[(slice(None), *parts)])


def _matmul(a: Any, b: Any) -> Any:
    if not isinstance(a, Stacked) and not isinstance(b, Stacked):
        return torch.matmul(a, b)
    rank_a, rank_b = _rank(a), _rank(b)
    left, right = _matrices(a, -2), _matrices(b, -1)
    left, right = aligned([left, right])
    y = torch.matmul(left, right)
    y = y.squeeze(-1) if rank_b == 1 else y
    return Stacked(y.squeeze(-1 if rank_b == 1 else -2) if rank_a == 1 else y)


def _matrices(x: Any, dim: int) -> Any:
    """Give a vector the second dimension that a product needs."""
    return _unsqueeze(x, dim) if _rank(x) == 1 else x


def _tensors(kernel: Rule) -> Rule:
    """Make a rule of a kernel that takes the stacked tensors themselves.

    Shared tensors among the arguments (a constant weight, say) are repeated for every instance.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("inplace", None)
        stacked = [value for value in (*args, *kwargs.values()) if isinstance(value, Stacked)]
        if not stacked:
            raise NotStackableError("", "a layer's function", "none of its arguments differs between instances")
        n_instances = stacked[0].n_instances

        def rows(value: Any) -> Any:
            if isinstance(value, Stacked):
                return value.tensor
            return value.expand(n_instances, *value.shape) if isinstance(value, Tensor) else value

        return Stacked(kernel(*map(rows, args), **{name: rows(value) for name, value in kwargs.items()}))

    return run


def _dropout(n_shared: int) -> Rule:
    def run(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, noise: Any) -> Any:
        return Stacked(kernels.dropout(x.tensor, p, training, noise, n_shared))

    return run


def _max_pool(x: Tensor, *args: Any, return_indices: bool = False, **kwargs: Any) -> Tensor:
    return kernels.max_pool(x, *args, **kwargs)  # with indices the tracer meets another function


def _adaptive(function: Rule) -> Rule:
    def run(x: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
        return kernels.adaptive_pool(function, x, output_size)

    return _tensors(run)


def _attention(q: Tensor, k: Tensor, v: Tensor, **kwargs: Any) -> Tensor:
    if kwargs.get("dropout_p") or kwargs.get("attn_mask") is not None:
        raise NotStackableError("", "scaled_dot_product_attention()", "it has a mask or dropout")
    y: Tensor = F.scaled_dot_product_attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), **kwargs)
    return y.view(*q.shape[:2], *y.shape[1:])


_NAMED_ALIKE = [
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "ceil",
    "clamp",
    "clip",
    "cos",
    "cosh",
    "div",
    "erf",
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "log10",
    "log2",
    "maximum",
    "minimum",
    "mul",
    "multiply",
    "neg",
    "pow",
    "reciprocal",
    "relu",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "tan",
    "tanh",
    "add",
    "true_divide",
    "hypot",
    "logaddexp",
]
_ACTIVATIONS = (
    F.relu, F.leaky_relu, F.elu, F.gelu, F.silu, F.sigmoid, F.tanh, F.softplus, F.relu6, F.hardtanh, F.hardswish,
    F.hardsigmoid, F.mish, F.selu, F.celu, F.logsigmoid, F.softsign,
)  # fmt: skip
_OPERATORS = (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.neg,
    operator.pow, operator.abs, operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
)  # fmt: skip

_SHAPING: dict[str, Rule] = {
    "flatten": _flatten,
    "reshape": _view,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "chunk": _pieces(torch.chunk),
    "split": _pieces(torch.split),
    "matmul": _matmul,
    "softmax": _by_dimension(torch.softmax),
    "log_softmax": _by_dimension(torch.log_softmax),
    "cumsum": _by_dimension(torch.cumsum),
    "max": _extreme(torch.max, torch.amax, torch.maximum),
    "min": _extreme(torch.min, torch.amin, torch.minimum),
    **{name: _reduction(getattr(torch, name)) for name in ("sum", "mean", "amax", "amin", "logsumexp")},
    **{name: _spread(getattr(torch, name)) for name in ("std", "var")},
}

FUNCTIONS: dict[Any, Rule] = {
    **{function: _elementwise(function) for function in (*_OPERATORS, *_ACTIVATIONS, torch.where)},
    **{getattr(torch, name): _elementwise(getattr(torch, name)) for name in _NAMED_ALIKE},
    **{getattr(torch, name): rule for name, rule in _SHAPING.items()},
    F.softmax: _by_dimension(F.softmax),
    F.log_softmax: _by_dimension(F.log_softmax),
    torch.cat: _joining(torch.cat, 0),
    torch.concat: _joining(torch.cat, 0),
    torch.stack: _joining(torch.stack, 1),
    operator.matmul: _matmul,
    operator.getitem: _getitem,
    getattr: _getattr,
    F.linear: _tensors(kernels.linear),
    F.conv1d: _tensors(kernels.convolve),
    F.conv2d: _tensors(kernels.convolve),
    torch.conv1d: _tensors(kernels.convolve),
    torch.conv2d: _tensors(kernels.convolve),
    F.max_pool1d: _tensors(_max_pool),
    F.max_pool2d: _tensors(_max_pool),
    torch.max_pool1d: _tensors(_max_pool),
    torch.max_pool2d: _tensors(_max_pool),
    F.avg_pool1d: _tensors(kernels.avg_pool),
    F.avg_pool2d: _tensors(kernels.avg_pool),
    F.adaptive_avg_pool1d: _adaptive(F.adaptive_avg_pool2d),
    F.adaptive_avg_pool2d: _adaptive(F.adaptive_avg_pool2d),
    F.adaptive_max_pool1d: _adaptive(F.adaptive_max_pool2d),
    F.adaptive_max_pool2d: _adaptive(F.adaptive_max_pool2d),
    F.batch_norm: _tensors(kernels.batch_norm),
    F.layer_norm: _tensors(kernels.layer_norm),
    F.group_norm: _tensors(kernels.group_norm),
    F.prelu: _tensors(kernels.prelu),
    F.pad: _tensors(kernels.pad),
    F.scaled_dot_product_attention: _tensors(_attention),
}

NOISY: dict[Any, Rule] = {F.dropout: _dropout(0), F.dropout1d: _dropout(1), F.dropout2d: _dropout(2)}

METHODS: dict[str, Rule] = {
    **{name: _elementwise(getattr(torch, name)) for name in _NAMED_ALIKE},
    **{
        f"{name}_": _elementwise(getattr(torch, name))
        for name in ("relu", "sigmoid", "tanh", "add", "sub", "mul", "div", "clamp", "exp", "sqrt")
    },
    **{
        name: _elementwise(getattr(Tensor, name))
        for name in ("contiguous", "clone", "detach", "float", "double", "to", "type_as")
    },
    **_SHAPING,
    "view": _view,
    "expand": _expand,
    "size": _size,
    "dim": _rank,
}
