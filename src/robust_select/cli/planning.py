"""The command ``plan``: how many trainings, before the first one; counted, or foreseen by simulation.

Called by the program. Knows nothing of how either is done.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robust_select.cli.answers import check_targets, write_json
from robust_select.cli.options import (
    Choice,
    Json,
    Maximize,
    ScorePrefix,
    SecondsPrefix,
    make_rule,
    settings_of,
    takes_rule,
)
from robust_select.cli.show import say, show_table
from robust_select.core.errors import InputError

if TYPE_CHECKING:
    from robust_select.analysis.planning import Heard, Outlook
    from robust_select.analysis.prospect import Prospect
    from robust_select.core.protocols import Direction
    from robust_select.select.rules import Rule
    from robust_select.study import Study

_TABLES = {".csv", ".parquet", ".pq"}
_FORESEEN = "Foreseen by simulation"


@takes_rule
def plan(
    choice: Choice,
    candidates: Annotated[int | None, typer.Option("--candidates", metavar="N", help="How many candidates.")] = None,
    study: Annotated[
        Path | None, typer.Option("--study", metavar="STUDY.toml", help="Take candidates and rule from a study file.")
    ] = None,
    against: Annotated[
        int, typer.Option("--against", metavar="N", help="Compare with every candidate trained N times.")
    ] = 50,
    replicates: Annotated[
        int | None, typer.Option("--replicates", metavar="N", help="No candidate can be trained more than N times.")
    ] = None,
    pilot: Annotated[
        str | None,
        typer.Option(
            "--pilot",
            metavar="TABLE|LEDGER",
            help="A few instances of each candidate: a table, or a ledger.",
            rich_help_panel=_FORESEEN,
        ),
    ] = None,
    pilot_study: Annotated[
        str | None,
        typer.Option(
            "--pilot-study", metavar="NAME", help="If that ledger holds several.", rich_help_panel=_FORESEEN
        ),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            "--spread",
            metavar="S",
            help="Without a pilot: standard deviation among a candidate's instances.",
            rich_help_panel=_FORESEEN,
        ),
    ] = None,
    gap_spread: Annotated[
        float | None,
        typer.Option(
            "--gap-spread",
            metavar="S",
            help="Without a pilot: standard deviation of the candidates' true means.",
            rich_help_panel=_FORESEEN,
        ),
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option(
            "--correlation",
            metavar="RHO",
            help="Without a pilot: between candidates in the same replicate; 0.",
            rich_help_panel=_FORESEEN,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", metavar="S", help="Without a pilot: that a training takes.", rich_help_panel=_FORESEEN
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Trainings at the same time.", rich_help_panel=_FORESEEN),
    ] = None,
    criterion: Annotated[
        str | None,
        typer.Option("--criterion", help="By which candidates are ranked; mean.", rich_help_panel=_FORESEEN),
    ] = None,
    maximize: Maximize = False,
    studies: Annotated[
        int | None,
        typer.Option("--studies", metavar="N", help="To simulate of each rule; 30.", rich_help_panel=_FORESEEN),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulation.", rich_help_panel=_FORESEEN)] = 0,
    score_prefix: ScorePrefix = None,
    seconds_prefix: SecondsPrefix = None,
    json: Json = None,
) -> None:
    """Count the trainings that a rule takes; with a pilot, or assumptions, foresee them and how sure it will be.

    Foreseen are trainings, hours, and the chance to end within the tolerance, with --budget within the budget; by
    all rules, unless one is named. A budget that cannot work is refused, with the number that can.
    """
    check_targets(json)
    only_foreseen = {
        "--pilot-study": pilot_study,
        "--gap-spread": gap_spread,
        "--correlation": correlation,
        "--seconds": seconds,
        "--workers": workers,
        "--criterion": criterion,
        "--maximize": maximize or None,
        "--studies": studies,
    }
    if pilot is None and spread is None:
        for option, value in only_foreseen.items():
            if value is not None:
                raise InputError(f"expected {option} with --pilot or --spread only, came it without")
        _count(choice, candidates, study, against, replicates, json)
        return
    read = None if study is None else _read_study(study)
    if pilot is not None:
        refused = {"--spread": spread, **{key: only_foreseen[key] for key in ("--gap-spread", "--correlation")}}
        for option, value in {**refused, "--seconds": seconds, "--candidates": candidates}.items():
            if value is not None:
                raise InputError(f"expected no {option} with --pilot, which tells it, came {option} {value:g}")
        found, by, direction = _from_pilot(pilot, pilot_study, score_prefix, seconds_prefix, maximize)
    else:
        found, by, direction = (
            _assumed(candidates, read, spread, gap_spread, correlation, seconds),
            "mean",
            "minimize",
        )
    if read is not None:
        by, direction = read.criterion.name, read.direction
    _foresee(found, choice, read, criterion or by, direction, against, workers or 1, studies, seed, pilot, json)


def _read_study(path: Path) -> "Study":
    from robust_select.study.file import read_study

    return read_study(path)[0]


def _from_pilot(
    pilot: str, name: str | None, score_prefix: str | None, seconds_prefix: str | None, maximize: bool
) -> "tuple[Prospect, str, Direction]":
    """Fit the pilot; give the criterion and the direction that it had, too."""
    from robust_select.analysis.prospect import from_pilot

    if Path(pilot).suffix.lower() in _TABLES:
        from robust_select.core.tables import read_table

        direction: Direction = "maximize" if maximize else "minimize"
        return from_pilot(read_table(pilot, score_prefix, seconds_prefix), direction), "mean", direction
    from robust_select.ledger import open_ledger
    from robust_select.study.reading import read_result

    with open_ledger(pilot, must_exist=True) as ledger:
        result = read_result(ledger, name).result
    return from_pilot(result.table, result.direction), result.criterion.name, result.direction


def _assumed(
    candidates: int | None,
    study: "Study | None",
    spread: float | None,
    gap_spread: float | None,
    correlation: float | None,
    seconds: float | None,
) -> "Prospect":
    from robust_select.analysis.prospect import assumed

    n_candidates = len(study.candidates) if candidates is None and study is not None else candidates
    if n_candidates is None:
        raise InputError("expected how many candidates, came nothing: add --candidates N or --study STUDY.toml")
    if spread is None or gap_spread is None:
        raise InputError("expected --spread and --gap-spread together, came one of them")
    return assumed(n_candidates, spread, gap_spread, correlation or 0.0, float("nan") if seconds is None else seconds)


def _foresee(
    prospect: "Prospect",
    choice: Choice,
    study: "Study | None",
    criterion: str,
    direction: "Direction",
    against: int,
    workers: int,
    studies: int | None,
    seed: int,
    pilot: str | None,
    json: str | None,
) -> None:
    """Simulate, then show and write what came out."""
    from robust_select.analysis.planning import N_STUDIES, foresee
    from robust_select.stats.criteria import criterion as look_up

    rules, budget, tolerance = _rules(choice, study, against)
    by = look_up(criterion, tolerance if criterion == "std-within-tolerance" else 0.0)
    with _progress() as heard:
        found = foresee(
            prospect, rules, by, tolerance, budget, workers, N_STUDIES if studies is None else studies, seed, heard
        )
    if json is not None:
        write_json(
            {
                "candidates": prospect.n_candidates,
                "criterion": criterion,
                "direction": direction,
                "tolerance": tolerance,
                "budget": budget,
                "workers": workers,
                "pilot": pilot,
                "correlation": prospect.correlation,
                "seed": seed,
                "rules": {outlook.rule: _answer(outlook) for outlook in found},
            },
            json,
        )
    if json != "-":
        _show(found, budget)


def _rules(choice: Choice, study: "Study | None", against: int) -> "tuple[list[Rule], int | None, float]":
    """Make the rules to foresee; a budget is not theirs but the plan's, so that it can say what more would do."""
    from robust_select.select.rules import RULES

    options = {name: value for name, value in choice.options.items() if name != "budget"}
    budget = choice.options.get("budget")
    if study is not None and choice.rule is None:
        base: Mapping[str, Any] = {"name": study.rule.name, **study.rule.settings()}
        rules = [make_rule(Choice(None, options), base, True)]
    elif choice.rule is not None:
        rules = [make_rule(Choice(choice.rule, options), {"name": "exhaustive", "n": against}, True)]
    else:
        rules = []
        for name in RULES:
            own = {
                key: value
                for key, value in options.items()
                if ("n" if key == "instances" else key) in settings_of(name)
            }
            rules.append(make_rule(Choice(name, own), {"name": "exhaustive", "n": against}, True))
    tolerance = float(options.get("tolerance", 0.0))
    for position, rule in enumerate(rules):
        settings = rule.settings()
        tolerance = float(settings.get("tolerance", tolerance))
        if settings.get("budget") is not None:
            budget = settings["budget"] if budget is None else budget
            rules[position] = dataclasses.replace(rule, budget=None)  # type: ignore[type-var]
    return rules, budget, tolerance


