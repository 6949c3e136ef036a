"""The command of the generator.

Called from a shell: ``python -m robust_select.problems.ecal.simulation B --events 20 --seed 1 -o out.npz``. Knows
nothing of Geant4.
"""

import argparse
import sys
from dataclasses import fields, replace
from pathlib import Path

from robust_select.core.errors import InputError, RobustSelectError
from robust_select.problems.ecal.showers import Geometry, ShowerError
from robust_select.problems.ecal.simulation import GEOMETRIES, simulate


def main(arguments: list[str] | None = None) -> int:
    """Simulate showers into an npz file.

    Args:
        arguments: of the command line; by default the process's.

    Returns:
        The exit code: 0 done, 1 failed, 2 something that was given cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="python -m robust_select.problems.ecal.simulation",
        description="Simulate photons in the calorimeter with Geant4 (reduced, data-free list of models).",
    )
    parser.add_argument("data_set", choices=sorted(GEOMETRIES), help="whose photons")
    parser.add_argument("--events", type=int, required=True, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of photons and transport")
    parser.add_argument("--energies", type=float, nargs=2, metavar=("LOW", "HIGH"), help="GeV")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.npz", help="the file that is written")
    for made in fields(Geometry):
        parser.add_argument(
            f"--{made.name.replace('_', '-')}",
            type=int if made.name == "n_layers" else float,
            help="of the calorimeter; by default that of the data set",
        )
    given = vars(parser.parse_args(arguments))
    changes = {made.name: given[made.name] for made in fields(Geometry) if given[made.name] is not None}
    energies, output = given["energies"], Path(given["output"])
    try:
        if output.suffix != ".npz" or not output.parent.is_dir():
            raise ShowerError("expected a file that ends in .npz, in a folder that is there", str(output))
        showers = simulate(
            given["data_set"],
            given["events"],
            given["seed"],
            replace(GEOMETRIES[given["data_set"]], **changes),
            (energies[0], energies[1]) if energies else None,
        )
        showers.save(output)
    except RobustSelectError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InputError) else 1
    sys.stdout.write(f"{len(showers)} showers in {output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
