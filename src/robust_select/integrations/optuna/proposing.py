"""Proposals inside the selection: TPE proposes candidates between rounds, the selection trains and discards.

Called by users. Knows nothing of how a rule decides; each round is a study like any other.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robust_select.core.candidates import Candidate, params_json
from robust_select.core.errors import InputError
from robust_select.core.instances import Outcome
from robust_select.core.protocols import Direction, Trainer, check_direction, losses_of
from robust_select.core.tables import Table
from robust_select.core.version import __version__
from robust_select.integrations.optuna.spaces import Proposal, Space, make_seed, propose
from robust_select.ledger import Ledger, open_ledger
from robust_select.select.result import Result
from robust_select.select.rules import TopTwo
from robust_select.select.rules.base import check_count
from robust_select.stats.criteria import Criterion
from robust_select.stats.criteria import criterion as look_up
from robust_select.stats.posteriors import posterior
from robust_select.study import Study

Known = dict[str, dict[int, Outcome]]
"""Outcomes by name of the candidate and replicate."""


@dataclass(frozen=True)
class Rounds:
    """How many trainings there are, and how new candidates and repeats share them.

    A round may spend what all rounds so far were given and have not spent. ``share_new`` of that goes to the first
    trainings of new candidates; the rest goes where the rule finds that it moves the evidence most, to old or new
    ones. Where the rule is sure and stops early, what it leaves is for the next round, half of it for new
    candidates: so few repeats are made where scores hardly vary, many where they do.

    Attributes:
        n: how many rounds. More of them later go on with the same ledger.
        trainings: that each round brings.
        share_new: between 0 and 1.

    Raises:
        InputError: a number out of range.

    Example:
        >>> Rounds(n=3, trainings=20)
        Rounds(n=3, trainings=20, share_new=0.5)
    """

    n: int = 8
    trainings: int = 30
    share_new: float = 0.5

    def __post_init__(self) -> None:
        check_count("n", self.n, 1)
        check_count("trainings", self.trainings, 1)
        if isinstance(self.share_new, (bool, str)) or not 0 < self.share_new <= 1:
            raise InputError(f"expected a share above 0 and at most 1, came share_new={self.share_new!r}")


@dataclass(frozen=True)
class Proposed:
    """What a selection with proposals ended with.

    Attributes:
        rounds: the result of each round; its table holds the candidates of that round and what was taken over.
        table: all scores of all candidates, in the order in which they were proposed.
        proposed_in: (C,) the round, from 0, in which each candidate was proposed.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> space = {"x": FloatDistribution(-1, 1)}
        >>> rounds = Rounds(n=2, trainings=4)
        >>> found = propose_and_select(space, lambda params, instance: params["x"] ** 2, rounds, seed=1)
        >>> len(found.rounds), found.selected in found.table.candidates
        (2, True)
    """

    rounds: tuple[Result, ...]
    table: Table
    proposed_in: tuple[int, ...]

    @property
    def result(self) -> Result:
        """The last round's."""
        return self.rounds[-1]

    @property
    def selected(self) -> str:
        """The candidate that the last round selected."""
        return self.result.selected

    @property
    def trainings(self) -> int:
        """How many trainings it took, each counted once."""
        return int(np.count_nonzero(~np.isnan(self.table.scores)))


