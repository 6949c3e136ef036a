"""Reads a study back from its ledger, without the trainer: the result, the base model, where it all came from.

Called by the command line and users. Knows nothing of figures; never writes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError, LedgerError
from robust_select.core.instances import Outcome
from robust_select.core.protocols import Floats, Ints
from robust_select.core.tables import Table, curve_array
from robust_select.core.version import __version__
from robust_select.ledger import Ledger, StudyRecord
from robust_select.select.pruning import FirstRound, PruneEpochs
from robust_select.select.result import Result, result_of
from robust_select.select.rules import Rule, rule
from robust_select.select.selection import Asked, Selection
from robust_select.stats.criteria import criterion
from robust_select.study.coordinator import add_known_fresh

_SAME_CONFIDENCE = 0.005
_ASKED_AT_ONCE = 10_000  # so that lists of what a huge study asks for take no memory


@dataclass(frozen=True)
class Reading:
    """A study as its ledger tells it.

    Attributes:
        study: its record: name, settings, origin, candidates.
        result: what the recorded outcomes come to; its stop reason is "not finished" where that is so.
        rule: that decided, with its settings.
        base: name of the base model, if there is one.
        provenance: how to reproduce it, label to text: study, seed, trainer, rule, versions, study file.
        note: what the version that ended the study selected, where this one decides otherwise; else empty.
    """

    study: StudyRecord
    result: Result
    rule: Rule
    base: str | None
    provenance: Mapping[str, str]
    note: str = ""


def read_result(ledger: Ledger, study: str | None = None, with_curves: bool = True) -> Reading:
    """Rebuild the result of a study by replaying its recorded outcomes through a selection.

    Args:
        ledger: an open one.
        study: name of the study; by default the only one.
        with_curves: whether the result's table is to have the curves, which may take most of the memory.

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
    known = ledger.known(record)
    _tell(selection, known)
    if record.stop_reason and not selection.is_finished:  # by another version, whose rule decided otherwise
        selection.stop(f"{record.stop_reason} (so the version that ran it; this one would have gone on)")
    add_known_fresh(selection, known)
    _tell(selection, known)
    params = tuple(candidate.params for candidate in record.candidates)
    scores = selection.scores
    curves = curves_of(known.curves, scores, selection.stopped) if with_curves else None
    table = Table(selection.candidates, scores, selection.seconds, params, curves, selection.stopped)
    result = result_of(selection, table)
    note = _note(record, result)
    origin = provenance(record.name, record.settings, record.origin)
    return Reading(
        study=record,
        result=result,
        rule=selection.rule,
        base=base_of(record.candidates),
        provenance={**origin, "Started": _started(record), **({"When it ended": note} if note else {})},
        note=note,
    )


def answer_of(selection: Selection) -> dict[str, Any]:
    """Give what a finished selection came to, and by which version, fit for JSON."""
    return {"selected": selection.selected, "confidence": selection.confidence, "robust_select": __version__}


def _note(record: StudyRecord, result: Result) -> str:
    """Say where this version reads something else from a finished study than the version that ended it."""
    then = record.answer
    if not record.stop_reason or not then:
        return ""
    sure, is_sure = then.get("confidence"), result.confidence
    is_other = then.get("selected") != result.selected
    if not is_other and (sure is None or is_sure is None or abs(sure - is_sure) < _SAME_CONFIDENCE):
        return ""
    return (
        f"robust-select {then.get('robust_select')} selected {_choice_text(then.get('selected'), sure)} when the "
        f"study ended; version {__version__} selects {_choice_text(result.selected, is_sure)} from the same trainings"
    )


def _choice_text(name: Any, confidence: float | None) -> str:
    return repr(name) if confidence is None else f"{name!r} with confidence {confidence:.3g}"


def _tell(selection: Selection, known: Mapping[Asked, Outcome]) -> None:
    """Tell what is known of what the selection asks for."""
    while asked := selection.ask(_ASKED_AT_ONCE):
        for position, replicate in asked:
            outcome = known.get((position, replicate))
            if outcome is not None:
                selection.hear(position, replicate, outcome)


def curves_of(
    known: Mapping[Asked, Sequence[float] | Floats], scores: Floats, stopped: Ints | None = None
) -> Floats | None:
    """Gather the curves of the instances that have a score or were stopped by their epochs.

    Args:
        known: curves (E,) by position of the candidate and replicate.
        scores: (C, R) nan where not trained.
        stopped: (C, R) above 0 where stopped; None if nobody was.

    Returns:
        (C, R, E), nan where there is none; None where no outcome has a curve.
    """
    has_score = ~np.isnan(scores) if stopped is None else ~np.isnan(scores) | (stopped > 0)
    curves = {
        (position, replicate): curve
        for (position, replicate), curve in known.items()
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
        "Pruning by epochs": _settings_text(settings.get("prune_epochs") or {}),
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
        prune = PruneEpochs.of(settings.get("prune_epochs"))
        direction = settings["direction"]
        first = None if prune is None else FirstRound(prune, len(names), direction, int(settings["seed"]))
        return Selection(names, made_rule, by, direction, first_round=first)
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
    others = _settings_text({key: value for key, value in settings.items() if key != "name"})
    return f"{settings.get('name')}{f' ({others})' if others else ''}"


def _settings_text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={json.dumps(value)}" for key, value in settings.items() if value is not None)


def _started(record: StudyRecord) -> str:
    return f"{record.created_at:%Y-%m-%d %H:%M} UTC"
