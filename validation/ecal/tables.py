"""Exhaustive tables of the calorimeter, with the curve of each instance: energy and position on B.

Run by hand, ``python validation/ecal/tables.py [--quick]``; writes results/energy_b.csv (96 candidates x 20
instances) and results/position_b.csv (32 x 20). Candidates: the six published models and others drawn from the space
of 6,912. 2,000 training showers, 8 epochs, 1,000 held-out showers.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from validation.ecal.common import SEED, Options, read_options, train_all, write_table

from robust_select.problems.ecal import draw, make_trainer

SETTINGS = {"epochs": 8, "n_train": 2_000}
N_HELD_OUT = 1_000
TABLES = (("energy", 96), ("position", 32))
N_INSTANCES = 20


def make(kind: str, n_candidates: int, options: Options) -> None:
    """Train a table and write it."""
    settings = {"epochs": 2, "n_train": 200} if options.is_quick else SETTINGS
    trainer = make_trainer("energy" if kind == "energy" else "x", "B", N_HELD_OUT, settings)
    n_candidates, n = (8, 2) if options.is_quick else (n_candidates, N_INSTANCES)
    table = train_all(f"{kind}_b", draw(n_candidates, SEED), trainer, n, options)
    write_table(table, options.results / f"{kind}_b.csv")


def main() -> None:
    """Make both tables."""
    options = read_options(__doc__.splitlines()[0])
    for kind, n_candidates in TABLES:
        make(kind, n_candidates, options)


if __name__ == "__main__":
    main()
