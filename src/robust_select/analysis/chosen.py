"""How likely the true best candidate is among the first N of a ranking.

Called by figure 14. Knows nothing of drawing, nor of rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, Ints
from robust_select.core.tables import Table
from robust_select.select.result import Result
from robust_select.stats.criteria import criterion
from robust_select.stats.posteriors import posterior

_N_DRAWS = 4000


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
    """Rank candidates by what a result's scores say of their criterion, and say how likely the best is among N.

    Assumes: what ``stats.posteriors.posterior`` does, and candidates that know nothing of each other: where the same
    replicate of good candidates correlates, the truth is surer than this says.

    Args:
        result: of a selection, finished or not.
        n_draws: from the posterior.
        seed: of the draws.

    Returns:
        The probabilities; None while a candidate has no score at all, or where the criterion is relative to others.

    Example:
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> table = Table(("a", "b"), np.array([[1.0, 1.1, 1.2], [5.0, 5.1, 5.3]]))
        >>> top_n_of_result(replay(table, Halving(warmup=2), criterion("mean"))).probabilities.round(2).tolist()
        [[1.0, 1.0]]
    """
    losses = result.table.losses(result.direction)
    if result.criterion.tolerance is not None or np.isnan(losses).all(axis=1).any():
        return None
    found = posterior(losses, result.criterion)
    rng = np.random.default_rng(seed)
    shape = (n_draws, len(losses))
    scales = found.scales * np.sqrt(found.freedoms / rng.chisquare(np.maximum(found.freedoms, 1e-9), shape))
    means = found.means + scales / np.sqrt(found.counts) * rng.normal(size=shape)
    values = (
        found.shape.location * means + found.shape.k * scales + np.where(np.isinf(found.values), 0, found.offsets)
    )
    values = np.where(np.isinf(found.values), np.inf, values)
    order = np.argsort(found.values, kind="stable")
    best = values[:, order].argmin(axis=1)
    sizes = np.arange(1, len(losses) + 1)
    label = f"all {result.trainings:,} trainings"
    return TopN((label,), sizes, (best[:, None] < sizes).mean(axis=0)[None], len(losses))
