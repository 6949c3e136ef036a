"""The plain search that many people run: Optuna's TPE, each trial trained once, the best score wins.

Called by users and by comparisons, to have something to compare a selection with. Knows nothing of rules.
"""

import contextlib
import math
from concurrent.futures import wait
from dataclasses import dataclass

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError
from robust_select.core.instances import Instance, seeds_for
from robust_select.core.protocols import Direction, Trainer, check_direction
from robust_select.integrations.optuna.spaces import Proposal, Space, make_seed, suggest
from robust_select.train.executors import Crew, open_crew

_CANDIDATE = "candidate"


@dataclass(frozen=True)
class Searched:
    """What a search ended with.

    Attributes:
        best: the candidate of the best trial.
        score: of that trial: the best of many, so it flatters.
        study: Optuna's.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> found = tpe_search({"x": FloatDistribution(-1, 1)}, lambda params, instance: params["x"] ** 2, 3, seed=1)
        >>> found.score == found.best.params["x"] ** 2
        True
    """

    best: Candidate
    score: float
    study: optuna.Study


def tpe_search(
    space: Space,
    trainer: Trainer,
    n_trainings: int,
    *,
    direction: str = "minimize",
    seed: int = 0,
    storage: str | BaseStorage | None = None,
    name: str = "tpe",
    workers: int = 1,
    batch: int = 1,
) -> Searched:
    """Search with plain TPE; trial k is trained once, with the seeds of replicate k.

    The sampler gets a new seed for each batch, so that a search which is resumed from its storage proposes what it
    would have proposed. A training that fails or diverges is told as the worst possible score.

    Args:
        space: Optuna's distributions, or a define-by-run function.
        trainer: trains one instance.
        n_trainings: how many, those in the storage included.
        direction: of the score.
        seed: of the sampler and of the instances.
        storage: of Optuna, a URL or an object, to go on with after a crash; None keeps the trials in memory.
        name: of Optuna's study.
        workers: 1 trains in this process; more train in as many.
        batch: trials proposed at the same time. The result depends on it, not on the number of workers.

    Raises:
        InputError: a number out of range, or every training failed.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> found = tpe_search({"x": FloatDistribution(-1, 1)}, lambda params, instance: params["x"] ** 2, 40, seed=1)
        >>> abs(found.best.params["x"]) < 0.1, len(found.study.trials)
        (True, 40)
    """
    if n_trainings < 1 or batch < 1:
        raise InputError(
            f"expected at least one training and one at a time, came n_trainings={n_trainings}, batch={batch}"
        )
    towards = check_direction(direction)
    study = _open(storage, name, towards)
    proposals: dict[str, Proposal] = {}
    with contextlib.closing(open_crew(trainer, workers)) as crew:
        while (n_done := _n_complete(study)) < n_trainings:
            study.sampler = optuna.samplers.TPESampler(seed=make_seed(seed, n_done), constant_liar=True)
            trials = [study.ask() for _ in range(min(batch, n_trainings - n_done))]
            batched = [suggest(space, trial) for trial in trials]
            proposals |= {proposal.candidate.name: proposal for proposal in batched}
            instances = [
                Instance(proposal.candidate.name, n_done + at, seeds_for(seed, n_done + at))
                for at, proposal in enumerate(batched)
            ]
            scores = _train(crew, batched, instances)
            for trial, proposal, score in zip(trials, batched, scores, strict=True):
                trial.set_user_attr(_CANDIDATE, proposal.candidate.name)
                study.tell(trial, score if math.isfinite(score) else math.inf if towards == "minimize" else -math.inf)
    best = study.best_trial
    if not math.isfinite(best.value or math.nan):
        raise InputError(f"expected a training that ends with a score, came none among {n_trainings}")
    found = proposals.get(best.user_attrs[_CANDIDATE])
    if found is None:  # it was trained before this process began
        found = suggest(space, optuna.trial.FixedTrial(best.params))  # type: ignore[arg-type]
    return Searched(found.candidate, float(best.value or 0.0), study)


def _open(storage: str | BaseStorage | None, name: str, direction: Direction) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    finally:
        optuna.logging.set_verbosity(verbosity)
    if study.direction.name.lower() != direction:
        raise InputError(
            f"expected study {name!r} in the storage to {direction}, it was made to {study.direction.name.lower()}"
        )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # of a process that has ended
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _train(crew: Crew, batched: list[Proposal], instances: list[Instance]) -> list[float]:
    futures = [
        crew.submit(proposal.candidate.params, instance)
        for proposal, instance in zip(batched, instances, strict=True)
    ]
    for future in futures:
        while not future.done():
            crew.start()
            wait([future], timeout=0.1)
    return [future.result().score for future in futures]


def _n_complete(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
