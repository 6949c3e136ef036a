"""Spaces as Optuna users write them, and candidates drawn from them: at random, or by TPE from what is known.

Called by the modules beside it and by users. Knows nothing of trainings or ledgers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from robust_select.core.candidates import Candidate, name_of, params_json
from robust_select.core.errors import InputError

Space = Mapping[str, BaseDistribution] | Callable[[optuna.Trial], Mapping[str, Any] | None]
"""Optuna's distributions by name, or a define-by-run function: suggests with the trial and gives the parameters
(None: just those that it suggested)."""

_ATTEMPTS = 20  # proposals in a row that bring no new candidate before another way is tried


@dataclass(frozen=True)
class Proposal:
    """A candidate, and how Optuna sees it.

    Attributes:
        candidate: named by its parameters.
        suggested: what the trial suggested.
        distributions: of what it suggested.
    """

    candidate: Candidate
    suggested: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)

    def finished(self, value: float) -> optuna.trial.FrozenTrial:
        """Give the trial as one that ended with a value."""
        return optuna.trial.create_trial(
            params=dict(self.suggested), distributions=dict(self.distributions), value=value
        )


def sample_space(space: Space, n: int, seed: int = 0) -> tuple[Candidate, ...]:
    """Draw ``n`` different candidates at random from a space of Optuna.

    Args:
        space: distributions, or a define-by-run function.
        n: how many.
        seed: the same seed draws the same candidates.

    Raises:
        InputError: not a space, or it does not hold that many different candidates.

    Example:
        >>> from optuna.distributions import CategoricalDistribution, IntDistribution
        >>> space = {"depth": IntDistribution(1, 3), "kind": CategoricalDistribution(["a", "b"])}
        >>> sorted(candidate.name for candidate in sample_space(space, 6))[0]
        'depth=1, kind=a'
    """
    if n < 1:
        raise InputError(f"expected at least one candidate to draw, came n={n}")
    found = _draw(space, optuna.samplers.RandomSampler(seed=seed), [], n, set(), 1000 + 100 * n)
    if len(found) < n:
        raise InputError(f"expected a space with at least n={n} different candidates, found {len(found)}")
    return tuple(proposal.candidate for proposal in found)


def propose(
    space: Space, known: Sequence[tuple[Proposal, float]], n: int, seed: int, but_not: Sequence[str] = ()
) -> list[Proposal]:
    """Propose candidates with TPE, at random where it finds no more that are new.

    Args:
        space: distributions, or a define-by-run function.
        known: what is known, each with its value on the loss side (infinite: unusable).
        n: how many.
        seed: the same seed and the same known values give the same proposals.
        but_not: names of candidates that are not to be proposed.

    Returns:
        n different candidates, fewer where the space holds no more.
    """
    finished = [proposal.finished(value) for proposal, value in known]
    refused = set(but_not)
    tpe = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    found = _draw(space, tpe, finished, n, refused, _ATTEMPTS)
    if len(found) < n:
        refused |= {proposal.candidate.name for proposal in found}
        n_left = n - len(found)
        found += _draw(space, optuna.samplers.RandomSampler(seed=seed), [], n_left, refused, 100 * _ATTEMPTS)
    return found


def suggest(space: Space, trial: optuna.Trial) -> Proposal:
    """Have a trial suggest a candidate.

    Raises:
        InputError: the space is neither distributions nor a function that gives parameters.
    """
    if isinstance(space, Mapping):
        given: Any = {name: _suggest_one(trial, name, made) for name, made in space.items()}
    elif callable(space):
        given = space(trial)
        given = trial.params if given is None else given
    else:
        raise InputError(f"expected a dictionary of Optuna's distributions or a function of a trial, came {space!r}")
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"expected a space that gives a dictionary of parameters, came {given!r}")
    return Proposal(Candidate(name_of(given), given), trial.params, trial.distributions)


def make_seed(seed: int, number: int) -> int:
    """Give the sampler's seed for a round or a batch: a resumed run proposes the same.

    Example:
        >>> make_seed(7, 0) == make_seed(7, 0), make_seed(7, 0) == make_seed(7, 1)
        (True, False)
    """
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0])


def new_study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Make a study in memory without a line in the log."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler, direction="minimize")
    finally:
        optuna.logging.set_verbosity(verbosity)


def _draw(
    space: Space,
    sampler: optuna.samplers.BaseSampler,
    finished: Sequence[optuna.trial.FrozenTrial],
    n: int,
    refused: set[str],
    n_attempts: int,
) -> list[Proposal]:
    """Ask a sampler until there are n new candidates, or none came in so many attempts."""
    study = new_study(sampler)
    study.add_trials(finished)
    found: dict[str, Proposal] = {}
    names = set(refused)
    n_missed = 0
    while len(found) < n and n_missed < n_attempts:
        proposal = suggest(space, study.ask())
        key = params_json(proposal.candidate.params)
        if proposal.candidate.name in names or key in found:
            n_missed += 1
            continue
        found[key] = proposal
        names.add(proposal.candidate.name)
        n_missed = 0
    return list(found.values())


def _suggest_one(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    raise InputError(f"expected a float, int or categorical distribution of Optuna, came {name}={distribution!r}")
