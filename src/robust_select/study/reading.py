"""Reads a study back from its ledger, without the trainer: the result, the base model, where it all came from.

Called by the command line and users. Knows nothing of figures; never writes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError, LedgerError
from robust_select.core.instances import Outcome
from robust_select.core.protocols import Floats
from robust_select.core.tables import Table, curve_array
from robust_select.ledger import Ledger, StudyRecord
from robust_select.select.result import Result, result_of
from robust_select.select.rules import Rule, rule
from robust_select.select.selection import Asked, Selection
from robust_select.stats.criteria import criterion
from robust_select.study.coordinator import add_known_fresh


@dataclass(frozen=True)
class Reading:
    """A study as its ledger tells it.

    Attributes:
        study: its record: name, settings, origin, candidates.
        result: what the recorded outcomes come to; its stop reason is "not finished" where that is so.
        rule: that decided, with its settings.
        base: name of the base model, if there is one.
        provenance: how to reproduce it, label to text: study, seed, trainer, rule, versions, study file.
    """

    study: StudyRecord
    result: Result
    rule: Rule
    base: str | None
    provenance: Mapping[str, str]


def read_result(ledger: Ledger, study: str | None = None) -> Reading:
    """Rebuild the result of a study by replaying its recorded outcomes through a selection.

    Args:
        ledger: an open one.
        study: name of the study; by default the only one.

    Raises:
        LedgerError: no such study, or its rule or criterion is unknown to this version of robust-select.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.core.instances import Outcome
        >>> from robust_select.ledger import open_ledger
        >>> with open_ledger("sqlite://") as ledger:
        ...     settings = {"rule": {"name": "exhaustive", "n": 1}, "criterion": "mean", "direction": "minimize"}
        ...     record = ledger.create_study("widths", settings, grid(width=[16, 32]))
        ...     ledger.record(record, [(0, 0, Outcome(0.3)), (1, 0, Outcome(0.2))])
        ...     read_result(ledger).result.selected
        'width=32'
    """
    record = ledger.study(study)
    selection = _selection(record, ledger.url)
    known = {(position, replicate): outcome for position, replicate, outcome in ledger.outcomes(record)}
    _tell(selection, known)
    if record.stop_reason and not selection.is_finished:  # by another version, whose rule decided otherwise
        selection.stop(f"{record.stop_reason} (so the version that ran it; this one would have gone on)")
    add_known_fresh(selection, known)
    _tell(selection, known)
    params = tuple(candidate.params for candidate in record.candidates)
    scores = selection.scores
    table = Table(selection.candidates, scores, selection.seconds, params, curves_of(known, scores))
    return Reading(
        study=record,
        result=result_of(selection, table),
        rule=selection.rule,
        base=base_of(record.candidates),
        provenance={**provenance(record.name, record.settings, record.origin), "Started": _started(record)},
    )


def _tell(selection: Selection, known: Mapping[Asked, Outcome]) -> None:
    """Tell what is known of what the selection asks for."""
    while asked := selection.ask():
        for position, replicate in asked:
            outcome = known.get((position, replicate))
            if outcome is not None:
                selection.tell(position, replicate, outcome.score, outcome.seconds)


def curves_of(known: Mapping[Asked, Outcome], scores: Floats) -> Floats | None:
    """Gather the curves of the instances that have a score.

    Args:
        known: outcomes by position of the candidate and replicate.
        scores: (C, R) nan where not trained.

    Returns:
        (C, R, E), nan where there is none; None where no outcome has a curve.
    """
    has_score = ~np.isnan(scores)
    curves = {
        (position, replicate): outcome.curve
        for (position, replicate), outcome in known.items()
        if replicate < scores.shape[1] and has_score[position, replicate]
    }
    return curve_array(curves, scores.shape)


def base_of(candidates: tuple[Candidate, ...]) -> str | None:
    """Name the base model, the first candidate marked as one.

    Example:
        >>> base_of((Candidate("a"), Candidate("b", is_base=True)))
        'b'
    """
    return next((candidate.name for candidate in candidates if candidate.is_base), None)


def provenance(study: str, settings: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, str]:
    """Say how to reproduce a study, label to text.

    Args:
        study: its name.
        settings: of the study, as the ledger holds them.
        origin: versions, machine and study file, as far as they are known.

    Example:
        >>> provenance("s", {"seed": 7, "trainer": "train"}, {"robust_select": "0.1.0"})
        {'Study': 's', 'Seed': '7', 'Trainer': 'train', 'robust-select': '0.1.0'}
    """
    rows = {
        "Study": study,
        "Seed": settings.get("seed"),
        "Trainer": settings.get("trainer"),
        "Rule": _rule_text(settings.get("rule")),
        "robust-select": origin.get("robust_select"),
        "Python": origin.get("python"),
        "numpy": origin.get("numpy"),
        "Machine": origin.get("platform"),
        "Study file": origin.get("study_file"),
    }
    return {label: str(value) for label, value in rows.items() if value not in (None, "")}


def _selection(record: StudyRecord, url: str) -> Selection:
    settings = record.settings
    try:
        made_rule = rule(**{str(key): value for key, value in dict(settings["rule"]).items()})
        by = criterion(settings["criterion"], settings.get("tolerance", 0.0))
        names = [candidate.name for candidate in record.candidates]
        return Selection(names, made_rule, by, settings["direction"])
    except (InputError, KeyError, TypeError) as error:
        detail = f"its setting {error} is missing" if isinstance(error, KeyError) else str(error)
        raise LedgerError(
            f"expected study {record.name!r} to have a rule and a criterion that robust-select knows by name, but "
            f"{detail}. Its scores are safe: export them and replay the table with another rule or criterion",
            url,
        ) from error


def _rule_text(settings: Any) -> str:
    if not isinstance(settings, Mapping):
        return ""
    others = ", ".join(
        f"{key}={json.dumps(value)}" for key, value in settings.items() if key != "name" and value is not None
    )
    return f"{settings.get('name')}{f' ({others})' if others else ''}"


def _started(record: StudyRecord) -> str:
    return f"{record.created_at:%Y-%m-%d %H:%M} UTC"
