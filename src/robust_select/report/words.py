"""What a result comes to, in words: the headline, the key numbers and the caveats of the page, as HTML.

Called by the page, the card and the command line. Computes nothing; escapes every name that it puts into HTML.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from robust_select.analysis.front import ENOUGH_INSTANCES
from robust_select.analysis.overview import Margin, Overview
from robust_select.stats.criteria import criterion

_FEW = 6
_CLOSE = 2.0
_HARDLY = 50.0
_MEANINGS = {
    "min": "the best instance",
    "q3": "the worse quartile",
    "q3+iqr": "the worse quartile plus the interquartile range",
    "max": "the worst instance",
    "iqr": "interquartile range",
    "cvar": "mean of the worst quarter",
    "std-within-tolerance": "the spread, of those whose mean is within the tolerance of the best",
}


@dataclass(frozen=True)
class KeyNumber:
    """One of the numbers on top of the page, as HTML.

    Attributes:
        label: what it is.
        value: the number.
        note: what to hold it against.
    """

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Saving:
    """What a selection used of what the exhaustive one would have taken, as HTML.

    Attributes:
        label: of what.
        share: used, between 0 and 1.
        text: in numbers.
    """

    label: str
    share: float
    text: str


def number(value: float, n_digits: int = 4) -> str:
    """Write a number for readers.

    Example:
        >>> number(0.0213333), number(41567), number(float("inf")), number(-0.5)
        ('0.02133', '41,567', '∞', '−0.5')
    """
    if math.isnan(value):
        return "not known"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    is_whole = float(value).is_integer() and abs(value) < 1e15
    return (f"{int(value):,}" if is_whole else f"{value:.{n_digits}g}").replace("-", "−")


def duration(seconds: float) -> str:
    """Write a time for readers.

    Example:
        >>> duration(0.5), duration(75), duration(7300), duration(400000)
        ('0.50 s', '1 min 15 s', '2 h 1 min', '4 d 15 h')
    """
    if not math.isfinite(seconds):
        return "not known"
    if seconds < 9.95:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    for big, small, big_unit, small_unit in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if whole >= big:
            return f"{whole // big} {big_unit} {whole % big // small} {small_unit}"
    return f"{whole} s"


def headline(found: Overview) -> tuple[str, str]:
    """Say in two sentences what was selected and how sure that is, as HTML."""
    return _what(found), _how_sure(found)


def _what(found: Overview) -> str:
    name = _name(found.selected)
    if found.n_instances == 0:
        return f"{name} comes first of {_count(found.n_candidates, 'candidate')}, but it has not been trained."
    over = _count(found.n_instances, "instance")
    spread = "" if not math.isfinite(found.std) else f", standard deviation {number(found.std, 3)}"
    mean = "" if found.criterion == "mean" else f", mean {number(found.mean)}"
    if math.isnan(found.value):
        return (
            f"{name} comes first of {_count(found.n_candidates, 'candidate')}, but {over} are too few to know its "
            f"{escape(found.criterion)}."
        )
    if math.isinf(found.value):
        return (
            f"{name} comes first of {_count(found.n_candidates, 'candidate')}, but its {escape(found.criterion)} is "
            f"{number(found.value)} over {over}: no candidate left is usable on these scores."
        )
    chosen = f"was selected from {found.n_candidates:,} candidates"
    if found.n_candidates == 1:
        chosen = "was trained alone"
    if found.stop_reason == "not finished":
        chosen = f"is the best so far of {_count(found.n_candidates, 'candidate')}"
    meaning = _MEANINGS.get(found.criterion)
    by = escape(found.criterion) + ("" if meaning is None else f" ({meaning})")
    return f"{name} {chosen}: {by} {number(found.value)} over {over}{mean}{spread}."


def _how_sure(found: Overview) -> str:
    if found.n_candidates == 1:
        return "There was nothing to choose from."
    if found.confidence is not None:
        return _by_confidence(found)
    if found.stop_reason == "not finished":
        return f"The selection is not finished: {_count(len(found.remaining), 'candidate')} may still win."
    ahead = _ahead(found)
    if found.rule == "exhaustive":
        return f"Every candidate was trained equally often and nobody was discarded{ahead}."
    if len(found.remaining) > 1:
        others = found.remaining[1:]
        return (
            f"It is not decided: the rule did not tell it apart from {_names(others)}; it merely has the best "
            f"{escape(found.criterion)} so far{ahead}."
        )
    if found.rule == "halving":
        return (
            "Halving keeps the better half at each step however close the scores are, so it gives no probability of "
            f"being right{ahead}."
        )
    if found.rule == "significance":
        return (
            "Each other candidate differed significantly from the best one at the step that discarded it, every look "
            f"tested by itself, so the chance of an error is larger than one test’s alpha{ahead}."
        )
    return f"It is the only one left by rule {escape(found.rule)}, which quotes no confidence{ahead}."


def _by_confidence(found: Overview) -> str:
    """Quote the confidence, and say who may still be better and who is as good."""
    share = 100 * (found.confidence or 0.0)
    least = "" if found.rule == "top-two" else "at least "
    chance = "more than 99.9" if share > 99.9 else f"{least}{math.floor(10 * share + 1e-9) / 10:.1f}"
    if share < _HARDLY:
        said = f"Whether another candidate is better{_by_more(found)} cannot be said on these scores"
    else:
        said = f"{_chance_of(found.rule)} that no other candidate is better{_by_more(found)} is {chance} %"
    equals = [name for name in found.equivalent if name != found.selected]
    rivals = [name for name in found.remaining if name != found.selected and name not in found.equivalent]
    if found.stop_reason == "not finished":
        said = f"The selection is not finished. {said}"
    elif rivals:
        said = f"It is not decided: {escape(found.stop_reason)}. {said}"
    if rivals:
        said = f"{said}; still in question: {_names(rivals)}"
    if equals:
        said = f"{said}; equally good for that purpose: {_names(equals)} — take the cheapest or the steadiest"
    return f"{said}."


def _by_more(found: Overview) -> str:
    """Say from what difference on a better candidate counts; nothing where every difference does."""
    if found.tolerance is None:
        return " by more than the tolerance"
    return f" by more than the tolerance of {number(found.tolerance)}" if found.tolerance > 0 else ""


def _chance_of(rule: str) -> str:
    """Name the probability: that of top-two is what these scores make likely, no bound over repeated studies."""
    return "The posterior probability, given these scores," if rule == "top-two" else "The probability"


def _ahead(found: Overview) -> str:
    """Say how far the closest rival is; nothing where the criterion is a spread or the margin is not known."""
    margin = found.margin
    if margin is None or criterion_kind(found.criterion) == "spread":
        return ""
    return "; " + _margin(margin)


def _margin(margin: Margin) -> str:
    size = number(abs(margin.difference), 2)
    rival = _name(margin.rival)
    where = f"on the {margin.n_shared} replicates they share" if margin.n_shared > 1 else "on the one they share"
    error = "" if math.isnan(margin.standard_error) else f" ± {number(margin.standard_error, 2)}"
    if margin.difference == 0:
        return f"{where} the next best, {rival}, has the same mean score"
    if margin.difference < 0:
        return f"{where} the next best, {rival}, even has the better mean score, by {size}{error}"
    close = margin.standard_error > 0 and margin.difference < _CLOSE * margin.standard_error
    return (
        f"{where} its mean score is better than that of the next best, {rival}, by {size}{error}"
        f"{' (a standard error: a close call)' if close else ''}"
    )


def criterion_kind(name: str) -> str:
    """Say whether a criterion is a location or a spread."""
    return criterion(name).kind


def caveats(found: Overview) -> tuple[str, ...]:
    """List what a reader must know before quoting these numbers, as HTML."""
    texts = []
    if found.n_candidates > 1 and math.isfinite(found.value):
        texts.append(_honest(found))
    if 0 < found.n_instances < ENOUGH_INSTANCES:
        texts.append(f"With {_count(found.n_instances, 'instance')} its spread is hardly known.")
    if found.rule == "top-two" and 100 * (found.confidence or 0.0) >= _HARDLY and found.n_candidates > 1:
        texts.append(
            "The probability is right on average over studies like this one; where the second best is worse by "
            "hardly more than the tolerance, it is selected more often than that."
        )
    if found.n_unusable:
        texts.append(
            f"{_count(found.n_unusable, 'training')} of {found.trainings:,} diverged or failed, of "
            f"{_count(found.n_candidates_unusable, 'candidate')}; each counts as the worst possible score."
        )
    if found.n_far:
        verb, it = ("is", "it") if found.n_far == 1 else ("are", "them")
        texts.append(
            f"{found.n_far:,} of its {_count(found.n_instances, 'instance')} {verb} far worse than the others, which "
            f"{found.criterion} does not see: if such trainings matter, select by a criterion that sees {it}, mean "
            "or cvar."
        )
    if found.far:
        texts.append(
            f"Of those equally good, {_names(found.far)} had trainings far worse than the others, which "
            f"{found.criterion} does not see: look at mean and spread first."
        )
    if found.rule == "top-two" and found.n_ahead:
        verb = "has" if found.n_ahead == 1 else "have"
        texts.append(
            f"{_count(found.n_ahead, 'other')} {verb} a better {found.criterion} in the table, on fewer instances: "
            "the rule goes by an estimate that trusts a number the less, the fewer it rests on."
        )
    if len(found.remaining) < found.n_candidates:
        texts.append("Candidates discarded early rest on few instances; the figures say on how many.")
    return tuple(texts)


def _honest(found: Overview) -> str:
    """Give the number to quote of the selected candidate, free of the winner's curse."""
    mean, n_fresh = found.winner.mean, found.winner.n_fresh
    percent = f"{100 * found.winner.confidence:g} %"
    interval = "" if math.isnan(mean.low) else f" ({percent} interval {number(mean.low)} to {number(mean.high)})"
    if n_fresh:
        spread = found.winner.std
        width = "" if not math.isfinite(spread.value) else f", standard deviation {number(spread.value)}"
        return (
            f"The number to quote: mean {number(mean.value)}{interval}{width}, of {_count(n_fresh, 'instance')} "
            "trained after the choice, which did not look at them."
        )
    return (
        "The selected candidate was chosen on these scores, so they flatter it; corrected for that, its mean is "
        f"{number(mean.value)}{interval}. Fresh instances (--fresh N) give a number that needs no correction."
    )


