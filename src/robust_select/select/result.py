"""What a selection ends with: the selected candidate, the evidence for it, and what it cost.

Made by studies and replays, read by analysis, report and the command line. Knows nothing of how the scores came.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Direction, Floats, Ints
from robust_select.core.tables import Table
from robust_select.select.pruning import Pruned
from robust_select.select.selection import Selection, Step
from robust_select.stats.criteria import PUBLISHED_CRITERIA, Criterion, criterion
from robust_select.stats.outliers import far_outliers
from robust_select.stats.winner import Estimate, WinnerEstimate, fresh_mean, fresh_std, shrunken_winner

ENOUGH_FRESH = 2
"""From so many fresh instances on they alone give an interval."""


@dataclass(frozen=True)
class Result:
    """What a selection ended with.

    Attributes:
        selected: the best of those left, by the criterion.
        remaining: those left, the best first.
        stop_reason: why it ended, in words.
        steps: what each step did.
        discarded_at: (C,) the step that discarded each candidate; None for those left, 0 for those whose first
            training was stopped by its epochs, before the rule began.
        table: all scores, candidates in the order of the study.
        criterion: by which candidates were ranked.
        direction: of the scores.
        rule: the name of the rule.
        history: (N, 2) candidate and replicate of every instance, in the order in which they were asked for; the
            first ``Step.trainings`` of them are what a step knew.
        confidence: the probability that the selected one is within the tolerance of the best; None where the rule
            gives none.
        equivalent: candidates as good as the selected one within the tolerance, itself among them; empty where the
            rule does not say.
        fresh: how many instances of the selected candidate, its last ones, the choice did not look at.
        pruned: what pruning by epochs did; None where it was not asked for.
        tolerance: differences of the criterion below it did not matter to the rule; None where it knows no tolerance.
    """

    selected: str
    remaining: tuple[str, ...]
    stop_reason: str
    steps: tuple[Step, ...]
    discarded_at: tuple[int | None, ...]
    table: Table
    criterion: Criterion
    direction: Direction
    rule: str
    history: Ints
    confidence: float | None = None
    equivalent: tuple[str, ...] = ()
    fresh: int = 0
    pruned: Pruned | None = None
    tolerance: float | None = None

    @property
    def trainings(self) -> int:
        """How many trainings it took; those that were stopped by their epochs count."""
        return int(np.count_nonzero(self._is_trained))

    @property
    def entered(self) -> tuple[str, ...]:
        """The candidates that the rule knew: all but those stopped by their epochs."""
        is_stopped = np.asarray(self.table.is_stopped.any(axis=1))
        return tuple(name for name, out in zip(self.table.candidates, is_stopped, strict=True) if not out)

    @property
    def _is_trained(self) -> Bools:
        return ~np.isnan(self.table.scores) | self.table.is_stopped

    @property
    def seconds(self) -> float:
        """How long these took together; nan if a time is not known."""
        if self.table.seconds is None:
            return math.nan
        return float(self.table.seconds[self._is_trained].sum())

    @property
    def fresh_losses(self) -> Floats:
        """(n,) losses of the selected candidate's fresh instances."""
        losses = self.table.losses(self.direction)[self.table.candidates.index(self.selected)]
        known: Floats = losses[~np.isnan(losses)]
        return known[len(known) - self.fresh :]

    def honest(self, confidence: float = 0.95) -> WinnerEstimate:
        """Estimate what the selected candidate is like, free of the winner's curse; in units of the score.

        From its fresh instances alone where there are two at least (mean and standard deviation; the criterion
        where it is one of them), else from all scores with a correction (``stats.winner.shrunken_winner``).

        Args:
            confidence: of the intervals, between 0 and 1.

        Raises:
            InputError: confidence out of range.

        Example:
            >>> from robust_select.select.replay import replay
            >>> from robust_select.select.rules import Exhaustive
            >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.4, 1.6], [5.0, 5.2, 5.0, 5.2]]))
            >>> replay(table, Exhaustive(2), criterion("mean"), fresh=2).honest().mean.value
            1.5
        """
        if not 0 < confidence < 1:
            raise InputError(f"expected confidence between 0 and 1, both excluded, came confidence={confidence!r}")
        found = self._honest_losses(confidence)
        return found.negated(self.criterion.kind) if self.direction == "maximize" else found

    def _honest_losses(self, confidence: float) -> WinnerEstimate:
        if self.fresh >= ENOUGH_FRESH:
            mean, std = fresh_mean(self.fresh_losses, confidence), fresh_std(self.fresh_losses, confidence)
            known = {"mean": mean, "std": std, "std-within-tolerance": std}
            return WinnerEstimate(mean, std, known.get(self.criterion.name, Estimate(math.nan)))
        losses = self.table.losses(self.direction)
        row = self.table.candidates.index(self.selected)
        is_trained = np.asarray(~np.isnan(losses).all(axis=1))
        if not is_trained[row]:
            return WinnerEstimate(Estimate(math.nan), Estimate(math.nan), Estimate(math.nan))
        return shrunken_winner(losses[is_trained], int(is_trained[:row].sum()), self.criterion, confidence)

    def equivalents(self) -> pd.DataFrame:
        """List the candidates that are equally good, to choose the steadiest or the cheapest of them.

        The columns: ``candidate`` (the selected first); ``mean`` and ``std`` of its scores; ``seconds``, the mean
        training time (nan if not known); ``rank_by_spread`` and ``rank_by_cost``, from 1, equal values sharing the
        better rank, empty where the value is not known. Only the selected candidate where the rule does not say who
        is equivalent.

        Example:
            >>> from robust_select.select.replay import replay
            >>> from robust_select.select.rules import TopTwo
            >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.3, 1.5, 1.1] * 4, [1.1, 1.2, 1.3, 1.5, 1.2] * 4]))
            >>> found = replay(table, TopTwo(tolerance=0.5), criterion("mean"))
            >>> found.equivalents()[["candidate", "rank_by_spread"]].values.tolist()
            [['a', 2], ['b', 1]]
        """
        names = [self.selected, *(name for name in self.equivalent if name != self.selected)]
        chosen = self.table.subset(names)
        losses = chosen.losses(self.direction)
        is_known = ~np.isnan(losses)
        seconds = np.full(losses.shape, np.nan) if chosen.seconds is None else chosen.seconds
        counts = np.maximum(is_known.sum(axis=1), 1)
        frame = pd.DataFrame(
            {
                "candidate": names,
                "mean": criterion("mean").in_score_units(criterion("mean")(losses), self.direction),
                "std": criterion("std")(losses),
                "seconds": np.where(
                    is_known.any(axis=1), np.where(is_known, seconds, 0.0).sum(axis=1) / counts, np.nan
                ),
            }
        )
        for rank, column in (("rank_by_spread", "std"), ("rank_by_cost", "seconds")):
            frame[rank] = frame[column].rank(method="min").astype("Int64")
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Give all scores in long form, one row an instance."""
        return self.table.to_frame()

    def summary(self) -> pd.DataFrame:
        """Give one row a candidate, the selected first, with every caveat as a column.

        The columns: ``instances`` and ``unusable`` (diverged or failed, counted as the worst possible score);
        the six published criteria, ``std`` and ``iqr`` in units of the score; ``honest_mean``, ``honest_low`` and
        ``honest_high`` (the selected candidate's mean with its 95 % interval, free of the winner's curse as
        ``honest`` gives it; nan for the others); ``discarded_at`` (the step, empty for those left, 0 for those
        stopped by their epochs); ``caveats`` in words: few or unusable instances, some that are far worse than the
        others and that the criterion does not see (``far_outliers``), what the rule did not tell apart, and which
        numbers the selection flatters.
        """
        losses = self.table.losses(self.direction)
        names = list(dict.fromkeys((*PUBLISHED_CRITERIA, "std", "iqr", self.criterion.name)))
        columns = {
            name: made.in_score_units(made(losses), self.direction)
            for name in names
            for made in [self.criterion if name == self.criterion.name else criterion(name)]
        }
        counts = np.count_nonzero(~np.isnan(losses), axis=1)
        unusable = np.isposinf(losses).sum(axis=1)
        unseen = far_outliers(losses, self.criterion)
        are_left = set(self.remaining)
        stopped = np.zeros(len(counts)) if self.table.stopped is None else self.table.stopped.max(axis=1, initial=0)
        frame = pd.DataFrame(
            {
                "candidate": self.table.candidates,
                "instances": counts,
                "unusable": unusable,
                **columns,
                **self._honest_columns(),
                "discarded_at": pd.array(self.discarded_at, dtype="Int64"),
                "caveats": [
                    "; ".join(
                        [
                            *_caveats(int(n), int(n_bad), int(epoch), len(are_left) if name in are_left else 0),
                            *(_far(int(n_far), int(n), self.criterion.name) if n_far else ()),
                            *(self._flattery(name) if name in are_left else ()),
                        ]
                    )
                    for n, n_bad, n_far, epoch, name in zip(
                        counts, unusable, unseen, stopped, self.table.candidates, strict=True
                    )
                ],
            }
        )
        position = {name: row for row, name in enumerate(self.table.candidates)}
        left = [position[name] for name in self.remaining]
        values = columns[self.criterion.name]
        signed = -values if self.direction == "maximize" and self.criterion.kind == "location" else values
        last_step = [-(step or 0) for step in self.discarded_at]
        order = np.lexsort((signed, np.array(last_step))).tolist()
        others = [row for row in order if self.table.candidates[row] not in are_left]
        return frame.iloc[left + others].reset_index(drop=True)

    def _honest_columns(self) -> dict[str, Floats]:
        mean = self.honest().mean
        is_selected = np.array([name == self.selected for name in self.table.candidates])
        found = {"honest_mean": mean.value, "honest_low": mean.low, "honest_high": mean.high}
        return {name: np.where(is_selected, value, np.nan) for name, value in found.items()}

    def _flattery(self, name: str) -> tuple[str, ...]:
        """Say of a candidate left which numbers flatter it and which do not."""
        if self.table.n_candidates == 1:
            return ()
        if name != self.selected:
            return ("left because of these scores, so they flatter it",)
        if self.fresh >= ENOUGH_FRESH:
            return (f"chosen on some of these scores, which flatter it: honest are its last {self.fresh}, alone",)
        return ("chosen on these scores, so they flatter it: the honest columns correct for that",)


def _caveats(n_instances: int, n_unusable: int, stopped_at: int, n_left_with: int) -> list[str]:
    found = []
    if stopped_at:
        found.append(f"stopped after epoch {stopped_at} of its first training, so it has no score")
    elif n_instances == 0:
        found.append("not trained")
    elif n_instances < 5:
        found.append(f"only {n_instances} instance{'s' if n_instances > 1 else ''}: the spread is hardly known")
    if n_unusable:
        found.append(f"{n_unusable} of {n_instances} diverged or failed")
    if n_left_with > 1:
        found.append(f"the rule did not tell the {n_left_with} left apart")
    return found


def _far(n_far: int, n_instances: int, by: str) -> tuple[str, ...]:
    verb = "is" if n_far == 1 else "are"
    return (f"{n_far} of {n_instances} {verb} far worse than the others, which {by} does not see",)


def result_of(selection: Selection, table: Table | None = None) -> Result:
    """Make the result of a selection.

    Args:
        selection: finished, or as far as it got.
        table: with parameters and seconds, if there are any; by default the scores told.
    """
    if table is None:
        table = Table(selection.candidates, selection.scores, selection.seconds, stopped=selection.stopped)
    return Result(
        selected=selection.selected,
        remaining=selection.remaining,
        stop_reason=selection.stop_reason or "not finished",
        steps=tuple(selection.steps),
        discarded_at=selection.discarded_at,
        table=table,
        criterion=selection.criterion,
        direction=selection.direction,
        rule=selection.rule.name,
        history=selection.history,
        confidence=selection.confidence,
        equivalent=selection.equivalent,
        fresh=selection.n_fresh,
        pruned=selection.pruned,
        tolerance=getattr(selection.rule, "tolerance", None),
    )
