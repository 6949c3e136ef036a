"""The command ``measure``: how robust candidates are, from a table of scores or by training them.

Called by the program. Knows nothing of statistics.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robust_select.cli.answers import check_targets, records, write_json
from robust_select.cli.options import (
    Json,
    LedgerOption,
    Maximize,
    Quiet,
    ScorePrefix,
    SecondsPrefix,
    Workers,
    columns_of,
    takes_columns,
    typed,
)
from robust_select.cli.show import say, show_measurement
from robust_select.cli.sources import (
    alone_designs,
    answer_alone,
    answer_crossed,
    check_options,
    crossed_design,
    refuse_with_sources,
)
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.core.designs import Crossed, Varying
    from robust_select.core.tables import Table
    from robust_select.study import Study

_N_MEASURED = 50  # instances of each candidate in the paper's study of distributions


@takes_columns
def measure(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A table, or a study file (.toml) to train.")],
    columns: dict[str, str],
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
    sources: Annotated[
        bool, typer.Option("--sources", help="How much each random stream contributes to the variance.")
    ] = False,
    design: Annotated[
        str | None,
        typer.Option("--design", metavar="8x8", help="--sources: initial weights x training samples, x repeats."),
    ] = None,
    alone: Annotated[
        bool,
        typer.Option("--alone", help="--sources: vary one stream at a time, then all, instead of crossing them."),
    ] = False,
    score_prefix: ScorePrefix = None,
    seconds_prefix: SecondsPrefix = None,
    workers: Workers = None,
    ledger: LedgerOption = None,
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="CARD", help="Write the best one's robustness card: .md, .tex or .json."),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Say how robust candidates are, every criterion with its interval, and which of them is the most robust.

    With --sources instead: how much initial weights, training sample and the rest contribute to the variance.
    """
    from robust_select.analysis import measure as measuring
    from robust_select.stats.criteria import criterion as look_up

    check_targets(json, card)
    if card is not None:
        from robust_select.report.card import check_card_path

        check_card_path(card)
    check_options(source, sources, {"--design": design, "--alone": alone})
    if sources:
        refuse_with_sources({"--criterion": criterion, "--design": design if alone else None, "--card": card})
    if criterion is not None:
        look_up(criterion)
    is_shown = not quiet and json != "-"
    if source.suffix.lower() == ".toml":
        prefixes = {"--score-prefix": score_prefix, "--seconds-prefix": seconds_prefix}
        _refuse(source, {**prefixes, **columns, "--maximize": maximize})

        def trained(wanted: "Crossed | Varying | None" = None) -> "tuple[Table, Study]":
            from robust_select.cli.training import train

            study, n_wanted = _measuring_study(source, instances, candidate, ledger, wanted)
            n_workers = n_wanted or 1 if workers is None else workers
            return train(study, n_workers, "resume", typed(context), quiet).table, study

        if sources and alone:
            each = {str(wanted): trained(wanted) for wanted in alone_designs(instances)}
            direction = next(iter(each.values()))[1].direction
            tables = {varying: made for varying, (made, _) in each.items()}
            answer_alone(tables, direction, confidence, resamples, seed, json, is_shown)
            return
        if sources:
            crossed = crossed_design(design, instances, is_table=False)
            answer_crossed(trained(crossed)[0], crossed, confidence, seed, json, is_shown)
            return
        table, study = trained()
        direction, conditions = study.direction, _conditions(study)
        by = criterion or ("std" if study.criterion.tolerance is not None else study.criterion.name)
    else:
        from robust_select.core.tables import read_table

        _refuse(source, {"--instances": instances, "--workers": workers, "--ledger": ledger})
        table = read_table(source, score_prefix, seconds_prefix, columns_of(columns))
        table = table.subset(candidate) if candidate else table
        if sources:
            _refuse(source, {"--alone": alone})
            crossed = crossed_design(design, None, is_table=True)
            answer_crossed(table, crossed, confidence, seed, json, is_shown)
            return
        direction, conditions = "maximize" if maximize else "minimize", {"Table": source.name}
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
    if card is not None:
        from robust_select.report.card import card_of, write_card

        write_card(card_of(found, direction=direction, conditions=conditions), card)
    if is_shown:
        show_measurement(found)
        if card is not None:
            say(f"Written: {card}")


def _refuse(source: Path, options: dict[str, Any]) -> None:
    """Refuse options that are for the other kind of source."""
    kind, other = ("study file", "table") if source.suffix.lower() == ".toml" else ("table", "study file (.toml)")
    for option, value in options.items():
        if value not in (None, False):
            raise InputError(f"expected no {option} with a {kind}, came {option} with {source}: it is for a {other}")


def _conditions(study: "Study") -> dict[str, str]:
    """Say what a measurement holds for; its rule chose nothing."""
    from robust_select.study.reading import provenance

    found = provenance(study.name, study.settings(), study.origin)
    return {label: text for label, text in found.items() if label != "Rule"}


def _measuring_study(
    path: Path,
    n_instances: int | None,
    names: list[str] | None,
    ledger: str | None,
    design: "Crossed | Varying | None" = None,
) -> "tuple[Study, int | None]":
    """Make the study that trains the chosen candidates of a study file equally often, beside its own."""
    from robust_select.select.rules import Exhaustive
    from robust_select.study import Study
    from robust_select.study.designed import designed
    from robust_select.study.file import read_study
    from robust_select.study.sources import sources_name, subset_name

    n_each = _N_MEASURED if n_instances is None else n_instances
    rule = Exhaustive(n_each if design is None else design.n_instances)
    read, workers = read_study(path, rule)
    known = {item.name: item for item in read.candidates}
    for name in names or []:
        if name not in known:
            raise InputError(f"expected candidates of {path} ({', '.join(known)}), came --candidate {name!r}")
    chosen = [known[name] for name in dict.fromkeys(names or known)]
    about = f"measure {read.name}, {rule.n} times" if design is None else sources_name(read.name, design)
    if len(chosen) < len(known):
        about = subset_name(about, [item.name for item in chosen])
    study = Study(
        chosen,
        read.trainer if design is None else designed(read.trainer, design, read.seed),
        criterion=read.criterion,
        direction=read.direction,
        rule=rule,
        ledger=ledger or read.ledger,
        seed=read.seed,
        name=about,
    )
    study.time_limit = read.time_limit
    study.origin.update(read.origin)
    return study, workers
