"""What rules select and what they spend on tables that are drawn beforehand: many tables, many settings at once.

Called by efficiency and the playground. Knows nothing of how tables are drawn, or of who is right. Its answers are
``Selection``'s.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from robust_select.core.protocols import Bools, Floats, Ints
from robust_select.select.rules import Decision, Evidence, Rule, Significance, TopTwo
from robust_select.stats.comparisons import Comparison, comparison
from robust_select.stats.criteria import Criterion, criterion
from robust_select.stats.sequential import discarded_at


@dataclass(frozen=True)
class Trials:
    """What became of rules on tables.

    Attributes:
        trainings: (B, K) how many each of K rules took on each of B tables.
        selected: (B, K) position of the candidate that it selected.
    """

    trainings: Ints
    selected: Ints


def try_rules(rules: Sequence[Rule], losses: Floats, by: Criterion) -> Trials:
    """Run every rule on every table; the replicates come as they stand, and no more than there are.

    Rules that share work are best given together: ``Exhaustive``, ``Significance`` of one test, or ``TopTwo`` of
    different confidences. Asking ``Selection`` for each gives the same, in many times the time.

    Args:
        rules: of the settings to try.
        losses: (B, C, R) without nan; +inf where diverged or failed.
        by: by which candidates are ranked.

    Example:
        >>> from robust_select.select.rules import Exhaustive
        >>> losses = np.array([[[1.0, 1.2], [0.9, 2.0]]])
        >>> found = try_rules([Exhaustive(1), Exhaustive(2)], losses, criterion("mean"))
        >>> found.trainings.tolist(), found.selected.tolist()
        ([[2, 4]], [[1, 0]])
    """
    shape = (len(losses), len(rules))
    trainings, selected = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for group in _groups(rules):
        chosen = [rules[k] for k in group]
        tests = [made for made in chosen if isinstance(made, Significance) and _runs_in_step(made)]
        sure = [made for made in chosen if isinstance(made, TopTwo) and made.batch == 1]
        if tests and tests[0].control == "per-look":
            found = _try_significance(tests, losses, by)
        elif tests:
            found = _join([_try_familywise(made, losses, by) for made in tests])
        elif sure:
            found = _join_tables([_try_top_two(sure, table, by) for table in losses])
        else:
            found = _join([_try_any(made, losses, by) for made in chosen])
        trainings[:, group], selected[:, group] = found.trainings, found.selected
    return Trials(trainings, selected)


def _groups(rules: Sequence[Rule]) -> list[list[int]]:
    """Put together those that share work; a rule with a setting that is not foreseen stays alone."""
    found: dict[object, list[int]] = {}
    for k, made in enumerate(rules):
        key: object = k
        if isinstance(made, Significance) and _runs_in_step(made):
            key = (made.name, made.test, made.control)
        elif isinstance(made, TopTwo) and made.batch == 1:
            key = replace(made, confidence=0.5)
        found.setdefault(key, []).append(k)
    return list(found.values())


def _runs_in_step(rule: Significance) -> bool:
    """Whether many tables can be compared at once; SciPy's Mann-Whitney takes one reference for all rows here."""
    return rule.patience is None and (rule.test != "mann-whitney" or rule.control == "familywise")


def _join(columns: list[Trials]) -> Trials:
    """Put rules beside each other."""
    return Trials(
        np.concatenate([found.trainings for found in columns], axis=1),
        np.concatenate([found.selected for found in columns], axis=1),
    )


def _join_tables(rows: list[Trials]) -> Trials:
    """Put tables below each other."""
    return Trials(
        np.concatenate([found.trainings for found in rows]), np.concatenate([found.selected for found in rows])
    )


