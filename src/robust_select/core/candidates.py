"""What a candidate is, and the ways to list many: a grid, a random sample of a space, an explicit list.

Called by users, by study files and by problems. Knows nothing of training or of selection.
"""

import itertools
import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.limits import MOST_CANDIDATES

_LARGEST = 8e307  # the difference of two such numbers is finite
_LARGEST_INTEGER = 2**63 - 2


def _plain(value: Any) -> Any:
    """Give the JSON form of a parameter that JSON does not know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if " at 0x" in text:
        raise InputError(
            f"expected a parameter that looks the same in every run, came {text}: give the object a __repr__, "
            "or use a name that the trainer looks up"
        )
    return text


def params_json(params: Mapping[str, Any]) -> str:
    """Write parameters as canonical JSON, so that equal parameters give equal text.

    Objects that JSON does not know are written as their ``repr`` (functions and classes by their
    qualified name).

    Raises:
        InputError: a parameter's ``repr`` holds a memory address, so it would differ in the next run; or a
            dictionary's keys are not all text.

    Example:
        >>> params_json({"width": 16, "lr": 0.1})
        '{"lr": 0.1, "width": 16}'
    """
    try:
        return json.dumps(dict(params), sort_keys=True, default=_plain)
    except TypeError as error:
        raise InputError(f"expected parameters with text as keys, came {dict(params)!r} ({error})") from error


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, str):
        return value
    plain = json.loads(json.dumps(value, default=_plain))
    return plain if isinstance(plain, str) else json.dumps(plain)


def name_of(params: Mapping[str, Any]) -> str:
    """Name a candidate by its parameters.

    Example:
        >>> name_of({"lr": 0.001, "width": 16})
        'lr=0.001, width=16'
    """
    return ", ".join(f"{key}={_short(value)}" for key, value in params.items()) or "default"


@dataclass(frozen=True)
class Candidate:
    """One architecture with one set of hyperparameters; what the paper calls a model.

    Attributes:
        name: unique in a study.
        params: what the trainer is given; read-only.
        is_base: the model that the others vary; figures mark it with a star.

    Example:
        >>> Candidate("small", {"width": 16}).params["width"]
        16
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    is_base: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(f"expected a candidate's name to be text, came name={self.name!r}")
        if not isinstance(self.params, Mapping):
            raise InputError(
                f"expected a dictionary of parameters for candidate {self.name!r}, came params={self.params!r}"
            )
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Candidate, (self.name, dict(self.params), self.is_base))

    def __hash__(self) -> int:
        return hash(self.name)  # equal parameters may look different (1 and 1.0)


@runtime_checkable
class Distribution(Protocol):
    """Anything with scipy's ``rvs(random_state=...)``: every frozen distribution of scipy.stats."""

    def rvs(self, *, random_state: np.random.Generator) -> Any:
        """Draw one value."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Numbers between ``low`` and ``high``, evenly, or evenly in their logarithm.

    Raises:
        InputError: ``low`` is not below ``high``, or ``log`` with ``low`` not above 0.

    Example:
        >>> round(Uniform(1e-4, 1e-1, log=True).rvs(random_state=np.random.default_rng(0)), 5)
        0.00814
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high, self.log)

    def rvs(self, *, random_state: np.random.Generator) -> float:
        """Draw one value."""
        if self.log:
            return float(math.exp(random_state.uniform(math.log(self.low), math.log(self.high))))
        return float(random_state.uniform(self.low, self.high))


@dataclass(frozen=True)
class Integers:
    """Whole numbers from ``low`` to ``high``, both included, evenly, or evenly in their logarithm.

    Raises:
        InputError: ``low`` is not below ``high``, one is not whole, or ``log`` with ``low`` not above 0.

    Example:
        >>> Integers(1, 3).rvs(random_state=np.random.default_rng(0))
        3
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self, self.low, self.high, self.log)
        if self.low != int(self.low) or self.high != int(self.high):
            raise InputError(f"expected whole numbers, came {self}")

    def rvs(self, *, random_state: np.random.Generator) -> int:
        """Draw one value."""
        if self.log:
            drawn = math.exp(random_state.uniform(math.log(self.low), math.log(self.high + 1)))
            return min(int(drawn), self.high)
        return int(random_state.integers(self.low, self.high + 1))


def _check_range(what: object, low: float, high: float, log: bool) -> None:
    most = _LARGEST_INTEGER if isinstance(what, Integers) else _LARGEST
    if not -most <= low < high <= most:
        raise InputError(f"expected finite numbers with low < high, at most {most:.3g}, came {what}")
    if log and low <= 0:
        raise InputError(f"expected low > 0 for a logarithmic range, came {what}")


