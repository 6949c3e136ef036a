"""The command ``plan``: how many trainings, before the first one.

Called by the program. Knows nothing of scores.
"""

from pathlib import Path
from typing import Annotated

import typer

from robust_select.cli.answers import check_targets, write_json
from robust_select.cli.options import Choice, Json, make_rule, takes_rule
from robust_select.cli.show import say
from robust_select.core.errors import InputError


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
    json: Json = None,
) -> None:
    """Count the trainings that a rule takes."""
    from robust_select.cli.training import prepare
    from robust_select.select.plan import plan as count

    check_targets(json)
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
