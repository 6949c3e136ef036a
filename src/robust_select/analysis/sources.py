"""Sources: how much of the variance of a candidate's scores each random stream contributes, with intervals.

Called by ``measure --sources``, the figures and users. Knows nothing of trainers, ledgers or drawing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from robust_select.analysis.bootstrap import bootstrap_interval, redraw
from robust_select.core.designs import Crossed
from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, losses_of
from robust_select.core.tables import Table
from robust_select.stats.criteria import criterion

WEIGHTS, SAMPLE, INTERACTION, ORDER, REST = (
    "initial weights",
    "training sample",
    "interaction",
    "batch order",
    "interaction and batch order",
)
"""The sources; without repeats the last two cannot be told apart and are one."""

_ENOUGH_LEVELS = 6
_N_DRAWS = 10_000
_ROUNDING = 1e-12  # of all squares together: below it a sum of squares is rounding
_DIGITS = 1e-14  # of the scores: below it their differences are rounding


@dataclass(frozen=True)
class Components:
    """The variance components of B crossed designs at once; K sources.

    Attributes:
        sources: (K,) names.
        variances: (B, K) estimates by the method of moments, unbiased, so one may come out below 0.
        shares: (B, K) of the total, estimates below 0 taken for 0; nan where nothing varies.
        low: (B, K) lower ends of the shares' intervals.
        high: (B, K) upper ends.
        std_low: (B, K) lower ends of the intervals of the standard deviations, in units of the score.
        std_high: (B, K) upper ends.
        degrees: (K,) degrees of freedom of each mean square.
        confidence: of the intervals.
    """

    sources: tuple[str, ...]
    variances: Floats
    shares: Floats
    low: Floats
    high: Floats
    std_low: Floats
    std_high: Floats
    degrees: Floats
    confidence: float

    @property
    def stds(self) -> Floats:
        """(B, K) standard deviation that each source alone would leave, in units of the score."""
        return np.sqrt(np.maximum(self.variances, 0.0))


def variance_components(
    scores: Floats, confidence: float = 0.95, n_draws: int = _N_DRAWS, seed: int = 0
) -> Components:
    """Split the variance of crossed designs: initial weights x training samples, with or without repeats.

    Two-way random effects, ``score = mean + weights + sample + interaction + rest``. Components are estimated by the
    method of moments: the mean squares of the analysis of variance, set equal to their expectations (on balanced
    data these are the REML estimates wherever none is below 0). The intervals are generalised confidence intervals:
    each sum of squares over a drawn chi-squared stands for its expectation.

    Assumes: a balanced design whose weights and samples were drawn at random; independent, normal effects. Measured,
    nominal 95 %, 1,000 designs in each of 20 cases from 5 x 5 to 20 x 10: the intervals hold in 92 to 99 %; with
    effects that have the tails of Student's t of 5 degrees of freedom in 80 to 99 %. They are wide: eight initial
    weights give seven degrees of freedom, whatever the number of trainings.

    Reference: Searle, Casella and McCulloch 1992, Variance Components, chapter 4; Weerahandi 1993, JASA 88; Burdick,
    Borror and Montgomery 2005, Design and Analysis of Gauge R&R Studies, chapter 3.

    Args:
        scores: (W, S) of one design without repeats, (W, S, K) of one with K repeats of each pair, or (B, W, S, K) of
            B designs at once. All finite.
        confidence: of the intervals.
        n_draws: of each interval.
        seed: the same seed gives the same intervals.

    Raises:
        InputError: another shape, fewer than two weights or samples, scores that are not finite, or a number out of
            range.

    Example:
        >>> weights, samples = np.array([0.0, 4.0, 8.0])[:, None], np.array([0.0, 1.0, 2.0])
        >>> found = variance_components(weights + samples)
        >>> found.sources, found.variances.tolist()
        (('initial weights', 'training sample', 'interaction and batch order'), [[16.0, 1.0, 0.0]])
    """
    if not 0 < confidence < 1:
        raise InputError(f"expected confidence between 0 and 1, both excluded, came confidence={confidence}")
    if n_draws < 1 or seed < 0:
        raise InputError(f"expected n_draws from 1 and seed from 0, came n_draws={n_draws} and seed={seed}")
    crossed = _as_designs(scores)
    _, n_weights, n_samples, n_repeats = crossed.shape
    squares, degrees = _sums_of_squares(crossed)
    sources = (WEIGHTS, SAMPLE, INTERACTION, ORDER) if n_repeats > 1 else (WEIGHTS, SAMPLE, REST)
    to_components = _expectations(n_weights, n_samples, n_repeats)
    variances = squares / degrees @ to_components.T
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    drawn = np.random.default_rng(seed).chisquare(degrees, (n_draws, len(degrees)))
    ends = np.empty((4, *variances.shape))
    for row, sums in enumerate(squares):
        components = np.maximum(sums / drawn @ to_components.T, 0.0)
        ends[:2, row] = np.quantile(_shares(components), levels, axis=0)
        ends[2:, row] = np.sqrt(np.quantile(components, levels, axis=0))
    low, high, std_low, std_high = ends
    return Components(
        sources=sources,
        variances=variances,
        shares=_shares(np.maximum(variances, 0.0)),
        low=low,
        high=high,
        std_low=std_low,
        std_high=std_high,
        degrees=degrees,
        confidence=confidence,
    )


def _as_designs(scores: Floats) -> Floats:
    """Give scores as (B, W, S, K)."""
    found = np.asarray(scores, dtype=float)
    found = found[None, ..., None] if found.ndim == 2 else found[None] if found.ndim == 3 else found
    if found.ndim != 4 or min(found.shape[1:3]) < 2 or found.shape[3] < 1:
        raise InputError(
            f"expected scores of at least 2 initial weights x 2 training samples, came shape {np.shape(scores)}"
        )
    if not np.isfinite(found).all():
        raise InputError(
            f"expected a complete design of finite scores, came {int((~np.isfinite(found)).sum())} that are not: "
            "train what is missing; a diverged instance makes the variance infinite"
        )
    return found


def _sums_of_squares(crossed: Floats) -> tuple[Floats, Floats]:
    """(B, K) sums of squares of (B, W, S, K) scores and their (K,) degrees of freedom."""
    _, n_weights, n_samples, n_repeats = crossed.shape
    least = crossed[0].size * (_DIGITS * np.abs(crossed).max(axis=(1, 2, 3), initial=0.0)) ** 2
    crossed = crossed - crossed.mean(axis=(1, 2, 3), keepdims=True)  # so that no large mean costs digits
    cells = crossed.mean(axis=3)
    weights, samples = cells.mean(axis=2), cells.mean(axis=1)
    rest = cells - weights[:, :, None] - samples[:, None, :]
    squares = [
        n_samples * n_repeats * (weights**2).sum(axis=1),
        n_weights * n_repeats * (samples**2).sum(axis=1),
        n_repeats * (rest**2).sum(axis=(1, 2)),
    ]
    degrees = [n_weights - 1, n_samples - 1, (n_weights - 1) * (n_samples - 1)]
    if n_repeats > 1:
        squares.append(((crossed - cells[..., None]) ** 2).sum(axis=(1, 2, 3)))
        degrees.append(n_weights * n_samples * (n_repeats - 1))
    found = np.stack(squares, axis=1)
    least = np.maximum(least[:, None], _ROUNDING * found.sum(axis=1, keepdims=True))
    return np.where(found <= least, 0.0, found), np.array(degrees, dtype=float)


def _expectations(n_weights: int, n_samples: int, n_repeats: int) -> Floats:
    """(K, K) from mean squares to components: expected mean squares, solved."""
    over_weights, over_samples = 1 / (n_samples * n_repeats), 1 / (n_weights * n_repeats)
    if n_repeats == 1:
        return np.array([[over_weights, 0.0, -over_weights], [0.0, over_samples, -over_samples], [0.0, 0.0, 1.0]])
    return np.array(
        [
            [over_weights, 0.0, -over_weights, 0.0],
            [0.0, over_samples, -over_samples, 0.0],
            [0.0, 0.0, 1 / n_repeats, -1 / n_repeats],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def _shares(components: Floats) -> Floats:
    """Give each component's share of their sum; nan where nothing varies."""
    total = components.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(components, total, out=np.full(components.shape, np.nan), where=total > 0))


