"""The commands that look into a ledger: ``status``, ``export``, ``backup``.

Called by the program. Knows nothing of trainers; none of them writes into a ledger.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robust_select.cli.answers import check_targets, plain, write_json
from robust_select.cli.checking import verify
from robust_select.cli.options import Json, LedgerArgument, StudyName
from robust_select.cli.show import say, show_table
from robust_select.core.errors import InputError, LedgerError

if TYPE_CHECKING:
    from robust_select.ledger import Ledger


def status(
    ledger: LedgerArgument,
    study: StudyName = None,
    check: Annotated[
        bool, typer.Option("--check", help="Verify the ledger instead; exit code 1 where something is wrong.")
    ] = False,
    json: Json = None,
) -> None:
    """Say how far the studies of a ledger are, or whether it is sound."""
    from robust_select.ledger import open_ledger

    check_targets(json)
    if check:
        verify(ledger, study, json)
        return
    with open_ledger(ledger, must_exist=True) as opened:
        names = opened.names() if study is None else [opened.study(study).name]
        found = [_status(opened, name) for name in names]
    if json is not None:
        write_json({"studies": found}, json)
    if json == "-":
        return
    if not found:
        say("The ledger holds no study.")
    else:
        _show_status(found)


def _status(ledger: "Ledger", name: str) -> dict[str, Any]:
    """Describe a study; where its rule is unknown, all that does not need the rule."""
    from robust_select.study.reading import read_result

    record = ledger.study(name)
    counts = ledger.count(record)
    rule = record.settings.get("rule")
    found: dict[str, Any] = {
        "study": name,
        "is_finished": bool(record.stop_reason),
        "stop_reason": record.stop_reason or "not finished",
        "rule": rule.get("name") if isinstance(rule, dict) else rule,
        "criterion": record.settings.get("criterion"),
        "direction": record.settings.get("direction"),
        "candidates": len(record.candidates),
        "alive": None,
        "leader": None,
        "steps": None,
        "trainings": sum(counts.values()),
        **counts,
        "seconds": None,
        "started": f"{record.created_at:%Y-%m-%d %H:%M} UTC",
        "problem": None,
    }
    try:
        reading = read_result(ledger, name, with_curves=False)
    except LedgerError as error:
        return {**found, "problem": str(error)}
    result = reading.result
    return {
        **found,
        "problem": reading.note or None,
        "alive": len(result.remaining),
        "leader": result.selected if result.trainings else None,
        "steps": len(result.steps),
        "seconds": plain(result.seconds),
    }


def _show_status(found: list[dict[str, Any]]) -> None:
    from robust_select.report.words import duration

    has_pruned = any(row["pruned"] for row in found)
    rows = [
        [
            row["study"],
            row["stop_reason"],
            f"{row['rule']}, {row['criterion']}",
            f"{row['candidates'] if row['alive'] is None else row['alive']} of {row['candidates']}",
            row["leader"] or "",
            f"{row['trainings']:,}",
            str(row["diverged"]),
            str(row["failed"]),
            *([f"{row['pruned']:,}"] if has_pruned else []),
            "" if row["seconds"] is None else duration(row["seconds"]),
            row["started"],
        ]
        for row in found
    ]
    show_table(
        {
            "study": False,
            "state": False,
            "rule, criterion": False,
            "alive": True,
            "leader": False,
            "trainings": True,
            "diverged": True,
            "failed": True,
            **({"pruned": True} if has_pruned else {}),
            "training time": True,
            "started": False,
        },
        rows,
    )
    for row in found:
        if row["problem"]:
            say(f"Note: {row['problem']}")


def export(
    ledger: LedgerArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .csv or .parquet.")],
    study: StudyName = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="Also the score after each epoch: columns epoch_1, epoch_2, ...")
    ] = False,
) -> None:
    """Write the scores of a study as a long table, one row an instance."""
    from robust_select.core.writing import write_frames
    from robust_select.ledger import open_ledger

    check_targets(out)
    with open_ledger(ledger, must_exist=True) as opened:
        record = opened.study(study)
        if curves and not opened.has_curves(record):
            raise InputError(
                f"expected instances with curves for --curves, came study {record.name!r} without any: its trainer "
                "gives scores alone; leave --curves out, or let it return Outcome(score, curve=...)"
            )
        n_rows = write_frames(opened.frames(record, curves), out)
    say(f"{n_rows:,} instances written to {out}. Replay them: robust-select replay {shlex.quote(str(out))}")


def backup(
    ledger: LedgerArgument,
    copy: Annotated[Path, typer.Argument(metavar="COPY", help="File to write.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace COPY if there is one.")] = False,
) -> None:
    """Copy a ledger to a SQLite file, also while studies run in it; the copy appears complete or not at all."""
    from robust_select.ledger import open_ledger
    from robust_select.ledger.backup import back_up

    with open_ledger(ledger, must_exist=True) as opened:
        n_outcomes = back_up(opened, copy, replace)
    say(f"{n_outcomes:,} trainings copied to {copy}. Look: robust-select status {shlex.quote(str(copy))}")
