"""Efficiency: how many trainings each rule needs on a table to be right, and the least that any rule does.

Called by the command line and users. Knows nothing of files or drawing.
"""

import contextlib
import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace

import numpy as np
from loky import ProcessPoolExecutor

from robust_select.analysis.trials import Trials, try_rules
from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Direction, Floats, Ints, check_direction
from robust_select.core.tables import Table
from robust_select.select.rules import DEFAULT_RULE, Exhaustive, Halving, Rule, Significance, TopTwo
from robust_select.select.rules.base import check_count
from robust_select.stats.bounds import least_trainings, variance_factor
from robust_select.stats.comparisons import comparison
from robust_select.stats.criteria import Criterion, criterion

RESAMPLES = ("bootstrap", "permutation")
"""How a table's replicates are redrawn: with replacement, or in another order."""

MOST_COLUMNS = 200
"""So many replicates are redrawn by bootstrap: no rule can train a candidate more often."""

KNOBS = {
    "exhaustive": ("n",),
    "halving": ("warmup",),
    "significance": ("alpha", "warmup", "max_instances"),
    "top-two": ("confidence", "budget"),
}
"""The settings of each rule that are varied."""

_ALPHAS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.001)
_WARMUPS = (2, 3, 5, 8)
_CONFIDENCES = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95)
_HIGHER_CONFIDENCES = (0.97, 0.98, 0.99, 0.995, 0.999)
_BUDGET = 20  # trainings a candidate, above the confidence by default: a run that nothing decides must end
_STAGES = (8, 20, 60, MOST_COLUMNS)
_CHUNK = 25  # tables at a time: the same whatever the workers, so that sums are rounded alike
_CHUNK_SCORES = 4_000_000

Progress = Callable[[str, int, int], None]
"""Is told the rule at work and how many of how many pieces of its work are done."""


@dataclass(frozen=True)
class Point:
    """One rule with one setting of its knobs, over all redrawn tables.

    Attributes:
        rule: with its settings.
        trainings: how many it took, on average.
        probability: share of the tables on which the selected candidate is within the tolerance of the best.
    """

    rule: Rule
    trainings: float
    probability: float

    @property
    def knobs(self) -> dict[str, float | int | None]:
        """The settings that are varied."""
        settings = self.rule.settings()
        return {name: settings[name] for name in KNOBS[self.rule.name]}


@dataclass(frozen=True)
class RuleEfficiency:
    """One rule over its knobs.

    Attributes:
        default: with its own defaults.
        curve: all settings tried, the default among them, by their trainings.
        trainings_at_confidence: the least mean number of trainings among the settings that reach the confidence; no
            value between two settings is made up. None if none reaches it.
    """

    default: Point
    curve: tuple[Point, ...]
    trainings_at_confidence: float | None


@dataclass(frozen=True)
class Efficiency:
    """What each rule needs on a table.

    Attributes:
        n_candidates: C.
        n_replicates: how many replicates were redrawn: those that every candidate has.
        truth: name of the candidate that is best over all of them.
        n_equivalent: how many candidates are within the tolerance of it, itself among them.
        bound: the least mean number of trainings (``stats.bounds.least_trainings``); +inf where no number of
            trainings is enough, nan where no bound is known.
        rules: by name.
        default_rule: name of the library's default rule.
        confidence: wanted.
        n_repeats: how many tables were redrawn.
    """

    n_candidates: int
    n_replicates: int
    truth: str
    n_equivalent: int
    bound: float
    rules: Mapping[str, RuleEfficiency]
    default_rule: str
    confidence: float
    n_repeats: int


