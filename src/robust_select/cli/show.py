"""What readers see on the terminal: sentences and tables.

Called by the commands. Computes nothing; every name is shown as it is, never read as markup.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from html import unescape
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from robust_select.analysis.measure import Measurement
    from robust_select.select.result import Result

N_SHOWN = 10
_TESTS = ("welch", "paired-t", "wilcoxon", "levene", "fligner", "bartlett", "pitman-morgan")
_WIDTH_ELSEWHERE = 200  # of a table that goes into a file or a pipe


def say(text: str) -> None:
    """Print sentences, on one line each."""
    typer.echo(clean(text))


def clean(text: str) -> str:
    r"""Replace signs that steer a terminal, which a candidate's name may hold; line ends stay.

    Example:
        >>> clean("a\x1b[2Jb")
        'a�[2Jb'
    """
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def shown_url(location: str) -> str:
    """Give a ledger's location without the password that a database URL may hold."""
    if "://" not in location:
        return location
    from sqlalchemy.engine import make_url

    return make_url(location).render_as_string(hide_password=True)


def show_table(columns: Mapping[str, bool], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table; caveats that do not fit beside it, or that hold for every row, stand below.

    Args:
        columns: heading to whether its cells are numbers; caveats, if there are any, are the last.
        rows: cells.
        title: above it.
    """
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    width = console.width if console.is_terminal else _WIDTH_ELSEWHERE
    rows = [[clean(cell) for cell in row] for row in rows]
    shown = _table(columns, rows, title)
    notes: list[str] = []
    if list(columns)[-1] == "caveats":
        texts = [row[-1] for row in rows]
        if len(rows) > 1 and len(set(texts)) == 1:
            notes = [f"All of these: {texts[0]}"] if texts[0] else []
            shown = _table(dict(list(columns.items())[:-1]), [row[:-1] for row in rows], title)
        elif _natural_width(shown) > width:
            numbered = {text: str(number) for number, text in enumerate(dict.fromkeys(filter(None, texts)), start=1)}
            notes = [f"Caveat {number}: {text}" for text, number in numbered.items()]
            shown = _table(columns, [[*row[:-1], numbered.get(row[-1], "")] for row in rows], title)
    width = max(width, min(_natural_width(shown), _WIDTH_ELSEWHERE))  # a terminal wraps lines better than cells
    Console(file=sys.stdout, highlight=False, width=width).print(shown)
    for note in notes:
        say(note)


def _natural_width(table: "Table") -> int:
    """How wide a table is that nobody squeezes."""
    from rich.console import Console

    return Console(width=100_000).measure(table).maximum


def _table(columns: Mapping[str, bool], rows: Sequence[Sequence[str]], title: str) -> "Table":
    """Lay a table out; each cell is shown as it is, never read as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, title=Text(title, style="bold") if title else None, title_justify="left")
    for heading, is_number in columns.items():
        shown.add_column(Text(heading), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def show_result(result: "Result", n_shown: int = N_SHOWN) -> None:
    """Print what was selected, how sure that is, what it cost, and the best candidates."""
    from robust_select.analysis.overview import overview
    from robust_select.report.words import caveats, duration, headline, key_numbers, number

    found = overview(result)
    for sentence in headline(found):
        say(_text(sentence))
    trainings = key_numbers(found)[0]
    time = "" if found.seconds != found.seconds else f", {duration(found.seconds)} of training"
    say(f"{_text(trainings.value)} trainings{time} ({_text(trainings.note)}); stopped because: {found.stop_reason}.")
    summary = result.summary()
    by = result.criterion.name
    keys = list(dict.fromkeys([by, "mean", "std"]))
    equivalent = set(result.equivalent)
    rows = []
    for row in summary.head(n_shown).to_dict(orient="records"):
        mark = "=" if row["candidate"] in equivalent else ""
        step = row["discarded_at"]
        rows.append(
            [
                mark,
                str(row["candidate"]),
                *(number(float(row[key])) for key in keys),
                str(row["instances"]),
                "" if not isinstance(step, int) else str(step),
                str(row["caveats"]),
            ]
        )
    columns = {
        "": False,
        "candidate": False,
        **dict.fromkeys(keys, True),
        "instances": True,
        "discarded at": True,
        "caveats": False,
    }
    if not equivalent:  # the rule does not say who is as good as the selected one
        columns.pop("")
        rows = [row[1:] for row in rows]
    n_all = len(summary)
    show_table(columns, rows, f"The best {len(rows)} of {n_all:,}" if n_all > len(rows) else "")
    if equivalent:
        say(f"= as good as the selected one for the tolerance asked for ({len(equivalent)} of {n_all:,})")
    if len(equivalent) > 1:
        _show_equivalents(result, n_shown)
    for sentence in caveats(found):
        say(f"Note: {_text(sentence)}")
    if result.pruned is not None:
        _show_pruning(result)


def _show_pruning(result: "Result") -> None:
    """Say who was stopped by its epochs, what that saved, and whether it was safe."""
    from robust_select.analysis.pruning import pruning
    from robust_select.report.pruning import savings_text

    found = pruning(result)
    stopped = ", ".join(f"{n:,} after epoch {epoch}" for epoch, n in zip(found.epochs, found.stopped, strict=True))
    say(
        f"Pruned by epochs: {found.n_stopped:,} of {found.n_candidates:,} candidates in their first training "
        f"({stopped}). {savings_text(found.epochs_saved, found.share_saved, found.seconds_saved)}"
    )
    say(found.verdict)


def _show_equivalents(result: "Result", n_shown: int) -> None:
    """Print those equally good, so that the steadiest or the cheapest can be taken."""
    from robust_select.report.words import duration, number

    frame = result.equivalents()
    ranks = ("rank_by_spread", "rank_by_cost")
    rows = [
        [
            str(row["candidate"]),
            number(row["mean"]),
            number(row["std"]),
            "" if math.isnan(row["seconds"]) else duration(row["seconds"]),
            *("" if math.isnan(row[rank]) else f"{row[rank]:.0f}" for rank in ranks),
        ]
        for row in _records(frame.head(n_shown).astype(dict.fromkeys(ranks, float)))
    ]
    headings = ("mean", "std", "a training takes", "rank by spread", "rank by cost")
    title = "Equally good" if len(frame) == len(rows) else f"Equally good, the first {len(rows)} of {len(frame):,}"
    show_table({"candidate": False, **dict.fromkeys(headings, True)}, rows, title)


def show_measurement(measured: "Measurement", n_shown: int = N_SHOWN) -> None:
    """Print the criteria with their intervals, and the best candidate against the others."""
    from robust_select.report.words import number

    frame = measured.criteria
    n_candidates = frame["candidate"].nunique()
    keys = [measured.chosen, "mean", "std"]
    values = frame[frame["criterion"] == measured.chosen].set_index("candidate")["value"]
    ahead = [measured.best, *(name for name in measured.pairs["b"])]
    if n_candidates > 4:
        frame = frame[frame["criterion"].isin(keys)]
        best = float(values[measured.best])
        ahead = ahead[:1] + sorted(ahead[1:], key=lambda name: abs(float(values[name]) - best))
        ahead = ahead[:n_shown]
    rows = [
        [
            str(row["candidate"]),
            str(row["criterion"]),
            number(row["value"]),
            _interval(row["low"], row["high"]),
            row["method"],
            str(row["instances"]),
            "" if row["to_halve"] is None or row["to_halve"] != row["to_halve"] else str(int(row["to_halve"])),
            row["caveats"],
        ]
        for name in ahead
        for row in _records(frame[frame["candidate"] == name])
    ]
    percent = f"{100 * measured.confidence:g} % interval"
    show_table(
        {
            "candidate": False,
            "criterion": False,
            "value": True,
            percent: True,
            "method": False,
            "instances": True,
            "to halve it": True,
            "caveats": False,
        },
        rows,
        f"The {len(ahead)} closest of {n_candidates:,}; --json gives all" if n_candidates > len(ahead) else "",
    )
    _show_pairs(measured, set(ahead), percent)


def _show_pairs(measured: "Measurement", names: set[str], percent: str) -> None:
    from robust_select.report.words import number

    pairs = measured.pairs[measured.pairs["b"].isin(names)]
    if not len(pairs):
        return
    heading = f"{measured.best}, the best by {measured.chosen}, against the others"
    verdicts = [
        [
            str(row["b"]),
            str(row["more_robust"]),
            "" if row["probability"] != row["probability"] else f"{100 * row['probability']:.1f} %",
            number(row["difference"]),
            _interval(row["low"], row["high"]),
            "" if row["spread_ratio"] != row["spread_ratio"] else f"{row['spread_ratio']:.3g}",
            str(row["shared"]),
            row["caveats"],
        ]
        for row in _records(pairs)
    ]
    columns = ("how sure", "mean difference", percent, "std ratio", "shared")
    show_table(
        {"against": False, "more robust": False, **dict.fromkeys(columns, True), "caveats": False}, verdicts, heading
    )
    p_values = [
        [str(row["b"]), *("" if row[test] != row[test] else f"{row[test]:.2g}" for test in _TESTS)]
        for row in _records(pairs)
    ]
    show_table(
        {"against": False, **dict.fromkeys(_TESTS, True)},
        p_values,
        "p-values, two-sided: means, then spreads",
    )


def _records(frame: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = frame.to_dict(orient="records")
    return found


def _interval(low: float, high: float) -> str:
    from robust_select.report.words import number

    return "" if low != low else f"{number(low)} to {number(high)}"


def _text(html: str) -> str:
    """Give the sentence that a piece of the page's HTML shows; its names are escaped there, so none is lost."""
    return unescape(re.sub(r"<[^>]*>", "", html))
