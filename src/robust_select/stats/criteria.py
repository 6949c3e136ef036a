"""The criteria: statistics of a candidate's losses by which candidates are ranked.

Called by rules, results and analysis, always with losses (the smaller the better). Knows nothing of who asks.

The six published ones (``min``, ``median``, ``mean``, ``q3``, ``q3+iqr``, ``max``; IEEE Access 2025,
doi 10.1109/ACCESS.2025.3578926), ``std``, ``iqr`` and ``cvar``, and the least spread among those of good
typical quality (``std-within-tolerance``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, Ints

Kind = Literal["location", "spread"]

Statistic = Callable[[Floats, Ints], Floats]


@dataclass(frozen=True)
class Criterion:
    """A statistic of a candidate's losses; the smaller the better.

    Attributes:
        name: as users write it.
        kind: "location" moves with the losses, "spread" does not.
        min_instances: fewer scores say nothing about it.
        statistic: from losses (C, R), each row sorted with nan at its end, and the number (C,) of those that are
            not nan, to values (C,).
        tolerance: for ``std-within-tolerance`` only: how far from the best mean is still good.
    """

    name: str
    kind: Kind
    min_instances: int
    statistic: Statistic
    tolerance: float | None = None

    def __call__(self, losses: Floats) -> Floats:
        """Give the value of each candidate.

        Args:
            losses: (C, R) or (R,); nan where not trained, +inf where diverged or failed. Candidates may have
                different numbers of scores.

        Returns:
            (C,) values, or one number; nan where there are fewer than ``min_instances`` scores, +inf where
            a diverged instance makes the criterion infinite.

        Example:
            >>> criterion("q3+iqr")(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
            array(6.)
        """
        losses = np.asarray(losses, dtype=float)
        if losses.ndim == 1:
            return self(losses[None, :])[0:1].reshape(())
        if self.tolerance is None:
            return _by_count(self.statistic, self.min_instances, losses)
        means = _by_count(_mean, 1, losses)
        spreads = _by_count(self.statistic, self.min_instances, losses)
        best = np.nanmin(means, initial=np.inf)
        return np.where((means <= best + self.tolerance) | np.isnan(spreads), spreads, np.inf)

    def order(self, losses: Floats) -> Ints:
        """Rank candidates, the best first.

        Equal values are ordered by fewer diverged instances, then by the mean of the finite losses, then by
        position; a value that is not known (too few scores) comes last.

        Args:
            losses: (C, R) as for a call.

        Returns:
            (C,) positions of the candidates.

        Example:
            >>> criterion("max").order(np.array([[1.0, 3.0], [2.0, 2.5], [0.5, 3.0]]))
            array([1, 2, 0])
        """
        values = self(losses)
        worst = np.isposinf(losses)
        finite = np.isfinite(losses)
        sums = np.where(finite, losses, 0.0).sum(axis=1)
        means = np.divide(sums, finite.sum(axis=1), out=np.full(len(values), np.inf), where=finite.any(axis=1))
        return np.lexsort((np.arange(len(values)), means, worst.sum(axis=1), values))  # nan sorts last

    def in_score_units(self, values: Floats, direction: Direction) -> Floats:
        """Turn values on the loss side back into the units of the score.

        A location changes sign when the score is maximised; a spread does not.
        """
        return np.negative(values) if direction == "maximize" and self.kind == "location" else values


def _by_count(statistic: Statistic, min_instances: int, losses: Floats) -> Floats:
    """Apply a statistic to the rows that have enough scores."""
    counts = np.count_nonzero(~np.isnan(losses), axis=1)
    values = np.full(len(losses), np.nan)
    rows = counts >= max(min_instances, 1)
    if rows.any():
        n_most = int(counts.max())
        values[rows] = statistic(np.sort(losses[rows], axis=1)[:, :n_most], counts[rows])  # nan sorts last
    return values


def _at(ordered: Floats, position: Ints) -> Floats:
    return ordered[np.arange(len(ordered)), position]


def _quantile(ordered: Floats, counts: Ints, level: float) -> Floats:
    """Quantiles of sorted rows by numpy's default (linear) method; exact where some losses are infinite."""
    position = level * (counts - 1)
    low = np.floor(position).astype(np.int64)
    lower, upper = _at(ordered, low), _at(ordered, np.ceil(position).astype(np.int64))
    part = position - low
    is_finite = np.isfinite(upper)
    step = np.where(is_finite, upper, 0.0) - np.where(is_finite, lower, 0.0)
    between = np.where(part < 0.5, lower + part * step, upper - (1 - part) * step)  # as numpy rounds
    return np.where(is_finite, between, np.inf)


def _iqr(ordered: Floats, counts: Ints) -> Floats:
    return _difference(_quantile(ordered, counts, 0.75), _quantile(ordered, counts, 0.25))


def _difference(high: Floats, low: Floats) -> Floats:
    """Subtract; infinite where the higher one is infinite, whatever the lower one."""
    infinite = np.isinf(high)
    return np.where(infinite, np.inf, np.where(infinite, 0.0, high) - np.where(infinite, 0.0, low))


def _mean(ordered: Floats, counts: Ints) -> Floats:
    return np.asarray(np.nansum(ordered, axis=1) / counts)


def _std(ordered: Floats, counts: Ints) -> Floats:
    infinite = np.isinf(_at(ordered, counts - 1))
    constant = ordered[:, 0] == _at(ordered, counts - 1)  # exactly 0, whatever their rounded mean
    finite = np.where((infinite | constant)[:, None], 0.0, ordered)
    squares = np.nansum((finite - _mean(finite, counts)[:, None]) ** 2, axis=1)
    return np.where(infinite, np.inf, np.sqrt(squares / (counts - 1)))


_CVAR_SHARE = 0.25


def _cvar(ordered: Floats, counts: Ints) -> Floats:
    """Mean of the worst quarter, the last one taken in part (Rockafellar and Uryasev 2002, eq. 17)."""
    share = _CVAR_SHARE * counts
    n_whole = np.floor(share + 1e-12).astype(np.int64)
    part = np.where(share - n_whole > 1e-12, share - n_whole, 0.0)
    is_worst = np.arange(ordered.shape[1])[None, :] >= (counts - n_whole)[:, None]
    total = np.nansum(np.where(is_worst, ordered, 0.0), axis=1)
    is_taken = part > 0
    last = np.where(is_taken, _at(ordered, np.maximum(counts - n_whole - 1, 0)), 0.0)
    return np.asarray((total + part * last) / share)


_CRITERIA: dict[str, Criterion] = {
    made.name: made
    for made in (
        Criterion("min", "location", 1, lambda ordered, _: ordered[:, 0]),
        Criterion("median", "location", 1, lambda ordered, counts: _quantile(ordered, counts, 0.5)),
        Criterion("mean", "location", 1, _mean),
        Criterion("q3", "location", 1, lambda ordered, counts: _quantile(ordered, counts, 0.75)),
        Criterion(
            "q3+iqr", "location", 1, lambda ordered, counts: _quantile(ordered, counts, 0.75) + _iqr(ordered, counts)
        ),
        Criterion("max", "location", 1, lambda ordered, counts: _at(ordered, counts - 1)),
        Criterion("cvar", "location", 1, _cvar),
        Criterion("std", "spread", 2, _std),
        Criterion("iqr", "spread", 2, _iqr),
    )
}

CRITERIA: tuple[str, ...] = (*_CRITERIA, "std-within-tolerance")
"""The names of all criteria."""

PUBLISHED_CRITERIA = ("min", "median", "mean", "q3", "q3+iqr", "max")
"""The six criteria of the paper."""


def criterion(name: str, tolerance: float = 0.0) -> Criterion:
    """Look a criterion up.

    Args:
        name: one of ``CRITERIA``.
        tolerance: in units of the score; used by ``std-within-tolerance``.

    Raises:
        InputError: no criterion of that name, or a negative tolerance.

    Example:
        >>> criterion("std").kind
        'spread'
    """
    if not tolerance >= 0 or math.isinf(tolerance):
        raise InputError(f"expected a tolerance of 0 or more, came tolerance={tolerance}")
    if name == "std-within-tolerance":
        return Criterion(name, "spread", 2, _std, tolerance)
    if name not in _CRITERIA:
        raise InputError(f"expected a criterion among {', '.join(CRITERIA)}, came {name!r}")
    return _CRITERIA[name]
