"""The command ``efficiency``: how many trainings each rule needs on a table, and the least that any rule does.

Called by the program. Knows nothing of statistics.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robust_select.cli.answers import check_targets, write_json
from robust_select.cli.options import (
    Json,
    Maximize,
    Quiet,
    ScorePrefix,
    columns_of,
    takes_columns,
)
from robust_select.cli.show import say, show_table

if TYPE_CHECKING:
    from robust_select.analysis.efficiency import Efficiency, Point, Progress


@takes_columns
def efficiency(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV or Parquet, long or wide.")],
    columns: dict[str, str],
    criterion: Annotated[str, typer.Option("--criterion", help="By which candidates are ranked.")] = "mean",
    maximize: Maximize = False,
    confidence: Annotated[float, typer.Option("--confidence", help="Wanted share of successes.")] = 0.95,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Differences that do not matter, in units of the score.")
    ] = 0.0,
    resample: Annotated[
        str, typer.Option("--resample", help="How replicates are redrawn: bootstrap or permutation.")
    ] = "bootstrap",
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", help="How many tables are redrawn.")] = 300,
    seed: Annotated[int, typer.Option("--seed", help="Of the redrawing.")] = 0,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Work in N processes; by default one a core.")
    ] = None,
    score_prefix: ScorePrefix = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Say how many trainings each rule needs to be right, on tables redrawn from this one.

    Whole replicates are redrawn, and every rule is run over its own knob. The answer does not depend on --workers.
    """
    from loky import cpu_count
    from rich.console import Console
    from rich.progress import Progress as Bar

    from robust_select.analysis.efficiency import efficiency as measure_efficiency
    from robust_select.core.tables import read_table

    check_targets(json)
    read = read_table(table, score_prefix, columns=columns_of(columns))
    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        found = measure_efficiency(
            read,
            criterion,
            "maximize" if maximize else "minimize",
            confidence,
            tolerance,
            resample,
            repeats,
            seed,
            int(cpu_count()) if workers is None else workers,
            _teller(bar),
        )
    if json is not None:
        write_json(_answer(found), json)
    if not quiet and json != "-":
        _show(found)


def _teller(bar: Any) -> "Progress":
    """Draw how far the rule at work is."""
    task = bar.add_task("starting", total=None)

    def tell(name: str, n_done: int, n_all: int) -> None:
        bar.update(task, description=name, completed=n_done, total=n_all)

    return tell


def _answer(found: "Efficiency") -> dict[str, Any]:
    """Answer ``efficiency --json``; null where the confidence is not reached or no bound is known."""
    return {
        "candidates": found.n_candidates,
        "replicates": found.n_replicates,
        "truth": found.truth,
        "bound": found.bound,
        "rules": {
            name: {
                "trainings_at_confidence": rule.trainings_at_confidence,
                "default": _point(rule.default),
                "curve": [_point(point) for point in rule.curve],
            }
            for name, rule in found.rules.items()
        },
        "default_rule": found.default_rule,
    }


def _point(point: "Point") -> dict[str, Any]:
    return {"knobs": point.knobs, "trainings": point.trainings, "probability": point.probability}


def _show(found: "Efficiency") -> None:
    wanted = f"{100 * found.confidence:g} %"
    others = found.n_equivalent - 1
    equals = f", {others} more within the tolerance of it" if others else ""
    say(
        f"{found.truth} is the best of {found.n_candidates:,} candidates over {found.n_replicates} replicates"
        f"{equals}. Each rule on {found.n_repeats} redrawn tables:"
    )
    rows = [
        [
            f"{name} (default)" if name == found.default_rule else name,
            "not reached" if rule.trainings_at_confidence is None else f"{rule.trainings_at_confidence:,.0f}",
            f"{rule.default.trainings:,.0f}",
            f"{100 * rule.default.probability:.1f} %",
            f"{100 * max(point.probability for point in rule.curve):.1f} %",
        ]
        for name, rule in found.rules.items()
    ]
    numbers = (f"trainings for {wanted}", "trainings by default", "right by default", "right at most")
    show_table({"rule": False, **dict.fromkeys(numbers, True)}, rows)
    if math.isfinite(found.bound):
        say(
            f"No rule that is right in {wanted} of the cases whatever the table takes fewer than {found.bound:,.0f} "
            "trainings on average (normal scores, independent candidates: one that uses pairing may)."
        )
    elif math.isinf(found.bound):
        say("No number of trainings is enough: the two best are equal. Give a --tolerance.")
    else:
        say("No bound is known for this criterion.")
