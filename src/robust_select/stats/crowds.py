"""How likely each candidate is to beat the leader, once all of them have told how true values crowd.

Called by ``rivals``. Knows nothing of scores, of criteria or of who is trained next.
"""

from dataclasses import dataclass

import numpy as np

from robust_select.core.protocols import Floats

_N_POINTS = 160
_N_STEPS = 1
_ANYWHERE = 2.0  # so many candidates is the even prior worth against all that are there
_REACH = 8.0  # median standard errors below the leader


@dataclass(frozen=True)
class Observed:
    """What is known of every candidate's true value, against that of the leader.

    Attributes:
        leader: its position.
        shifts: (C,) estimated true value less the leader's.
        variances: (C,) of these estimates; 0 or more.
        own: (C,) the part of a candidate's error that is its own, as a variance: what no other candidate shares.
        leaders_own: (C,) the same for the leader, as the comparison with each candidate sees it.
        freedoms: (C,) degrees of freedom of a candidate's scale.
    """

    leader: int
    shifts: Floats
    variances: Floats
    own: Floats
    leaders_own: Floats
    freedoms: Floats


def beating(seen: Observed, tolerance: float) -> Floats:
    """Give the probabilities that a candidate's true value is below the leader's by more than the tolerance.

    The true values have a prior, found from all candidates: three steps of expectation maximisation (Kiefer and
    Wolfowitz 1956) from an even one, on points that are close together at the leader and ever wider apart away from
    it; the even one keeps the weight of two candidates. Where many candidates crowd within their errors it says that
    they differ less than their estimates, and that the leader was lucky; where they are far apart it says nothing.
    The steps see errors without the part that candidates share, a comparison sees them whole. Three steps do not
    sharpen the prior beyond what is known: docs/adr/0007-top-two.md has the choice.

    Assumes: errors that are normal for a known scale (Student's t for the candidate's). Their shared part is that of
    one common effect a replicate.

    Args:
        seen: of all candidates; finite.
        tolerance: in units of the values.

    Returns:
        (C,) probabilities; 0 for the leader.

    Example:
        >>> ones = np.ones(3)
        >>> seen = Observed(0, np.array([0.0, 0.1, 9.0]), 2 * ones, ones, ones, 50 * ones)
        >>> beating(seen, 0.0).round(1)
        array([0. , 0.5, 0. ])
    """
    points = _points(seen)
    prior = _prior(seen, points)
    variances = np.maximum(seen.variances - seen.leaders_own, 0.5 * seen.own)
    rivals = _posterior(prior, _log_likelihood(points, seen.shifts, variances, seen.freedoms))
    leaders = _posterior(prior, -0.5 * points**2 / np.maximum(seen.leaders_own, _least(seen))[:, None])
    below = np.concatenate([np.zeros((len(rivals), 1)), np.cumsum(rivals, axis=1)], axis=1)
    position = np.interp(
        points - tolerance, points, np.arange(_N_POINTS) + 0.5, left=0.0
    )  # half of a point is below it
    low = np.floor(position).astype(np.int64)
    share = position - low
    chances = below[:, low] * (1 - share) + below[:, np.minimum(low + 1, _N_POINTS)] * share
    probabilities = np.asarray((leaders * chances).sum(axis=1))
    probabilities[seen.leader] = 0.0
    return probabilities


def _least(seen: Observed) -> float:
    """Give the variance below which an error counts as none."""
    return max(1e-12 * float(np.median(seen.variances)), 1e-300)


def _points(seen: Observed) -> Floats:
    """(P,) differences to the leader: as close together at 0 as the smallest error asks for, wider apart far away."""
    others = np.delete(seen.variances, seen.leader)
    unit = 0.5 * float(np.sqrt(np.maximum(others, 1e-6 * np.median(others)).min()))
    top = max(float(seen.shifts.max()), 10 * unit)
    low = min(_REACH * float(np.sqrt(np.median(seen.variances))), max(top, 20 * unit))
    return np.asarray(unit * np.sinh(np.linspace(np.arcsinh(-low / unit), np.arcsinh(top / unit), _N_POINTS)))


def _prior(seen: Observed, points: Floats) -> Floats:
    """(P,) weights of the points."""
    likelihood = _log_likelihood(points, seen.shifts, seen.own, seen.freedoms)
    even = np.full(_N_POINTS, 1 / _N_POINTS)
    found = even
    for _ in range(_N_STEPS):
        found = _posterior(found, likelihood).mean(axis=0)
    n = len(seen.shifts)
    return (n * found + _ANYWHERE * even) / (n + _ANYWHERE)


def _log_likelihood(points: Floats, values: Floats, variances: Floats, freedoms: Floats) -> Floats:
    """(C, P) of Student's t, but for a constant."""
    free = freedoms[:, None]
    squares = (points - values[:, None]) ** 2 / np.maximum(variances, 1e-300)[:, None]
    return np.asarray(-0.5 * (free + 1) * np.log1p(squares / free))


def _posterior(prior: Floats, log_likelihood: Floats) -> Floats:
    """(C, P) weights of the points for each candidate."""
    weights = prior * np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
