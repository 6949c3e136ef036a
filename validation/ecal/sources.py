"""Sources of randomness of Models 1 and 2: initial weights alone, sampling alone, both.

Run by hand, ``python validation/ecal/sources.py [--quick]``; writes results/sources.csv (200 instances of each), its
summary results/sources.json and a figure a model. Energy on B, 1,000 training showers, 8 epochs, 1,000 held-out
showers. Sampling is the choice of showers and their order. Both models have Model 2's training settings: the
published ones of Model 1 (learning rate 1e-4) take the published 50 epochs of 32,000 showers.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
from validation.ecal.common import SEED, Options, read_options, train_all, write_frame, write_json

from robust_select import Candidate, Table
from robust_select.analysis.histograms import score_histograms
from robust_select.analysis.measure import measure
from robust_select.core.designs import Varying
from robust_select.core.instances import STREAMS
from robust_select.problems.ecal import make_trainer
from robust_select.report.figures import save_figure
from robust_select.report.figures.histograms import draw_source_histograms
from robust_select.study.designed import designed

MODELS = ("Model 1", "Model 2")
SETTINGS = {"epochs": 8, "n_train": 1_000}
N_HELD_OUT = 1_000
N_INSTANCES = 200
DESIGNS = {
    "initial weights alone": ("initial_weights",),
    "sampling alone": ("training_sample", "batch_order"),
    "both": STREAMS,
}


def collect(options: Options) -> dict[str, Table]:
    """Train every design; give its scores."""
    settings, n = ({"epochs": 2, "n_train": 200}, 6) if options.is_quick else (SETTINGS, N_INSTANCES)
    trainer = make_trainer("energy", "B", N_HELD_OUT, settings)
    candidates = [Candidate(name, {"model": name}) for name in MODELS]
    return {
        words: train_all(f"sources, {words}", candidates, designed(trainer, Varying(varying, n), SEED), n, options)
        for words, varying in DESIGNS.items()
    }


def summarise(tables: dict[str, Table]) -> list[dict[str, object]]:
    """Give quartiles, standard deviation and criteria with intervals, a row a model and design.

    Training that ends at a constant prediction, as all units died, is counted: its error is above a half.
    """
    rows = []
    for words, table in tables.items():
        criteria = measure(table, n_resamples=1000).criteria.set_index(["candidate", "criterion"])
        for name, scores in zip(table.candidates, table.scores, strict=True):
            is_dead = ~(scores < 0.5)
            row: dict[str, object] = {"candidate": name, "varies": words, "instances": len(scores)}
            row |= {"dead": int(is_dead.sum()), "std_of_the_others": float(scores[~is_dead].std(ddof=1))}
            for by in ("median", "mean", "std", "iqr", "q3+iqr"):
                value = criteria.loc[(name, by)]
                row[by] = [float(value["value"]), float(value["low"]), float(value["high"])]
            rows.append(row)
    return rows


def main() -> None:
    """Train, write, draw."""
    options = read_options(__doc__.splitlines()[0])
    tables = collect(options)
    frames = [table.to_frame().assign(varies=words) for words, table in tables.items()]
    kept = ["candidate", "varies", "replicate", "score", "state"]
    write_frame(pd.concat(frames)[kept], options.results / "sources.csv")
    write_json({"rows": summarise(tables)}, options.results / "sources.json")
    for position, name in enumerate(MODELS):
        samples = {words: table.scores[position] for words, table in tables.items()}
        alive = {words: scores[np.isnan(scores) | (scores < 0.5)] for words, scores in samples.items()}
        panels = draw_source_histograms(score_histograms(alive))
        save_figure(panels[0], options.results / f"sources-{name.lower().replace(' ', '-')}.svg")


if __name__ == "__main__":
    main()