@contextmanager
def _progress() -> "Iterator[Heard]":
    """Show on a terminal how far the simulation is."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def heard(rule: str, n_done: int, n_all: int) -> None:
            if rule not in tasks:
                tasks[rule] = bar.add_task(rule, total=n_all)
            bar.update(tasks[rule], completed=n_done)

        yield heard


def _answer(outlook: "Outlook") -> dict[str, Any]:
    fields = dataclasses.asdict(outlook)
    fields.pop("rule")
    return fields


def _show(found: "Sequence[Outlook]", budget: int | None) -> None:
    from robust_select.report.words import duration

    rows = [
        [
            outlook.rule,
            f"{outlook.trainings:,.0f}",
            f"{outlook.trainings_low:,.0f} to {outlook.trainings_high:,.0f}",
            "" if outlook.hours != outlook.hours else duration(3600 * outlook.hours),
            f"{100 * outlook.within_tolerance:.0f} %",
            "" if outlook.confidence != outlook.confidence else f"{100 * outlook.confidence:.1f} %",
            f"{100 * outlook.finished:.0f} %",
            ("more than " if outlook.is_more else "") + f"{outlook.enough:,}",
            outlook.problem,
        ]
        for outlook in found
    ]
    headings = ("trainings", "90 % range", "time", "within tolerance", "says itself", "ends", "enough")
    title = "Foreseen" if budget is None else f"Foreseen with a budget of {budget:,} trainings"
    show_table({"rule": False, **dict.fromkeys(headings, True), "caveats": False}, rows, title)
    n_studies = min(outlook.studies for outlook in found)
    say(
        f"Of {n_studies} simulated studies or more. Within tolerance: the selected one is as good as the best; says "
        "itself: the rule's own confidence; ends: by itself; enough: trainings for nine of ten studies."
    )


def _count(
    choice: Choice, candidates: int | None, study: Path | None, against: int, replicates: int | None, json: str | None
) -> None:
    """Count trainings without knowing any score."""
    from robust_select.cli.training import prepare
    from robust_select.select.plan import plan as count

    if study is not None:
        read, _ = prepare(study, choice, None, None)
        rule, n_candidates = read.rule, len(read.candidates) if candidates is None else candidates
    elif candidates is not None:
        rule, n_candidates = make_rule(choice), candidates
    else:
        raise InputError("expected how many candidates, came nothing: add --candidates N or --study STUDY.toml")
    found = count(n_candidates, rule, against, replicates)
    if json is not None:
        write_json(
            {
                "rule": found.rule,
                "settings": rule.settings(),
                "candidates": found.n_candidates,
                "trainings": found.trainings,
                "least": found.least,
                "most": found.most,
                "against": found.against,
                "exhaustive": found.exhaustive,
                "ratio": found.ratio,
            },
            json,
        )
    if json == "-":
        return
    if found.trainings is not None:
        counted = f"{found.trainings:,} trainings"
    elif found.most is not None:
        counted = f"from {found.least:,} to {found.most:,} trainings, as the scores fall,"
    else:
        counted = f"at least {found.least:,} trainings (how many more, the scores decide)"
    least_ratio = "" if found.ratio is None else f"{found.ratio:.3g}"
    most_ratio = f"{found.exhaustive / found.least:.3g}"
    ratio = most_ratio if found.trainings is not None else f"{least_ratio or 'fewer'} to {most_ratio}"
    say(f"{rule}: {counted} of {found.n_candidates:,} candidates.")
    say(f"Every candidate {found.against} times: {found.exhaustive:,} trainings, {ratio} times as many.")
