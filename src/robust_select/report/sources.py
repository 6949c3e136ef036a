"""Sources of randomness on the page and the card: what each random stream contributes, as HTML and as plain values.

Called by the page, the card and the command line. Computes nothing; knows nothing of ledgers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from robust_select.report.words import number

_DRAWN_DIGITS = 6
_MOST_DRAWN = 20  # candidates in a chart; the table has all of them


@dataclass(frozen=True)
class CrossedSources:
    """What one crossed design says.

    Attributes:
        design: in words, such as 8 x 8.
        shares: the rows of ``analysis.sources.sources``.
    """

    design: str
    shares: pd.DataFrame


@dataclass(frozen=True)
class Sources:
    """What is known of the sources of randomness of a study's candidates.

    Attributes:
        crossed: one for each crossed design.
        alone: the rows of ``analysis.sources.compare_alone``, one frame for each number of instances.
        confidence: of all intervals.
    """

    crossed: tuple[CrossedSources, ...] = ()
    alone: tuple[pd.DataFrame, ...] = ()
    confidence: float = 0.95


@dataclass(frozen=True)
class Share:
    """The share of one source in the variance of a candidate's scores, with its interval."""

    source: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class CardSources:
    """What a card says of the sources: the shares of one candidate, by one design, and its number of instances."""

    design: str
    instances: int
    confidence: float
    shares: tuple[Share, ...]


def shares_of(found: Sources | None, candidate: str) -> CardSources | None:
    """Give the shares of a candidate, by the crossed design with the most instances; None where they are not known.

    Example:
        >>> rows = {"candidate": ["a"], "source": ["batch order"], "share": [1.0], "low": [0.9], "high": [1.0]}
        >>> found = Sources((CrossedSources("2 x 2", pd.DataFrame({**rows, "instances": [4]})),))
        >>> shares_of(found, "a").shares[0].share, shares_of(found, "b") is None
        (1.0, True)
    """
    if found is None:
        return None
    known = []
    for crossed in found.crossed:
        rows = crossed.shares[crossed.shares["candidate"] == candidate].to_dict(orient="records")
        if rows and not any(math.isnan(row["share"]) for row in rows):
            shares = tuple(Share(row["source"], row["share"], row["low"], row["high"]) for row in rows)
            known.append(CardSources(crossed.design, int(rows[0]["instances"]), found.confidence, shares))
    return max(known, key=lambda one: one.instances, default=None)


def shares_text(found: CardSources) -> str:
    """Say the shares in words.

    Example:
        >>> shares_text(CardSources("2 x 2", 4, 0.95, (Share("batch order", 0.25, 0.1, 0.5),)))
        'batch order 25 % (95 % interval 10 to 50 %)'
    """
    return ", ".join(
        f"{one.source} {_percent(one.share)} ({100 * found.confidence:g} % interval "
        f"{100 * one.low:.0f} to {_percent(one.high)})"
        for one in found.shares
    )


def design_text(found: CardSources) -> str:
    """Say where the shares come from.

    Example:
        >>> design_text(CardSources("8 x 8", 64, 0.95, ()))
        '64 further trainings, crossed design of initial weights x training samples: 8 x 8'
    """
    return (
        f"{found.instances:,} further trainings, crossed design of initial weights x training samples: {found.design}"
    )


def sources_data(found: Sources, selected: str) -> list[dict[str, Any]]:
    """Give what the page's script draws, one chart a design, the selected candidate first, as plain values."""
    shares = [_chart(crossed.shares, selected, "source", "share") for crossed in found.crossed]
    return shares + [_chart(rows, selected, "varying", "std") for rows in found.alone]


def _chart(frame: pd.DataFrame, selected: str, by: str, value: str) -> dict[str, Any]:
    names = _names(frame, selected)
    drawn, series = names[:_MOST_DRAWN], []
    for kind in dict.fromkeys(frame[by]):
        rows = frame[frame[by] == kind].set_index("candidate").loc[drawn]
        series.append({"name": str(kind), **{key: _plain(rows[key]) for key in (value, "low", "high")}})
    return {"value": value, "names": drawn, "nLeftOut": len(names) - len(drawn), "series": series}


def _plain(values: "pd.Series[Any]") -> list[float | None]:
    known = values.astype(float).tolist()
    return [float(f"{x:.{_DRAWN_DIGITS}g}") if math.isfinite(x) else None for x in known]


