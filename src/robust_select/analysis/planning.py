"""Planning by simulation: what each rule is likely to take, and to reach, before the study begins.

Called by the command line and users. Knows nothing of files or words.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust_select.analysis.prospect import Prospect, World
from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats
from robust_select.select.rules import Rule
from robust_select.select.rules.base import check_count
from robust_select.select.selection import Selection
from robust_select.stats.criteria import Criterion

N_STUDIES = 30
"""Simulated studies by default."""

_LEAST_STUDIES = 10
_MOST_DECISIONS, _LEAST_DECISIONS, _ALL_DECISIONS = 2000, 200, 60_000
"""A simulated study is left after 60,000 decisions over C of its rule, between the other two numbers."""

_INSTANCES_EACH = 50  # or after so many trainings times C, unless the rule is known to take more

Heard = Callable[[str, int, int], None]
"""Told the rule, how many of its studies are simulated, and of how many."""


@dataclass(frozen=True)
class Outlook:
    """What a rule is likely to take and to reach.

    Attributes:
        rule: its name.
        settings: of the rule.
        studies: how many were simulated.
        trainings: their mean number.
        trainings_low: 5 % of the studies take fewer.
        trainings_high: 5 % of the studies take more.
        hours: mean, from the first training to the last; nan if no time is known.
        hours_low: 5 % of the studies take less.
        hours_high: 5 % of the studies take more.
        within_tolerance: share of the studies whose selected candidate is within the tolerance of the best; at the
            budget where there is one.
        confidence: mean of what the rule then says itself; nan if it says nothing.
        finished: share of the studies that end by themselves, as sure as wanted where the rule says how sure it is,
            within the budget where there is one.
        enough: trainings with which nine of ten studies do.
        is_more: whether more than ``enough`` are needed, since too many simulated studies were left before their end.
        problem: why the budget cannot work, in words; empty if it can.
    """

    rule: str
    settings: Mapping[str, Any]
    studies: int
    trainings: float
    trainings_low: float
    trainings_high: float
    hours: float
    hours_low: float
    hours_high: float
    within_tolerance: float
    confidence: float
    finished: float
    enough: int
    is_more: bool
    problem: str


@dataclass(frozen=True)
class _Study:
    """One simulated study: its whole length, and how it stands at its end or at the budget."""

    length: int
    has_ended: bool
    n_decisions: int
    trainings: int
    hours: float
    selected: int
    confidence: float
    finished: bool


def foresee(
    prospect: Prospect,
    rules: Sequence[Rule],
    by: Criterion,
    tolerance: float = 0.0,
    budget: int | None = None,
    workers: int = 1,
    n_studies: int = N_STUDIES,
    seed: int = 0,
    heard: Heard | None = None,
) -> tuple[Outlook, ...]:
    """Simulate studies of the very rules, each with true candidates newly drawn from the prospect.

    All rules see the same true candidates and the same losses. Where studies are long, fewer are simulated (10 at
    least), and the longest are left before their end: then ``finished`` is below 1 and their trainings are what
    they had come to. Hours add up, round by round, the work of a round over the workers, or its longest training.

    Args:
        prospect: what the candidates may be like.
        rules: with their settings.
        by: the criterion.
        tolerance: differences of the criterion below it do not matter, in units of the score.
        budget: trainings that there can be at most.
        workers: trainings at the same time.
        n_studies: how many to simulate.
        seed: of the draws.
        heard: told of the progress.

    Raises:
        InputError: a number out of range, or a budget with which none of the rules can work; the message says how
            many trainings would do.

    Example:
        >>> from robust_select.analysis.prospect import assumed
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> found = foresee(assumed(8, 1.0, 3.0), [Halving(warmup=2)], criterion("mean"))[0]
        >>> found.trainings, found.finished
        (22.0, 1.0)
    """
    check_count("workers", workers, 1)
    check_count("studies", n_studies, 1)
    if budget is not None:
        check_count("budget", budget, 1)
    if not 0 <= tolerance < math.inf:
        raise InputError(f"expected a tolerance of 0 or more, came tolerance={tolerance!r}")
    found = tuple(_foresee(prospect, rule, by, tolerance, budget, workers, n_studies, seed, heard) for rule in rules)
    if found and all(outlook.problem for outlook in found):
        reasons = "; ".join(f"rule {outlook.rule!r}: {outlook.problem}" for outlook in found)
        raise InputError(f"expected a budget that can work, came budget={budget}: {reasons}")
    return found


def _foresee(
    prospect: Prospect,
    rule: Rule,
    by: Criterion,
    tolerance: float,
    budget: int | None,
    workers: int,
    n_studies: int,
    seed: int,
    heard: Heard | None,
) -> Outlook:
    most = min(_MOST_DECISIONS, max(_LEAST_DECISIONS, _ALL_DECISIONS // prospect.n_candidates))
    studies: list[_Study] = []
    is_good: list[bool] = []
    n_decisions = 0
    for number in range(n_studies):
        world = prospect.draw(np.random.default_rng([seed, number]))
        truth = world.truth(by)
        studies.append(_simulate(world, rule, by, budget, prospect.seconds, workers, most))
        is_good.append(bool(truth[studies[-1].selected] <= truth.min() + tolerance))
        n_decisions += studies[-1].n_decisions
        if heard is not None:
            heard(rule.name, number + 1, n_studies)
        if number + 1 >= _LEAST_STUDIES and n_decisions >= _LEAST_STUDIES * most:
            break
    lengths = np.array([study.length for study in studies])
    enough = int(np.quantile(lengths, 0.9, method="higher"))
    is_more = bool(np.mean([study.has_ended for study in studies]) < 0.9)
    trainings = np.array([study.trainings for study in studies], dtype=float)
    hours = np.array([study.hours for study in studies])
    finished = float(np.mean([study.finished for study in studies]))
    says = np.array([study.confidence for study in studies])
    hours_low, hours_high = np.quantile(hours, (0.05, 0.95)) if np.isfinite(hours).all() else (math.nan, math.nan)
    return Outlook(
        rule=rule.name,
        settings=rule.settings(),
        studies=len(studies),
        trainings=float(trainings.mean()),
        trainings_low=float(np.quantile(trainings, 0.05)),
        trainings_high=float(np.quantile(trainings, 0.95)),
        hours=float(hours.mean()),
        hours_low=float(hours_low),
        hours_high=float(hours_high),
        within_tolerance=float(np.mean(is_good)),
        confidence=float(says.mean()),
        finished=finished,
        enough=enough,
        is_more=is_more,
        problem=_problem(rule, prospect.n_candidates, budget, finished, enough, is_more),
    )


def _problem(rule: Rule, n_candidates: int, budget: int | None, finished: float, enough: int, is_more: bool) -> str:
    """Say why a budget cannot work, and what would."""
    if budget is None:
        return ""
    least = rule.trainings(n_candidates).least
    do = f"nine of ten simulated studies are done with {enough:,}"
    if is_more:
        do = f"more than {enough:,} are needed"
    if budget < n_candidates * rule.warmup:
        return f"its warm-up alone takes {n_candidates * rule.warmup:,} trainings; {do}"
    if budget < least:
        return f"it takes {least:,} trainings at least; {do}"
    if "confidence" in rule.settings() and finished == 0:
        return f"in none of the simulated studies is it as sure as wanted by then; {do}"
    return ""


def _simulate(
    world: World,
    rule: Rule,
    by: Criterion,
    budget: int | None,
    seconds: Floats,
    workers: int,
    most: int,
) -> _Study:
    """Run one study to its end, or until it was left; note how it stood at the budget."""
    selection = Selection([str(row) for row in range(len(world.means))], rule, by)
    n_trainings, n_decisions, spent = 0, 0, 0.0
    stood: tuple[int, float, int, float] | None = None
    longest = _INSTANCES_EACH * len(world.means)
    longest = max(longest, budget or 0, rule.trainings(len(world.means)).exact or 0)
    while n_decisions < most and n_trainings < longest and (asked := selection.ask()):
        losses = world.losses(max(replicate for _, replicate in asked) + 1)
        if budget is not None and stood is None and n_trainings + len(asked) > budget:
            asked_before = asked[: budget - n_trainings]
            stood = (*_standing(selection), budget, spent + _lasts(asked_before, seconds, workers))
        for candidate, replicate in asked:
            selection.tell(candidate, replicate, float(losses[candidate, replicate]))
        spent += _lasts(asked, seconds, workers)
        n_trainings += len(asked)
        n_decisions += 1
    wanted = rule.settings().get("confidence", 0.0)
    has_ended = selection.is_finished and not _standing(selection)[1] < wanted
    finished = stood is None and has_ended
    if stood is None:
        stood = (*_standing(selection), n_trainings, spent)
    selected, confidence, trainings, lasted = stood
    return _Study(
        length=n_trainings,
        has_ended=has_ended,
        n_decisions=n_decisions,
        trainings=trainings,
        hours=lasted / 3600,
        selected=selected,
        confidence=confidence,
        finished=finished,
    )


def _standing(selection: Selection) -> tuple[int, float]:
    """Give the position of the best so far, and how sure the rule is."""
    confidence = math.nan if selection.confidence is None else selection.confidence
    return int(selection.selected), confidence


def _lasts(asked: Sequence[tuple[int, int]], seconds: Floats, workers: int) -> float:
    """How long a round takes: its work shared among the workers, or its longest training."""
    each = seconds[[candidate for candidate, _ in asked]]
    return max(float(each.sum()) / workers, float(each.max())) if len(each) else 0.0
