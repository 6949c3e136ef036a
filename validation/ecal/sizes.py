"""Loss against the size of the training sample, for networks and baselines, energy and position, on A and B.

Run by hand, ``python validation/ecal/sizes.py [--quick]``; writes results/sizes.csv and four figures. Sizes: 8 from
100 to the largest, 12,000 of A and 27,516 of B, where samples are drawn with replacement (a draw without it would be
the same each time). 8 instances of a network, 10 of a baseline. Networks see about 60,000 showers, at least 5 and at
most 20 epochs, so those of small samples are trained much shorter than the published 50 epochs; all have Model 2's
training settings (the published learning rate of Models 1, 3 and 4 is 1e-4), so that only architectures differ.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
from validation.ecal.common import Options, read_options, train_all, write_frame

from robust_select import Candidate, Table
from robust_select.analysis.groups import boxes_by_size, scores_by_size
from robust_select.problems.ecal import baselines, make_trainer
from robust_select.report.figures import save_figure
from robust_select.report.figures.sizes import draw_sizes

SIZES = {
    "A": (100, 200, 500, 1_000, 2_000, 4_000, 8_000, 12_000),
    "B": (100, 250, 600, 1_500, 3_500, 8_000, 16_000, 27_516),
}
NETWORKS = {"energy": ("Model 1", "Model 2"), "x": ("Model 3", "Model 4")}
BASELINES = {"parametric": "parametric", "XGBoost": "xgboost"}
N_NETWORK, N_BASELINE = 8, 10
_SHOWERS_SEEN = 60_000


def epochs(n_train: int) -> int:
    """Say how often a sample is gone through.

    Example:
        >>> epochs(100), epochs(8_000), epochs(27_516)
        (20, 7, 5)
    """
    return int(np.clip(_SHOWERS_SEEN // n_train, 5, 20))


def networks(target: str, sizes: tuple[int, ...]) -> list[Candidate]:
    """List the networks of a target at all sizes; the largest is as many as there are, drawn with replacement."""
    return [
        Candidate(
            f"{name}, {size}",
            {
                "model": name,
                "n_train": size,
                "epochs": epochs(size),
                "resample": "bootstrap" if size == sizes[-1] else "subset",
            },
        )
        for name in NETWORKS[target]
        for size in sizes
    ]


def formulas(target: str, showers: str, sizes: tuple[int, ...]) -> list[Candidate]:
    """List the baselines of a target at all sizes; at the largest they all see the same showers."""
    return [
        Candidate(
            f"{name}, {size}",
            {"baseline": baseline, "target": target, "showers": showers, "n_train": size},
        )
        for name, baseline in BASELINES.items()
        for size in sizes
    ]


def collect(target: str, showers: str, options: Options) -> dict[str, dict[int, np.ndarray]]:
    """Train a target on a data set, from the smallest to the largest sample; name to size to scores."""
    sizes = (100, 200) if options.is_quick else SIZES[showers]
    n_network, n_baseline = (2, 2) if options.is_quick else (N_NETWORK, N_BASELINE)
    kind = f"{target}, {showers}"
    trainer = make_trainer(target, showers, 200 if options.is_quick else None)
    found: dict[str, dict[int, np.ndarray]] = {}
    tables: list[Table] = [
        train_all(
            f"sizes, {kind}, baselines", formulas(target, showers, sizes), baselines.train, n_baseline, options
        ),
        train_all(f"sizes, {kind}, networks", networks(target, sizes), trainer, n_network, options),
    ]
    for table in tables:
        for name, scores in _by_size(table).items():
            found[name] = scores
    return found


def _by_size(table: Table) -> dict[str, dict[int, np.ndarray]]:
    """Sort scores by name and size alone: epochs and the way of drawing follow from the size."""
    names = {baseline: name for name, baseline in BASELINES.items()}
    params = tuple(
        {"name": item["model"] if "model" in item else names[item["baseline"]], "n_train": item["n_train"]}
        for item in table.params
    )
    return scores_by_size(Table(table.candidates, table.scores, params=params), "n_train")


def main() -> None:
    """Train, write, draw."""
    options = read_options(__doc__.splitlines()[0])
    rows = []
    for target in NETWORKS:
        for showers in SIZES:
            found = collect(target, showers, options)
            rows += [
                {"target": target, "showers": showers, "name": name, "n_train": size, "replicate": at, "score": score}
                for name, by_size in found.items()
                for size, scores in by_size.items()
                for at, score in enumerate(scores)
            ]
            ax = draw_sizes(boxes_by_size(found), unit="" if target == "energy" else "cm")
            save_figure(ax, options.results / f"sizes-{target}-{showers.lower()}.svg")
    write_frame(pd.DataFrame(rows), options.results / "sizes.csv")


if __name__ == "__main__":
    main()
