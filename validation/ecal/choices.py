"""Six optimisers and seven activations compared, all else as in Model 2: energy on B.

Run by hand, ``python validation/ecal/choices.py [--quick]``; writes results/optimisers.csv, results/activations.csv
and a figure of each. 2,000 training showers, 10 epochs, 2,000 held-out showers; 20 instances of each activation, and
10 of each optimiser at each of its three learning rates in the space, of which the figure shows the one with the best
median. Optimisers run without a penalty on the weights, which means something else for each.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from validation.ecal.common import Options, read_options, train_all, write_table

from robust_select import Candidate, Table
from robust_select.analysis.groups import boxes_by_parameter
from robust_select.problems.ecal import make_trainer
from robust_select.problems.ecal.architectures import ACTIVATIONS
from robust_select.problems.ecal.candidates import settings
from robust_select.report.figures import save_figure
from robust_select.report.figures.parameters import draw_parameter

SETTINGS = {"epochs": 10, "n_train": 2_000}
N_HELD_OUT = 2_000
N_INSTANCES = {"optimisers": 10, "activations": 20}


def optimisers() -> list[Candidate]:
    """List every optimiser at each of its learning rates."""
    pairs = dict.fromkeys((item.optimiser, item.lr) for item in settings())
    return [
        Candidate(
            f"{optimiser}, lr {rate:g}",
            {"model": "Model 2", "optimiser": optimiser, "lr": rate, "weight_decay": 0.0},
        )
        for optimiser, rate in pairs
    ]


def activations() -> list[Candidate]:
    """List every activation."""
    return [Candidate(name, {"model": "Model 2", "activation": name}) for name in ACTIVATIONS]


def best_of_each(table: Table, parameter: str) -> Table:
    """Keep, for each value of a parameter, the candidate with the best median; diverged counts as the worst.

    Example:
        >>> params = ({"optimiser": "sgd"}, {"optimiser": "sgd"}, {"optimiser": "adam"})
        >>> table = Table(("a", "b", "c"), np.array([[3.0], [2.0], [9.0]]), params=params)
        >>> best_of_each(table, "optimiser").candidates
        ('b', 'c')
    """
    medians = np.median(table.losses("minimize"), axis=1)
    best: dict[str, int] = {}
    for row, params in enumerate(table.params):
        value = str(params[parameter])
        if value not in best or medians[row] < medians[best[value]]:
            best[value] = row
    return table.subset([table.candidates[row] for row in best.values()])


def compare(kind: str, parameter: str, candidates: list[Candidate], options: Options) -> None:
    """Train, write and draw one comparison."""
    chosen, n = ({"epochs": 2, "n_train": 200}, 2) if options.is_quick else (SETTINGS, N_INSTANCES[kind])
    table = train_all(kind, candidates, make_trainer("energy", "B", N_HELD_OUT, chosen), n, options)
    write_table(table, options.results / f"{kind}.csv", with_curves=False)
    ax = draw_parameter(boxes_by_parameter(best_of_each(table, parameter), parameter))
    save_figure(ax, options.results / f"{kind}.svg")


def main() -> None:
    """Make both comparisons."""
    options = read_options(__doc__.splitlines()[0])
    compare("optimisers", "optimiser", optimisers(), options)
    compare("activations", "activation", activations(), options)


if __name__ == "__main__":
    main()
