"""Optuna's WilcoxonPruner: candidates are trials one after another, replicates are the steps of a trial.

Called by the benchmark of rules. Drives the real Optuna as the pruner's documentation shows.
"""

import importlib.util
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from robust_select.core.errors import RobustSelectError
from robust_select.core.protocols import Floats, Ints

from .base import Peer, check_losses, check_replicates


@dataclass(frozen=True)
class WilcoxonKnob:
    """Settings of a study with the WilcoxonPruner.

    Attributes:
        n_steps: how many replicates a trial has if it is not pruned.
        p_threshold: of the pruner; the smaller, the fewer are pruned. Optuna's default is 0.1.
        n_startup_steps: of the pruner; Optuna's default is 2.
    """

    n_steps: int
    p_threshold: float = 0.1
    n_startup_steps: int = 2


def run(losses: Floats, knob: WilcoxonKnob, seed: int = 0) -> tuple[Ints, Ints]:
    """Run the pruner on each study; see ``base.Run``.

    Optuna takes about a second a study, nearly all of it SciPy's overhead of one test at a time. So Optuna itself
    runs the first study, ``replay_pruner`` all of them with the tests of a step made at once, and both must agree.

    Raises:
        RobustSelectError: they do not agree: this version of Optuna prunes otherwise.
    """
    losses = check_losses(losses)
    check_replicates("Optuna's WilcoxonPruner", knob.n_steps, losses.shape[2])
    orders, steps = _shuffled(losses.shape[0], losses.shape[1], knob.n_steps, seed)
    selected, trainings = replay_pruner(losses, knob, orders, steps)
    found, expected = (int(selected[0]), int(trainings[0])), run_optuna(losses[0], knob, orders[0], steps[0])
    if found != expected:
        raise RobustSelectError(
            f"expected Optuna and its replay to select and train the same, came (selected, trainings) {expected} "
            f"from Optuna and {found} from the replay, knob={knob}: compare replay_pruner with WilcoxonPruner.prune"
        )
    return selected, trainings


def _shuffled(n_studies: int, n_candidates: int, n_steps: int, seed: int) -> tuple[Ints, Ints]:
    """Draw the order of the trials (S, C) and of each trial's steps (S, C, n_steps)."""
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(n_candidates), (n_studies, 1)), axis=1)
    steps = rng.permuted(np.tile(np.arange(n_steps), (n_studies, n_candidates, 1)), axis=2)
    return orders, steps


def run_optuna(losses: Floats, knob: WilcoxonKnob, order: Ints, steps: Ints) -> tuple[int, int]:
    """Run Optuna itself on one study.

    Candidates come in random order and, as the pruner's documentation recommends, each trial goes through its
    replicates in an order of its own. A pruned trial tells Optuna the mean of what it has seen, as in the
    documentation's example; the pruner never prunes a trial whose mean is the best so far, so the best trial
    always has all its steps. Selected is ``study.best_trial``.

    Args:
        losses: (C, R).
        knob: the settings.
        order: (C,) in which the candidates come.
        steps: (C, n_steps) replicates in the order of each trial, by number of the trial.

    Returns:
        The position of the selected candidate, and the number of trainings.
    """
    optuna = _optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner = optuna.pruners.WilcoxonPruner(p_threshold=knob.p_threshold, n_startup_steps=knob.n_startup_steps)
        study = optuna.create_study(
            direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner
        )
        n_trainings = 0
        for candidate, replicates in zip(order, steps, strict=True):
            trial = study.ask()
            seen: list[float] = []
            for replicate in replicates:
                loss = float(losses[candidate, replicate])
                seen.append(loss)
                trial.report(loss, int(replicate))
                if trial.should_prune():
                    break
            n_trainings += len(seen)
            study.tell(trial, sum(seen) / len(seen))
        return int(order[study.best_trial.number]), n_trainings
    finally:
        optuna.logging.set_verbosity(before)


def replay_pruner(losses: Floats, knob: WilcoxonKnob, orders: Ints, steps: Ints) -> tuple[Ints, Ints]:
    """Do what ``run_optuna`` does, for many studies at once.

    A trial is pruned after a step, from ``max(2, n_startup_steps)`` on, when the one-sided Wilcoxon test of its
    differences from the best trial on their common steps gives p < p_threshold and its mean is worse.

    Args:
        losses: (S, C, R).
        knob: the settings.
        orders: (S, C) in which the candidates come.
        steps: (S, C, n_steps) as for ``run_optuna``.

    Returns:
        (S,) selected, (S,) trainings.
    """
    studies = np.arange(len(losses))
    best = orders[:, 0].copy()
    best_means = np.cumsum(losses[studies[:, None], best[:, None], steps[:, 0]], axis=1)[:, -1] / knob.n_steps
    trainings = np.full(len(losses), knob.n_steps, dtype=np.int64)
    for number in range(1, losses.shape[1]):
        candidates, replicates = orders[:, number], steps[:, number]
        seen = losses[studies[:, None], candidates[:, None], replicates]
        differences = seen - losses[studies[:, None], best[:, None], replicates]
        means = np.cumsum(seen, axis=1) / np.arange(1, knob.n_steps + 1)
        goes_on = np.ones(len(losses), dtype=bool)
        for n_seen in range(1, knob.n_steps + 1):
            rows = np.flatnonzero(goes_on)
            trainings[rows] += 1
            if n_seen < max(2, knob.n_startup_steps):
                continue
            rows = rows[means[rows, n_seen - 1] > best_means[rows]]
            if len(rows):
                goes_on[rows[_p_values(differences[rows, :n_seen]) < knob.p_threshold]] = False
            if not goes_on.any():
                break
        is_better = goes_on & (means[:, -1] < best_means)
        best = np.where(is_better, candidates, best)
        best_means = np.where(is_better, means[:, -1], best_means)
    return best, trainings


def _p_values(differences: Floats) -> Floats:
    """(N,) one-sided Wilcoxon p-values of rows; SciPy's automatic choice (it depends on zeros and ties) by row."""
    sizes = np.sort(np.abs(differences), axis=1)
    plain = (sizes[:, 0] > 0) & (sizes[:, 1:] != sizes[:, :-1]).all(axis=1)
    found = np.empty(len(differences))
    if plain.any():
        found[plain] = stats.wilcoxon(differences[plain], alternative="greater", zero_method="zsplit", axis=1).pvalue
    for row in np.flatnonzero(~plain):
        ranks = np.sort(np.sign(differences[row]) * stats.rankdata(np.abs(differences[row])))
        found[row] = _p_value(tuple(ranks.tolist()))
    return found


@lru_cache(maxsize=100_000)
def _p_value(signed_ranks: tuple[float, ...]) -> float:
    """Test one row with zeros or ties; the p-value depends on its ranks alone, and SciPy permutes them all."""
    return float(stats.wilcoxon(signed_ranks, alternative="greater", zero_method="zsplit").pvalue)


def _optuna() -> Any:
    import optuna

    return optuna


def _missing() -> str:
    return "" if importlib.util.find_spec("optuna") else "pip install optuna"


PEERS = (
    Peer(
        name="Optuna WilcoxonPruner",
        run=run,
        default=WilcoxonKnob(n_steps=10),
        knobs=tuple(
            WilcoxonKnob(n_steps, p_threshold)
            for n_steps in (3, 5, 10, 20, 40, 80)
            for p_threshold in ((0.1,) if n_steps < 5 else (0.1, 0.01))
        ),
        needs=lambda knob: int(knob.n_steps),
        knob_is="number of steps (Optuna has no default) and p_threshold (0.1)",
        missing=_missing,
    ),
)
