"""The page: one self-contained HTML file that a colleague opens from an e-mail and understands.

Called by the command line and the live view. Knows nothing of ledgers and trainers, and never imports matplotlib.
"""

import base64
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from robust_select.analysis.overview import Overview, overview
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.core.version import __version__
from robust_select.report.card import (
    Card,
    card_latex,
    card_markdown,
    card_number,
    card_of_result,
    card_rows,
    sentence,
)
from robust_select.report.data import count_shown, page_data, script_json, stability_data
from robust_select.report.evidence import count_unused
from robust_select.report.playground import Playground, playground_data
from robust_select.report.pruning import pruning_html
from robust_select.report.sources import Sources, sources_data, sources_html
from robust_select.report.words import caveats, headline, key_numbers, savings
from robust_select.select.result import Result

_SCRIPTS = (
    *("base.js", "path.js", "cost.js", "trainings.js", "topn.js", "scores.js", "instances.js", "fractions.js"),
    *("front.js", "table.js", "stability.js", "sources.js", "card.js", "playground.js", "live.js", "later.js"),
    "page.js",
)
_PER_LINE = 5


@dataclass(frozen=True)
class Page:
    """A page to be served.

    Attributes:
        html: all of it.
        policy: its content security policy, for the header.
    """

    html: str
    policy: str