def efficiency(
    table: Table,
    by: str = "mean",
    direction: Direction = "minimize",
    confidence: float = 0.95,
    tolerance: float = 0.0,
    resample: str = "bootstrap",
    n_repeats: int = 300,
    seed: int = 0,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> Efficiency:
    """Run every rule over its own knobs on tables redrawn from this one, and count trainings and successes.

    The table is taken for the population: its best candidate by the criterion over all replicates is the truth, and
    a run succeeds where the selected one is within the tolerance of it. Whole columns are redrawn, so that pairing
    survives. Knobs: ``exhaustive`` n, ``halving`` its warm-up, ``significance`` alpha x warm-up, ``top-two`` its
    confidence. They are tried in stages of rising cost, up to the first stage in which the confidence is reached.

    Assumes: independent replicates. ``bootstrap`` may draw a replicate twice, an exact copy: among few instances of
    a table of few replicates spreads and differences of 0 then come that no training would show, and tests of few
    instances reject too often. ``permutation`` has no copies, but no rule can train more often than the table did,
    and the last instances carry the answer in them. The table's own luck is part of its truth. A share of 95 % has a
    standard error of 1.3 % over 300 tables, and the least of several settings is a little too good.

    Args:
        table: scores (C, R); used are the replicates that every candidate has, diverged ones included.
        by: the criterion; ``std-within-tolerance`` takes the tolerance itself, success is then to be as good as the
            best.
        direction: of the scores.
        confidence: wanted share of successes.
        tolerance: in units of the score.
        resample: one of ``RESAMPLES``.
        n_repeats: how many tables are redrawn.
        seed: of the redrawing; the answer does not depend on the workers.
        workers: so many processes; 1 works in this one.
        on_progress: is told how far it is.

    Raises:
        InputError: a setting out of range, or fewer than two replicates that every candidate has.

    Example:
        >>> table = Table(("a", "b"), np.array([[1.0, 1.1, 1.2], [5.0, 5.1, 5.3]]))
        >>> found = efficiency(table, n_repeats=10)
        >>> found.truth, found.rules["exhaustive"].trainings_at_confidence
        ('a', 2.0)
    """
    ranked_by = criterion(by, tolerance if by == "std-within-tolerance" else 0.0)
    _check(confidence, tolerance, resample, n_repeats, seed, workers)
    check_direction(direction)
    losses = _full_replicates(table, direction)
    n_columns = MOST_COLUMNS if resample == "bootstrap" else losses.shape[1]
    _check_replicates(ranked_by, losses.shape[1])
    values = ranked_by(losses)
    truth = int(ranked_by.order(losses)[0])
    indifferent = tolerance if ranked_by.tolerance is None else 0.0
    is_right = _is_within(values, float(values[truth]), indifferent)
    draw = _Draw(losses, resample == "bootstrap", n_columns, seed, ranked_by.name, ranked_by.tolerance)
    families = _families(ranked_by, tolerance, len(losses), n_columns)
    rules = {}
    with _crew(workers) as run_all:
        for name, (default, stages) in families.items():
            points: list[Point] = []
            for stage in stages:
                missing = [made for made in stage if made not in [point.rule for point in points]]
                found = _collect(run_all, draw, missing, n_repeats, name, on_progress)
                successes = is_right[found.selected]
                points += [
                    Point(made, float(found.trainings[:, k].mean()), float(successes[:, k].mean()))
                    for k, made in enumerate(missing)
                ]
                if any(point.probability >= confidence for point in points):
                    break
            rules[name] = _summary(points, default, confidence)
    return Efficiency(
        n_candidates=len(losses),
        n_replicates=losses.shape[1],
        truth=table.candidates[truth],
        n_equivalent=int(is_right.sum()),
        bound=_bound(losses, values, ranked_by, confidence, tolerance),
        rules=rules,
        default_rule=DEFAULT_RULE,
        confidence=confidence,
        n_repeats=n_repeats,
    )


def _check(confidence: float, tolerance: float, resample: str, n_repeats: int, seed: int, workers: int) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"expected confidence between 0 and 1, both excluded, came confidence={confidence}")
    if not 0 <= tolerance < math.inf:
        raise InputError(f"expected a tolerance of 0 or more, came tolerance={tolerance}")
    if resample not in RESAMPLES:
        raise InputError(f"expected resample among {', '.join(RESAMPLES)}, came resample={resample!r}")
    check_count("repeats", n_repeats, 1)
    check_count("seed", seed, 0)
    check_count("workers", workers, 1)