def propose_and_select(
    space: Space,
    trainer: Trainer,
    rounds: Rounds | None = None,
    *,
    criterion: str | Criterion = "q3+iqr",
    direction: str = "minimize",
    rule: TopTwo | None = None,
    ledger: str | Path | None = None,
    seed: int = 0,
    name: str = "proposals",
    workers: int = 1,
    fresh: int = 0,
) -> Proposed:
    """Select among candidates that TPE proposes as the evidence grows.

    Each round is a study of its own in the ledger, named ``NAME, round K``: its candidates are those that the last
    one did not discard, with all their instances, and new ones. TPE is told the estimate of the criterion of every
    candidate so far, the discarded ones too: as the rule estimates it, with shrunken scales, so that one lucky score
    of a candidate trained once is not taken for its criterion. The sampler's seed comes from the study's seed and the
    round, and the outcomes are in the ledger: run again after a crash, it proposes the same candidates, repeats no
    training and goes on.

    Assumes: what ``TopTwo`` assumes. Its confidence in the last round is about the candidates of that round.

    Literature: Bergstra et al. 2011 (TPE); Russo 2016 (top-two sampling).

    Args:
        space: Optuna's distributions, or a define-by-run function.
        trainer: as for ``Study``.
        rounds: how many trainings there are and how they are shared.
        criterion: by which candidates are ranked; one that each candidate has by itself.
        direction: of the score.
        rule: its budget is set for each round; ``TopTwo()`` by default.
        ledger: path of a SQLite file or a database URL; None keeps nothing.
        seed: of the sampler and of the instances.
        name: of the studies in the ledger.
        workers: 1 trains in this process; more train in as many single-threaded processes.
        fresh: how often the selected candidate is trained once more at the end, unseen by the choice.

    Raises:
        InputError: something of it cannot be used.
        LedgerError: the ledger cannot be used, or holds rounds with other settings.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> def train(params, instance):
        ...     return params["x"] ** 2 + 0.01 * instance.rng("initial_weights").normal()
        >>> space = {"x": FloatDistribution(-1, 1)}
        >>> found = propose_and_select(space, train, Rounds(n=4, trainings=15), criterion="mean", seed=1)
        >>> abs(found.result.table.params[found.result.table.candidates.index(found.selected)]["x"]) < 0.2
        True
        >>> found.trainings <= 60
        True
    """
    rounds = rounds or Rounds()
    by = look_up(criterion) if isinstance(criterion, str) else criterion
    towards = check_direction(direction)
    rule = rule or TopTwo()
    if not isinstance(rule, TopTwo) or rule.budget is not None or rule.taken_over:
        raise InputError(f"expected a rule TopTwo without a budget, which each round sets, came rule={rule!r}")
    rule.check(by)
    with tempfile.TemporaryDirectory() as folder:
        url = Path(folder) / "rounds.db" if ledger is None else ledger

        def make(at: int, candidates: Sequence[Candidate], taken_over: Sequence[int], n_new_trainings: int) -> Study:
            own = replace(rule, budget=sum(taken_over) + n_new_trainings, taken_over=tuple(taken_over))
            return Study(
                candidates,
                trainer,
                criterion=by,
                direction=towards,
                rule=own,
                ledger=url,
                seed=seed,
                name=f"{name}, round {at + 1}",
                fresh=fresh if at == rounds.n - 1 else 0,
            )

        everybody: dict[str, Proposal] = {}
        proposed_in: dict[str, int] = {}
        known: Known = {}
        results: list[Result] = []
        alive: list[str] = []
        n_first = max(rule.warmup, 2 if by.kind == "spread" else 1)
        for at in range(rounds.n):
            n_open = max(1, (at + 1) * rounds.trainings - sum(map(len, known.values())))
            n_new = max(1, int(rounds.share_new * n_open) // n_first)
            values = _values(known, by, towards)
            told = [(everybody[own], value) for own, value in values.items()]
            new = propose(space, told, n_new, make_seed(seed, at), but_not=list(everybody))
            everybody |= {proposal.candidate.name: proposal for proposal in new}
            proposed_in |= {proposal.candidate.name: at for proposal in new}
            candidates = [everybody[own].candidate for own in alive] + [proposal.candidate for proposal in new]
            study = make(at, candidates, [len(known[own]) for own in alive], n_open)
            with open_ledger(url) as opened:
                _take_over(opened, study, known)
            result = study.run(workers)
            with open_ledger(url) as opened:
                _add_known(opened, study, known)
            results.append(result)
            left = set(result.remaining)
            alive = [candidate.name for candidate in candidates if candidate.name in left]
    table = _table([proposal.candidate for proposal in everybody.values()], known)
    return Proposed(tuple(results), table, tuple(proposed_in.values()))


def _values(known: Known, by: Criterion, direction: Direction) -> dict[str, float]:
    """Estimate the criterion of everybody that was trained, on the loss side."""
    if not known:
        return {}
    table = _table([Candidate(name) for name in known], known)
    found = posterior(losses_of(table.scores, direction), by)
    return dict(zip(known, found.values.tolist(), strict=True))


def _take_over(ledger: Ledger, study: Study, known: Known) -> None:
    """Begin a round in the ledger with what is known of its candidates, as outcomes of its own; once is enough."""
    taken = {row: known[candidate.name] for row, candidate in enumerate(study.candidates) if candidate.name in known}
    if not taken:
        return
    if study.name not in ledger.names():
        ledger.create_study(study.name, study.settings(), study.candidates, {"robust_select": __version__})
    record = ledger.study(study.name)
    if record.settings != study.settings() or _texts(record.candidates) != _texts(study.candidates):
        return  # the study itself will refuse, and say why
    there = {(row, replicate) for row, replicate, _ in ledger.outcomes(record)}
    missing = [
        (row, replicate, outcome)
        for row, outcomes in taken.items()
        for replicate, outcome in outcomes.items()
        if (row, replicate) not in there
    ]
    ledger.record(record, missing)


def _texts(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    return [(candidate.name, params_json(candidate.params)) for candidate in candidates]


def _add_known(ledger: Ledger, study: Study, known: Known) -> None:
    for row, replicate, outcome in ledger.outcomes(ledger.study(study.name)):
        known.setdefault(study.candidates[row].name, {})[replicate] = outcome


def _table(candidates: Sequence[Candidate], known: Mapping[str, Mapping[int, Outcome]]) -> Table:
    n_replicates = 1 + max((at for outcomes in known.values() for at in outcomes), default=0)
    scores = np.full((len(candidates), n_replicates), np.nan)
    seconds = np.full(scores.shape, np.nan)
    for row, candidate in enumerate(candidates):
        for replicate, outcome in known.get(candidate.name, {}).items():
            scores[row, replicate] = outcome.score if np.isfinite(outcome.score) else np.inf
            seconds[row, replicate] = outcome.seconds
    return Table(
        tuple(candidate.name for candidate in candidates),
        scores,
        seconds,
        tuple(candidate.params for candidate in candidates),
    )