def write_page(
    result: Result,
    path: str | Path,
    title: str = "Robust model selection",
    provenance: Mapping[str, str] | None = None,
    base: str | None = None,
    playground: Playground | None = None,
    curves: Table | None = None,
    sources: Sources | None = None,
) -> None:
    """Write a result as one HTML file that opens without a network.

    Args:
        result: of a selection, finished or not.
        path: where to; an existing file is replaced.
        title: on top of the page and in the browser's tab.
        provenance: how to reproduce the result, label to text (study file, command, seed, versions ...); what stands
            there under "robust-select" or "Python" replaces the version that writes the page.
        base: name of the base model, the one that the others vary; it gets a star.
        playground: what other settings would have selected; the page then has controls for them.
        curves: scores with curves, replicates numbered as the result's; by default the result's. All of them show how
            stable the ranking is from epoch to epoch, those of instances that the selection used are drawn.
        sources: what is known of the sources of randomness of the candidates.

    Raises:
        InputError: the folder does not exist, or ``base`` names no candidate.

    Example:
        >>> import tempfile
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1, 1.3], [5.0, 5.0, 5.0, 5.0]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"), fresh=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_page(result, Path(folder) / "page.html")
        ...     (Path(folder) / "page.html").read_text(encoding="utf-8")[:15]
        '<!DOCTYPE html>'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"expected a folder to write the page to, found none at {path.parent}")
    html = page_html(result, title, provenance, base, playground, curves, sources)
    path.write_text(html, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")


def page_html(
    result: Result,
    title: str = "Robust model selection",
    provenance: Mapping[str, str] | None = None,
    base: str | None = None,
    playground: Playground | None = None,
    curves: Table | None = None,
    sources: Sources | None = None,
) -> str:
    """Make the page; the arguments are those of ``write_page``.

    Raises:
        InputError: ``base`` names no candidate.
    """
    data = _data(result, base, curves, sources)
    if playground is not None:
        data["playground"] = playground_data(playground)
    return _page(result, title, provenance or {}, data, is_live=False, sources=sources).html


def live_page(
    result: Result,
    title: str,
    provenance: Mapping[str, str],
    base: str | None = None,
    version: str = "",
    sources: Sources | None = None,
) -> Page:
    """Make a page that asks its server every few seconds what is new; the arguments are those of ``write_page``.

    Args:
        result: as far as the study got.
        title: on top of the page.
        provenance: how to reproduce it.
        base: name of the base model.
        version: of what it shows, as the server names it.
        sources: what is known of the sources of randomness of the candidates.
    """
    data = {**_data(result, base, None, sources), "version": version, "isFinished": _is_finished(result)}
    return _page(result, title, provenance, data, is_live=True, sources=sources)


def live_update(
    result: Result,
    provenance: Mapping[str, str],
    base: str | None = None,
    version: str = "",
    sources: Sources | None = None,
) -> str:
    """Give as JSON what an open page needs to show the result as ``live_page`` would."""
    found = {
        "version": version,
        "isFinished": _is_finished(result),
        "parts": _parts(result, provenance, sources),
        "data": _data(result, base, None, sources),
    }
    return json.dumps(found, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def waiting_page(text: str) -> Page:
    """Make a page that waits for the first training; it loads itself anew when there is one.

    Example:
        >>> "no &lt;study&gt; yet" in waiting_page("no <study> yet").html
        True
    """
    script = _safe_script("'use strict';\n" + _asset("waiting.js"))
    policy = _policy(script, is_live=True)
    html = Template(_asset("waiting.html")).substitute(
        policy=escape(policy), style=_asset("page.css"), text=escape(text), script=script
    )
    return Page(html, policy)


def _page(
    result: Result,
    title: str,
    provenance: Mapping[str, str],
    data: Mapping[str, object],
    is_live: bool,
    sources: Sources | None = None,
) -> Page:
    from plotly.offline import get_plotlyjs

    plotly_script = _safe_script(get_plotlyjs())
    page_script = _safe_script("\n".join(["'use strict';", *map(_asset, _SCRIPTS)]))
    policy = _policy(plotly_script, page_script, is_live=is_live)
    sections = {
        "live": _asset("live.html") if is_live else "",
        "playground": _asset("playground.html") if "playground" in data else "",
        "stability": _asset("stability.html") if "stability" in data or is_live else "",
    }
    html = Template(_asset("page.html")).substitute(
        policy=escape(policy),
        title=escape(title),
        style=_asset("page.css"),
        data=script_json(data),
        plotly=plotly_script,
        script=page_script,
        **_parts(result, provenance, sources),
        **sections,
    )
    return Page(html, policy)


def _data(
    result: Result, base: str | None, curves: Table | None = None, sources: Sources | None = None
) -> dict[str, object]:
    if base is not None and base not in result.table.candidates:
        raise InputError(f"expected the name of a candidate as base model, came base={base!r}")
    data = page_data(result, base, curves)
    table = result.table if curves is None else curves
    if table.curves is not None:
        found = stability_data(table, result.direction, result.criterion)
        data["stability"] = {**found, "nUnused": count_unused(table, result), "selected": result.selected}
    if sources is not None:
        data["sources"] = sources_data(sources, result.selected)
    return data


def _is_finished(result: Result) -> bool:
    return result.stop_reason != "not finished"


def _parts(result: Result, provenance: Mapping[str, str], sources: Sources | None = None) -> dict[str, str]:
    """Give the pieces of HTML that change with the result, by the names they have in the page."""
    found = overview(result)
    what, how_sure = headline(found)
    return {
        "what": what,
        "how_sure": how_sure,
        "caveats": "".join(f"<li>{text}</li>" for text in (*caveats(found), *_left_out(result))),
        "numbers": _numbers(found),
        "savings": _savings(found),
        "card": _card(card_of_result(result, {"Rule": found.rule, **provenance}, sources)),
        "provenance": _provenance(result, found, provenance),
        "pruning": pruning_html(result),
        "sources": _sources(result, sources),
    }


def _left_out(result: Result) -> tuple[str, ...]:
    """Say that there are more candidates than a page can show."""
    n, n_shown = result.table.n_candidates, count_shown(result)
    if n_shown == n:
        return ()
    return (
        f"The charts and the table below show the best {n_shown:,} of {n:,} candidates one by one. What is said here "
        "is of all of them; <code>robust-select export</code> writes all scores.",
    )


def _sources(result: Result, found: Sources | None) -> str:
    """Give the section of sources of randomness; nothing where they are not known."""
    if found is None:
        return ""
    return Template(_asset("sources.html")).substitute(sources_html(found, result.selected))


def _asset(name: str) -> str:
    return (resources.files("robust_select.report") / "assets" / name).read_text(encoding="utf-8")


def _safe_script(text: str) -> str:
    """Normalise line ends, as a browser does before it hashes a script, and let nothing in it end the element."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(*scripts: str, is_live: bool = False) -> str:
    """Allow the scripts of the page by their hashes, its styles and drawn images; a live one may ask its server."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    connect = "connect-src 'self'; " if is_live else ""
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"{connect}base-uri 'none'; form-action 'none'"
    )


def _numbers(found: Overview) -> str:
    return "".join(
        f"<div><dt>{shown.label}</dt><dd><span>{shown.value}</span><em>{shown.note}</em></dd></div>"
        for shown in key_numbers(found)
    )


def _savings(found: Overview) -> str:
    """Draw what was used of what an exhaustive selection would have taken."""
    return "".join(
        f'<div><dt>{row.label}</dt><dd><span class="bar"><span style="width:{100 * row.share:.2f}%"></span></span>'
        f"<strong>{100 * (1 - row.share):.0f} % saved</strong> <em>{row.text}</em></dd></div>"
        for row in savings(found)
    )


def _card(card: Card) -> str:
    """Lay the card out, with its forms for quoting; the page gives the conditions at its end."""
    shown = card_rows(replace(card, conditions={}))
    rows = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(text)}</dd></div>" for label, text in shown)
    forms = "".join(
        f'<div class="form"><p class="controls"><strong>{name}</strong>'
        '<button type="button" class="copy">Copy</button></p>'
        f'<pre tabindex="0" aria-label="{name}">{escape(text)}</pre></div>'
        for name, text in (
            ("Sentence", sentence(card)),
            ("Markdown", card_markdown(card)),
            ("LaTeX", card_latex(card)),
        )
    )
    spread = f" <small>± {escape(card_number(card.systematic))}</small>" if card.instances > 1 else ""
    return (
        f'<div class="quote"><p class="name">{escape(card.candidate)}</p><p class="big">'
        f"{escape(card_number(card.score))}{spread}</p><p>mean score ± training systematic</p></div>"
        f'<dl class="rows">{rows}</dl><details><summary>Quote it</summary>{forms}</details>'
    )


def _provenance(result: Result, found: Overview, given: Mapping[str, str]) -> str:
    computed = {
        "Rule": found.rule,
        "Criterion": _criterion_text(result),
        "Direction": found.direction,
        "Stopped because": found.stop_reason,
        "Steps": _steps(result),
        "robust-select": __version__,
        "Python": platform.python_version(),
        "numpy": np.__version__,
    }
    rows = {**given, **{key: value for key, value in computed.items() if key not in given}}
    return "".join(
        f"<div><dt>{escape(key)}</dt><dd>{_provided(key, value)}</dd></div>"
        for key, value in ((str(key), str(value)) for key, value in rows.items())
    )


def _provided(key: str, value: str) -> str:
    """Give a line as it is, and a whole file in a box of its own, so that it is seen where the file goes on."""
    if "\n" not in value.strip():
        return escape(value)
    return f'<pre tabindex="0" aria-label="{escape(key)}">{escape(value.strip())}</pre>'


def _criterion_text(result: Result) -> str:
    tolerance = result.criterion.tolerance
    return result.criterion.name if tolerance is None else f"{result.criterion.name}, tolerance {tolerance:g}"


def _steps(result: Result) -> str:
    if not result.steps:
        return "none"
    sizes = [len(step.kept) for step in result.steps]
    shown = [*map(str, sizes[:_PER_LINE]), "…", str(sizes[-1])] if len(sizes) > _PER_LINE + 1 else map(str, sizes)
    return f"{len(sizes)}; candidates left after each: {', '.join(shown)}"
