"""Stability: when a ranking can be trusted, by epochs and by the size of the training sample.

Called by the command line, the page, the figures, the verdict on pruning and users. Knows nothing of trainers,
ledgers or drawing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta

from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Direction, Floats, check_direction, losses_of
from robust_select.core.tables import Table
from robust_select.stats.criteria import Criterion, criterion
from robust_select.stats.ranks import kendall_tau, overlap

GUESSING, SETTLED = 0.5, 0.9
"""Below the one, fewer than three pairs of four are in their final order; from the other on, 95 % of them are."""

_N_DRAWS = 8  # of who goes on among tied candidates
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Stability:
    """How the rankings after each epoch agree with the last one; R replicates, E epochs.

    Attributes:
        n_candidates: C.
        n_top: how many candidates are the top ones.
        tau: (R, E) Kendall's tau-b between the ranking after an epoch and the last one of the same replicate; 0 where
            all are tied after that epoch.
        overlap: (R, E) share of the top candidates after an epoch that are top ones after the last.
        between: mean tau between the last rankings of two replicates: how much of a last ranking comes back when
            everything is trained again; nan for one replicate.
        best: the candidate that is best by the criterion, over all replicates after the last epoch.
        lost: (E,) probability that halving over epochs, from this epoch on, discards ``best``.
        lost_low: (E,) lower end of its interval.
        lost_high: (E,) upper end.
        lost_own: (E,) probability that it discards whoever would end as the best of the same replicate.
        saved: (E,) share of all epochs that halving does not train.
    """

    n_candidates: int
    n_top: int
    tau: Floats
    overlap: Floats
    between: float
    best: str
    lost: Floats
    lost_low: Floats
    lost_high: Floats
    lost_own: Floats
    saved: Floats

    @property
    def n_replicates(self) -> int:
        """How many replicates the numbers rest on, R."""
        return int(self.tau.shape[0])

    @property
    def n_epochs(self) -> int:
        """E."""
        return int(self.tau.shape[1])

    @property
    def guessing_before(self) -> int:
        """The epoch, from 1, from which on the mean tau is ``GUESSING`` or more; pruning before it is guessing."""
        return _reached(self.tau.mean(axis=0), GUESSING)

    @property
    def settled_from(self) -> int:
        """The epoch, from 1, from which on the mean tau is ``SETTLED`` or more."""
        return _reached(self.tau.mean(axis=0), SETTLED)

    @property
    def verdict(self) -> str:
        """What it means, in words."""
        first, last, n_epochs = self.guessing_before, self.settled_from, self.n_epochs
        tau = float(self.tau[:, first - 1].mean())
        if first > 1:
            sentences = [
                f"Pruning before epoch {first} of {n_epochs} would be guessing: until then fewer than three pairs of "
                "candidates in four are in their final order (mean Kendall's tau below "
                f"{GUESSING:g}; {float(self.tau[:, 0].mean()):.2f} after epoch 1)."
            ]
        else:
            sentences = [
                f"After epoch 1 of {n_epochs} the ranking already tells of the final one (mean tau {tau:.2f})."
            ]
        sentences.append(f"It is settled (tau {SETTLED:g} and more) from epoch {last} on.")
        if first < n_epochs:
            sentences.append(
                f"Halving over epochs from epoch {first} on loses the best candidate, {self.best}, with probability "
                f"{_percent(self.lost[first - 1])} ({100 * _CONFIDENCE:g} % interval "
                f"{_percent(self.lost_low[first - 1])} to {_percent(self.lost_high[first - 1])}, "
                f"from {self.n_replicates} searches) and saves {_percent(self.saved[first - 1])} of the epochs."
            )
        if np.isfinite(self.between):
            sentences.append(f"The final rankings of two replicates agree by a tau of {self.between:.2f}.")
        return " ".join(sentences)

    def to_frame(self) -> pd.DataFrame:
        """Give one row an epoch: mean, standard deviation and extremes over the replicates, and what halving does."""
        several = self.n_replicates > 1
        nothing = np.full(self.n_epochs, np.nan)
        return pd.DataFrame(
            {
                "epoch": np.arange(1, self.n_epochs + 1),
                "tau": self.tau.mean(axis=0),
                "tau_std": self.tau.std(axis=0, ddof=1) if several else nothing,
                "tau_min": self.tau.min(axis=0),
                "tau_max": self.tau.max(axis=0),
                "overlap": self.overlap.mean(axis=0),
                "overlap_std": self.overlap.std(axis=0, ddof=1) if several else nothing,
                "lost": self.lost,
                "lost_low": self.lost_low,
                "lost_high": self.lost_high,
                "lost_own": self.lost_own,
                "saved": self.saved,
            }
        )


def stability(
    table: Table,
    direction: Direction = "minimize",
    top: float = 0.1,
    by: str | Criterion = "mean",
    seed: int = 0,
) -> Stability:
    """Say after which epoch the final ranking of the candidates can be read off.

    A replicate is a search of its own: every candidate trained once, from the same seeds. Only replicates in which
    all candidates were trained, and do not end all equal, count; a diverged or failed instance is the worst from
    where its curve ends. Halving over epochs keeps the better half (floor) at epochs e, 2 e, 4 e, ... until one is
    left; ties are broken at random.

    Assumes: replicates that are independent of each other. The interval of ``lost`` is Clopper and Pearson's over the
    replicates, for the candidate that is best on the same replicates: with few of them it may not be the true best.

    Reference: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization",
    AISTATS (halving over epochs).

    Args:
        table: with curves (C, R, E).
        direction: of the scores.
        top: the share of candidates that are the top ones, at least one.
        by: the criterion that says who is best.
        seed: of breaking ties.

    Raises:
        InputError: no curves, curves of different lengths, no replicate of all candidates, fewer than two candidates
            or epochs, or a number out of range.

    Example:
        >>> curves = np.array([[[0.9, 0.5, 0.1]], [[0.8, 0.6, 0.2]], [[0.7, 0.7, 0.3]]])
        >>> found = stability(Table(("a", "b", "c"), curves[..., -1], curves=curves))
        >>> found.tau.tolist(), found.guessing_before, found.lost.tolist()
        ([[-1.0, 1.0, 1.0]], 2, [1.0, 0.0, 0.0])
    """
    check_direction(direction)
    if not 0 < top <= 1:
        raise InputError(f"expected top as a share of the candidates, above 0 and at most 1, came top={top}")
    losses = _epoch_losses(table, direction)
    n_top = max(1, round(top * table.n_candidates))
    last = losses[:, -1:]
    tau = kendall_tau(losses, last)
    tau[np.isnan(tau)] = 0.0  # all tied: that ranking says nothing
    best = int((criterion(by) if isinstance(by, str) else by).order(last[:, 0].T)[0])
    lost, lost_own, saved = _halved(losses, best, np.random.default_rng(seed))
    low, high = _interval(lost, len(losses))
    return Stability(
        n_candidates=table.n_candidates,
        n_top=n_top,
        tau=tau,
        overlap=overlap(losses, last, n_top),
        between=_between(last[:, 0]),
        best=table.candidates[best],
        lost=lost,
        lost_low=low,
        lost_high=high,
        lost_own=lost_own,
        saved=saved,
    )


@dataclass(frozen=True)
class EpochScores:
    """Scores after one epoch and after the last.

    Attributes:
        epoch: from 1.
        n_epochs: E.
        at: (C,) mean scores after that epoch.
        final: (C,) mean scores after the last.
        is_top: (C,) whether a candidate is among the top ones after the last.
    """

    epoch: int
    n_epochs: int
    at: Floats
    final: Floats
    is_top: Bools


def epoch_scores(table: Table, epoch: int, direction: Direction = "minimize", top: float = 0.1) -> EpochScores:
    """Give every candidate's mean score after an epoch and after the last, over the replicates of all candidates.

    Args:
        table: with curves (C, R, E).
        epoch: from 1 to E.
        direction: of the scores.
        top: the share of candidates that are the top ones, at least one.

    Returns:
        Scores in their own units; infinite where an instance had diverged.

    Raises:
        InputError: as ``stability``, or an epoch out of range.

    Example:
        >>> curves = np.array([[[0.9, 0.1]], [[0.8, 0.2]]])
        >>> epoch_scores(Table(("a", "b"), curves[..., -1], curves=curves), epoch=1).at.tolist()
        [0.9, 0.8]
    """
    losses = _epoch_losses(table, check_direction(direction))
    n_epochs = losses.shape[1]
    if not 1 <= epoch <= n_epochs:
        raise InputError(f"expected an epoch from 1 to {n_epochs}, came epoch={epoch}")
    at, final = losses[:, epoch - 1].mean(axis=0), losses[:, -1].mean(axis=0)
    n_top = max(1, round(top * len(final)))
    sign = -1.0 if direction == "maximize" else 1.0
    return EpochScores(epoch, n_epochs, sign * at, sign * final, final <= np.sort(final)[n_top - 1])


@dataclass(frozen=True)
class SizeAgreement:
    """How a ranking from small training samples agrees with one from large samples; R replicates.

    Attributes:
        n_candidates: C.
        n_top: how many candidates are the top ones.
        tau: (R,) Kendall's tau-b between both rankings of the same replicate.
        overlap: (R,) share of the top candidates on small samples that are top ones on large samples.
        tau_of_all: tau between the rankings by the criterion over all replicates.
        between: mean tau between the rankings of two replicates on large samples; nan for one replicate.
        chosen: the best by the criterion on small samples.
        best: the best on large samples.
        rank: of ``chosen`` on large samples, from 1.
        regret: how much worse than ``best`` it is there, in units of the score.
    """

    n_candidates: int
    n_top: int
    tau: Floats
    overlap: Floats
    tau_of_all: float
    between: float
    chosen: str
    best: str
    rank: int
    regret: float

    @property
    def verdict(self) -> str:
        """What it means, in words."""
        mean = float(self.tau.mean())
        how = "like" if mean >= SETTLED else "somewhat like" if mean >= GUESSING else "unlike"
        sentences = [
            f"One search on the small samples ranks {how} one on the large samples: mean Kendall's tau {mean:.2f} "
            f"over {len(self.tau)} replicates; {self.tau_of_all:.2f} by the criterion over all of them."
        ]
        if np.isfinite(self.between):
            sentences.append(
                f"Two searches on the large samples, trained anew, agree by a tau of {self.between:.2f}: no search "
                "on small samples need do better."
            )
        if self.rank == 1:
            sentences.append(f"Both choose {self.best}.")
        else:
            sentences.append(
                f"The small samples choose {self.chosen}, which is number {self.rank} of {self.n_candidates} on the "
                f"large ones, where it is {self.regret:.3g} worse than the best, {self.best}."
            )
        return " ".join(sentences)


def size_agreement(
    small: Table,
    large: Table,
    direction: Direction = "minimize",
    top: float = 0.1,
    by: str | Criterion = "mean",
) -> SizeAgreement:
    """Say whether a search on small training samples ranks candidates like one on large samples.

    Replicates are compared one by one, so they should share seeds; only those of all candidates in both tables count.

    Args:
        small: scores on small training samples.
        large: scores of the same candidates on large ones.
        direction: of the scores.
        top: the share of candidates that are the top ones, at least one.
        by: the criterion by which all replicates together are ranked.

    Raises:
        InputError: different candidates, no replicate of all of them in both, or ``top`` out of range.

    Example:
        >>> small = Table(("a", "b", "c"), np.array([[0.3, 0.3], [0.2, 0.4], [0.5, 0.6]]))
        >>> large = Table(("a", "b", "c"), np.array([[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]]))
        >>> size_agreement(small, large).tau.round(3).tolist()
        [0.333, 1.0]
    """
    check_direction(direction)
    if not 0 < top <= 1:
        raise InputError(f"expected top as a share of the candidates, above 0 and at most 1, came top={top}")
    odd = sorted(set(small.candidates) ^ set(large.candidates))
    if odd or len(large.candidates) < 2:
        what = f"only one has {odd[0]!r}" if odd else f"there is only {large.candidates[0]!r}"
        raise InputError(f"expected the same two or more candidates in both tables, but {what}")
    n_common = min(small.n_replicates, large.n_replicates)
    pair = [made.losses(direction)[:, :n_common] for made in (small.subset(large.candidates), large)]
    is_whole = ~np.isnan(pair[0]).any(axis=0) & ~np.isnan(pair[1]).any(axis=0)
    if not is_whole.any():
        raise InputError(
            "expected at least one replicate of all candidates in both tables, came none: train every candidate "
            "equally often, rule Exhaustive()"
        )
    few, many = (losses[:, is_whole] for losses in pair)
    rule = criterion(by) if isinstance(by, str) else by
    n_top = max(1, round(top * len(few)))
    order = rule.order(many).tolist()
    chosen = int(rule.order(few)[0])
    values = rule(many)
    return SizeAgreement(
        n_candidates=len(few),
        n_top=n_top,
        tau=np.nan_to_num(kendall_tau(few.T, many.T)),
        overlap=overlap(few.T, many.T, n_top),
        tau_of_all=float(np.nan_to_num(kendall_tau(_known(rule(few)), _known(values)))),
        between=_between(many.T),
        chosen=large.candidates[chosen],
        best=large.candidates[order[0]],
        rank=order.index(chosen) + 1,
        regret=0.0 if chosen == order[0] else float(values[chosen] - values[order[0]]),
    )


def _known(values: Floats) -> Floats:
    """Take a value that is not known for the worst."""
    return np.where(np.isnan(values), np.inf, values)


def _epoch_losses(table: Table, direction: Direction) -> Floats:
    """Give (R, E, C) losses of the replicates of all candidates; +inf where diverged."""
    if table.curves is None:
        raise InputError(
            "expected curves, the score after each epoch, came a table without: a trainer gives them in "
            "Outcome(score, curve), a long table in its columns epoch_1, epoch_2, ..."
        )
    n_epochs = table.curves.shape[2]
    if table.n_candidates < 2 or n_epochs < 2:
        raise InputError(
            f"expected at least two candidates and two epochs to rank by, came {table.n_candidates} and {n_epochs}"
        )
    is_trained = ~np.isnan(table.scores)
    is_complete = np.isfinite(table.scores)
    is_short = is_complete & np.isnan(table.curves[..., -1])
    if is_short.any():
        row, replicate = (int(index) for index in np.argwhere(is_short)[0])
        n_known = int((~np.isnan(table.curves[row, replicate])).sum())
        raise InputError(
            f"expected a curve of {n_epochs} epochs for every instance, came {n_known} epochs for candidate "
            f"{table.candidates[row]!r}, replicate {replicate}: compare candidates that are trained equally long"
        )
    losses = losses_of(table.curves, direction)
    losses[np.isnan(losses)] = np.inf
    losses[is_trained & ~is_complete, -1] = np.inf
    is_whole = is_trained.all(axis=0)
    if not is_whole.any():
        raise InputError(
            "expected at least one replicate in which all candidates were trained, came none: train every candidate "
            "equally often, rule Exhaustive()"
        )
    found = np.moveaxis(losses[:, is_whole], 0, 2)
    is_ranked = (found[:, -1] != found[:, -1, :1]).any(axis=-1)
    if not is_ranked.any():
        raise InputError("expected final scores that differ, came all candidates equal in every replicate")
    return np.asarray(found[is_ranked])


def _reached(means: Floats, level: float) -> int:
    """Give the epoch from which on means stay at a level or above it; the last one is 1."""
    below = np.flatnonzero(means < level)
    return int(below[-1]) + 2 if len(below) else 1


def _between(last: Floats) -> float:
    """Mean tau between (R, C) rankings of different replicates."""
    if len(last) < 2:
        return float("nan")
    taus = kendall_tau(last[:, None], last[None])[np.triu_indices(len(last), 1)]
    return float(np.nan_to_num(taus).mean())


def _halved(losses: Floats, best: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Halve over epochs from each first epoch on.

    Returns:
        (E,) shares of searches that lose ``best`` and their own best, and of epochs saved.
    """
    n_replicates, n_epochs, n_candidates = losses.shape
    is_own_best = losses[:, -1] == losses[:, -1].min(axis=-1, keepdims=True)
    noise = rng.random((_N_DRAWS, n_replicates, n_candidates))
    lost, lost_own, saved = (np.zeros(n_epochs) for _ in range(3))
    for first in range(1, n_epochs):
        is_alive = np.ones(noise.shape, dtype=bool)
        n_alive, spent, before, epoch = n_candidates, 0, 0, first
        while epoch < n_epochs and n_alive > 1:
            spent, before = spent + n_alive * (epoch - before), epoch
            n_alive //= 2
            known = np.broadcast_to(losses[:, epoch - 1], noise.shape)
            order = np.lexsort((noise, known, ~is_alive), axis=-1)
            is_alive = np.zeros(noise.shape, dtype=bool)
            np.put_along_axis(is_alive, order[..., :n_alive], True, axis=-1)
            epoch *= 2
        spent += n_alive * (n_epochs - before)
        lost[first - 1] = 1 - is_alive[..., best].mean()
        lost_own[first - 1] = 1 - (is_alive & is_own_best).any(axis=-1).mean()
        saved[first - 1] = 1 - spent / (n_candidates * n_epochs)
    return lost, lost_own, saved


def _interval(shares: Floats, n: int) -> tuple[Floats, Floats]:
    """Clopper and Pearson's interval of a probability, from the share of n cases."""
    tail = (1 - _CONFIDENCE) / 2
    counts = shares * n
    low = np.where(counts > 0, beta.ppf(tail, np.maximum(counts, 1e-9), n - counts + 1), 0.0)
    high = np.where(counts < n, beta.ppf(1 - tail, counts + 1, np.maximum(n - counts, 1e-9)), 1.0)
    return low, high


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
