"""The command ``demo``: the studies that come with the package, each run to its page.

Called by the program. Knows where each demo's study file is, nothing of its problem.
"""

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from robust_select.cli.answers import check_targets
from robust_select.cli.options import Choice, Json, LedgerOption, Quiet, Workers, typed
from robust_select.cli.training import carry_out, prepare
from robust_select.core.errors import InputError


@dataclass(frozen=True)
class Demo:
    """A study that comes with the package.

    Attributes:
        name: what the user types.
        package: that its study file lies in.
        study_file: name of the file.
        required: a function of the package that says at once, with the way to get it, if something is missing.
    """

    name: str
    package: str
    study_file: str
    required: str


DEMOS: Mapping[str, Demo] = MappingProxyType(
    {
        demo.name: demo
        for demo in (
            Demo("digits", "robust_select.problems.digits", "study.toml", "load"),
            Demo("ecal-energy", "robust_select.problems.ecal", "energy_b_small.toml", "require_torch"),
            Demo("ecal-position", "robust_select.problems.ecal", "position_b_small.toml", "require_torch"),
            Demo("fashion", "robust_select.problems.images", "fashion.toml", "fashion_mnist"),
        )
    }
)


def demo(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar=f"[{'|'.join(DEMOS)}]", help="Which one.")] = "digits",
    workers: Workers = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="PAGE", help="The page to look at; by default out/NAME.html.")
    ] = None,
    ledger: LedgerOption = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Which of one or two dozen models is the most robust? One to five minutes; run again, the answer is there.

    digits: classifiers of handwritten digits. ecal-energy, ecal-position: networks that measure photons in a
    calorimeter. fashion: residual networks that tell clothes apart.
    """
    if name not in DEMOS:
        raise InputError(f"expected a demo among {', '.join(DEMOS)}, came {name!r}")
    chosen = DEMOS[name]
    page = Path("out") / f"{name}.html" if html is None else html
    page.parent.mkdir(parents=True, exist_ok=True)
    check_targets(page, json)
    getattr(importlib.import_module(chosen.package), chosen.required)()
    with resources.as_file(resources.files(chosen.package) / chosen.study_file) as path:
        made, _ = prepare(path, Choice(), ledger or f"{name}.db", None)
    n_workers = os.cpu_count() or 1 if workers is None else workers
    carry_out(made, n_workers, "resume", typed(context), page, json, quiet)
