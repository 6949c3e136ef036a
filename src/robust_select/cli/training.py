"""The command that trains: ``run`` a study file.

Called by the program, and by the other commands that train. Knows nothing of how a study goes about it.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from robust_select.cli.answers import check_targets, study_answer, write_json
from robust_select.cli.options import (
    Choice,
    Fresh,
    Html,
    Json,
    LedgerOption,
    Quiet,
    Workers,
    make_rule,
    takes_rule,
    typed,
)
from robust_select.cli.show import say, show_result, shown_url
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.select.result import Result
    from robust_select.study import Study

_INTERRUPTED = 130

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
OnExisting = Annotated[
    str, typer.Option("--on-existing", help="If the ledger holds the study: resume it, begin a new one, or error.")
]


@takes_rule
def run(
    context: typer.Context,
    study: StudyFile,
    choice: Choice,
    workers: Workers = None,
    executor: Annotated[
        str | None,
        typer.Option("--executor", metavar="dask://HOST:PORT", help="Train on the cluster of a Dask scheduler."),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", metavar="SECONDS", help="Stop a training that takes longer.")
    ] = None,
    on_existing: OnExisting = "resume",
    fresh: Fresh = None,
    prune_epochs: Annotated[
        str | None,
        typer.Option("--prune-epochs", metavar="10,20", help="Stop first trainings that are behind after these."),
    ] = None,
    ledger: LedgerOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the study in the ledger.")] = None,
    html: Html = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Run a study file to its end, or go on with it; Ctrl-C stops cleanly."""
    check_targets(html, json)
    made, n_wanted = prepare(study, choice, ledger, name)
    made.fresh = made.fresh if fresh is None else fresh
    made.time_limit = made.time_limit if time_limit is None else time_limit
    if prune_epochs is not None:
        made.prune_at(_epochs(prune_epochs))
    n_workers = n_wanted if workers is None and executor is None else workers
    carry_out(made, n_workers, on_existing, typed(context), html, json, quiet, executor)


def _epochs(text: str) -> tuple[int, ...]:
    """Read epochs from the command line."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"expected --prune-epochs as whole numbers with commas, 10,20 say, came {text!r}")
    return tuple(int(part) for part in parts)


def prepare(path: Path, choice: Choice, ledger: str | None, name: str | None) -> "tuple[Study, int | None]":
    """Read a study file and put in what the user asked for otherwise.

    Returns:
        The study, and how many workers the file asks for.
    """
    from robust_select.study.file import read_study

    study, workers = read_study(path)
    if choice.is_given:
        base = {"name": study.rule.name, **study.rule.settings()}
        is_used = study.criterion.tolerance is not None
        study, workers = read_study(path, make_rule(choice, base, is_used))
    if ledger is not None:
        study.ledger = ledger
    if name is not None:
        study.name = name
    return study, workers


def carry_out(
    study: "Study",
    workers: int | None,
    on_existing: str,
    command: str,
    html: Path | None = None,
    json: str | None = None,
    quiet: bool = False,
    executor: str | None = None,
) -> None:
    """Run a study, show the result, write what was asked for."""
    result = train(study, workers, on_existing, command, quiet, executor)
    names = _names(study)
    name = names[-1] if on_existing == "new" else study.name
    ledger = shown_url(str(study.ledger))
    if html is not None:
        _write_page(study, result, name, html)
    if json is not None:
        write_json(study_answer(result, study.rule, name, ledger), json)
    if quiet or json == "-":
        return
    show_result(result)
    look = shlex.quote(ledger) + (f" --study {shlex.quote(name)}" if len(names) > 1 else "")
    say(f"Ledger: {ledger}")
    say(f"Look further: robust-select status {look}")
    say(f"              robust-select report {look} --html page.html")
    if html is not None:
        say(f"Page: {html}")


def train(
    study: "Study", workers: int | None, on_existing: str, command: str, quiet: bool, executor: str | None = None
) -> "Result":
    """Run a study; Ctrl-C ends the program with the command that goes on."""
    try:
        return study.run(
            workers=workers,
            executor=executor,
            on_existing=on_existing,  # type: ignore[arg-type]
            progress=not quiet,
        )
    except KeyboardInterrupt:
        _say_stopped(study, on_existing, command)


def _names(study: "Study") -> list[str]:
    """List the studies of its ledger, the newest at the end; its own where the ledger was in memory only."""
    from robust_select.ledger import open_ledger

    with open_ledger(study.ledger) as ledger:
        return ledger.names() or [study.name]


def _write_page(study: "Study", result: "Result", name: str, html: Path) -> None:
    from robust_select.report.page import write_page
    from robust_select.study.reading import base_of, provenance

    rows = provenance(name, study.settings(), study.origin)
    write_page(result, html, title=name, provenance=rows, base=base_of(study.candidates))


def _say_stopped(study: "Study", on_existing: str, command: str) -> NoReturn:
    from robust_select.ledger import open_ledger

    with open_ledger(study.ledger) as ledger:
        names = ledger.names()
        name = names[-1] if on_existing == "new" and names else study.name
        n_recorded = sum(ledger.count(ledger.study(name)).values()) if name in names else 0
    if on_existing != "resume":
        words = [*_without(shlex.split(command), "--on-existing"), "--name", name]
        command = shlex.join(words if name != study.name else words[:-2])
    typer.echo(
        f"robust-select: stopped; {n_recorded} trainings are in ledger {shown_url(str(study.ledger))}. "
        f"Go on with: {command}",
        err=True,
    )
    raise typer.Exit(_INTERRUPTED)


def _without(words: list[str], option: str) -> list[str]:
    """Leave out an option and its value, in both forms."""
    found = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == option:
            skip = True
        elif not word.startswith(f"{option}="):
            found.append(word)
    return found
