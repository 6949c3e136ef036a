"""Histograms of one candidate's scores, with the criteria they give; of several samples on common bins.

Called by figures 5 and 6 and the page. Knows nothing of drawing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, Ints, losses_of
from robust_select.stats.criteria import PUBLISHED_CRITERIA, criterion

_MOST_BINS = 40
_LEAST_BINS = 5


@dataclass(frozen=True)
class Histograms:
    """How often scores fall into each of H bins, for K samples.

    Attributes:
        names: (K,) of the samples.
        edges: (H + 1,) of the bins, common to all, in units of the score.
        counts: (K, H) finite scores in each bin.
        criteria: (P,) names of the criteria.
        values: (K, P) their values in units of the score; infinite where a diverged instance makes it so.
        stds: (K,) standard deviation of the finite scores; nan below two.
        n_instances: (K,) how many scores there were, the unusable among them.
        n_unusable: (K,) how many diverged or failed; they are in no bin.
    """

    names: tuple[str, ...]
    edges: Floats
    counts: Ints
    criteria: tuple[str, ...]
    values: Floats
    stds: Floats
    n_instances: Ints
    n_unusable: Ints


def score_histograms(
    samples: Mapping[str, Floats], direction: Direction = "minimize", n_bins: int | None = None
) -> Histograms:
    """Count scores in bins as wide as Freedman and Diaconis have it for the narrowest sample, between 5 and 40 bins.

    Reference: Freedman and Diaconis 1981, Probability Theory and Related Fields 57.

    Args:
        samples: name to (R,) scores; nan where not trained, infinite where diverged or failed.
        direction: of the scores.
        n_bins: H, if it shall be another.

    Raises:
        InputError: no sample, or none with a finite score.

    Example:
        >>> found = score_histograms({"a": np.array([1.0, 2.0, 2.0, np.inf])}, n_bins=2)
        >>> found.counts.tolist(), found.n_unusable.tolist()
        ([[1, 2]], [1])
    """
    known = {name: np.asarray(scores, dtype=float)[~np.isnan(scores)] for name, scores in samples.items()}
    finite = {name: scores[np.isfinite(scores)] for name, scores in known.items()}
    pooled = np.concatenate(list(finite.values())) if finite else np.empty(0)
    if pooled.size == 0:
        raise InputError("expected scores to draw a histogram of, came none that is finite")
    edges = np.histogram_bin_edges(pooled, n_bins or _n_bins(list(finite.values()), float(np.ptp(pooled))))
    made = [criterion(name) for name in PUBLISHED_CRITERIA]
    values = [
        [float(by.in_score_units(np.asarray(by(losses_of(scores, direction))), direction)) for by in made]
        for scores in known.values()
    ]
    return Histograms(
        names=tuple(known),
        edges=edges,
        counts=np.array([np.histogram(scores, edges)[0] for scores in finite.values()], dtype=np.int64),
        criteria=PUBLISHED_CRITERIA,
        values=np.array(values, dtype=float),
        stds=np.array([scores.std(ddof=1) if len(scores) > 1 else np.nan for scores in finite.values()]),
        n_instances=np.array([len(scores) for scores in known.values()], dtype=np.int64),
        n_unusable=np.array([np.isinf(scores).sum() for scores in known.values()], dtype=np.int64),
    )


def score_bins(scores: Floats) -> tuple[Floats, Ints]:
    """Count one candidate's finite scores in the bins that ``score_histograms`` gives it alone.

    Args:
        scores: (R,) nan where not trained, infinite where diverged or failed.

    Returns:
        (H + 1,) edges and (H,) counts; empty where no two finite scores differ.

    Example:
        >>> score_bins(np.array([1.0, 2.0, 2.0, 3.0, np.inf]))[1].tolist()
        [1, 0, 2, 0, 1]
    """
    finite = scores[np.isfinite(scores)]
    span = float(np.ptp(finite)) if len(finite) else 0.0
    if not span > 0:
        return np.empty(0), np.empty(0, dtype=np.int64)
    edges = np.histogram_bin_edges(finite, _n_bins([finite], span))
    return edges, np.histogram(finite, edges)[0].astype(np.int64)


def _n_bins(samples: list[Floats], span: float) -> int:
    """Freedman and Diaconis's number of bins over the common span, for the sample that spreads least."""
    widths = [
        2 * float(np.subtract(*np.quantile(s, [0.75, 0.25]))) / len(s) ** (1 / 3) for s in samples if len(s) > 1
    ]
    width = min((width for width in widths if width > 0), default=0.0)
    wanted = span / width if width > 0 else _LEAST_BINS
    return min(max(int(np.ceil(min(wanted, _MOST_BINS))), _LEAST_BINS), _MOST_BINS)
