"""The commands that work on tables of scores: ``replay`` a rule, ``measure`` candidates.

Called by the program. Knows nothing of statistics.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robust_select.cli.answers import check_targets, records, selection_answer, write_json
from robust_select.cli.options import (
    Choice,
    Figures,
    Format,
    Fresh,
    Html,
    Json,
    LedgerOption,
    Maximize,
    Quiet,
    ScorePrefix,
    SecondsPrefix,
    Workers,
    make_rule,
    takes_rule,
    typed,
)
from robust_select.cli.show import say, show_measurement, show_result
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.study import Study

TableArgument = Annotated[Path, typer.Argument(metavar="TABLE", help="CSV or Parquet, long or wide.")]

_REPLAYED = "halving"  # where no rule is named: with it every table of two replicates gives an answer
_WARMUP = 2  # of halving on a table: many hold five replicates only, as many as its own default would use up
_MANY = 1000
_N_MEASURED = 50  # instances of each candidate in the paper's study of distributions


@takes_rule
def replay(
    context: typer.Context,
    table: TableArgument,
    choice: Choice,
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
    read = read_table(table, score_prefix, seconds_prefix)
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
        write_page(result, html, title=table.name, provenance=provenance)
    written = []
    if figures is not None:
        from robust_select.report.figures import save_figures

        written = list(save_figures(result, figures, format))  # type: ignore[arg-type]
    if not quiet and json != "-":
        show_result(result)
        for path in [*([] if html is None else [html]), *written]:
            say(f"Written: {path}")


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


def measure(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A table, or a study file (.toml) to train.")],
    instances: Annotated[
        int | None, typer.Option("--instances", metavar="N", help=f"Study file: trainings of each; {_N_MEASURED}.")
    ] = None,
    candidate: Annotated[
        list[str] | None, typer.Option("--candidate", metavar="NAME", help="Only this one; may come again.")
    ] = None,
    criterion: Annotated[
        str | None, typer.Option("--criterion", help="Says who is the more robust; q3+iqr, or the study file's.")
    ] = None,
    maximize: Maximize = False,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the intervals.")] = 0.95,
    resamples: Annotated[int, typer.Option("--resamples", metavar="N", help="Of each bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = 0,
    score_prefix: ScorePrefix = None,
    seconds_prefix: SecondsPrefix = None,
    workers: Workers = None,
    ledger: LedgerOption = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Say how robust candidates are, every criterion with its interval, and which of them is the most robust."""
    from robust_select.analysis import measure as measuring
    from robust_select.stats.criteria import criterion as look_up

    check_targets(json)
    if criterion is not None:
        look_up(criterion)
    if source.suffix.lower() == ".toml":
        _refuse(source, {"--score-prefix": score_prefix, "--seconds-prefix": seconds_prefix, "--maximize": maximize})
        study, n_wanted = _measuring_study(source, instances, candidate, ledger)
        from robust_select.cli.training import train

        n_workers = n_wanted or 1 if workers is None else workers
        table = train(study, n_workers, "resume", typed(context), quiet).table
        direction = study.direction
        by = criterion or ("std" if study.criterion.tolerance is not None else study.criterion.name)
    else:
        from robust_select.core.tables import read_table

        _refuse(source, {"--instances": instances, "--workers": workers, "--ledger": ledger})
        table = read_table(source, score_prefix, seconds_prefix)
        table = table.subset(candidate) if candidate else table
        direction = "maximize" if maximize else "minimize"
        by = criterion or "q3+iqr"
    found = measuring.measure(table, by, direction, confidence, resamples, seed)
    if json is not None:
        write_json(
            {
                "criterion": found.chosen,
                "direction": direction,
                "confidence": confidence,
                "resamples": resamples,
                "seed": seed,
                "best": found.best,
                "criteria": records(found.criteria),
                "pairs": records(found.pairs),
            },
            json,
        )
    if not quiet and json != "-":
        show_measurement(found)


def _refuse(source: Path, options: dict[str, Any]) -> None:
    """Refuse options that are for the other kind of source."""
    kind, other = ("study file", "table") if source.suffix.lower() == ".toml" else ("table", "study file (.toml)")
    for option, value in options.items():
        if value not in (None, False):
            raise InputError(f"expected no {option} with a {kind}, came {option} with {source}: it is for a {other}")


def _measuring_study(
    path: Path, n_instances: int | None, names: list[str] | None, ledger: str | None
) -> "tuple[Study, int | None]":
    """Make the study that trains the chosen candidates of a study file equally often, beside its own."""
    from robust_select.select.rules import Exhaustive
    from robust_select.study import Study
    from robust_select.study.file import read_study

    rule = Exhaustive(_N_MEASURED if n_instances is None else n_instances)
    read, workers = read_study(path, rule)
    known = {item.name: item for item in read.candidates}
    for name in names or []:
        if name not in known:
            raise InputError(f"expected candidates of {path} ({', '.join(known)}), came --candidate {name!r}")
    chosen = [known[name] for name in dict.fromkeys(names or known)]
    about = f"measure {read.name}, {rule.n} times"
    if len(chosen) < len(known):
        about += f", {len(chosen)} candidates {_fingerprint([item.name for item in chosen])}"
    study = Study(
        chosen,
        read.trainer,
        criterion=read.criterion,
        direction=read.direction,
        rule=rule,
        ledger=ledger or read.ledger,
        seed=read.seed,
        name=about,
    )
    study.origin.update(read.origin)
    return study, workers


def _fingerprint(names: list[str]) -> str:
    """Tell one choice of candidates from another in a study's name."""
    import zlib

    return f"{zlib.crc32(repr(names).encode()):08x}"
