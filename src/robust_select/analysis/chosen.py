"""How likely the true best candidate is among the first N of a ranking.

Called by figure 14 and the page. Knows nothing of drawing, nor of rules.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, Ints
from robust_select.core.tables import Table
from robust_select.select.result import Result
from robust_select.stats.criteria import criterion
from robust_select.stats.posteriors import Posterior, posterior
from robust_select.stats.winner import prior_of_means, shared_correlation

_N_DRAWS = 2000
_EXTREMES = frozenset({"min", "max"})


@dataclass(frozen=True)
class TopN:
    """The probability that the true best is among the first N, for K rankings.

    Attributes:
        labels: (K,) what each ranking rests on.
        sizes: (N,) 1 to C: so many of the first.
        probabilities: (K, N) that the true best is among them.
        n_candidates: C.
    """

    labels: tuple[str, ...]
    sizes: Ints
    probabilities: Floats
    n_candidates: int


def top_n_of_table(
    table: Table,
    by: str = "mean",
    direction: Direction = "minimize",
    n_instances: Sequence[int] = (1, 2, 5, 10),
    n_repeats: int = 500,
    seed: int = 0,
) -> TopN:
    """Rank candidates by few of a table's replicates, drawn without replacement, and look for the best by all.

    Assumes: that the best over all replicates is the best; so the more of them are drawn, the more the ranking knows
    of its own answer. Draw less than half of them.

    Args:
        table: scores (C, R); used are the replicates that every candidate has.
        by: the criterion of the ranking and of the truth.
        direction: of the scores.
        n_instances: K numbers of instances; those of which the table has too few are left out.
        n_repeats: how many rankings of each.
        seed: of the draws.

    Raises:
        InputError: no number of instances is left, or a number out of range.

    Example:
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0, 1.2, 1.1], [2.0, 2.1, 2.2, 2.3]]))
        >>> top_n_of_table(table, n_instances=[1]).probabilities.round(1).tolist()
        [[0.8, 1.0]]
    """
    made = criterion(by)
    losses = table.losses(direction)
    losses = losses[:, ~np.isnan(losses).any(axis=0)]
    n_replicates = losses.shape[1]
    if n_repeats < 1 or seed < 0:
        raise InputError(f"expected n_repeats from 1 and seed from 0, came {n_repeats} and {seed}")
    drawn = [n for n in n_instances if max(1, made.min_instances) <= n < n_replicates]
    if not drawn:
        raise InputError(
            f"expected numbers of instances from {max(1, made.min_instances)} to {n_replicates - 1}, fewer than the "
            f"replicates that every candidate has, came n_instances={tuple(n_instances)}"
        )
    truth = int(made.order(losses)[0])
    rng = np.random.default_rng(seed)
    places = np.array(
        [
            [int(np.flatnonzero(made.order(losses[:, rng.permutation(n_replicates)[:n]]) == truth)[0]) for n in drawn]
            for _ in range(n_repeats)
        ]
    )
    sizes = np.arange(1, len(losses) + 1)
    found = (places[:, :, None] < sizes).mean(axis=0)
    labels = tuple(f"{n} instance{'' if n == 1 else 's'} of each" for n in drawn)
    return TopN(labels, sizes, found, len(losses))


def top_n_of_result(result: Result, n_draws: int = _N_DRAWS, seed: int = 0) -> TopN | None:
    """Say how likely the true best is among the first N of a result's summary, by what its scores say of all.

    Where the rule has a tolerance: the best, or one that is worse by no more than the tolerance.

    The candidates' true values are drawn from their joint posterior: the best of many look better than they are, so
    means are shrunken towards each other as far as the scores themselves ask for (``stats.winner.prior_of_means``),
    and scales towards the common one (``stats.posteriors.posterior``). Of the error of a mean the part that all
    candidates share over a replicate is drawn once for all.

    Assumes: true means that are about normal over candidates, outliers apart; what ``posterior`` assumes of scores.
    How often the best is among the first N, against what this says, is measured by benchmarks/top_n.py.

    Args:
        result: of a selection, finished or not.
        n_draws: from the posterior.
        seed: of the draws.

    Returns:
        The probabilities; None where they cannot be said, for a reason that ``why_no_top_n`` gives: a candidate has
        no score at all, or some diverge now and then; the criterion is relative to others or an extreme (min, max),
        which has no value that more instances would settle.

    Example:
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> table = Table(("a", "b"), np.array([[1.0, 1.1, 1.2], [5.0, 5.1, 5.3]]))
        >>> top_n_of_result(replay(table, Halving(warmup=2), criterion("mean"))).probabilities.round(2).tolist()
        [[1.0, 1.0]]
    """
    if why_no_top_n(result):
        return None
    losses = result.table.losses(result.direction)
    found = posterior(losses, result.criterion)
    rng = np.random.default_rng(seed)
    position = {name: row for row, name in enumerate(result.table.candidates)}
    order = np.array([position[str(name)] for name in result.summary()["candidate"]], dtype=np.int64)
    rho = shared_correlation(found, int(order[0]))
    place = np.empty(len(losses), dtype=np.int64)
    place[order] = np.arange(len(losses))
    tolerance = result.tolerance or 0.0
    best = np.array(
        [int(place[values <= values.min() + tolerance].min()) for values in _drawn(found, rho, n_draws, rng)]
    )
    sizes = np.arange(1, len(losses) + 1)
    label = f"all {result.trainings:,} trainings{f', tolerance {tolerance:g}' if tolerance else ''}"
    return TopN((label,), sizes, (best[:, None] < sizes).mean(axis=0)[None], len(losses))


def why_no_top_n(result: Result) -> str:
    """Say why ``top_n_of_result`` gives none; nothing where it does.

    Example:
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Exhaustive
        >>> why_no_top_n(replay(Table(("a", "b"), np.ones((2, 3))), Exhaustive(3), criterion("max")))
        'the more instances, the farther out lies their max: it has no true value to be the best by'
    """
    by = result.criterion
    if by.name in _EXTREMES:
        return f"the more instances, the farther out lies their {by.name}: it has no true value to be the best by"
    if by.tolerance is not None:
        return f"by {by.name} a candidate is judged only against the others"
    losses = result.table.losses(result.direction)
    n_unknown = int(np.isnan(losses).all(axis=1).sum())
    if n_unknown:
        return f"{n_unknown:,} candidate{' has' if n_unknown == 1 else 's have'} no score"
    if not np.isfinite(by(losses)).any():
        return f"no candidate has a finite {by.name}"
    n_now_and_then = int((np.isinf(losses).any(axis=1) & np.isfinite(by(losses))).sum())
    if n_now_and_then:
        who = "1 candidate" if n_now_and_then == 1 else f"{n_now_and_then:,} candidates"
        return f"{who} diverged or failed now and then, and no model of location and scale fits such scores"
    return ""


def _drawn(found: Posterior, rho: float, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Draw true values (C,) of the criterion, again and again; infinite ones stay infinite."""
    rows = np.flatnonzero(np.isfinite(found.values))
    shape, counts = found.shape, found.counts[rows]
    scales, freedoms, means = found.scales[rows], np.maximum(found.freedoms[rows], 1e-9), found.means[rows]
    own = np.sqrt(shape.own_variance / counts) * found.own_shares[rows]
    common = float(np.median(scales)) * math.sqrt(rho) if len(rows) else 0.0
    prior = None
    if shape.location and len(rows) > 1 and (scales > 0).all():
        prior = prior_of_means(means, scales * np.sqrt((1 - rho) / counts))
    for _ in range(n_draws):
        values = np.full(len(found.values), np.inf)
        scale = scales * np.sqrt(freedoms / rng.chisquare(freedoms))
        mean = means
        if prior is not None:
            effects = np.cumsum(common * rng.standard_normal(int(counts.max())))
            mean = prior.draw(means - effects[counts - 1] / counts, scale * np.sqrt((1 - rho) / counts), rng)
        noise = own * scale * rng.standard_normal(len(rows))
        values[rows] = shape.location * mean + shape.k * scale + found.offsets[rows] + noise
        yield values
