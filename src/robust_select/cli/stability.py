"""The command ``stability``: when a ranking can be trusted, by epochs and by the size of the training sample.

Called by the program. Knows nothing of statistics.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robust_select.cli.answers import check_targets, records, write_json
from robust_select.cli.options import Figures, Format, Json, Maximize, Quiet, StudyName
from robust_select.cli.show import say, show_table
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.analysis.stability import SizeAgreement, Stability
    from robust_select.core.tables import Table

_TABLES = {".csv", ".parquet", ".pq"}
_N_SHOWN = 10  # epochs


def stability(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A ledger, or a table with curves (epoch_1, ...).")],
    study: StudyName = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="LARGE", help="Source of the same candidates on larger training samples."),
    ] = None,
    against_study: Annotated[
        str | None, typer.Option("--against-study", metavar="NAME", help="If that ledger holds several.")
    ] = None,
    criterion: Annotated[
        str | None, typer.Option("--criterion", help="Says who is the best; mean, or the study's.")
    ] = None,
    maximize: Maximize = False,
    top: Annotated[float, typer.Option("--top", help="Share of the candidates that are the top ones.")] = 0.1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of breaking ties.")] = 0,
    json: Json = None,
    figures: Figures = None,
    format: Format = "pdf",
    quiet: Quiet = False,
) -> None:
    """Say after which epoch the final ranking can be read off, and what pruning by epochs would cost.

    With --against: whether a search on small training samples ranks candidates like one on large samples.
    """
    from robust_select.analysis import stability as analysis

    check_targets(json)
    table, settings = _read(source, study, maximize)
    direction, by = settings["direction"], criterion or settings["criterion"]
    answer: dict[str, Any] = {"criterion": by, "direction": direction, "top": top}
    written: list[Path] = []
    if against is None:
        if against_study is not None:
            raise InputError("expected --against-study with --against only")
        found = analysis.stability(table, direction, top, by, seed)
        answer |= _answer(found)
        if figures is not None:
            written = _draw(found, table, direction, top, figures, format)
    else:
        if figures is not None:
            raise InputError("expected --figures without --against: there are figures by epochs only")
        large, other = _read(against, against_study, maximize)
        if other["direction"] != direction:
            raise InputError(f"expected both to {direction} their scores, came {against} to {other['direction']}")
        agreement = analysis.size_agreement(table, large, direction, top, by)
        answer |= _sizes_answer(agreement)
    if json is not None:
        write_json(answer, json)
    if quiet or json == "-":
        return
    if against is None:
        _show(found)
    else:
        say(agreement.verdict)
    for path in written:
        say(f"Written: {path}")


def _read(source: str, study: str | None, maximize: bool) -> "tuple[Table, Mapping[str, Any]]":
    """Read scores and curves, and how they are to be compared, from a ledger or a table."""
    if Path(source).suffix.lower() in _TABLES and "://" not in source:
        from robust_select.core.tables import read_table

        if study is not None:
            raise InputError(f"expected the name of a study with a ledger only, came --study {study!r} with a table")
        return read_table(source), {"direction": "maximize" if maximize else "minimize", "criterion": "mean"}
    from robust_select.ledger import open_ledger

    if maximize:
        raise InputError("expected no --maximize with a ledger, which knows the direction of its scores")
    with open_ledger(source, must_exist=True) as ledger:
        record = ledger.study(study)
        table = replace(ledger.table(record), curves=ledger.curves(record))
    settings = record.settings
    by = "mean" if settings.get("tolerance") else settings.get("criterion", "mean")
    return table, {"direction": settings.get("direction", "minimize"), "criterion": by}


def _answer(found: "Stability") -> dict[str, Any]:
    return {
        "candidates": found.n_candidates,
        "replicates": found.n_replicates,
        "n_epochs": found.n_epochs,
        "n_top": found.n_top,
        "best": found.best,
        "guessing_before": found.guessing_before,
        "settled_from": found.settled_from,
        "between": found.between,
        "verdict": found.verdict,
        "epochs": records(found.to_frame()),
    }


def _sizes_answer(found: "SizeAgreement") -> dict[str, Any]:
    return {
        "candidates": found.n_candidates,
        "replicates": len(found.tau),
        "n_top": found.n_top,
        "tau": found.tau.tolist(),
        "overlap": found.overlap.tolist(),
        "tau_of_all": found.tau_of_all,
        "between": found.between,
        "chosen": found.chosen,
        "best": found.best,
        "rank": found.rank,
        "regret": found.regret,
        "verdict": found.verdict,
    }


def _draw(found: "Stability", table: "Table", direction: Any, top: float, folder: Path, format: str) -> list[Path]:
    """Draw figures 1, 2 and 3; the first after the epoch before which pruning would be guessing."""
    from robust_select.analysis.distributions import score_densities
    from robust_select.analysis.stability import epoch_scores
    from robust_select.report.figures import draw_epoch_scores, draw_overlap, draw_tau_densities, save_figure

    epoch = min(found.guessing_before, found.n_epochs - 1)
    drawn = {
        "01-epoch-scores": draw_epoch_scores(epoch_scores(table, epoch, direction, top), direction == "minimize"),
        "02-tau-by-epoch": draw_tau_densities(score_densities(found.tau.T), found.tau),
        "03-overlap-by-epoch": draw_overlap(found.overlap, found.n_top, found.n_candidates),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return [save_figure(ax, folder / f"{stem}.{format}") for stem, ax in drawn.items()]


def _show(found: "Stability") -> None:
    import numpy as np

    frame = found.to_frame()
    steps = np.linspace(1, found.n_epochs, min(_N_SHOWN, found.n_epochs)).round().astype(int).tolist()
    shown = sorted({*steps, found.guessing_before, found.settled_from})
    rows = [
        [
            str(int(row["epoch"])),
            f"{row['tau']:.2f}",
            "" if row["tau_std"] != row["tau_std"] else f"{row['tau_std']:.2f}",
            f"{100 * row['overlap']:.0f} %",
            f"{100 * row['lost']:.0f} %",
            f"{100 * row['lost_low']:.0f} to {100 * row['lost_high']:.0f} %",
            f"{100 * row['saved']:.0f} %",
        ]
        for row in frame.iloc[[epoch - 1 for epoch in shown]].to_dict(orient="records")
    ]
    columns = ("epoch", "tau", "std", f"top {found.n_top} kept", "best lost", "95 % interval", "epochs saved")
    show_table(
        dict.fromkeys(columns, True), rows, f"{found.n_candidates} candidates, {found.n_replicates} replicates of all"
    )
    say(found.verdict)
    say("'best lost' and 'epochs saved': by successive halving over epochs that begins at this epoch.")