@dataclass
class _Course:
    """A selection on one table, as far as it got: no names, no times, nothing in training."""

    losses: Floats
    by: Criterion
    width: int
    n_asked: Ints = field(init=False)
    n_steps: int = 0
    quiet: int = 0

    def __post_init__(self) -> None:
        self.n_asked = np.zeros(len(self.losses), dtype=np.int64)
        self.alive = np.ones(len(self.losses), dtype=bool)

    def evidence(self) -> Evidence:
        """Give what a rule may look at; as wide as ``Selection`` makes it, so that sums are rounded alike."""
        known = np.full((len(self.losses), self.width), np.nan)
        n = min(self.width, self.losses.shape[1])
        known[:, :n] = np.where(np.arange(n) < self.n_asked[:, None], self.losses[:, :n], np.nan)
        return Evidence(
            known, self.alive.copy(), self.by, self.losses.shape[1], self.n_steps, self.quiet, self.n_asked.copy()
        )

    def follow(self, decision: Decision) -> None:
        """Do what the rule decided."""
        self.alive[decision.discard] = False
        self.alive[decision.restore] = True
        if decision.step is not None:
            self.n_steps += 1
            self.quiet = 0 if len(decision.discard) else self.quiet + 1
        if len(decision.train):
            n_needed = int(decision.train[:, 1].max()) + 1
            if n_needed > self.width:
                self.width = max(n_needed, min(2 * self.width, self.width + 64))
            np.add.at(self.n_asked, decision.train[:, 0], 1)

    def branch(self) -> "_Course":
        """Copy it, to go on otherwise."""
        copied = _Course(self.losses, self.by, self.width)
        copied.n_asked, copied.alive = self.n_asked.copy(), self.alive.copy()
        copied.n_steps, copied.quiet = self.n_steps, self.quiet
        return copied

    def selected(self, decision: Decision) -> int:
        """Give the best of those that a decision leaves, before it is followed."""
        alive = self.alive.copy()
        alive[decision.discard], alive[decision.restore] = False, True
        if decision.ranking is not None:
            return int(decision.ranking[alive[decision.ranking]][0])
        return _best_of(self.by, self.evidence().losses, alive)


def _try_any(rule: Rule, losses: Floats, by: Criterion) -> Trials:
    """Run one rule as it is, table by table."""
    trainings, selected = [], []
    for table in losses:
        course, choice = _Course(table, by, max(rule.warmup, 1)), -1
        decision = Decision()
        while not decision.stop:
            decision = rule.decide(course.evidence())
            if choice < 0 and (decision.is_final or decision.stop):
                choice = course.selected(decision)
            course.follow(decision)
        trainings.append(int(course.n_asked.sum()))
        selected.append(choice)
    return Trials(np.array(trainings)[:, None], np.array(selected)[:, None])


def _try_top_two(rules: Sequence[TopTwo], table: Floats, by: Criterion) -> Trials:
    """Run TopTwo at several confidences on one table.

    Whom it trains next does not depend on the confidence until that is reached or out of reach, so one run at the
    highest serves all of them. Those that have reached theirs, and all when the highest stops, are asked themselves:
    they stop, or go on by a branch of their own.
    """
    trainings, selected = np.zeros((1, len(rules)), dtype=np.int64), np.zeros((1, len(rules)), dtype=np.int64)
    open_ends = [(_Course(table, by, rules[0].warmup), sorted(range(len(rules)), key=lambda k: rules[k].confidence))]
    while open_ends:
        course, going = open_ends.pop()
        while going:
            evidence = course.evidence()
            decision = rules[going[-1]].decide(evidence)
            sure = decision.confidence or 0.0
            reached = [k for k in going[:-1] if decision.stop or sure >= rules[k].confidence]
            answers = {k: rules[k].decide(evidence) for k in reached}
            answers |= {k: decision for k in going if k not in answers}
            branches: dict[tuple[int, ...], list[int]] = {}
            for k in going:
                if answers[k].stop:
                    trainings[0, k], selected[0, k] = course.n_asked.sum(), answers[k].best
                else:
                    branches.setdefault(tuple(answers[k].train.ravel().tolist()), []).append(k)
            course, going = _go_on(course, answers, list(branches.values()), open_ends)
    return Trials(trainings, selected)


def _go_on(
    course: _Course,
    answers: dict[int, Decision],
    branches: list[list[int]],
    open_ends: list[tuple[_Course, list[int]]],
) -> tuple[_Course, list[int]]:
    """Follow the last branch; the others wait at the open ends."""
    for going in branches[:-1]:
        other = course.branch()
        other.follow(answers[going[-1]])
        open_ends.append((other, going))
    if not branches:
        return course, []
    course.follow(answers[branches[-1][-1]])
    return course, branches[-1]


