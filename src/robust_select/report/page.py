"""The page: one self-contained HTML file that a colleague opens from an e-mail and understands.

Called by the command line. Knows nothing of ledgers and trainers, and never imports matplotlib.
"""

import base64
import hashlib
import platform
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from robust_select.analysis.overview import Overview, overview
from robust_select.core.errors import InputError
from robust_select.core.version import __version__
from robust_select.report.data import page_data, script_json
from robust_select.report.words import caveats, headline, key_numbers
from robust_select.select.result import Result

_SCRIPTS = ("charts.js", "table.js", "page.js")
_PER_LINE = 5


def write_page(
    result: Result,
    path: str | Path,
    title: str = "Robust model selection",
    provenance: Mapping[str, str] | None = None,
    base: str | None = None,
) -> None:
    """Write a result as one HTML file that opens without a network.

    Args:
        result: of a selection, finished or not.
        path: where to; an existing file is replaced.
        title: on top of the page and in the browser's tab.
        provenance: how to reproduce the result, label to text (study file, command, seed, versions ...); what stands
            there under "robust-select" or "Python" replaces the version that writes the page.
        base: name of the base model, the one that the others vary; it gets a star.

    Raises:
        InputError: the folder does not exist, or ``base`` names no candidate.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"expected a folder to write the page to, found none at {path.parent}")
    html = page_html(result, title, provenance, base)
    path.write_text(html, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")


def page_html(
    result: Result,
    title: str = "Robust model selection",
    provenance: Mapping[str, str] | None = None,
    base: str | None = None,
) -> str:
    """Make the page; the arguments are those of ``write_page``.

    Raises:
        InputError: ``base`` names no candidate.
    """
    if base is not None and base not in result.table.candidates:
        raise InputError(f"expected the name of a candidate as base model, came base={base!r}")
    from plotly.offline import get_plotlyjs

    plotly_script = _safe_script(get_plotlyjs())
    page_script = _safe_script("\n".join(["'use strict';", *map(_asset, _SCRIPTS)]))
    found = overview(result)
    what, how_sure = headline(found)
    return Template(_asset("page.html")).substitute(
        policy=escape(_policy(plotly_script, page_script)),
        title=escape(title),
        style=_asset("page.css"),
        what=what,
        how_sure=how_sure,
        caveats="".join(f"<li>{text}</li>" for text in caveats(found)),
        numbers=_numbers(found),
        provenance=_provenance(result, found, provenance or {}),
        data=script_json(page_data(result, base)),
        plotly=plotly_script,
        script=page_script,
    )


def _asset(name: str) -> str:
    return (resources.files("robust_select.report") / "assets" / name).read_text(encoding="utf-8")


def _safe_script(text: str) -> str:
    """Normalise line ends, as a browser does before it hashes a script, and let nothing in it end the element."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(*scripts: str) -> str:
    """Allow the scripts of the page by their hashes, its styles and drawn images; no network at all."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _numbers(found: Overview) -> str:
    return "".join(
        f"<div><dt>{shown.label}</dt><dd><span>{shown.value}</span><em>{shown.note}</em></dd></div>"
        for shown in key_numbers(found)
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
        f"<div><dt>{escape(str(key))}</dt><dd>{escape(str(value))}</dd></div>" for key, value in rows.items()
    )


def _criterion_text(result: Result) -> str:
    tolerance = result.criterion.tolerance
    return result.criterion.name if tolerance is None else f"{result.criterion.name}, tolerance {tolerance:g}"


def _steps(result: Result) -> str:
    if not result.steps:
        return "none"
    sizes = [len(step.kept) for step in result.steps]
    shown = [*map(str, sizes[:_PER_LINE]), "…", str(sizes[-1])] if len(sizes) > _PER_LINE + 1 else map(str, sizes)
    return f"{len(sizes)}; candidates left after each: {', '.join(shown)}"