def sources(
    table: Table, design: Crossed, confidence: float = 0.95, n_draws: int = _N_DRAWS, seed: int = 0
) -> pd.DataFrame:
    """Say for every candidate of a crossed design how much of the variance each random stream contributes.

    Assumes: what ``variance_components`` does, for each candidate on its own.

    Args:
        table: scores (C, R), its first replicates in the design's order (``core.designs.Crossed``).
        design: how they were trained.
        confidence: of the intervals.
        n_draws: of each interval.
        seed: the same seed gives the same numbers.

    Returns:
        One row a candidate and source: ``candidate``, ``source``, ``share`` of the variance with ``low`` and
        ``high``, ``std`` (the standard deviation that the source alone would leave, in units of the score) with
        ``std_low`` and ``std_high``, ``variance`` (the unbiased estimate, which may be below 0), ``levels`` (how many
        different ones were trained), ``instances``, ``caveats``. All numbers are nan where an instance is missing or
        unusable.

    Raises:
        InputError: the table has fewer replicates than the design, or a number out of range.

    Example:
        >>> scores = (np.array([0.0, 4.0, 8.0])[:, None] + np.array([0.0, 1.0, 2.0])).reshape(1, 9)
        >>> sources(Table(("a",), scores), Crossed(3, 3))[["source", "share", "std"]].round(3)
                                source  share  std
        0              initial weights  0.941  4.0
        1              training sample  0.059  1.0
        2  interaction and batch order  0.000  0.0
    """
    if table.n_replicates < design.n_instances:
        raise InputError(
            f"expected the {design.n_instances} replicates of a design {design}, came a table of "
            f"{table.n_replicates}: say the design by which it was trained (--design), or train it"
        )
    shape = (design.n_repeats, design.n_weights, design.n_samples)
    crossed = table.scores[:, : design.n_instances].reshape(-1, *shape).transpose(0, 2, 3, 1)
    is_usable = np.asarray(np.isfinite(crossed).all(axis=(1, 2, 3)))
    known = np.where(is_usable[:, None, None, None], crossed, 0.0)
    found = variance_components(known, confidence, n_draws, seed)
    n_levels = [design.n_weights, design.n_samples, design.n_weights * design.n_samples, design.n_instances]
    rows = []
    for row, name in enumerate(table.candidates):
        values = np.where(
            is_usable[row],
            [
                found.shares[row],
                found.low[row],
                found.high[row],
                found.stds[row],
                found.std_low[row],
                found.std_high[row],
                found.variances[row],
            ],
            np.nan,
        )
        for column, source in enumerate(found.sources):
            share, low, high, std, std_low, std_high, variance = values[:, column].tolist()
            rows.append(
                {
                    "candidate": name,
                    "source": source,
                    "share": share,
                    "low": low,
                    "high": high,
                    "std": std,
                    "std_low": std_low,
                    "std_high": std_high,
                    "variance": variance,
                    "levels": n_levels[column],
                    "instances": int(np.count_nonzero(~np.isnan(crossed[row]))),
                    "caveats": "; ".join(_caveats(crossed[row], n_levels[column], column < 2, share, variance)),
                }
            )
    return pd.DataFrame(rows)