def _full_replicates(table: Table, direction: Direction) -> Floats:
    """(C, R) losses of the replicates that every candidate has."""
    losses = table.losses(direction)
    has_all = ~np.isnan(losses).any(axis=0)
    if np.count_nonzero(has_all) < 2:
        counts = np.count_nonzero(~np.isnan(losses), axis=1)
        fewest = int(counts.argmin())
        raise InputError(
            f"expected at least 2 replicates that every candidate has, came {np.count_nonzero(has_all)} of "
            f"{table.n_replicates} (candidate {table.candidates[fewest]!r} has {counts[fewest]}): train what is "
            "missing, or leave the candidates out that lack replicates"
        )
    return losses[:, has_all]


def _check_replicates(by: Criterion, n_replicates: int) -> None:
    if n_replicates < by.min_instances:
        raise InputError(f"criterion {by.name!r} needs {by.min_instances} replicates, the table has {n_replicates}")


def _is_within(values: Floats, best: float, tolerance: float) -> Bools:
    """(C,) who is right; rounding is forgiven, and all are where nobody has a finite value."""
    with np.errstate(invalid="ignore"):
        return np.asarray((values == best) | (values - best <= tolerance + 1e-12 * abs(best) * (tolerance > 0)))


def _bound(losses: Floats, values: Floats, by: Criterion, confidence: float, tolerance: float) -> float:
    """Bound the trainings for normal scores of these criteria and spreads (ddof=1, diverged instances left out)."""
    factor = variance_factor(by)
    if factor is None or not np.isfinite(values).any():
        return math.nan
    spread = np.array([float(np.var(row[np.isfinite(row)], ddof=1)) if _n_finite(row) > 1 else 0.0 for row in losses])
    return least_trainings(values, factor * spread, confidence, tolerance)


def _n_finite(row: Floats) -> int:
    return int(np.count_nonzero(np.isfinite(row)))


def _families(
    by: Criterion, tolerance: float, n_candidates: int, n_most: int
) -> dict[str, tuple[Rule, list[list[Rule]]]]:
    """List the rules: each with its defaults, and the settings to try, stage by stage."""
    least = by.min_instances
    exhaustive = Exhaustive(least)
    counts = _counts(least, n_most)
    halving = Halving(max(least, min(Halving().warmup, n_most)))
    found: dict[str, tuple[Rule, list[list[Rule]]]] = {
        "exhaustive": (exhaustive, _staged(exhaustive, [Exhaustive(n) for n in counts], counts)),
        "halving": (halving, _staged(halving, [Halving(n) for n in counts], counts)),
    }
    for test in ("welch", "ks", "bartlett", "fligner", *(("levene",) if by.kind == "spread" else ())):
        found[f"significance:{test}"] = _significance(Significance(test), by, n_most)
    familywise = Significance("paired-t", control="familywise")
    found["significance:paired-t:familywise"] = _significance(familywise, by, n_most)
    top_two = TopTwo(tolerance=tolerance)
    budget = _BUDGET * n_candidates
    settings: list[Rule] = [replace(top_two, confidence=confidence) for confidence in _CONFIDENCES]
    surer: list[Rule] = [replace(top_two, confidence=value, budget=budget) for value in _HIGHER_CONFIDENCES]
    found["top-two"] = (top_two, [[top_two, *(made for made in settings if made != top_two)], surer])
    return found