def grid(**axes: Sequence[Any]) -> tuple[Candidate, ...]:
    """List every combination of the given values; the last parameter changes fastest.

    Raises:
        InputError: no parameter, or one without values.

    Example:
        >>> [c.name for c in grid(lr=[0.1, 0.01], width=[16, 32])]
        ['lr=0.1, width=16', 'lr=0.1, width=32', 'lr=0.01, width=16', 'lr=0.01, width=32']
    """
    if not axes:
        raise InputError("expected at least one parameter with its values, came none: grid(lr=[0.1, 0.01])")
    for key, values in axes.items():
        if isinstance(values, str) or not isinstance(values, Sized) or len(values) == 0:
            raise InputError(f"expected a list of values for each parameter, came {key}={values!r}")
    n = math.prod(map(len, axes.values()))
    if n > MOST_CANDIDATES:
        raise InputError(
            f"expected a grid of at most {MOST_CANDIDATES:,} candidates, came one of about "
            f"10^{math.log10(n):.0f}: use sample"
        )
    rows = [dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())]
    return as_candidates(rows)


def sample(
    n: int, space: Mapping[str, Sequence[Hashable] | Distribution | Uniform | Integers], seed: int = 0
) -> tuple[Candidate, ...]:
    """Draw ``n`` different candidates at random from a space.

    Args:
        n: how many.
        space: for each parameter a list of choices, a ``Uniform`` or ``Integers`` range, or a frozen
            distribution of scipy.stats.
        seed: the same seed draws the same candidates.

    Raises:
        InputError: the space does not hold that many different candidates.

    Example:
        >>> [c.name for c in sample(2, {"lr": [0.1, 0.01], "depth": Integers(1, 3)}, seed=1)]
        ['lr=0.1, depth=2', 'lr=0.01, depth=3']
    """
    if n < 1:
        raise InputError(f"expected at least one candidate to draw, came n={n}")
    if n > MOST_CANDIDATES:
        raise InputError(f"expected at most {MOST_CANDIDATES:,} candidates to draw, came n={n}")
    rng = np.random.default_rng(seed)
    drawers = {key: _drawer(key, values) for key, values in space.items()}
    found: dict[str, dict[str, Any]] = {}
    attempts = 0
    while len(found) < n:
        row = {key: draw(rng) for key, draw in drawers.items()}
        before = len(found)
        found.setdefault(params_json(row), row)
        attempts = 0 if len(found) > before else attempts + 1
        if attempts > 1000 + 100 * len(found):
            raise InputError(f"expected a space with at least n={n} different candidates, found {len(found)}")
    return as_candidates(list(found.values()))


def _drawer(
    key: str, values: Sequence[Hashable] | Distribution | Uniform | Integers
) -> Callable[[np.random.Generator], Any]:
    if isinstance(values, Distribution):
        distribution = values
        return lambda rng: _plain_number(distribution.rvs(random_state=rng))
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise InputError(f"expected a list, Uniform, Integers or a scipy distribution, came {key}={values!r}")
    choices = values
    return lambda rng: choices[int(rng.integers(len(choices)))]


def _plain_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


CandidatesLike = Sequence[Candidate | Mapping[str, Any] | str] | Mapping[str, Mapping[str, Any]]


def as_candidates(given: CandidatesLike) -> tuple[Candidate, ...]:
    """Make candidates of what a user may give.

    Args:
        given: candidates; or parameters, one dictionary a candidate (its key ``name``, if there is one,
            names it); or names; or a dictionary from names to parameters.

    Raises:
        InputError: none given, one of another kind, or two with the same name.

    Example:
        >>> as_candidates([{"name": "small", "width": 16}, {"width": 32}])[1].name
        'width=32'
    """
    if isinstance(given, (str, Candidate)) or not isinstance(given, Iterable):
        raise InputError(f"expected a list of candidates, came {given!r}: put it in brackets if it is the only one")
    if isinstance(given, Mapping):
        found = [Candidate(str(name), params) for name, params in given.items()]
    else:
        found = [_as_candidate(position, item) for position, item in enumerate(given)]
    if not found:
        raise InputError("expected at least one candidate, came none")
    seen: dict[str, int] = {}
    for position, candidate in enumerate(found):
        if candidate.name in seen:
            raise InputError(
                f"expected candidates with different names, came {candidate.name!r} twice "
                f"(candidates {seen[candidate.name]} and {position}): give them a name each"
            )
        seen[candidate.name] = position
    return tuple(found)


def _as_candidate(position: int, item: Candidate | Mapping[str, Any] | str) -> Candidate:
    if isinstance(item, Candidate):
        return item
    if isinstance(item, str):
        return Candidate(item, {})
    if isinstance(item, Mapping):
        params = {str(key): value for key, value in item.items() if key != "name"}
        return Candidate(str(item["name"]) if "name" in item else name_of(params), params)
    raise InputError(
        f"expected a Candidate, a dictionary of parameters or a name, came {item!r} as candidate {position}"
    )