def key_numbers(found: Overview) -> tuple[KeyNumber, ...]:
    """List the numbers for the top of the page."""
    return (
        KeyNumber("Trainings", f"{found.trainings:,}", _against(found)),
        KeyNumber("Training time", duration(found.seconds if found.trainings else math.nan), _time_note(found)),
        KeyNumber(
            "Candidates left",
            f"{len(found.remaining):,} <small>of {found.n_candidates:,}</small>",
            escape(found.stop_reason),
        ),
        KeyNumber(
            f"{escape(found.criterion)} of the selected",
            number(found.value),
            f"{'higher' if is_higher_better(found) else 'lower'} is better; {_count(found.n_instances, 'instance')}",
        ),
        KeyNumber(
            "Scores of the selected",
            number(found.mean)
            + ("" if not math.isfinite(found.std) else f" <small>± {number(found.std, 2)}</small>"),
            "mean ± standard deviation",
        ),
        KeyNumber(
            "Diverged or failed",
            f"{found.n_unusable:,}",
            f"of {_count(found.n_candidates_unusable, 'candidate')}" if found.n_unusable else "every training usable",
        ),
    )


def is_higher_better(found: Overview) -> bool:
    """Whether larger values of the criterion, in units of the score, are the better ones."""
    return found.direction == "maximize" and criterion_kind(found.criterion) == "location"


