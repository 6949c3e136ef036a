"""Score distributions: the boxes and the density curves of many candidates at once.

Called by the page, by figures 2, 8, 9, 11 and 17, and by ``stability``. Knows nothing of drawing, nor of who was
selected.
"""

import math
from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Floats, Ints

_TAIL = 3.0  # bandwidths beyond the outermost score, where a Gaussian kernel has died away
_LEAST_BANDWIDTH = 0.01


@dataclass(frozen=True)
class Boxes:
    """Tukey's box of every candidate, of its finite scores.

    Attributes:
        lower: (C,) the smallest score within 1.5 interquartile ranges below the box.
        q1: (C,) first quartile.
        median: (C,) the median.
        q3: (C,) third quartile.
        upper: (C,) the largest score within 1.5 interquartile ranges above the box.
        n_finite: (C,) how many scores the box rests on; where 0, all others are nan.
    """

    lower: Floats
    q1: Floats
    median: Floats
    q3: Floats
    upper: Floats
    n_finite: Ints


def boxes(scores: Floats) -> Boxes:
    """Summarise scores as box plots; quantiles by numpy's default.

    Args:
        scores: (C, R); nan where not trained and infinite where diverged or failed are left out (say beside the
            box how many).

    Example:
        >>> boxes(np.array([[1.0, 2.0, 3.0, 4.0, 100.0, np.inf]])).upper
        array([4.])
    """
    finite = np.isfinite(scores)
    found = np.full((5, len(scores)), np.nan)
    for row in np.flatnonzero(finite.any(axis=1)):
        values = scores[row, finite[row]]
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        reach = 1.5 * (high - low)
        within = values[(values >= low - reach) & (values <= high + reach)]
        found[:, row] = min(within.min(), low), low, middle, high, max(within.max(), high)
    lower, q1, median, q3, upper = found
    return Boxes(lower, q1, median, q3, upper, np.asarray(finite.sum(axis=1), dtype=np.int64))


@dataclass(frozen=True)
class Densities:
    """Smoothed score densities on a common grid of G points.

    Attributes:
        grid: (G,) scores.
        densities: (C, G) per unit of the score; nan for a candidate with fewer than ``min_instances`` finite scores.
        n_finite: (C,) how many scores each curve rests on.
    """

    grid: Floats
    densities: Floats
    n_finite: Ints


def score_densities(scores: Floats, n_points: int = 256, min_instances: int = 3) -> Densities:
    """Smooth every candidate's scores by a Gaussian kernel with Scott's bandwidth.

    A candidate whose scores are all equal gets a narrow peak, a hundredth of the common range wide.

    Assumes: independent scores of one population per candidate; a smoothed picture, with the tails of the kernel,
    not an estimate to compute with (Scott 1992, Multivariate Density Estimation, chapter 6).

    Args:
        scores: (C, R); values that are not finite are left out.
        n_points: G.
        min_instances: a candidate with fewer finite scores gets no curve.

    Example:
        >>> found = score_densities(np.array([[1.0, 2.0, 3.0, 4.0]]))
        >>> bool(abs(np.trapezoid(found.densities[0], found.grid) - 1) < 0.01)
        True
    """
    finite = np.isfinite(scores)
    n_finite = np.asarray(finite.sum(axis=1), dtype=np.int64)
    densities = np.full((len(scores), n_points), np.nan)
    is_drawn = n_finite >= max(min_instances, 1)
    if not is_drawn.any():
        return Densities(np.linspace(0.0, 1.0, n_points), densities, n_finite)
    samples = {row: scores[row, finite[row]] for row in np.flatnonzero(is_drawn).tolist()}
    low, high = min(map(np.min, samples.values())), max(map(np.max, samples.values()))
    span = float(high - low or abs(high) or 1.0)
    bandwidths = {row: _bandwidth(values, _LEAST_BANDWIDTH * span) for row, values in samples.items()}
    grid = np.linspace(
        min(values.min() - _TAIL * bandwidths[row] for row, values in samples.items()),
        max(values.max() + _TAIL * bandwidths[row] for row, values in samples.items()),
        n_points,
    )
    for row, values in samples.items():
        kernels = np.exp(-0.5 * ((grid[:, None] - values[None, :]) / bandwidths[row]) ** 2)
        densities[row] = kernels.mean(axis=1) / (bandwidths[row] * np.sqrt(2 * np.pi))
    return Densities(grid, densities, n_finite)


def _bandwidth(values: Floats, least: float) -> float:
    """Scott's rule, but not below ``least``."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return max(spread * math.pow(len(values), -1 / 5), least)
