"""The six criteria compared on the table of energy on B: whom each selects, and how much their rankings agree.

Run by hand after ``tables.py``, ``python validation/ecal/criteria.py [--quick]``; writes results/criteria.json and
results/criteria.svg (the fraction of candidates with a criterion below a loss). Trains nothing. How well a criterion
that sees few instances ranks is measured by halves: replicates are split at random, and Kendall's tau is that between
the rankings of both halves.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from typing import Any

import numpy as np
from scipy import stats
from validation.ecal.common import SEED, read_options, write_json

from robust_select import Table
from robust_select import read_table as read_csv
from robust_select.analysis.fractions import criterion_fractions
from robust_select.core.protocols import Floats
from robust_select.report.figures import save_figure
from robust_select.report.figures.fractions import draw_criterion_fractions
from robust_select.stats.criteria import PUBLISHED_CRITERIA, criterion

N_SPLITS = 200


def compare(table: Table, n_splits: int = N_SPLITS, seed: int = SEED) -> dict[str, Any]:
    """Compare the criteria on a table of losses.

    Args:
        table: scores (C, R), the smaller the better; diverged ones count as the worst.
        n_splits: random halves.
        seed: of them.

    Returns:
        For each criterion the selected candidate, its value, its median and its rank by each criterion; Kendall's tau
        with the ranking of each criterion, and between the rankings of random halves, mean over the splits.
    """
    losses = table.losses("minimize")
    made = {name: criterion(name) for name in PUBLISHED_CRITERIA}
    values = {name: np.asarray(by(losses)) for name, by in made.items()}
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(losses.shape[1]) for _ in range(n_splits)]
    middle = losses.shape[1] // 2
    answer: dict[str, Any] = {"candidates": len(losses), "replicates": losses.shape[1], "criteria": {}}
    for name, by in made.items():
        row = int(np.argmin(values[name]))
        agreements = [_tau(by(losses[:, half[:middle]]), by(losses[:, half[middle:]])) for half in halves]
        answer["criteria"][name] = {
            "selected": table.candidates[row],
            "value": float(values[name][row]),
            "median_of_selected": float(np.median(losses[row])),
            "rank_by": {other: int(np.sum(found < found[row])) + 1 for other, found in values.items()},
            "tau_with": {other: _tau(values[name], found) for other, found in values.items()},
            "tau_of_halves": float(np.mean(agreements)),
        }
    return answer


def _tau(first: Floats, second: Floats) -> float:
    """Give Kendall's tau-b of two sets of values; infinite ones are ties at the end."""
    return float(stats.kendalltau(stats.rankdata(first), stats.rankdata(second)).statistic)


def main() -> None:
    """Compare, write, draw."""
    options = read_options(__doc__.splitlines()[0])
    table = read_csv(options.results / "energy_b.csv")
    write_json(compare(table), options.results / "criteria.json")
    save_figure(draw_criterion_fractions(criterion_fractions(table)), options.results / "criteria.svg")


if __name__ == "__main__":
    main()
