"""The honest winner: what the selected candidate is like, with intervals, free of the winner's curse.

Called by overview, the card and users. Knows nothing of words or drawing.
"""

from dataclasses import dataclass, replace

import numpy as np

from robust_select.analysis.bootstrap import bootstrap_interval, redraw
from robust_select.select.result import ENOUGH_FRESH, Result
from robust_select.stats.winner import Estimate

_N_RESAMPLES = 2000


@dataclass(frozen=True)
class Winner:
    """What the selected candidate is like, in units of the score.

    Attributes:
        candidate: its name.
        n_fresh: of how many fresh instances, which the choice did not look at, the estimates are; 0 where they are
            of all scores, with a correction.
        mean: of its scores.
        std: standard deviation of its scores.
        criterion: by which it was selected; nan for the extremes min and max without fresh instances.
        confidence: of the intervals.
    """

    candidate: str
    n_fresh: int
    mean: Estimate
    std: Estimate
    criterion: Estimate
    confidence: float


def winner(result: Result, confidence: float = 0.95, seed: int = 0) -> Winner:
    """Estimate what the selected candidate is like.

    With two fresh instances or more from them alone: unbiased, with the t interval of the mean, the chi-squared
    interval of the standard deviation and a bootstrap interval of any other criterion. Otherwise from all scores,
    with the correction of ``stats.winner.shrunken_winner``.

    Assumes: independent instances; normal scores for the chi-squared interval, and for the t interval of few.

    Args:
        result: of a selection, finished or not.
        confidence: of the intervals.
        seed: of the bootstrap.

    Raises:
        InputError: confidence out of range.

    Example:
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> found = winner(replay(table, Halving(warmup=2, final_instances=2), criterion("mean")))
        >>> found.n_fresh, round(found.mean.value, 2)
        (2, 1.2)
    """
    honest = result.honest(confidence)
    n_fresh = result.fresh if result.fresh >= ENOUGH_FRESH else 0
    found = Winner(result.selected, n_fresh, honest.mean, honest.std, honest.criterion, confidence)
    by = result.criterion
    if not n_fresh or by.name == "mean" or by.tolerance is not None or by.name == "std":
        return found
    losses = result.fresh_losses
    interval = bootstrap_interval(losses, redraw(losses, _N_RESAMPLES, np.random.default_rng(seed)), by, confidence)
    estimate = Estimate(float(by(losses)), interval.low, interval.high)
    negate = result.direction == "maximize" and by.kind == "location"
    return replace(found, criterion=estimate.negated() if negate else estimate)