def _against(found: Overview) -> str:
    each = found.exhaustive // found.n_candidates
    if not found.trainings:
        return "nothing trained yet"
    if found.exhaustive <= found.trainings:
        return f"every candidate {_times(each)}"
    return (
        f"{found.exhaustive:,} for every candidate {_times(each)}: "
        f"{found.exhaustive / found.trainings:.1f} times as many"
    )


def _time_note(found: Overview) -> str:
    if not found.trainings:
        return "nothing trained yet"
    if not math.isfinite(found.seconds):
        return "some trainings have no time"
    if math.isfinite(found.exhaustive_seconds) and found.exhaustive > found.trainings:
        return f"all workers added; about {duration(found.exhaustive_seconds)} for every candidate as often"
    return "all workers added"


def savings(found: Overview) -> tuple[Saving, ...]:
    """Hold trainings and time against training every candidate equally often; nothing where nothing is saved."""
    each = found.exhaustive // found.n_candidates
    if not 0 < found.trainings < found.exhaustive or found.stop_reason == "not finished":
        return ()
    share = found.trainings / found.exhaustive
    text = f"{found.trainings:,} of the {found.exhaustive:,} that training every candidate {_times(each)} takes"
    rows = [Saving("Trainings", share, text)]
    if 0 < found.seconds < found.exhaustive_seconds < math.inf:
        text = f"{duration(found.seconds)} of about {duration(found.exhaustive_seconds)}, all workers added"
        rows.append(Saving("Training time", found.seconds / found.exhaustive_seconds, text))
    return tuple(rows)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n:,} times"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _name(name: str) -> str:
    return f'<b class="name">{escape(name)}</b>'


def _names(names: Sequence[str]) -> str:
    shown = [_name(name) for name in names[:_FEW]]
    if len(names) > _FEW:
        shown = [*shown[: _FEW - 1], f"{len(names) - _FEW + 1:,} others"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
