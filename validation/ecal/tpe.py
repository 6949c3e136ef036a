"""Robust selection against Optuna's TPE, with the same number of trainings on the same space of 6,912 candidates.

Run by hand, ``python validation/ecal/tpe.py [--quick]``; needs the extra ``optuna``; writes results/tpe.csv (50 fresh
instances of both winners) and results/tpe.json. Energy on B, 2,000 training showers, 10 epochs, 2,000 held-out
showers. TPE trains 240 times, each trial once, and takes the best score, as is usual. Robust selection draws 80
candidates without any of the published ones, and spends 240 trainings on them by the rule top-two and the criterion
q3+iqr. Fresh instances have seeds that neither has seen.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from validation.ecal.common import SEED, Options, read_options, told, train_all, write_json, write_table

from robust_select import Candidate, Study, Table, TopTwo
from robust_select.analysis.measure import measure
from robust_select.core.protocols import Trainer
from robust_select.integrations.optuna import tpe_search
from robust_select.problems.ecal import draw, make_trainer, space
from robust_select.problems.ecal.architectures import JOINED

SETTINGS = {"epochs": 10, "n_train": 2_000}
N_HELD_OUT = 2_000
N_TRAININGS, N_CANDIDATES, N_FRESH = 240, 80, 50
TOLERANCE = 0.0005

AXES = {
    "body": 16,
    "activation": 2,
    "joined": len(JOINED),
    "optimiser": 6,
    "rate": 3,
    "batch_and_decay": 3,
}
"""The space's axes with their numbers of choices, in the order in which ``space`` lists candidates."""


def position(choice: dict[str, int]) -> int:
    """Give the place in the space of a choice on each axis.

    Example:
        >>> position(dict.fromkeys(AXES, 0)), position({name: n - 1 for name, n in AXES.items()})
        (0, 6911)
    """
    return int(np.ravel_multi_index([choice[name] for name in AXES], list(AXES.values())))


def search(trainer: Trainer, n_trainings: int, options: Options) -> tuple[Candidate, float]:
    """Search with TPE; give the best trial's candidate and score. Trials are kept in a file and survive a stop."""
    everybody = space()

    def chosen(trial: optuna.Trial) -> Candidate:
        return everybody[position({name: trial.suggest_categorical(name, range(n)) for name, n in AXES.items()})]

    found = tpe_search(
        lambda trial: chosen(trial).params,
        trainer,
        n_trainings,
        seed=SEED,
        storage=JournalStorage(JournalFileBackend(str(options.work / "optuna.log"))),
        workers=options.workers,
        batch=2 * options.workers,
    )
    return chosen(optuna.trial.FixedTrial(found.study.best_params)), found.score  # type: ignore[arg-type]


def select(trainer: Trainer, n_trainings: int, n_candidates: int, options: Options) -> tuple[Candidate, float, int]:
    """Select robustly; give the candidate, its criterion as the selection saw it, and how often it was trained."""
    name, ledger = "robust", options.work / "robust.db"
    rule = TopTwo(budget=n_trainings, tolerance=TOLERANCE, batch=4 * options.workers)
    candidates = draw(n_candidates, SEED, published=False)
    study = Study(candidates, trainer, rule=rule, ledger=ledger, seed=SEED, name=name)
    with told(name, ledger, n_trainings):
        result = study.run(workers=options.workers)
    row = result.table.candidates.index(result.selected)
    scores = result.table.scores[row]
    value = float(study.criterion(study.result.table.losses("minimize"))[row])
    return candidates[row], value, int(np.count_nonzero(~np.isnan(scores)))


def compare(table: Table) -> dict[str, Any]:
    """Compare two winners on fresh instances: every criterion with its interval, and which one is the more robust."""
    found = measure(table, n_resamples=5000)
    pair = found.pairs.iloc[0]
    return {
        "criteria": {
            name: {
                row["criterion"]: [row["value"], row["low"], row["high"]]
                for _, row in found.criteria[found.criteria["candidate"] == name].iterrows()
            }
            for name in table.candidates
        },
        "more_robust_by_q3+iqr": found.best,
        "pair": {key: value for key, value in pair.items() if key != "caveats"},
        "dead": {name: int(np.sum(~(row < 0.5))) for name, row in zip(table.candidates, table.scores, strict=True)},
    }


def main() -> None:
    """Search, select, train both winners afresh, write."""
    options = read_options(__doc__.splitlines()[0])
    quick = options.is_quick
    n_trainings, n_candidates, n_fresh = (12, 4, 6) if quick else (N_TRAININGS, N_CANDIDATES, N_FRESH)
    settings = {"epochs": 1, "n_train": 200} if quick else SETTINGS
    alone = make_trainer("energy", "B", N_HELD_OUT, {**settings, "stack_size": 1})  # trials have nothing in common
    found, best_score = search(alone, n_trainings, options)
    trainer = make_trainer("energy", "B", N_HELD_OUT, settings)
    selected, value, n_seen = select(trainer, n_trainings, n_candidates, options)
    winners = [Candidate("TPE", found.params), Candidate("robust selection", selected.params)]
    seed = SEED + 1  # neither has seen these instances
    table = train_all("fresh", winners, trainer, n_fresh, options, seed)
    write_table(table, options.results / "tpe.csv", with_curves=False)
    answer = {
        "trainings": n_trainings,
        "TPE": {"candidate": found.name, "score_of_its_best_trial": best_score},
        "robust selection": {"candidate": selected.name, "q3+iqr_when_selected": value, "instances_seen": n_seen},
        "fresh_instances": n_fresh,
        **compare(table),
    }
    write_json(answer, options.results / "tpe.json")


if __name__ == "__main__":
    main()
