"""Checks a ledger: its file, its rows, and whether the recorded outcomes lead to what is recorded of the selection.

Called by the command line and users. Knows nothing of trainers; never writes.
"""

import math
from dataclasses import dataclass
from typing import Any

from robust_select.core.errors import LedgerError
from robust_select.ledger import Ledger
from robust_select.ledger.checking import Problem, check_file, check_rows, check_texts, told
from robust_select.study.reading import Reading, read_result
from robust_select.study.study import step_record

_REPLAYED = (
    "outcomes were lost or changed, or another version of the rule ran the study: compare with a backup; or export "
    "the scores and replay the table"
)


@dataclass(frozen=True)
class Check:
    """What was found of a study.

    Attributes:
        study: its name.
        n_candidates: C; 0 where it cannot be read.
        n_outcomes: how many are recorded.
        is_finished: whether it has ended.
        problems: what is wrong.
        note: what to know, though nothing is wrong; empty if there is nothing.
    """

    study: str
    n_candidates: int = 0
    n_outcomes: int = 0
    is_finished: bool = False
    problems: tuple[Problem, ...] = ()
    note: str = ""


def check_ledger(ledger: Ledger, study: str | None = None) -> tuple[list[Problem], list[Check]]:
    """Check a ledger.

    Args:
        ledger: an open one.
        study: check this study alone, and the file; by default all.

    Returns:
        What is wrong with the file, and a check of each study, the oldest first.

    Raises:
        LedgerError: no such study, or not even the names of the studies can be read.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.core.instances import Outcome
        >>> from robust_select.ledger import open_ledger
        >>> with open_ledger("sqlite://") as ledger:
        ...     settings = {"rule": {"name": "exhaustive", "n": 1}, "criterion": "mean", "direction": "minimize"}
        ...     record = ledger.create_study("widths", {**settings, "seed": 7}, grid(width=[16, 32]))
        ...     ledger.record(record, [(0, 0, Outcome(0.3)), (1, 0, Outcome(0.2))])
        ...     problems, [check] = check_ledger(ledger)
        >>> problems, check.n_outcomes, check.problems
        ([], 2, ())
    """
    names = ledger.names() if study is None else [ledger.study(study).name]
    problems = check_file(ledger)
    return problems, [_check(ledger, name) for name in names]


def _check(ledger: Ledger, name: str) -> Check:
    problems: list[Problem] = []
    note = ""
    try:
        record = ledger.study(name)
    except LedgerError as error:
        return Check(name, problems=(told(error, ledger),))
    try:
        n_outcomes = sum(ledger.count(record).values())
        problems += [*check_rows(ledger, record), *check_texts(ledger, record)]
        if not problems:
            reading = read_result(ledger, name)
            problems += _replay_problems(ledger, reading, n_outcomes)
            note = reading.note
    except LedgerError as error:
        n_outcomes = 0
        is_foreign = "knows by name" in str(error)
        problems += [] if is_foreign else [told(error, ledger)]
        note = f"not replayed: {told(error, ledger).what}" if is_foreign else ""
    return Check(name, len(record.candidates), n_outcomes, bool(record.stop_reason), tuple(problems), note)


def _replay_problems(ledger: Ledger, reading: Reading, n_outcomes: int) -> list[Problem]:
    """Compare what the recorded outcomes lead to with what is recorded."""
    problems = []
    n_used = reading.result.trainings
    if n_used != n_outcomes:
        text = (
            f"expected outcomes that the rule asks for, one after the other, came {n_outcomes - n_used} of "
            f"{n_outcomes} that it does not ask for"
        )
        problems.append(Problem(text, _REPLAYED))
    made = [step_record(step) for step in reading.result.steps]
    for number, (found, again) in enumerate(zip(ledger.steps(reading.study), made, strict=False)):
        different = [key for key, value in again.items() if not _is_same(found.get(key), value)]
        if different:
            key = different[0]
            text = (
                f"expected step {number} as the recorded outcomes lead to it, {key}={again[key]!r}, came "
                f"{key}={found.get(key)!r}"
            )
            problems.append(Problem(text, _REPLAYED))
            break
    return problems


def _is_same(found: Any, again: Any) -> bool:
    """Compare; the last digits of a number may differ from machine to machine."""
    if isinstance(found, float) and isinstance(again, float):
        return math.isclose(found, again, rel_tol=1e-6, abs_tol=1e-12)
    return bool(found == again)