def _caveats(crossed: Floats, n_levels: int, is_main: bool, share: float, variance: float) -> list[str]:
    n_missing, n_unusable = int(np.isnan(crossed).sum()), int(np.isinf(crossed).sum())
    found = []
    if n_missing:
        found.append(f"{n_missing} of {crossed.size} instances are not trained: nothing can be said")
    elif n_unusable:
        found.append(f"{n_unusable} of {crossed.size} diverged or failed: the variance is infinite")
    elif np.isnan(share):
        found.append("the scores do not vary at all")
    elif variance < 0:
        found.append("the estimate is below 0, taken for 0: too small to be seen")
    if is_main and n_levels < _ENOUGH_LEVELS:
        found.append(f"only {n_levels} different ones: the interval is very wide")
    return found


def compare_alone(
    tables: Mapping[str, Table],
    direction: Direction = "minimize",
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the scores of candidates when only one random stream varies, and when all do.

    The published way to look at sources of randomness: initial weights alone, sampling alone, both. It says what a
    stream does at one value of the others, the crossed design what it does on average.

    Assumes: independent replicates within a table. Intervals are bootstrap ones (``analysis.bootstrap``).

    Args:
        tables: what varies ("initial weights alone", ...) to the scores (C, R) of the same candidates.
        direction: of the scores.
        confidence: of the intervals of the standard deviation.
        n_resamples: of each bootstrap.
        seed: the same seed gives the same numbers.

    Returns:
        One row a candidate and table: ``candidate``, ``varying``, ``instances``, ``unusable`` of them, ``mean``,
        ``std`` with ``low`` and ``high``, ``q1``, ``median``, ``q3``, in units of the score.

    Raises:
        InputError: no table, tables of different candidates, or a number out of range.

    Example:
        >>> tables = {"initial weights alone": Table(("a",), np.array([[1.0, 1.1, 1.2]]))}
        >>> compare_alone(tables)[["varying", "instances", "std"]].round(3)
                         varying  instances  std
        0  initial weights alone          3  0.1
    """
    if not tables:
        raise InputError("expected at least one table, came none")
    names = next(iter(tables.values())).candidates
    for varying, table in tables.items():
        if table.candidates != names:
            raise InputError(f"expected tables of the same candidates, came others in {varying!r}")
    if n_resamples < 1 or seed < 0:
        raise InputError(f"expected n_resamples from 1 and seed from 0, came {n_resamples} and {seed}")
    rows = []
    for row, name in enumerate(names):
        for varying, table in tables.items():
            losses = losses_of(table.scores[row], direction)
            losses = losses[~np.isnan(losses)]
            rows.append(
                {"candidate": name, "varying": varying, **_spread(losses, direction, confidence, n_resamples, seed)}
            )
    return pd.DataFrame(rows)


def _spread(
    losses: Floats, direction: Direction, confidence: float, n_resamples: int, seed: int
) -> dict[str, float | int]:
    """Describe the losses of one candidate in one table."""
    std, n = criterion("std"), len(losses)
    resamples = redraw(losses, n_resamples, np.random.default_rng(seed)) if n > 1 else losses[None, :]
    interval = bootstrap_interval(losses, resamples, std, confidence)
    mean = criterion("mean").in_score_units(np.asarray(criterion("mean")(losses)), direction)
    levels = [0.25, 0.5, 0.75] if direction == "minimize" else [0.75, 0.5, 0.25]
    quartiles = (
        np.quantile(losses, levels, method="linear") if n and np.isfinite(losses).all() else np.full(3, np.nan)
    )
    q1, median, q3 = criterion("mean").in_score_units(quartiles, direction).tolist()
    return {
        "instances": n,
        "unusable": int(np.isinf(losses).sum()),
        "mean": float(mean),
        "std": float(std(losses)),
        "low": interval.low,
        "high": interval.high,
        "q1": q1,
        "median": median,
        "q3": q3,
    }
