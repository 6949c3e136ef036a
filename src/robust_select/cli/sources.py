"""What ``measure --sources`` does: trains candidates by designs and splits the variance over the random streams.

Called by ``measure``. Knows nothing of statistics.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust_select.cli.answers import records, write_json
from robust_select.cli.show import say, show_table
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from robust_select.core.designs import Crossed, Varying
    from robust_select.core.protocols import Direction
    from robust_select.core.tables import Table

N_ALONE = 50
"""Instances of each candidate for each stream alone, where nobody says how many."""


def crossed_design(text: str | None, n_instances: int | None, is_table: bool) -> "Crossed":
    """Find the crossed design that the user asked for.

    Args:
        text: such as 8x8, if given.
        n_instances: the largest square design of so many instances at most, if given.
        is_table: whether the scores are there already: then nobody but the user knows the design.

    Raises:
        InputError: both are given, neither is with a table, or the design is none.
    """
    from robust_select.core.designs import Crossed

    if text is not None and n_instances is not None:
        raise InputError(f"expected --design or --instances, came both: --design {text} says how many instances")
    if text is not None:
        return Crossed.parse(text)
    if is_table:
        raise InputError(
            "expected the design by which the table was trained (initial weights x training samples, row by row), "
            "came none: add --design 8x8"
        )
    if n_instances is None:
        return Crossed()
    if n_instances < 4:
        raise InputError(f"expected 4 instances at least for a crossed design, came --instances {n_instances}")
    return Crossed(math.isqrt(n_instances), math.isqrt(n_instances))


def alone_designs(n_instances: int | None) -> "tuple[Varying, ...]":
    """List the designs in which one stream varies alone, and the one in which all do."""
    from robust_select.core.designs import Varying
    from robust_select.core.instances import STREAMS

    n = N_ALONE if n_instances is None else n_instances
    return (*(Varying((stream,), n) for stream in STREAMS), Varying(STREAMS, n))


def answer_crossed(
    table: "Table", design: "Crossed", confidence: float, seed: int, json: str | None, is_shown: bool
) -> None:
    """Say how much of the variance each random stream contributes."""
    from robust_select.analysis.sources import sources

    found = sources(table, design, confidence, seed=seed)
    if json is not None:
        answer = {
            "design": {
                "initial_weights": design.n_weights,
                "training_samples": design.n_samples,
                "repeats": design.n_repeats,
            },
            "confidence": confidence,
            "seed": seed,
            "sources": records(found),
        }
        write_json(answer, json)
    if is_shown:
        _show_crossed(found, design, confidence)


def answer_alone(
    tables: "dict[str, Table]",
    direction: "Direction",
    confidence: float,
    n_resamples: int,
    seed: int,
    json: str | None,
    is_shown: bool,
) -> None:
    """Say how the scores spread when only one random stream varies."""
    from robust_select.analysis.sources import compare_alone

    found = compare_alone(tables, direction, confidence, n_resamples, seed)
    if json is not None:
        answer = {
            "direction": direction,
            "confidence": confidence,
            "resamples": n_resamples,
            "seed": seed,
            "alone": records(found),
        }
        write_json(answer, json)
    if is_shown:
        _show_alone(found, confidence)


def check_options(source: Path, is_asked: bool, options: dict[str, Any]) -> None:
    """Refuse options that need ``--sources`` where it is not given.

    Raises:
        InputError: which one.
    """
    for option, value in options.items():
        if value not in (None, False) and not is_asked:
            raise InputError(f"expected {option} together with --sources, came {option} alone with {source}")


def refuse_with_sources(options: dict[str, Any]) -> None:
    """Refuse options that say nothing with ``--sources``.

    Raises:
        InputError: which one.
    """
    for option, value in options.items():
        if value is not None:
            other = " --alone" if option == "--design" else ""
            raise InputError(f"expected no {option} with --sources{other}, came {option} {value}")


def _show_crossed(found: "pd.DataFrame", design: "Crossed", confidence: float) -> None:
    from robust_select.report.words import number

    percent = f"{100 * confidence:g} % interval"
    rows = [
        [
            row["candidate"],
            row["source"],
            _known(row["share"], _percent),
            _interval(row["low"], row["high"], _percent),
            _known(row["std"], number),
            _interval(row["std_low"], row["std_high"], number),
            str(row["levels"]),
            row["caveats"],
        ]
        for row in _rows(found)
    ]
    columns = ("share of variance", percent, "std alone", f"its {percent}", "levels")
    title = f"Sources of randomness, initial weights x training samples: {design}"
    show_table({"candidate": False, "source": False, **dict.fromkeys(columns, True), "caveats": False}, rows, title)
    if design.n_repeats == 1:
        twice = f"{design.n_weights}x{design.n_samples}x2"
        say(f"To tell interaction from batch order, train each pair twice: --design {twice}")


def _show_alone(found: "pd.DataFrame", confidence: float) -> None:
    from robust_select.report.words import number

    rows = [
        [
            row["candidate"],
            row["varying"],
            str(row["instances"]),
            str(row["unusable"]),
            number(row["mean"]),
            number(row["median"]),
            number(row["std"]),
            _interval(row["low"], row["high"], number),
        ]
        for row in _rows(found)
    ]
    columns = ("instances", "unusable", "mean", "median", "std", f"{100 * confidence:g} % interval")
    show_table({"candidate": False, "varying": False, **dict.fromkeys(columns, True)}, rows, "Each stream alone")


def _rows(frame: "pd.DataFrame") -> list[dict[Any, Any]]:
    return frame.to_dict(orient="records")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _known(value: float, shown_by: Callable[[float], str]) -> str:
    return "" if math.isnan(value) else shown_by(value)


def _interval(low: float, high: float, shown_by: Callable[[float], str]) -> str:
    return "" if math.isnan(low) else f"{shown_by(low)} to {shown_by(high)}"
