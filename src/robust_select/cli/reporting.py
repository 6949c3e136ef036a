"""The command that shows a study of a ledger: ``report``, once or for as long as it runs.

Called by the program. Knows nothing of trainers; never writes into a ledger.
"""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robust_select.cli.answers import check_targets, study_answer, write_json
from robust_select.cli.options import Figures, Format, Html, Json, LedgerArgument, StudyName
from robust_select.cli.show import clean, say, shown_url
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.report.sources import Sources

_LOOPBACK = "127.0.0.1"
_PORT = 8642


def report(
    ledger: LedgerArgument,
    study: StudyName = None,
    html: Html = None,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="CARD", help="Write a robustness card: .md, .tex or .json.")
    ] = None,
    figures: Figures = None,
    format: Format = "pdf",
    json: Json = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve the page while the study runs; Ctrl-C ends it.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="watch: the address to listen at.")] = _LOOPBACK,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="watch: 0 for any that is free.")] = _PORT,
) -> None:
    """Show a study: a page, a card, figures, or the answer as JSON; a study that is not finished, too."""
    if not watch and html is None and card is None and figures is None and json is None:
        raise InputError(
            "expected what to write, came nothing: add --html PAGE, --card CARD, --figures DIR or --json FILE; or "
            "--watch to see it live"
        )
    check_targets(html, json, card)
    if card is not None:
        from robust_select.report.card import check_card_path

        check_card_path(card)
    if html is not None or card is not None or figures is not None or json is not None:
        _write(ledger, study, html, card, figures, format, json)
    if watch:
        _serve(ledger, study, host, port, is_quiet=json == "-")


def _write(
    ledger: str,
    study: str | None,
    html: Path | None,
    card: Path | None,
    figures: Path | None,
    format: str,
    json: str | None,
) -> None:
    from robust_select.ledger import open_ledger
    from robust_select.report.reading import sources_of
    from robust_select.study.reading import read_result

    with open_ledger(ledger, must_exist=True) as opened:
        found = read_result(opened, study)
        known = sources_of(opened, found.study, found.result.direction) if html or card or figures else None
    written: list[Path] = []
    left_out: tuple[tuple[str, str], ...] = ()
    if html is not None:
        from robust_select.report.page import write_page

        write_page(
            found.result,
            html,
            title=found.study.name,
            provenance=found.provenance,
            base=found.base,
            sources=known,
        )
        written.append(html)
    if card is not None:
        from robust_select.report.card import card_of_result, write_card

        write_card(card_of_result(found.result, found.provenance, known), card)
        written.append(card)
    if figures is not None:
        from robust_select.report.figures import save_figures
        from robust_select.report.figures.missing import figures_left_out

        drawn = save_figures(found.result, figures, format, found.base)  # type: ignore[arg-type]
        left_out = figures_left_out(found.result, [path.stem for path in drawn])
        written.extend([*drawn, *_save_sources(known, figures, format)])
    if json is not None:
        write_json(study_answer(found.result, found.rule, found.study.name, shown_url(ledger)), json)
    if json != "-":
        for path in written:
            say(f"Written: {path}")
        for name, why in left_out:
            say(f"Not drawn: {name} ({why})")


def _save_sources(known: "Sources | None", folder: Path, format: str) -> list[Path]:
    """Save a figure of the shares of each crossed design."""
    from robust_select.report.figures import draw_sources, save_figure

    crossed = () if known is None else known.crossed
    names = [f"06-sources{'' if len(crossed) == 1 else f'-{at}'}.{format}" for at in range(1, len(crossed) + 1)]
    return [save_figure(draw_sources(one.shares), folder / name) for one, name in zip(crossed, names, strict=True)]


def _serve(ledger: str, study: str | None, host: str, port: int, is_quiet: bool) -> None:
    """Serve the page until Ctrl-C; the ledger may not be there yet."""
    from robust_select.report.live import LiveServer, LiveStudy

    with LiveServer(LiveStudy(ledger, study).snapshot, host, port) as server:
        if not is_quiet:
            typer.echo(clean(f"Live at {server.url} (Ctrl-C ends it; the study is not touched)"))
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