def _try_significance(rules: Sequence[Significance], losses: Floats, by: Criterion) -> Trials:
    """Run one test per look at several levels and warm-ups, on all tables in step.

    A p-value depends on the two candidates and the instances they have, on no setting: each is computed once.
    """
    n_tables, n_candidates, n_replicates = losses.shape
    made = comparison(rules[0].test)
    ranked_by = criterion("mean" if made.kind == "location" else "std")
    alphas, warmups = np.array([rule.alpha for rule in rules]), np.array([rule.warmup for rule in rules])
    most = np.minimum([rule.max_instances for rule in rules], n_replicates)
    alive = np.ones((n_tables, len(rules), n_candidates), dtype=bool)
    is_going = np.ones(alive.shape[:2], dtype=bool)
    trainings = np.tile(n_candidates * warmups, (n_tables, 1))
    selected = np.zeros(is_going.shape, dtype=np.int64)
    for n in range(int(warmups.min()), int(most.max()) + 1):
        looks = is_going & (n >= warmups)
        tables, settings, candidates = np.nonzero(alive & looks[:, :, None])
        if len(tables) == 0:
            continue
        seen = losses[:, :, :n]
        ranks = _ranks(ranked_by, seen, np.asarray((alive & looks[:, :, None]).any(axis=1)))
        best = np.where(alive, ranks[:, None, :], n_tables * n_candidates).argmin(axis=2)
        leaders = best[tables, settings]
        pairs = (tables * n_candidates + leaders) * n_candidates + candidates
        pairs, position = np.unique(pairs, return_inverse=True)
        pairs_tables, pairs = np.divmod(pairs, n_candidates**2)
        p_values = _p_values(
            made, seen[pairs_tables, pairs % n_candidates], seen[pairs_tables, pairs // n_candidates]
        )
        alive[tables, settings, candidates] = (p_values[position] >= alphas[settings]) | (candidates == leaders)
        n_left = alive.sum(axis=2)
        is_over = looks & ((n_left == 1) | (n >= most))
        for table, setting in np.argwhere(is_over):
            selected[table, setting] = _best_of(by, seen[table], alive[table, setting])
        is_going &= ~is_over
        trainings += np.where(looks & ~is_over, n_left, 0)
    return Trials(trainings, selected)


def _ranks(by: Criterion, losses: Floats, rows: Bools) -> Ints:
    """(B, C) rank of candidates within their tables; those not asked for last."""
    ranks = np.full(rows.shape, rows.size, dtype=np.int64)
    tables, candidates = np.nonzero(rows)
    order = by.order(losses[tables, candidates])
    ranks[tables[order], candidates[order]] = np.arange(len(order))
    return ranks


def _p_values(made: Comparison, losses: Floats, references: Floats) -> Floats:
    """Compare each row with a reference of its own, as ``Comparison`` compares all with one."""
    if losses.shape[1] < made.min_instances:
        return np.ones(len(losses))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # SciPy warns of constant scores, as Comparison knows
        if made.uses_ranks:
            p_values = np.asarray(made.p_values(losses, references), dtype=float)
            return np.where(np.isnan(p_values), 1.0, p_values)
        diverged, references_diverged = np.isinf(losses).any(axis=1), np.isinf(references).any(axis=1)
        is_finite = ~(diverged | references_diverged)
        found = np.where(diverged & references_diverged, 1.0, 0.0)
        if is_finite.any():
            p_values = np.asarray(made.p_values(losses[is_finite], references[is_finite]), dtype=float)
            found[is_finite] = np.where(np.isnan(p_values), 1.0, p_values)
        return found


def _try_familywise(rule: Significance, losses: Floats, by: Criterion) -> Trials:
    """Run one test under familywise control on all tables."""
    n_most = min(rule.max_instances, losses.shape[2])
    at = discarded_at(rule.test, losses[:, :, :n_most], rule.alpha, rule.warmup)
    stays = at == 0
    n_left = stays.sum(axis=1)
    ends = np.where(n_left == 1, np.maximum(at.max(axis=1), rule.warmup), n_most)
    trainings = np.where(stays, ends[:, None], at).sum(axis=1)
    best = [_best_of(by, table[:, :n], left) for table, n, left in zip(losses, ends, stays, strict=True)]
    return Trials(trainings[:, None], np.array(best)[:, None])


def _best_of(by: Criterion, losses: Floats, alive: Bools) -> int:
    left = np.flatnonzero(alive)
    return int(left[by.order(losses[left])[0]])
