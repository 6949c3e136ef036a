"""Measure: how robust each candidate of a table is, with intervals, and which of two is the more robust.

Called by the command line and users. Knows nothing of rules, ledgers or drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from robust_select.analysis.bootstrap import EXTREMES, bootstrap_interval, redraw
from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Direction, Floats, Ints
from robust_select.core.tables import Table
from robust_select.stats.comparisons import comparison
from robust_select.stats.criteria import CRITERIA, Criterion, criterion

MEASURED = tuple(name for name in CRITERIA if name != "std-within-tolerance")
"""The criteria that one candidate's scores decide alone."""

FEW = 10
"""Below so many instances bootstrap intervals are clearly too narrow."""

_TESTS = ("welch", "paired-t", "wilcoxon", "levene", "fligner", "bartlett")
_LEAST_PAIRED = 3  # for a t interval and a correlation


@dataclass(frozen=True)
class Measurement:
    """How robust candidates are.

    Attributes:
        criteria: one row a candidate and criterion: ``candidate``, ``criterion``, ``value``, ``low``, ``high`` (in
            units of the score; nan where there is no interval), ``method`` of the interval, ``instances``,
            ``unusable`` of them, ``to_halve`` (how many more would halve the interval), ``caveats``.
        pairs: one row a pair, the best candidate ``a`` against another ``b``: ``shared`` replicates, all that
            follows is from these; ``difference`` of means a - b with ``low`` and ``high`` (paired t); two-sided
            p-values, a column a test; ``spread_ratio`` (std of a over std of b); ``more_robust`` and the
            ``probability`` that it is; ``caveats``.
        chosen: name of the criterion by which the more robust one is said.
        best: the candidate that is best by it.
        confidence: of the intervals.
    """

    criteria: pd.DataFrame
    pairs: pd.DataFrame
    chosen: str
    best: str
    confidence: float


