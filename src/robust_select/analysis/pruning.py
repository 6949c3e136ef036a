"""Whether pruning by epochs was safe, from the study's own curves: those trained to the end speak for those stopped.

Called by the command line, the page and users. Knows nothing of trainers, ledgers or drawing.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from robust_select.analysis.stability import GUESSING
from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Floats, Ints, losses_of
from robust_select.select.result import Result

MOST_LOST = 0.1
"""Safe is what stops, at most so often, a training that would have ended better than the selected candidate does."""

_CONFIDENCE = 0.95
_ENOUGH_FOR_TAU = 5  # witnesses
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Pruning:
    """What pruning by epochs did to the first trainings of C candidates, and what it may have lost; L epochs.

    A witness is a training that was behind at an epoch and went on to the end, because it was audited or because its
    trainer did not ask: what became of witnesses is all that the study knows of those stopped.

    Attributes:
        n_candidates: C.
        n_known: how many first trainings gave a score after an epoch to prune at.
        epochs: (L,) after which trainings were stopped.
        stopped: (L,) how many were.
        witnesses: (L,) how many were behind there and went on to the end.
        tau: (L,) Kendall's tau-b between the ranking of all candidates after the epoch and at the end, estimated from
            those trained to the end, where each witness stands for as many as were behind; nan where not known.
        n_audited: how many of the witnesses were drawn for it; the others' trainer did not ask whether to stop.
        n_better: how many witnesses ended better than is typical of the selected candidate.
        low: lower end of the exact 95 % interval of their share.
        high: upper end.
        selected: the selected candidate.
        typical: the median of its scores.
        is_selected_witness: whether its own first training was behind, so that but for the audit it would be lost.
        epochs_saved: how many epochs were not trained, if those stopped had trained as long as the others do.
        share_saved: of all epochs of first trainings.
        seconds_saved: by the pace of each training that was stopped; nan where a time is not known.
    """

    n_candidates: int
    n_known: int
    epochs: tuple[int, ...]
    stopped: Ints
    witnesses: Ints
    tau: Floats
    n_audited: int
    n_better: int
    low: float
    high: float
    selected: str
    typical: float
    is_selected_witness: bool
    epochs_saved: int
    share_saved: float
    seconds_saved: float

    @property
    def n_stopped(self) -> int:
        """How many candidates were stopped."""
        return int(self.stopped.sum())

    @property
    def n_witnesses(self) -> int:
        """How many were behind and trained to the end."""
        return int(self.witnesses.sum())

    @property
    def guessed_at(self) -> tuple[int, ...]:
        """The epochs at which the ranking was a guess, as far as it is known there, and somebody was behind."""
        is_guess = (self.tau < GUESSING) & (self.stopped + self.witnesses > 0)
        is_known = self.n_witnesses >= _ENOUGH_FOR_TAU
        return tuple(epoch for epoch, bad in zip(self.epochs, is_guess, strict=True) if bad and is_known)

    @property
    def is_safe(self) -> bool | None:
        """Whether pruning was safe; None where nothing can be said."""
        if self.n_stopped + self.n_witnesses == 0:
            return None if self.n_known == 0 else True
        if self.is_selected_witness or self.low > MOST_LOST or self.guessed_at:
            return False
        return True if self.high <= MOST_LOST else None

    @property
    def verdict(self) -> str:
        """What it means, in words."""
        at = " and ".join(map(str, self.epochs))
        if self.n_known == 0:
            return f"Nobody could be stopped: no first training gave a curve that reaches epoch {self.epochs[0]}."
        if self.n_stopped + self.n_witnesses == 0:
            return f"Nobody was behind after epoch {at}: nothing was stopped, so nothing was lost."
        sentences = [self._begin(), self._of_witnesses()]
        if self.is_selected_witness:
            sentences.append(f"The selected candidate, {self.selected}, was itself behind: only the audit kept it.")
        sentences += [
            f"The ranking after epoch {epoch} agrees with the final one by a Kendall's tau of {tau:.2f} only "
            f"(below {GUESSING:g}): to prune there is to guess."
            for epoch, tau in zip(self.epochs, self.tau, strict=True)
            if epoch in self.guessed_at
        ]
        return " ".join(sentences)

    def to_frame(self) -> pd.DataFrame:
        """Give one row an epoch."""
        return pd.DataFrame(
            {"epoch": self.epochs, "stopped": self.stopped, "witnesses": self.witnesses, "tau": self.tau}
        )

    def _begin(self) -> str:
        if self.is_safe is None:
            return "Whether pruning was safe cannot be said."
        return "Pruning was safe." if self.is_safe else "Pruning was not safe."

    def _of_witnesses(self) -> str:
        n = self.n_witnesses
        if n == 0:
            return f"{self.n_stopped} were stopped and none that was behind was trained to the end: raise audit."
        interval = f"{100 * self.low:.0f} to {100 * self.high:.0f} %"
        text = (
            f"Of {n} that {'was' if n == 1 else 'were'} behind and still trained to the end, "
            f"{self.n_better or 'none'} ended better than is typical of {self.selected}; of those stopped, "
            f"{interval} would have ({100 * _CONFIDENCE:g} % interval; safe is up to {100 * MOST_LOST:g} %)."
        )
        return text if self.is_safe is not None else f"{text} A larger audit tells more."


def pruning(result: Result) -> Pruning:
    """Say what pruning by epochs did in a study, and whether it was safe.

    Assumes: witnesses that are a random sample of all that were behind, as the audit draws them. The interval is
    Clopper and Pearson's. What is typical of the selected candidate is the median of the scores that it was chosen
    on, which flatter it a little, so the share of those better is rather too small. Of two equally good candidates
    one training beats the other's median half of the time: a share of 10 % may be that of one stopped candidate in
    five which was as good as the selected one.

    Args:
        result: of a study with ``prune_epochs`` whose trainer gives curves.

    Raises:
        InputError: the study did not prune by epochs.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.core.instances import Outcome
        >>> from robust_select.select.rules import Exhaustive
        >>> from robust_select.study import Study
        >>> def train(params, instance):
        ...     curve = [params["width"] * (1 + 1 / epoch) for epoch in range(1, 11)]
        ...     at = next((at for at in range(1, 10) if instance.should_stop(curve[:at])), None)
        ...     return Outcome(curve[-1], curve) if at is None else Outcome.pruned(curve[:at])
        >>> widths = grid(width=list(range(1, 25)))
        >>> found = pruning(Study(widths, train, rule=Exhaustive(1), criterion="mean", prune_epochs=[3]).run())
        >>> found.stopped.tolist(), found.witnesses.tolist(), found.tau.tolist(), found.epochs_saved
        ([8], [1], [1.0], 56)
    """
    if result.pruned is None:
        raise InputError("expected a study that pruned by epochs, Study(prune_epochs=...), came one that did not")
    known, table = result.pruned, result.table
    epochs = known.prune.epochs
    shape = (table.n_candidates, 1, 1)
    first = np.full(shape, np.nan) if table.curves is None or not table.n_replicates else table.curves[:, :1]
    curves = losses_of(first[:, 0], result.direction)
    losses = table.losses(result.direction)
    final = losses[:, 0] if table.n_replicates else np.full(table.n_candidates, np.nan)
    is_witness = np.asarray((known.due_at > 0) & ~np.isnan(final))
    row = table.candidates.index(result.selected)
    own = losses[row][~np.isnan(losses[row])]
    typical = float(np.median(own)) if len(own) else math.nan
    is_other = np.arange(table.n_candidates) != row
    n_better = int((is_witness & is_other & (final < typical)).sum())
    n_asked = int((is_witness & is_other).sum())
    interval = binomtest(n_better, n_asked).proportion_ci(_CONFIDENCE, "exact") if n_asked else None
    saved, share, seconds = _saved(result, known.due_at, known.is_stopped, curves)
    return Pruning(
        n_candidates=table.n_candidates,
        n_known=int(known.is_known.sum()),
        epochs=epochs,
        stopped=np.array([int((known.is_stopped & (known.due_at == epoch)).sum()) for epoch in epochs]),
        witnesses=np.array([int((is_witness & (known.due_at == epoch)).sum()) for epoch in epochs]),
        tau=np.array([_tau(curves, final, epoch, is_witness, int((known.due_at > 0).sum())) for epoch in epochs]),
        n_audited=int((is_witness & known.is_audited).sum()),
        n_better=n_better,
        low=0.0 if interval is None else float(interval.low),
        high=1.0 if interval is None else float(interval.high),
        selected=result.selected,
        typical=-typical if result.direction == "maximize" else typical,
        is_selected_witness=bool(is_witness[row]),
        epochs_saved=saved,
        share_saved=share,
        seconds_saved=seconds,
    )


def _tau(curves: Floats, final: Floats, epoch: int, is_witness: Bools, n_behind: int) -> float:
    """Estimate Kendall's tau-b over all candidates from those trained to the end.

    Two strata: who was never behind is all there; witnesses are a sample of those who were. A pair counts as many
    pairs as it stands for: 1, n_behind / n, or for two witnesses n_behind (n_behind - 1) / (n (n - 1)).
    """
    if epoch > curves.shape[1]:
        return math.nan
    at = curves[:, epoch - 1]
    rows = np.flatnonzero(~np.isnan(at) & ~np.isnan(final))
    at, final, is_witness = at[rows], final[rows], is_witness[rows]
    n = int(is_witness.sum())
    if n == 0 and n_behind:
        return math.nan  # of those who were behind nothing is known
    mixed = n_behind / n if n else 1.0
    both = n_behind * (n_behind - 1) / (n * (n - 1)) if n > 1 else 1.0
    agree = differ_at = differ_final = 0.0
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(begin, begin + _ROWS_AT_ONCE)
        n_in_pair = is_witness[part, None].astype(np.int64) + is_witness[None]
        weights = np.choose(n_in_pair, [1.0, mixed, both])
        signs_at = _signs(at[part, None], at[None])
        signs_final = _signs(final[part, None], final[None])
        agree += float((weights * signs_at * signs_final).sum())
        differ_at += float((weights * signs_at**2).sum())
        differ_final += float((weights * signs_final**2).sum())
    scale = math.sqrt(differ_at * differ_final)
    return agree / scale if scale > 0 else math.nan


def _signs(first: Floats, second: Floats) -> Floats:
    """Compare pairs; two infinite ones are equal."""
    return (first > second).astype(float) - (first < second)


def _saved(result: Result, due_at: Ints, is_stopped: Bools, curves: Floats) -> tuple[int, float, float]:
    """Count the epochs that were not trained, their share of all, and what they would have taken."""
    n_trained = np.asarray((~np.isnan(curves)).sum(axis=1))
    is_whole = ~is_stopped & (n_trained > 0)
    if not is_stopped.any() or not is_whole.any():
        return 0, 0.0, 0.0
    n_epochs = int(np.median(n_trained[is_whole]))
    left = np.where(is_stopped, np.maximum(n_epochs - due_at, 0), 0)
    saved = int(left.sum())
    seconds = math.nan
    if result.table.seconds is not None:
        pace = result.table.seconds[is_stopped, 0] / due_at[is_stopped]
        seconds = float((pace * left[is_stopped]).sum())
    return saved, saved / (saved + int(n_trained.sum())), seconds