def _names(frame: pd.DataFrame, selected: str) -> list[str]:
    """List the candidates, the selected first."""
    return sorted(map(str, dict.fromkeys(frame["candidate"])), key=lambda name: name != selected)


def sources_html(found: Sources, selected: str) -> dict[str, str]:
    """Give the pieces of the page's section: what it says of the selected candidate, and a table with each chart."""
    tables = [_shares_table(one.shares, selected, found.confidence) for one in found.crossed]
    panels = [f"Initial weights x training samples: {one.design}" for one in found.crossed]
    for rows in found.alone:
        panels.append(f"Each stream alone: {int(rows['instances'].max()):,} instances each")
        tables.append(_alone_table(rows, selected, found.confidence))
    return {
        "says": _says(found, selected),
        "panels": "".join(_panel(at, *both) for at, both in enumerate(zip(panels, tables, strict=True))),
    }


def _says(found: Sources, selected: str) -> str:
    name, known = f'<b class="name">{escape(selected)}</b>', shares_of(found, selected)
    if known is not None:
        return (
            f"When {name} is trained again, the variance of its scores comes from: {escape(shares_text(known))}. "
            f"From {escape(design_text(known))}."
        )
    if found.crossed:
        return f"The selected candidate, {name}, is not among those with a complete design."
    return "Each stream was varied alone, the others held: no shares of the variance can be given."


def _panel(at: int, title: str, table: str) -> str:
    return (
        f'<h3 id="h-sources-{at}">{escape(title)}</h3>'
        f'<div id="sources-chart-{at}" class="chart sources" role="img" aria-labelledby="h-sources-{at}" '
        f'aria-describedby="sources-note-{at}"></div><p class="note" id="sources-note-{at}"></p>'
        f'<div class="scroll" role="region" aria-labelledby="h-sources-{at}" tabindex="0">{table}</div>'
    )


def _shares_table(frame: pd.DataFrame, selected: str, confidence: float) -> str:
    return _table(
        ("source", "share of the variance", f"{100 * confidence:g} % interval", "std if alone", "caveats"),
        frame,
        selected,
        lambda row: (
            row["source"],
            _known(row["share"], _percent),
            _interval(row["low"], row["high"], _percent),
            _known(row["std"], _short),
            row["caveats"],
        ),
    )


def _alone_table(frame: pd.DataFrame, selected: str, confidence: float) -> str:
    return _table(
        ("varying", "standard deviation", f"{100 * confidence:g} % interval", "mean", "caveats"),
        frame,
        selected,
        lambda row: (
            row["varying"],
            _short(row["std"]),
            _interval(row["low"], row["high"], _short),
            number(row["mean"]),
            f"{row['unusable']:,} of {row['instances']:,} diverged or failed" if row["unusable"] else "",
        ),
    )


def _table(
    columns: tuple[str, ...],
    frame: pd.DataFrame,
    selected: str,
    cells_of: Callable[[dict[Any, Any]], tuple[str, ...]],
) -> str:
    """Lay rows out, those of a candidate under its name; the second to the fourth column hold numbers."""
    kinds = ("", *(' class="number"' for _ in range(3)), ' class="long"')
    is_short = all(not cells_of(row)[-1] for row in frame.to_dict(orient="records"))
    last = -1 if is_short else None  # no column for caveats where there are none
    head = "".join(
        f'<th scope="col"{kind}><span>{escape(text)}</span></th>'
        for text, kind in zip(columns[:last], kinds[:last], strict=True)
    )
    body = ""
    for name in _names(frame, selected):
        rows = frame[frame["candidate"] == name].to_dict(orient="records")
        body += (
            f'<tbody><tr><th scope="rowgroup" colspan="{len(columns[:last])}"><span>{escape(name)}</span></th></tr>'
        )
        for row in rows:
            cells = zip(cells_of(row)[:last], kinds[:last], strict=True)
            body += f"<tr>{''.join(f'<td{kind}>{escape(text)}</td>' for text, kind in cells)}</tr>"
        body += "</tbody>"
    return f"<table><thead><tr>{head}</tr></thead>{body}</table>"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _short(value: float) -> str:
    return number(value, 3)


def _known(value: float, shown_by: Callable[[float], str]) -> str:
    return "" if math.isnan(value) else shown_by(value)


def _interval(low: float, high: float, shown_by: Callable[[float], str]) -> str:
    return "" if math.isnan(low) else f"{shown_by(low)} to {shown_by(high)}"
