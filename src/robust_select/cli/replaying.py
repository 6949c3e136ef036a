"""The command that runs a rule on scores that exist already: ``replay``.

Called by the program. Knows nothing of statistics.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robust_select.cli.answers import check_targets, selection_answer, write_json
from robust_select.cli.options import (
    Choice,
    Figures,
    Format,
    Fresh,
    Html,
    Json,
    Maximize,
    Quiet,
    ScorePrefix,
    SecondsPrefix,
    columns_of,
    make_rule,
    takes_columns,
    takes_rule,
    typed,
)
from robust_select.cli.show import say, show_result
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.core.protocols import Direction
    from robust_select.core.tables import Table
    from robust_select.report.playground import Playground
    from robust_select.select.rules import Rule
    from robust_select.stats.criteria import Criterion

TableArgument = Annotated[Path, typer.Argument(metavar="TABLE", help="CSV or Parquet, long or wide.")]

_REPLAYED = "halving"  # where no rule is named: with it every table of two replicates gives an answer
_WARMUP = 2  # of halving on a table: many hold five replicates only, as many as its own default would use up
_MANY = 1000


@takes_rule
@takes_columns
def replay(
    context: typer.Context,
    table: TableArgument,
    choice: Choice,
    columns: dict[str, str],
    criterion: Annotated[str, typer.Option("--criterion", help="By which candidates are ranked.")] = "mean",
    maximize: Maximize = False,
    order: Annotated[
        str | None,
        typer.Option("--order", metavar="0,17,15", help="In which replicates, counted from 0, are revealed."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Shuffle the replicates, where no --order is given.")
    ] = None,
    replicates: Annotated[
        int | None, typer.Option("--replicates", metavar="N", help="Reveal only the first N of them.")
    ] = None,
    fresh: Fresh = None,
    score_prefix: ScorePrefix = None,
    seconds_prefix: SecondsPrefix = None,
    json: Json = None,
    html: Html = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", metavar="N", min=0, help="--html: orders of replicates in its playground; 0: none."
        ),
    ] = None,
    figures: Figures = None,
    format: Format = "pdf",
    quiet: Quiet = False,
) -> None:
    """Run a rule on scores that exist already, as if they came one by one.

    By default halving; it warms up with 2. Exhaustive uses every replicate unless --instances says how many.
    """
    from robust_select.core.tables import read_table
    from robust_select.select.replay import replay as replay_table
    from robust_select.stats import criteria

    check_targets(json, html)
    by = criteria.criterion(criterion, _tolerance(choice, criterion))
    name = choice.rule or _REPLAYED
    make_rule(choice, {"name": name}, by.tolerance is not None)  # refuses bad options before a long table is read
    read = read_table(table, score_prefix, seconds_prefix, columns_of(columns))
    revealed = _order(order, seed, replicates, read.n_replicates)
    every = {"max_instances": max(len(revealed), _MANY)}  # a table's replicates are there: all of them may be used
    starts = {
        "exhaustive": {"n": len(revealed)},
        "halving": {"warmup": _WARMUP},
        "significance": every,
        "top-two": every,
    }
    rule = make_rule(choice, {"name": name, **starts.get(name, {})}, by.tolerance is not None)
    result = replay_table(read, rule, by, "maximize" if maximize else "minimize", revealed, fresh or 0)
    if json is not None:
        write_json(selection_answer(result, rule, revealed), json)
    if html is not None:
        from robust_select.report.page import write_page

        provenance = {"Table": str(table), "Command": typed(context), "Rule": str(rule)}
        playground = None if samples == 0 else _explore(read, revealed, rule, by, result.direction, samples)
        curves = _ordered(read, revealed)
        write_page(result, html, title=table.name, provenance=provenance, playground=playground, curves=curves)
    written: list[Path] = []
    left_out: tuple[tuple[str, str], ...] = ()
    if figures is not None:
        from robust_select.report.evidence import with_curves
        from robust_select.report.figures import save_figures
        from robust_select.report.figures.missing import figures_left_out

        drawn = with_curves(result, _ordered(read, revealed))
        written = list(save_figures(drawn, figures, format))  # type: ignore[arg-type]
        left_out = figures_left_out(drawn, [path.stem for path in written])
    if not quiet and json != "-":
        show_result(result)
        for path in [*([] if html is None else [html]), *written]:
            say(f"Written: {path}")
        for name, why in left_out:
            say(f"Not drawn: {name} ({why})")


def _explore(
    table: "Table", revealed: list[int], rule: "Rule", by: "Criterion", direction: "Direction", samples: int | None
) -> "Playground | None":
    """Compute what other settings would have selected; nothing where the table is too thin for that by itself."""
    from robust_select.report.playground import explore, is_possible

    if samples is None and not is_possible(table, revealed):
        return None
    return explore(table, revealed, direction, (rule, by), samples)


def _ordered(table: "Table", revealed: list[int]) -> "Table":
    """Number a table's replicates as the selection does: in the order in which they are revealed, those alone."""
    if revealed == list(range(table.n_replicates)):
        return table
    return replace(
        table,
        scores=table.scores[:, revealed],
        seconds=None if table.seconds is None else table.seconds[:, revealed],
        curves=None if table.curves is None else table.curves[:, revealed],
        stopped=None if table.stopped is None else table.stopped[:, revealed],
    )


def _tolerance(choice: Choice, criterion: str) -> float:
    """The criterion's tolerance: the option, where the criterion takes one."""
    return float(choice.options.get("tolerance", 0.0)) if criterion == "std-within-tolerance" else 0.0


def _order(text: str | None, seed: int | None, n_revealed: int | None, n_replicates: int) -> list[int]:
    """Read in which order replicates are revealed."""
    import numpy as np

    from robust_select.select.replay import check_order

    if text is not None:
        try:
            wanted: list[int] | None = [int(part) for part in text.split(",")]
        except ValueError as error:
            raise InputError(f"expected whole numbers with commas between them, came --order {text!r}") from error
    elif seed is not None:
        if seed < 0:
            raise InputError(f"expected a seed from 0, came --seed {seed}")
        wanted = np.random.default_rng(seed).permutation(n_replicates).tolist()
    else:
        wanted = None
    found = check_order(wanted, n_replicates)
    if n_revealed is not None and not 1 <= n_revealed <= len(found):
        raise InputError(f"expected 1 to {len(found)} replicates to reveal, came --replicates {n_revealed}")
    return found[:n_revealed]
