"""What ``status --check`` does: verifies a ledger and says what is wrong, where, and what to do.

Called by ``status``. Knows nothing of how a ledger is checked.
"""

from typing import TYPE_CHECKING, Any

import typer

from robust_select.cli.answers import write_json
from robust_select.cli.show import say
from robust_select.core.errors import LedgerError

if TYPE_CHECKING:
    from robust_select.ledger.checking import Problem
    from robust_select.study.checking import Check

_WRONG = 1
_UNREADABLE = "go on from a backup; where there is none, leave the file as it is and work on a copy"


def verify(ledger: str, study: str | None, json: str | None) -> None:
    """Check a ledger; the program ends with 1 where something is wrong.

    Args:
        ledger: path or URL.
        study: check this one alone, and the file; by default all.
        json: where to write the answer, if anywhere.
    """
    from robust_select.ledger import open_ledger
    from robust_select.ledger.checking import Problem
    from robust_select.study.checking import check_ledger

    checks: list[Check] = []
    try:
        with open_ledger(ledger, must_exist=True) as opened:
            if study is not None:
                study = opened.study(study).name
            problems, checks = check_ledger(opened, study)
    except LedgerError as error:
        problems = [Problem(str(error), _UNREADABLE)]
    is_sound = not problems and not any(check.problems for check in checks)
    if json is not None:
        answer = {
            "is_sound": is_sound,
            "problems": [_record(problem) for problem in problems],
            "studies": [_check_record(check) for check in checks],
        }
        write_json(answer, json)
    if json != "-":
        _show(problems, checks)
    if not is_sound:
        raise typer.Exit(_WRONG)


def _record(problem: "Problem") -> dict[str, Any]:
    return {"what": problem.what, "advice": problem.advice}


def _check_record(check: "Check") -> dict[str, Any]:
    return {
        "study": check.study,
        "is_sound": not check.problems,
        "is_finished": check.is_finished,
        "candidates": check.n_candidates,
        "trainings": check.n_outcomes,
        "problems": [_record(problem) for problem in check.problems],
        "note": check.note or None,
    }


def _show(problems: "list[Problem]", checks: "list[Check]") -> None:
    for problem in problems:
        say(f"Wrong: {problem.what}. What to do: {problem.advice}.")
    for check in checks:
        found = len(check.problems)
        verdict = "sound" if not found else f"{found} {'thing is' if found == 1 else 'things are'} wrong"
        state = "finished" if check.is_finished else "not finished"
        size = f"{check.n_outcomes:,} trainings of {check.n_candidates:,} candidates, {state}"
        say(f"Study {check.study!r}: {verdict} ({size})")
        for problem in check.problems:
            say(f"    Wrong: {problem.what}. What to do: {problem.advice}.")
        if check.note:
            say(f"    Note: {check.note}")
    if not problems and not checks:
        say("The ledger is sound; it holds no study.")
