"""The robustness card: one candidate's score, its training systematic and the evidence for both, fit to be quoted.

Called by the page, the command line and users. Computes nothing that belongs to analysis; knows nothing of ledgers.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robust_select.analysis.front import ENOUGH_INSTANCES
from robust_select.analysis.measure import Measurement
from robust_select.analysis.winner import winner
from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats, losses_of
from robust_select.core.version import __version__
from robust_select.report.escapes import escape_latex, escape_markdown
from robust_select.report.sources import CardSources, Sources, design_text, shares_of, shares_text
from robust_select.report.words import number
from robust_select.select.result import Result
from robust_select.stats.outliers import far_outliers
from robust_select.stats.winner import Estimate

SCHEMA = "robust-select/robustness-card/1"
"""Names the form of the JSON; what it holds only grows under the same name (docs/report.md)."""

_LONGEST = 160  # of a condition's text: a whole study file is no condition to quote
_LEFT_OUT = frozenset({"Command", "Started"})  # how it was run, not what it holds for
_MOST_DECIMALS = 12


@dataclass(frozen=True)
class Card:
    """What there is to quote of one candidate; estimates in units of the score.

    Attributes:
        candidate: its name.
        direction: of the scores.
        score: typical: the mean of its scores, with its interval.
        systematic: what training it again changes: the standard deviation of its scores, with its interval.
        criterion: name of the criterion by which it was selected, or measured.
        criterion_value: its estimate.
        confidence: of the intervals.
        method: where the estimates come from, in words.
        instances: how many these rest on.
        fresh: how many of these the choice did not look at: all of them or none.
        unusable: how many of them diverged or failed.
        candidates: how many it was selected from, itself included; 1 where nothing was chosen.
        trainings: how many the selection took, of all candidates; the instances alone where nothing was chosen.
        rule: that selected it, with its settings as far as they are known; empty where nothing was chosen.
        probability: the posterior probability that none is better by more than the tolerance, where the rule gives
            one.
        equivalent: the others that are as good within the tolerance, where the rule says so.
        conditions: what else it holds for, label to text.
        caveats: what a reader must know before quoting it.
        sources: what each random stream contributes to the variance, where that was measured.
        tolerance: differences of the criterion below it did not matter to the rule; None where it knows none.
    """

    candidate: str
    direction: Direction
    score: Estimate
    systematic: Estimate
    criterion: str
    criterion_value: Estimate
    confidence: float
    method: str
    instances: int
    fresh: int
    unusable: int
    candidates: int
    trainings: int
    rule: str
    probability: float | None
    equivalent: tuple[str, ...]
    conditions: Mapping[str, str]
    caveats: tuple[str, ...]
    sources: CardSources | None = None
    tolerance: float | None = None


def card_of_result(
    result: Result, conditions: Mapping[str, str] | None = None, sources: Sources | None = None
) -> Card:
    """Make the card of the selected candidate, free of the winner's curse.

    From its fresh instances alone where there are two at least, else from all scores with a correction
    (``analysis.winner``).

    Args:
        result: of a selection, finished or not.
        conditions: what else it holds for, label to text (study, seed, trainer, versions ...); long texts and the
            command are left out, and "Rule" gives the rule with its settings.
        sources: what is known of the sources of randomness of the study's candidates.

    Example:
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> found = card_of_result(replay(table, Halving(warmup=2), criterion("mean"), fresh=2))
        >>> found.candidate, found.fresh, round(found.score.value, 3)
        ('a', 2, 1.2)
    """
    found, table = winner(result), result.table
    own = table.scores[table.candidates.index(result.selected)]
    own = own[own == own]
    is_chosen = table.n_candidates > 1
    n_fresh = found.n_fresh if is_chosen else 0
    used = own[len(own) - n_fresh :] if n_fresh else own
    unusable = int((abs(used) == math.inf).sum())
    given = dict(conditions or {})
    rule = given.pop("Rule", result.rule)
    return Card(
        candidate=result.selected,
        direction=result.direction,
        score=found.mean,
        systematic=found.std,
        criterion=result.criterion.name,
        criterion_value=found.criterion,
        confidence=found.confidence,
        method=_method(n_fresh, is_chosen),
        instances=len(used),
        fresh=n_fresh,
        unusable=unusable,
        candidates=table.n_candidates,
        trainings=result.trainings,
        rule=rule if is_chosen else "",
        probability=result.confidence if is_chosen else None,
        equivalent=tuple(name for name in result.equivalent if name != result.selected),
        conditions=_quotable(given),
        caveats=(*_of_selection(result, n_fresh), *_of_instances(len(used), unusable), *_of_far(result, used)),
        sources=shares_of(sources, result.selected),
        tolerance=result.tolerance if is_chosen else None,
    )


def card_of(
    measured: Measurement,
    candidate: str | None = None,
    direction: Direction = "minimize",
    conditions: Mapping[str, str] | None = None,
) -> Card:
    """Make the card of a measured candidate.

    Args:
        measured: of one candidate or several.
        candidate: which; the best one by default.
        direction: of the scores that were measured.
        conditions: what else it holds for, label to text.

    Raises:
        InputError: that candidate was not measured.

    Example:
        >>> import numpy as np
        >>> from robust_select.analysis.measure import measure
        >>> from robust_select.core.tables import Table
        >>> found = card_of(measure(Table(("a",), np.array([[1.0, 1.1, 1.2, 1.0, 1.2]])), by="median"))
        >>> found.candidate, found.instances, round(found.score.value, 3), found.criterion_value.value
        ('a', 5, 1.1, 1.1)
    """
    name = measured.best if candidate is None else candidate
    frame = measured.criteria[measured.criteria["candidate"] == name].set_index("criterion")
    if not len(frame):
        known = ", ".join(map(repr, dict.fromkeys(measured.criteria["candidate"])))
        raise InputError(f"expected a candidate that was measured ({known}), came candidate={name!r}")
    n, n_candidates = int(frame["instances"].iloc[0]), int(measured.criteria["candidate"].nunique())
    unusable = int(frame["unusable"].iloc[0])

    def estimate(key: str) -> Estimate:
        value, low, high = (frame[column].astype(float)[key] for column in ("value", "low", "high"))
        return Estimate(float(value), float(low), float(high))

    caveats = _of_instances(n, unusable)
    if name == measured.best and n_candidates > 1:
        text = f"the best of {n_candidates:,} by these very scores, so they flatter it"
        caveats = (text, *caveats)
    return Card(
        candidate=name,
        direction=direction,
        score=estimate("mean"),
        systematic=estimate("std"),
        criterion=measured.chosen,
        criterion_value=estimate(measured.chosen),
        confidence=measured.confidence,
        method="all its instances; bootstrap intervals",
        instances=n,
        fresh=0,
        unusable=unusable,
        candidates=1,
        trainings=n,
        rule="",
        probability=None,
        equivalent=(),
        conditions=_quotable(conditions or {}),
        caveats=caveats,
    )


def write_card(card: Card, path: str | Path) -> None:
    """Write a card: Markdown (.md), LaTeX (.tex) or JSON (.json), as the file's name says.

    Raises:
        InputError: another ending, or its folder does not exist.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"), fresh=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_card(card_of_result(result), Path(folder) / "card.md")
        ...     (Path(folder) / "card.md").read_text(encoding="utf-8").splitlines()[0]
        '### Robustness card: a'
    """
    path = Path(path)
    form = check_card_path(path)
    path.write_text(form(card), encoding="utf-8", errors="replace", newline="\n")


def check_card_path(path: Path) -> Callable[[Card], str]:
    """Give the form that a file's name asks for.

    Raises:
        InputError: none of them, or its folder does not exist.
    """
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise InputError(f"expected a card's file to end in {', '.join(_FORMS)}, came {path.name!r}")
    if not path.parent.is_dir():
        raise InputError(f"expected a folder to write {path.name} to, found none at {path.parent}")
    return form


def card_json(card: Card) -> str:
    """Write a card as JSON; docs/report.md says what it holds. Numbers not known or infinite are null.

    Example:
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"), fresh=2)
        >>> json.loads(card_json(card_of_result(result)))["selection"]["trainings"]
        6
    """
    found = {
        "schema": SCHEMA,
        "candidate": card.candidate,
        "direction": card.direction,
        "score": {"statistic": "mean", **_plain(card.score)},
        "systematic": {"statistic": "std", **_plain(card.systematic)},
        "criterion": {"statistic": card.criterion, **_plain(card.criterion_value)},
        "evidence": {
            "confidence": card.confidence,
            "instances": card.instances,
            "fresh": card.fresh,
            "unusable": card.unusable,
            "method": card.method,
        },
        "selection": {
            "candidates": card.candidates,
            "trainings": card.trainings,
            "rule": card.rule or None,
            "probability": card.probability,
            "equivalent": list(card.equivalent),
            "tolerance": card.tolerance,
        },
        "sources": None if card.sources is None else asdict(card.sources),
        "conditions": dict(card.conditions),
        "caveats": list(card.caveats),
        "sentence": sentence(card),
        "version": __version__,
    }
    return json.dumps(found, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def card_markdown(card: Card) -> str:
    """Write a card as a Markdown table; names cannot be read as markup.

    Example:
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"), fresh=2)
        >>> print(card_markdown(card_of_result(result)).splitlines()[0])
        ### Robustness card: a
    """
    lines = [f"### Robustness card: {escape_markdown(card.candidate)}", "", "| | |", "|---|---|"]
    lines += [f"| {escape_markdown(label)} | {escape_markdown(text)} |" for label, text in card_rows(card)]
    lines += ["", f"> {escape_markdown(sentence(card))}"]
    return "\n".join(lines) + "\n"


def card_latex(card: Card) -> str:
    r"""Write a card as a LaTeX table that needs no package; names cannot be read as commands.

    Example:
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"), fresh=2)
        >>> card_latex(card_of_result(result)).splitlines()[0][:18]
        '% Robustness card,'
    """
    rows = [rf"{escape_latex(label)} & {escape_latex(text)} \\" for label, text in card_rows(card)]
    return "\n".join(
        [
            f"% Robustness card, written by robust-select {__version__}",
            r"\begin{table}",
            rf"\caption{{Robustness card: {escape_latex(card.candidate)}. {escape_latex(sentence(card))}}}",
            r"\begin{tabular}{l p{0.62\linewidth}}",
            r"\hline",
            *rows,
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_FORMS: dict[str, Callable[[Card], str]] = {".md": card_markdown, ".tex": card_latex, ".json": card_json}


def card_rows(card: Card) -> list[tuple[str, str]]:
    """List what the card says, label and text."""
    better = "lower" if card.direction == "minimize" else "higher"
    rows = [
        (f"Score (mean; {better} is better)", _with_interval(card.score, card.confidence)),
        ("Training systematic (standard deviation)", _with_interval(card.systematic, card.confidence)),
    ]
    if card.criterion not in ("mean", "std") and not math.isnan(card.criterion_value.value):
        rows.append((f"Criterion {card.criterion}", _with_interval(card.criterion_value, card.confidence)))
    rows.append(("Evidence", f"{_count(card.instances, 'instance')}; {card.method}"))
    if card.rule:
        how = f"from {card.candidates:,} candidates by {card.criterion}, {_count(card.trainings, 'training')}"
        rows.append(("Selected", how))
        rows.append(("Rule", card.rule))
    if card.probability is not None:
        more = " by more than the tolerance"
        if card.tolerance is not None:
            more = f"{more} of {number(card.tolerance)}" if card.tolerance > 0 else ""
        text = f"{percent(card.probability)} that no other is better{more}"
        if card.probability == 0:  # one less the sum of the others' probabilities, which is above one
            text = f"not known: several others may be better{more}"
        rows.append(("Posterior probability", text))
    if card.equivalent:
        rows.append(("As good within the tolerance", ", ".join(card.equivalent)))
    if card.sources is not None:
        text = f"{shares_text(card.sources)}; {design_text(card.sources)}"
        rows.append(("Sources of its variance", text))
    rows += list(card.conditions.items())
    if card.caveats:
        rows.append(("Caveats", "; ".join(card.caveats)))
    return rows


def sentence(card: Card) -> str:
    """Say what the card says in one sentence, to be quoted.

    Example:
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"), fresh=2)
        >>> sentence(card_of_result(result))[:38]
        'Trained again, a scores 1.2 on average'
    """
    if not card.instances:
        return f"{card.candidate} has not been trained."
    start = f"Trained again, {card.candidate} scores {card_number(card.score)} on average"
    spread = f" with a standard deviation of {card_number(card.systematic)} from training to training"
    if math.isnan(card.systematic.value) or math.isinf(card.score.value):
        spread = ""
    interval = _interval(card.score)
    within = f" ({100 * card.confidence:g} % interval {interval})" if interval else ""
    rest = f"from {_count(card.instances, 'instance')}"
    if card.fresh:
        rest = f"from {_count(card.instances, 'fresh instance')} that its selection did not look at"
    elif card.rule:
        rest += f", corrected for its selection from {card.candidates:,} candidates"
    bad = f", {card.unusable:,} of which diverged or failed" if card.unusable else ""
    return f"{start}{within}{spread}; {rest}{bad}."


def card_number(found: Estimate) -> str:
    """Write an estimate with as many digits as its interval leaves it: two of the interval's half-width.

    Example:
        >>> card_number(Estimate(0.0213345, 0.0209, 0.0217)), card_number(Estimate(1234.5, 1000.0, 1500.0))
        ('0.02133', '1,230')
    """
    return _rounded(found.value, (found.high - found.low) / 2)


def percent(share: float) -> str:
    """Write a probability, rounded down so that it never promises more than there is.

    Example:
        >>> percent(0.94999), percent(1.0)
        ('94.9 %', 'more than 99.9 %')
    """
    return "more than 99.9 %" if share > 0.999 else f"{math.floor(1000 * share + 1e-9) / 10:.1f} %"


def _rounded(value: float, unit: float) -> str:
    if not math.isfinite(value) or not math.isfinite(unit) or unit <= 0:
        return number(value)
    n_decimals = 1 - math.floor(math.log10(unit))
    if n_decimals > _MOST_DECIMALS or abs(value) >= 1e15:
        return number(value)
    rounded = round(value, n_decimals) + 0.0  # no negative zero
    return f"{rounded:,.{max(n_decimals, 0)}f}".replace("-", "−")


def _interval(found: Estimate) -> str:
    if math.isnan(found.low) or math.isnan(found.high):
        return ""
    unit = (found.high - found.low) / 2
    return f"{_rounded(found.low, unit)} to {_rounded(found.high, unit)}"


def _with_interval(found: Estimate, confidence: float) -> str:
    interval = _interval(found)
    return card_number(found) + (f", {100 * confidence:g} % interval {interval}" if interval else "")


def _plain(found: Estimate) -> dict[str, float | None]:
    values = {"value": found.value, "low": found.low, "high": found.high}
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def _quotable(conditions: Mapping[str, Any]) -> dict[str, str]:
    texts = {str(key): str(value) for key, value in conditions.items() if key not in _LEFT_OUT}
    return {key: text for key, text in texts.items() if len(text) <= _LONGEST and "\n" not in text}


def _method(n_fresh: int, is_chosen: bool) -> str:
    if n_fresh:
        return "fresh: trained after the choice, which did not look at them"
    if is_chosen:
        return "those it was selected by, corrected for the selection (no winner’s curse)"
    return "all its instances"


def _of_selection(result: Result, n_fresh: int) -> tuple[str, ...]:
    """List the caveats of the selection itself."""
    found = []
    if result.stop_reason == "not finished":
        found.append("the selection is not finished")
    elif len(result.remaining) > 1 and result.confidence is None:
        found.append(f"the rule did not tell it apart from {_count(len(result.remaining) - 1, 'other')}")
    elif len(result.remaining) > max(len(result.equivalent), 1):
        found.append("the selection stopped before it was as sure as asked for")
    if result.table.n_candidates > 1 and not n_fresh:
        found.append("no fresh instances: a correction stands in for them")
    return tuple(found)


def _of_instances(n: int, unusable: int) -> tuple[str, ...]:
    """List the caveats of so many instances."""
    found = []
    if 0 < n < ENOUGH_INSTANCES:
        found.append(f"with {_count(n, 'instance')} the spread is hardly known")
    if unusable:
        found.append(f"{unusable:,} of {n:,} diverged or failed and count as the worst possible score")
    return tuple(found)


def _of_far(result: Result, scores: Floats) -> tuple[str, ...]:
    """Say that some of the scores are far worse than the others, if the criterion does not see them."""
    n_far = int(far_outliers(losses_of(scores[None, :], result.direction), result.criterion)[0])
    text = f"{n_far:,} of {len(scores):,} far worse than the others, which {result.criterion.name} does not see"
    return (text,) if n_far else ()


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
