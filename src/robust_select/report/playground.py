"""The playground: what other settings would have selected on the same table, computed beforehand on a grid.

Called by the command line; the page shows it. Computes nothing that belongs to analysis; knows nothing of HTML.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust_select.analysis.trials import try_rules
from robust_select.core.errors import InputError
from robust_select.core.protocols import Bools, Direction, Floats, Ints
from robust_select.core.tables import Table
from robust_select.select.rules import Exhaustive, Halving, Rule, Significance, TopTwo
from robust_select.stats.criteria import Criterion, criterion

CRITERIA = ("mean", "median", "q3", "q3+iqr", "max", "std")
"""The criteria that the playground tries."""

TESTS = ("welch", "ks", "paired-t", "wilcoxon", "levene", "bartlett", "fligner")
"""The tests that it tries: mann-whitney would take longer than all others together."""

MOST_SAMPLES = 10
_MOST_SCORES = 60_000  # of all samples together; of fewer replicates' orders where the table is larger
_MOST_TOP_TWO = 1_000  # candidates: beyond, TopTwo on a grid takes minutes
_WARMUPS = {"halving": (1, 2, 3, 5, 8, 12), "significance": (2, 3, 5, 8), "top-two": (1,)}
_INSTANCES = (1, 2, 3, 5, 8, 12, 20, 50)
_ALPHAS = (0.01, 0.05, 0.1, 0.2)
_CONFIDENCES = (0.8, 0.9, 0.95, 0.99)
_MANY = 1000
_LEAST = 2  # replicates: with one there is nothing to shuffle


@dataclass(frozen=True)
class Setting:
    """One point of the grid: what the reader chooses.

    Attributes:
        rule: name of the rule.
        test: of significance, "familywise" added where it is controlled so; empty for other rules.
        warmup: instances of everybody before anybody is discarded; how many altogether, for exhaustive.
        level: alpha of significance, confidence of top-two; None for the others.
    """

    rule: str
    test: str
    warmup: int
    level: float | None


@dataclass(frozen=True)
class Playground:
    """What every setting selected on every sample, G settings, K criteria, and S samples.

    Attributes:
        names: (C,) candidates, in the order of the table.
        criteria: (K,) names.
        settings: (G,) the grid.
        orders: (S, R) in which order the replicates were revealed; the first is the one asked for.
        selected: (K, G, S) position of the candidate; -1 where the criterion needs a longer warm-up.
        trainings: (K, G, S) how many it took; 0 there.
        losses: (K, C) each criterion on all replicates used, on the loss side: what the table says is the truth.
        values: (K, C) the same in units of the score.
        n_left_out: how many replicates some candidate lacks, so that they were not used.
        asked: criterion and position in the grid of what was asked for; None where the grid does not hold it.
    """

    names: tuple[str, ...]
    criteria: tuple[str, ...]
    settings: tuple[Setting, ...]
    orders: Ints
    selected: Ints
    trainings: Ints
    losses: Floats
    values: Floats
    n_left_out: int
    asked: tuple[str, int] | None


def explore(
    table: Table,
    order: Sequence[int],
    direction: Direction = "minimize",
    asked: tuple[Rule, Criterion] | None = None,
    samples: int | None = None,
) -> Playground:
    """Try a grid of settings on a table, the replicates in several orders.

    Assumes: what the rules assume; replicates that some candidate lacks are left out.

    Args:
        table: the scores.
        order: in which replicates are revealed, for the first sample; the others shuffle these (seed 0).
        direction: of the scores.
        asked: the rule and criterion to begin with; their settings join the grid where it has room for such.
        samples: how many orders, S; by default 10, fewer for large tables.

    Raises:
        InputError: fewer than two replicates that all candidates have, or no sample.

    Example:
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.1, 5.2, 5.0]]))
        >>> found = explore(table, range(4), samples=2)
        >>> found.settings[0].rule, found.names[found.selected[0, 0, 0]], found.orders.shape
        ('exhaustive', 'a', (2, 4))
    """
    has_all = _has_all(table, order)
    kept = np.asarray(order, dtype=np.int64)[has_all]
    losses, n_replicates = table.losses(direction)[:, kept], len(kept)
    if n_replicates < _LEAST:
        raise InputError(
            f"expected at least two replicates that every candidate has, came {n_replicates}: leave incomplete "
            "candidates out, or the playground (--samples 0)"
        )
    if samples is None:
        samples = samples_for(losses.size)
    if samples < 1:
        raise InputError(f"expected at least one sample, came samples={samples}")
    rng = np.random.default_rng(0)
    shuffles = np.stack([np.arange(n_replicates), *(rng.permutation(n_replicates) for _ in range(samples - 1))])
    tables = np.stack([losses[:, shuffle] for shuffle in shuffles])
    grid = _grid(n_replicates, len(losses))
    by_names = list(CRITERIA)
    at = None
    if asked is not None:
        grid, at = _with_asked(grid, asked[0])
        if asked[1].tolerance is None and asked[1].name not in by_names:
            by_names.append(asked[1].name)
    found = [_try(grid, tables, criterion(name)) for name in by_names]
    values = np.stack([criterion(name)(losses) for name in by_names])
    signed = [criterion(name).in_score_units(row, direction) for name, row in zip(by_names, values, strict=True)]
    return Playground(
        names=table.candidates,
        criteria=tuple(by_names),
        settings=tuple(setting for setting, _ in grid),
        orders=kept[shuffles],
        selected=np.stack([selected for selected, _ in found]),
        trainings=np.stack([trainings for _, trainings in found]),
        losses=values,
        values=np.stack(signed),
        n_left_out=int(np.count_nonzero(~has_all)),
        asked=None if asked is None or at is None or asked[1].name not in by_names else (asked[1].name, at),
    )


def samples_for(n_scores: int) -> int:
    """Say how many samples of a table of so many scores are tried.

    Example:
        >>> samples_for(1_500), samples_for(20_000), samples_for(100_000)
        (10, 3, 2)
    """
    return int(np.clip(_MOST_SCORES // n_scores, 2, MOST_SAMPLES))


def is_possible(table: Table, order: Sequence[int]) -> bool:
    """Say whether enough replicates are there for every candidate."""
    return int(_has_all(table, order).sum()) >= _LEAST


def _has_all(table: Table, order: Sequence[int]) -> Bools:
    """(R,) which of these replicates every candidate has."""
    return np.asarray(~np.isnan(table.scores[:, np.asarray(order, dtype=np.int64)]).any(axis=0))


def _grid(n_replicates: int, n_candidates: int) -> list[tuple[Setting, Rule]]:
    return [*_known_beforehand(n_replicates), *_by_tests(n_replicates), *_by_confidence(n_replicates, n_candidates)]


def _known_beforehand(n_replicates: int) -> Iterator[tuple[Setting, Rule]]:
    for n in sorted({*(n for n in _INSTANCES if n < n_replicates), n_replicates}):
        yield Setting("exhaustive", "", n, None), Exhaustive(n)
    for warmup in _up_to(n_replicates, _WARMUPS["halving"]):
        yield Setting("halving", "", warmup, None), Halving(warmup)


def _by_tests(n_replicates: int) -> Iterator[tuple[Setting, Rule]]:
    for test in TESTS:
        for warmup in _up_to(n_replicates, _WARMUPS["significance"]):
            for alpha in _ALPHAS:
                made = Significance(test, alpha, warmup, max_instances=max(n_replicates, _MANY))
                yield Setting("significance", test, warmup, alpha), made
    for test in ("welch", "paired-t"):
        for alpha in _ALPHAS:
            made = Significance(test, alpha, 2, control="familywise", max_instances=max(n_replicates, _MANY))
            yield Setting("significance", f"{test}, familywise", 2, alpha), made


def _by_confidence(n_replicates: int, n_candidates: int) -> Iterator[tuple[Setting, Rule]]:
    if n_candidates > _MOST_TOP_TWO:
        return
    for warmup in _up_to(n_replicates, _WARMUPS["top-two"]):
        for confidence in _CONFIDENCES:
            made = TopTwo(confidence, warmup, max_instances=max(n_replicates, _MANY))
            yield Setting("top-two", "", warmup, confidence), made


def _up_to(n_replicates: int, counts: Sequence[int]) -> list[int]:
    return [n for n in counts if n <= n_replicates]


def _with_asked(grid: list[tuple[Setting, Rule]], rule: Rule) -> tuple[list[tuple[Setting, Rule]], int | None]:
    """Have what was asked for in the grid, in place of the point that reads the same; None where it cannot be."""
    setting = _setting_of(rule)
    if setting is None:
        return grid, None
    for position, (other, _) in enumerate(grid):
        if other == setting:
            return [*grid[:position], (setting, rule), *grid[position + 1 :]], position
    return [*grid, (setting, rule)], len(grid)


def _setting_of(rule: Rule) -> Setting | None:
    if isinstance(rule, Exhaustive):
        return Setting("exhaustive", "", rule.n, None)
    if isinstance(rule, Halving):
        return Setting("halving", "", rule.warmup, None)
    if isinstance(rule, Significance):
        test = rule.test if rule.control == "per-look" else f"{rule.test}, familywise"
        return Setting("significance", test, rule.warmup, rule.alpha)
    if isinstance(rule, TopTwo):
        return Setting("top-two", "", rule.warmup, rule.confidence)
    return None


def _try(grid: list[tuple[Setting, Rule]], tables: Floats, by: Criterion) -> tuple[Ints, Ints]:
    """(G, S) what each setting selected and what it took; -1 and 0 where the criterion refuses it."""
    shape = (len(grid), len(tables))
    selected, trainings = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    fits = [position for position, (_, rule) in enumerate(grid) if _fits(rule, by)]
    found = try_rules([grid[position][1] for position in fits], tables, by)
    selected[fits], trainings[fits] = found.selected.T, found.trainings.T
    return selected, trainings


def _fits(rule: Rule, by: Criterion) -> bool:
    try:
        rule.check(by)
    except InputError:
        return False
    return True


def playground_data(found: Playground) -> Mapping[str, Any]:
    """Give what the page's script needs, as plain values fit for JSON."""
    n_samples = found.selected.shape[2]
    order = np.argsort(found.losses, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, order.shape[1] + 1)[None, :], axis=1)
    used = np.unique(found.selected[found.selected >= 0])
    position = {int(row): place for place, row in enumerate(used)}
    values = np.round(found.values[:, used], 12)
    return {
        "names": [found.names[row] for row in used],
        "nCandidates": len(found.names),
        "nSamples": n_samples,
        "orders": found.orders.tolist(),
        "nLeftOut": found.n_left_out,
        "criteria": list(found.criteria),
        "settings": [[made.rule, made.test, made.warmup, made.level] for made in found.settings],
        "selected": [
            [[position.get(int(row), -1) for row in per_sample] for per_sample in per_setting]
            for per_setting in found.selected
        ],
        "trainings": found.trainings.tolist(),
        "ranks": ranks[:, used].tolist(),
        "values": [[float(f"{x:.6g}") if np.isfinite(x) else None for x in row] for row in values],
        "best": [found.names[row[0]] for row in order],
        "asked": None if found.asked is None else list(found.asked),
    }
