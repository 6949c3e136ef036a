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


@dataclass(frozen=True)
class Criterion:
    """A statistic of a candidate's losses; the smaller the better.

    Attributes:
        name: as users write it.
        kind: "location" moves with the losses, "spread" does not.
        min_instances: fewer scores say nothing about it.
        statistic: from sorted finite or +inf losses (C, R) to values (C,).
        tolerance: for ``std-within-tolerance`` only: how far from the best mean is still good.
    """

    name: str
    kind: Kind
    min_instances: int
    statistic: Callable[[Floats], Floats]
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
        return np.where(means <= best + self.tolerance, spreads, np.inf)

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


def _by_count(statistic: Callable[[Floats], Floats], min_instances: int, losses: Floats) -> Floats:
    """Apply a statistic to rows with the same number of scores at a time."""
    counts = np.count_nonzero(~np.isnan(losses), axis=1)
    values = np.full(len(losses), np.nan)
    for count in np.unique(counts):
        if count >= min_instances and count > 0:
            rows = counts == count
            values[rows] = statistic(np.sort(losses[rows], axis=1)[:, :count])  # nan sorts last
    return values


def _quantile(losses: Floats, level: float) -> Floats:
    """Quantiles of sorted rows by numpy's default (linear) method; exact where some losses are infinite."""
    finite = np.isfinite(losses[:, -1])
    values = np.empty(len(losses))
    if finite.any():
        values[finite] = np.quantile(losses[finite], level, axis=1)
    if not finite.all():
        position = level * (losses.shape[1] - 1)
        low, high = math.floor(position), math.ceil(position)
        lower, upper = losses[~finite, low], losses[~finite, high]
        step = np.where(np.isfinite(upper), upper, 0.0) - np.where(np.isfinite(upper), lower, 0.0)
        values[~finite] = np.where(np.isfinite(upper), lower + (position - low) * step, np.inf)
    return values


def _iqr(losses: Floats) -> Floats:
    return _difference(_quantile(losses, 0.75), _quantile(losses, 0.25))


def _difference(high: Floats, low: Floats) -> Floats:
    """Subtract; infinite where the higher one is infinite, whatever the lower one."""
    infinite = np.isinf(high)
    return np.where(infinite, np.inf, np.where(infinite, 0.0, high) - np.where(infinite, 0.0, low))


def _mean(losses: Floats) -> Floats:
    return np.asarray(losses.mean(axis=1))


def _std(losses: Floats) -> Floats:
    infinite = np.isinf(losses[:, -1])
    values = np.where(infinite[:, None], 0.0, losses).std(axis=1, ddof=1)
    return np.where(infinite, np.inf, values)


_CVAR_SHARE = 0.25


def _cvar(losses: Floats) -> Floats:
    """Mean of the worst quarter, the last one taken in part (Rockafellar and Uryasev 2002, eq. 17)."""
    n = losses.shape[1]
    share = _CVAR_SHARE * n
    n_whole = math.floor(share + 1e-12)
    part = share - n_whole
    total = losses[:, n - n_whole :].sum(axis=1)
    if part > 1e-12:
        total = total + part * losses[:, n - n_whole - 1]
    return np.asarray(total / share)


_CRITERIA: dict[str, Criterion] = {
    made.name: made
    for made in (
        Criterion("min", "location", 1, lambda losses: losses[:, 0]),
        Criterion("median", "location", 1, lambda losses: _quantile(losses, 0.5)),
        Criterion("mean", "location", 1, _mean),
        Criterion("q3", "location", 1, lambda losses: _quantile(losses, 0.75)),
        Criterion("q3+iqr", "location", 1, lambda losses: _quantile(losses, 0.75) + _iqr(losses)),
        Criterion("max", "location", 1, lambda losses: losses[:, -1]),
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