def measure(
    table: Table,
    by: str = "q3+iqr",
    direction: Direction = "minimize",
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Measurement:
    """Measure every candidate of a table and compare the best one with each other.

    How many more instances would halve an interval follows from its width falling with the square root of their
    number. The probability that one candidate is the more robust is the share of bootstrap tables in which its
    criterion is the better one (ties count half); whole replicates are redrawn, so that pairing survives.

    Assumes: independent replicates. Paired columns (``paired-t``, ``wilcoxon``, ``pitman-morgan``, the difference and
    the probability) use that replicate r of both candidates shares its sample and seeds, and hold without that,
    too. The difference's interval, ``welch``, ``paired-t``, ``bartlett`` and ``pitman-morgan`` assume normal scores.
    Many pairs are many tests: p-values are not corrected, and the best was chosen on these scores.

    Reference: Efron and Tibshirani 1993, chapters 14 and 15; Pitman 1939 and Morgan 1939, Biometrika 31.

    Args:
        table: scores (C, R).
        by: the criterion that says who is the more robust.
        direction: of the scores.
        confidence: of the intervals.
        n_resamples: of every bootstrap.
        seed: the same seed gives the same numbers.

    Raises:
        InputError: nothing trained, a criterion that needs other candidates, or a number out of range.

    Example:
        >>> table = Table(("a", "b"), np.array([[1.0, 1.1, 1.2, 1.0, 1.1], [2.0, 2.5, 1.9, 2.2, 2.4]]))
        >>> found = measure(table, by="mean")
        >>> found.best, float(found.pairs["probability"][0]), found.pairs["shared"][0]
        ('a', 1.0, np.int64(5))
    """
    if by not in MEASURED:
        raise InputError(f"expected a criterion among {', '.join(MEASURED)}, came {by!r}")
    if not 0 < confidence < 1:
        raise InputError(f"expected confidence between 0 and 1, both excluded, came confidence={confidence}")
    if n_resamples < 1 or seed < 0:
        raise InputError(f"expected n_resamples from 1 and seed from 0, came {n_resamples} and {seed}")
    losses = table.losses(direction)
    if np.isnan(losses).all():
        raise InputError("expected scores to measure, came a table in which nothing is trained")
    best = int(criterion(by).order(losses)[0])
    rows = [
        _measured(name, losses[row], direction, confidence, n_resamples, np.random.default_rng([seed, row]))
        for row, name in enumerate(table.candidates)
    ]
    return Measurement(
        criteria=pd.DataFrame([record for records in rows for record in records]),
        pairs=_pairs(table.candidates, losses, best, criterion(by), direction, confidence, n_resamples, seed),
        chosen=by,
        best=table.candidates[best],
        confidence=confidence,
    )


def _measured(
    name: str,
    losses: Floats,
    direction: Direction,
    confidence: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> list[dict[str, object]]:
    """Give a record a criterion of one candidate."""
    losses = losses[~np.isnan(losses)]
    n, n_unusable = len(losses), int(np.isinf(losses).sum())
    resamples = redraw(losses, n_resamples, rng) if n > 1 else losses[None, :]
    records: list[dict[str, object]] = []
    for made in map(criterion, MEASURED):
        value = np.asarray(made(losses)) if n else np.array(np.nan)
        found = bootstrap_interval(losses, resamples, made, confidence)
        ends = made.in_score_units(np.array([found.low, found.high]), direction)
        width = found.high - found.low
        records.append(
            {
                "candidate": name,
                "criterion": made.name,
                "value": float(made.in_score_units(value, direction)),
                "low": float(min(ends)),
                "high": float(max(ends)),
                "method": found.method,
                "instances": n,
                "unusable": n_unusable,
                "to_halve": 3 * n if 0 < width < np.inf else None,  # half the width takes four times as many
                "caveats": "; ".join(_caveats(made, n, n_unusable, width)),
            }
        )
    return records


def _caveats(made: Criterion, n: int, n_unusable: int, width: float) -> list[str]:
    found = []
    if n < max(2, made.min_instances):
        found.append(f"{n} instance{'' if n == 1 else 's'}: no interval")
    elif made.name in EXTREMES:
        found.append("no bootstrap holds for an extreme: more instances can only move it outwards")
    elif np.isnan(width):
        found.append("too many instances diverged or failed for an interval")
    elif width == 0:
        found.append("every resample gives the same value: the interval says nothing")
    elif n < FEW:
        found.append(f"only {n} instances: the interval is too narrow")
    if n_unusable:
        found.append(f"{n_unusable} of {n} diverged or failed")
    return found


def _pairs(
    names: Sequence[str],
    losses: Floats,
    best: int,
    by: Criterion,
    direction: Direction,
    confidence: float,
    n_resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Compare the best candidate with each other; those that share the same replicates with it at once."""
    rivals = np.array([row for row in range(len(names)) if row != best], dtype=np.int64)
    shared = ~np.isnan(losses[rivals]) & ~np.isnan(losses[best])
    columns: dict[str, Floats] = {
        key: np.full(len(rivals), np.nan)
        for key in ("difference", "low", "high", *_TESTS, "pitman-morgan", "spread_ratio", "better")
    }
    masks, group_of = np.unique(shared, axis=0, return_inverse=True)
    for group, mask in enumerate(masks):
        members = np.flatnonzero(group_of.reshape(-1) == group)
        if mask.any():
            found = _compare(losses[best, mask], losses[rivals[members]][:, mask], by, confidence, n_resamples, seed)
            for key, values in found.items():
                columns[key][members] = values
    if direction == "maximize":
        columns["difference"], columns["low"], columns["high"] = (
            -columns["difference"],
            -columns["high"],
            -columns["low"],
        )
    better = columns.pop("better")
    is_best = ~(better < 0.5)
    n_shared = shared.sum(axis=1)
    data = {
        "a": [names[best]] * len(rivals),
        "b": [names[row] for row in rivals],
        "shared": n_shared,
        **columns,
        "more_robust": [names[best if is_it else row] for row, is_it in zip(rivals, is_best, strict=True)],
        "probability": np.where(is_best, better, 1 - better),
        "caveats": _pair_caveats(n_shared, shared, losses, best, rivals),
    }
    return pd.DataFrame(data)


def _compare(
    best: Floats, others: Floats, by: Criterion, confidence: float, n_resamples: int, seed: int
) -> dict[str, Floats]:
    """Compare (R,) losses with those of others (D, R) on the same replicates; results are (D,)."""
    found: dict[str, Floats] = {name: comparison(name)(others, best) for name in _TESTS}
    finite = np.isfinite(others).all(axis=1) & np.isfinite(best).all()
    n = len(best)
    mean, means = best.mean(), others.mean(axis=1)
    known = np.isfinite(mean) | np.isfinite(means)  # both infinite: the difference is not known
    found["difference"] = np.where(known, mean - np.where(known, means, 0.0), np.nan)
    for key in ("low", "high", "spread_ratio"):
        found[key] = np.full(len(others), np.nan)
    found["pitman-morgan"] = np.ones(len(others))
    if n >= _LEAST_PAIRED and finite.any():
        differences = best - others[finite]
        half = stats.t.ppf((1 + confidence) / 2, n - 1) * differences.std(axis=1, ddof=1) / np.sqrt(n)
        found["low"][finite] = differences.mean(axis=1) - half
        found["high"][finite] = differences.mean(axis=1) + half
        spreads = others[finite].std(axis=1, ddof=1)
        found["spread_ratio"][finite] = np.divide(
            best.std(ddof=1), spreads, out=np.full(len(spreads), np.nan), where=spreads > 0
        )
        found["pitman-morgan"][finite] = comparison("pitman-morgan").p_values(others[finite], best[None, :])
    chosen = np.random.default_rng(seed).integers(0, n, (n_resamples, n))
    value = by(best[chosen])
    found["better"] = np.array([_share_better(value, by(other[chosen])) for other in others])
    return found


def _share_better(value: Floats, other: Floats) -> float:
    """The share of resamples in which the first is better; nan where the criterion is not known."""
    if np.isnan(value).any() or np.isnan(other).any():
        return float("nan")
    return float((value < other).mean() + 0.5 * (value == other).mean())


def _pair_caveats(n_shared: Ints, shared: Bools, losses: Floats, best: int, rivals: Ints) -> list[str]:
    texts = []
    for n, mask, rival in zip(n_shared.tolist(), shared, rivals, strict=True):
        found = []
        if n == 0:
            found.append("no replicate in common")
        elif n < FEW:
            found.append(f"only {n} shared replicate{'' if n == 1 else 's'}: the probability is too sure of itself")
        if np.isinf(losses[[best, rival]][:, mask]).any():
            found.append("diverged or failed instances count as infinitely bad")
        if len(rivals) > 1:
            found.append(f"one of {len(rivals)} comparisons with the best of these scores, not corrected")
        texts.append("; ".join(found))
    return texts