def _counts(least: int, n_most: int) -> list[int]:
    """Numbers of instances to try: each up to 20, then by steps of 10 %."""
    found = [least]
    while found[-1] < n_most:
        found.append(min(n_most, found[-1] + max(1, found[-1] // 10)))
    return found


def _staged(default: Rule, rules: Sequence[Rule], counts: Sequence[int]) -> list[list[Rule]]:
    """Cut a list of settings of rising cost into stages; the default goes into the first."""
    stages: list[list[Rule]] = [[default]]
    first = 0
    for stop in _STAGES:
        part = [made for made, n in zip(rules, counts, strict=True) if first < n <= stop and made != default]
        stages.append(part)
        first = stop
    return [stages[0] + stages[1], *(part for part in stages[2:] if part)]


def _significance(base: Significance, by: Criterion, n_most: int) -> tuple[Rule, list[list[Rule]]]:
    """Vary alpha and warm-up; with more instances than its default allows only a test that fits the criterion."""
    wanted = _WARMUPS[:1] if base.control == "familywise" else _WARMUPS
    warmups = sorted({min(max(n, by.min_instances), n_most) for n in wanted})
    default = replace(base, warmup=max(warmups[0], min(base.warmup, n_most)))
    settings = [replace(default, alpha=alpha, warmup=n) for n in warmups for alpha in _ALPHAS]
    stages: list[list[Rule]] = [[default, *(made for made in settings if made != default)]]
    if n_most > base.max_instances and comparison(base.test).kind == by.kind:
        stages.append([replace(made, max_instances=n_most) for made in settings])
    return default, stages


def _summary(points: list[Point], default: Rule, confidence: float) -> RuleEfficiency:
    reached = [point.trainings for point in points if point.probability >= confidence]
    return RuleEfficiency(
        default=next(point for point in points if point.rule == default),
        curve=tuple(sorted(points, key=lambda point: (point.trainings, point.probability))),
        trainings_at_confidence=min(reached, default=None),
    )


@dataclass(frozen=True)
class _Draw:
    """What a process needs to redraw tables."""

    losses: Floats
    has_copies: bool
    n_columns: int
    seed: int
    by: str
    tolerance: float | None

    def columns(self, repeat: int) -> Ints:
        """(n_columns,) replicates of one redrawn table."""
        rng = np.random.default_rng([self.seed, repeat])
        n_replicates = self.losses.shape[1]
        drawn = rng.integers(0, n_replicates, self.n_columns) if self.has_copies else rng.permutation(n_replicates)
        return np.asarray(drawn, dtype=np.int64)

    @property
    def n_at_once(self) -> int:
        """So many tables make one piece of work."""
        return max(1, min(_CHUNK, _CHUNK_SCORES // (len(self.losses) * self.n_columns)))


def _try(draw: _Draw, rules: Sequence[Rule], first: int, stop: int) -> Trials:
    """Run rules on some redrawn tables; called in a process of its own."""
    columns = np.array([draw.columns(repeat) for repeat in range(first, stop)])
    losses = np.ascontiguousarray(draw.losses[:, columns].transpose(1, 0, 2))
    return try_rules(rules, losses, criterion(draw.by, draw.tolerance or 0.0))


_Piece = tuple[int, int]
_RunAll = Callable[[_Draw, Sequence[Rule], list[_Piece]], Iterator[tuple[int, Trials]]]


def _collect(
    run_all: _RunAll, draw: _Draw, rules: Sequence[Rule], n_repeats: int, name: str, on_progress: Progress | None
) -> Trials:
    """Run rules on all redrawn tables, piece by piece."""
    starts = range(0, n_repeats, draw.n_at_once)
    pieces = [(first, min(first + draw.n_at_once, n_repeats)) for first in starts]
    found: dict[int, Trials] = {}
    for first, trials in run_all(draw, rules, pieces):
        found[first] = trials
        if on_progress is not None:
            on_progress(name, len(found), len(pieces))
    ordered = [found[first] for first, _ in pieces]
    return Trials(
        np.concatenate([trials.trainings for trials in ordered]),
        np.concatenate([trials.selected for trials in ordered]),
    )


@contextlib.contextmanager
def _crew(workers: int) -> Iterator[_RunAll]:
    """Give a function that runs pieces of work here, or in processes that end with the block."""
    if workers == 1:
        yield lambda draw, rules, pieces: ((first, _try(draw, rules, first, stop)) for first, stop in pieces)
        return
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    executor = ProcessPoolExecutor(max_workers=workers, initializer=_leave_interrupts, env=one_thread)

    def run_all(draw: _Draw, rules: Sequence[Rule], pieces: list[_Piece]) -> Iterator[tuple[int, Trials]]:
        futures = {executor.submit(_try, draw, rules, first, stop): first for first, stop in pieces}
        for future in as_completed(futures):
            yield futures[future], future.result()

    try:
        yield run_all
    finally:
        executor.shutdown(wait=True, kill_workers=True)


def _leave_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
