"""Boxes of scores in groups: against training sample size, and of the values that a parameter takes.

Called by figures 8, 9 and 17. Knows nothing of drawing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust_select.analysis.distributions import Boxes, boxes
from robust_select.core.candidates import name_of
from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, Ints
from robust_select.core.tables import Table


@dataclass(frozen=True)
class SizeBoxes:
    """The scores of K candidates or baselines at S training sample sizes, as boxes.

    Attributes:
        names: (K,) of the candidates or baselines.
        sizes: (S,) numbers of training examples, ascending.
        boxes: (K * S,) boxes, those of the first name first; nan where there is no finite score.
        n_unusable: (K, S) how many diverged or failed; no box sees them.
    """

    names: tuple[str, ...]
    sizes: Ints
    boxes: Boxes
    n_unusable: Ints

    def of(self, row: int) -> Boxes:
        """Give the boxes of one name, (S,)."""
        part = slice(row * len(self.sizes), (row + 1) * len(self.sizes))
        found = self.boxes
        return Boxes(
            found.lower[part],
            found.q1[part],
            found.median[part],
            found.q3[part],
            found.upper[part],
            found.n_finite[part],
        )


def boxes_by_size(scores: Mapping[str, Mapping[int, Floats]]) -> SizeBoxes:
    """Summarise scores by name and training sample size.

    Args:
        scores: name to size to (R,) scores; nan where not trained, infinite where diverged or failed. Names may have
            different sizes.

    Raises:
        InputError: no name, or none with a size.

    Example:
        >>> found = boxes_by_size({"a": {100: np.array([3.0, 4.0]), 1000: np.array([1.0])}, "b": {100: np.ones(1)}})
        >>> found.sizes.tolist(), found.of(0).median.tolist(), found.of(1).median.tolist()
        ([100, 1000], [3.5, 1.0], [1.0, nan])
    """
    sizes = sorted({int(size) for by_size in scores.values() for size in by_size})
    if not sizes:
        raise InputError("expected scores at one training sample size at least, came none")
    samples = [np.asarray(by_size.get(size, ()), dtype=float) for by_size in scores.values() for size in sizes]
    n_unusable = np.array([np.isinf(sample).sum() for sample in samples], dtype=np.int64)
    return SizeBoxes(
        names=tuple(scores),
        sizes=np.array(sizes, dtype=np.int64),
        boxes=boxes(_padded(samples)),
        n_unusable=n_unusable.reshape(len(scores), len(sizes)),
    )


def scores_by_size(table: Table, size: str = "n_training") -> dict[str, dict[int, Floats]]:
    """Sort a table's scores by training sample size: candidates that differ in nothing else are one.

    Args:
        table: its candidates have the size among their parameters.
        size: name of that parameter.

    Returns:
        Name to size to (R,) scores. The name is the parameter ``name`` where there is one, else all but the size.

    Raises:
        InputError: a candidate without a size, or two of the same name and size.

    Example:
        >>> params = ({"width": 16, "n_training": 100}, {"width": 16, "n_training": 200})
        >>> scores_by_size(Table(("a", "b"), np.array([[1.0], [2.0]]), params=params))
        {'width=16': {100: array([1.]), 200: array([2.])}}
    """
    found: dict[str, dict[int, Floats]] = {}
    for candidate, params, scores in zip(table.candidates, table.params, table.scores, strict=True):
        if not _is_count(params.get(size)):
            raise InputError(
                f"expected a training sample size in parameter {size!r} of every candidate, came "
                f"{size}={params.get(size)!r} of candidate {candidate!r}"
            )
        others = {key: value for key, value in params.items() if key not in {size, "name"} and _is_given(value)}
        name = str(params["name"]) if _is_given(params.get("name")) else name_of(others)
        by_size = found.setdefault(name, {})
        if int(params[size]) in by_size:
            raise InputError(
                f"expected one candidate of each size, came a second {name!r} with {size}={params[size]}: candidate "
                f"{candidate!r}. Give those that differ in more than the size a parameter 'name'"
            )
        by_size[int(params[size])] = scores
    return found


@dataclass(frozen=True)
class ParameterBoxes:
    """The scores of all candidates that share a value of a parameter, as boxes; the best median first.

    Attributes:
        parameter: its name.
        values: (K,) as text.
        boxes: (K,) boxes of the finite scores.
        n_candidates: (K,) how many candidates have the value.
        n_unusable: (K,) how many of their instances diverged or failed; no box sees them.
    """

    parameter: str
    values: tuple[str, ...]
    boxes: Boxes
    n_candidates: Ints
    n_unusable: Ints


def boxes_by_parameter(table: Table, parameter: str, direction: Direction = "minimize") -> ParameterBoxes:
    """Pool the scores of the candidates that share a value of a parameter.

    A difference is that of the parameter only where the candidates differ in nothing else, or in the same ways.

    Args:
        table: the scores; candidates without the parameter are left out.
        parameter: its name, such as ``optimizer`` or ``activation``.
        direction: of the scores.

    Raises:
        InputError: no candidate has the parameter.

    Example:
        >>> params = ({"optimizer": "SGD"}, {"optimizer": "Adam"})
        >>> table = Table(("a", "b"), np.array([[2.0, 4.0], [1.0, 2.0]]), params=params)
        >>> found = boxes_by_parameter(table, "optimizer")
        >>> found.values, found.boxes.median.tolist()
        (('Adam', 'SGD'), [1.5, 3.0])
    """
    rows: dict[str, list[int]] = {}
    for row, params in enumerate(table.params):
        if _is_given(params.get(parameter)):
            rows.setdefault(name_of({"": params[parameter]})[1:], []).append(row)
    if not rows:
        known = ", ".join(sorted({key for params in table.params for key in params})) or "none"
        raise InputError(f"expected a parameter of the candidates ({known}), came {parameter!r}")
    found = boxes(_padded([table.scores[members].ravel() for members in rows.values()]))
    sign = -1.0 if direction == "maximize" else 1.0
    order = np.argsort(sign * found.median, kind="stable")  # nan sorts last
    values, members = list(rows), list(rows.values())
    return ParameterBoxes(
        parameter=parameter,
        values=tuple(values[k] for k in order),
        boxes=Boxes(
            found.lower[order],
            found.q1[order],
            found.median[order],
            found.q3[order],
            found.upper[order],
            found.n_finite[order],
        ),
        n_candidates=np.array([len(members[k]) for k in order], dtype=np.int64),
        n_unusable=np.array([np.isinf(table.scores[members[k]]).sum() for k in order], dtype=np.int64),
    )


def _padded(samples: list[Floats]) -> Floats:
    """Lay samples of unequal length out as rows, filled up with nan."""
    found = np.full((len(samples), max(map(len, samples), default=0)), np.nan)
    for row, sample in enumerate(samples):
        found[row, : len(sample)] = sample
    return found


def _is_given(value: Any) -> bool:
    """Whether a parameter has a value; a table writes nan where it has none."""
    return value is not None and not (isinstance(value, float) and np.isnan(value))


def _is_count(value: Any) -> bool:
    """Whether a value is a number of examples; a column with gaps makes whole numbers floats."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    return float(value) > 0 and float(value).is_integer()
