"""The numbers that the page's script draws, as one dictionary fit for JSON.

Called by the page. Computes nothing that belongs to analysis; knows nothing of HTML.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from robust_select.analysis.distributions import boxes
from robust_select.analysis.front import spread_front
from robust_select.analysis.path import SelectionPath, selection_path
from robust_select.analysis.stability import stability
from robust_select.core.candidates import name_of
from robust_select.core.errors import InputError
from robust_select.core.protocols import Direction, Floats
from robust_select.core.tables import Table
from robust_select.report.evidence import bins_data, curves_data, top_n_data, used_curves
from robust_select.report.numbers import plain_number, plain_numbers
from robust_select.select.result import Result
from robust_select.stats.criteria import CRITERIA, Criterion

_DRAWN_DIGITS = 6
_MOST_CURVES = 60  # replicates drawn one by one
_MOST_SHOWN = 1000  # candidates one by one: more nobody reads, and no browser draws
_MOST_SCORES = 250_000  # of theirs, all together: the page stays small enough for an e-mail
_LEAST_SHOWN = 50


def page_data(result: Result, base: str | None = None, curves: Table | None = None) -> dict[str, Any]:
    """Gather what the page shows; candidates in the order of the summary, the selected first.

    Where there are more candidates than ``count_shown`` says, only the first ones and the base model are there one by
    one.

    Args:
        result: of a selection.
        base: name of the base model, if there is one.
        curves: scores with curves, replicates numbered as the result's; by default the result's. Drawn are those of
            instances that the selection used.

    Returns:
        A dictionary of plain values. Numbers that are not known are None, infinite ones the text "inf" or "-inf".
    """
    table = result.table
    position = {name: row for row, name in enumerate(table.candidates)}
    summary = result.summary()
    n_shown_at_all = count_shown(result, summary)
    if n_shown_at_all < len(summary):
        is_shown = (np.arange(len(summary)) < n_shown_at_all) | (summary["candidate"] == base).to_numpy()
        summary = summary[is_shown]
    names = [str(name) for name in summary["candidate"]]
    rows = np.array([position[name] for name in names], dtype=np.int64)
    path = selection_path(result)
    n_shown, signs = path.n_shown, _signs(result, path)
    box = boxes(table.scores[rows])
    front = spread_front(table, result.direction)
    discarded_at = [result.discarded_at[row] for row in rows.tolist()]
    left = set(result.remaining)
    return {
        "criterion": result.criterion.name,
        "kind": result.criterion.kind,
        "direction": result.direction,
        "base": names.index(base) if base in position else None,
        "names": names,
        "seconds": plain_numbers(_pace(table)[rows], _DRAWN_DIGITS),
        "position": rows.tolist(),
        "isLeft": [name in left for name in names],
        "discardedAt": discarded_at,
        "caveats": [str(text) for text in summary["caveats"]],
        "instances": [int(n) for n in summary["instances"]],
        "unusable": [int(n) for n in summary["unusable"]],
        "criteria": {
            str(key): plain_numbers(summary[key].to_numpy(dtype=float), _DRAWN_DIGITS)
            for key in summary.columns
            if key in CRITERIA
        },
        "params": _params([table.params[row] for row in rows.tolist()]),
        "scores": [plain_numbers(_without_end(table.scores[row])) for row in rows.tolist()],
        "bins": bins_data(table.scores[rows]),
        "curves": curves_data(used_curves(table if curves is None else curves, result), names),
        "topN": top_n_data(result),
        "nCandidates": table.n_candidates,
        "nTrainings": result.trainings,
        "path": {
            "x": path.progress.tolist(),
            "isEven": path.is_even,
            "alive": path.n_alive.tolist(),
            "isWarmup": path.is_warmup.tolist(),
            "steps": path.steps.tolist(),
            "trainings": path.trainings.tolist(),
            "removed": (signs == "r").sum(axis=1).tolist(),
            "states": ["".join(signs[: n_shown[row], row].tolist()) for row in rows.tolist()],
            "values": [plain_numbers(path.values[: n_shown[row], row], _DRAWN_DIGITS) for row in rows.tolist()],
            "counts": None if path.is_even else [path.counts[: n_shown[row], row].tolist() for row in rows.tolist()],
        },
        "boxes": {
            key: plain_numbers(getattr(box, key), _DRAWN_DIGITS) for key in ("lower", "q1", "median", "q3", "upper")
        },
        "front": {
            "means": plain_numbers(front.means[rows], _DRAWN_DIGITS),
            "spreads": plain_numbers(front.spreads[rows], _DRAWN_DIGITS),
            "isCompared": front.is_compared[rows].tolist(),
            "isOnFront": front.is_on_front[rows].tolist(),
            "minInstances": front.min_instances,
        },
    }


def count_shown(result: Result, summary: pd.DataFrame | None = None) -> int:
    """Count the candidates that the page shows one by one: the best, and all of them unless they are very many.

    Args:
        result: of a selection.
        summary: of the result, if it is known.
    """
    n = result.table.n_candidates
    if n <= _LEAST_SHOWN or (n <= _MOST_SHOWN and result.trainings <= _MOST_SCORES):
        return n
    counts = (result.summary() if summary is None else summary)["instances"].to_numpy()
    n_fit = int(np.searchsorted(np.cumsum(counts), _MOST_SCORES, side="right"))
    return min(max(n_fit, _LEAST_SHOWN), _MOST_SHOWN, n)


def stability_data(table: Table, direction: Direction, by: Criterion) -> dict[str, Any]:
    """Gather how the ranking after each epoch agrees with the last one, or why that cannot be said.

    Args:
        table: with curves.
        direction: of the scores.
        by: the criterion that says who is best.
    """
    try:
        found = stability(table, direction, by=by)
    except InputError as error:
        return {"problem": str(error)}
    return {
        "verdict": found.verdict,
        "best": found.best,
        "nReplicates": found.n_replicates,
        "nTop": found.n_top,
        "tau": [plain_numbers(row, _DRAWN_DIGITS) for row in found.tau[:_MOST_CURVES]],
        "tauMean": plain_numbers(found.tau.mean(axis=0), _DRAWN_DIGITS),
        "overlapMean": plain_numbers(found.overlap.mean(axis=0), _DRAWN_DIGITS),
        "lost": plain_numbers(found.lost, _DRAWN_DIGITS),
    }


def script_json(data: Mapping[str, Any]) -> str:
    r"""Write JSON that may stand inside a script element of an HTML page: ASCII, without ``<``, ``>`` and ``&``.

    Example:
        >>> script_json({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _pace(table: Table) -> Floats:
    """(C,) mean seconds of one training of each candidate; nan where none is known."""
    if table.seconds is None:
        return np.full(table.n_candidates, np.nan)
    is_known = ~np.isnan(table.scores) & ~np.isnan(table.seconds)
    counts = is_known.sum(axis=1)
    total = np.where(is_known, table.seconds, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, counts, out=np.full(len(total), np.nan), where=counts > 0))


def _signs(result: Result, path: SelectionPath) -> "np.ndarray[Any, np.dtype[np.str_]]":
    """(S, C) one sign a point and candidate: "k" took part and was kept, "r" removed there, "-" was out."""
    signs = np.where(path.is_alive, "k", "-")
    at_step = {(step.step, step.trainings): step.removed for step in result.steps}
    position = {name: row for row, name in enumerate(result.table.candidates)}
    for point, key in enumerate(zip(path.steps.tolist(), path.trainings.tolist(), strict=True)):
        if not path.is_warmup[point]:
            removed = [position[name] for name in at_step.get(key, ())]
            signs[point, [row for row in removed if path.is_alive[point, row]]] = "r"
    return signs


def _without_end(scores: Floats) -> Floats:
    """Leave out the replicates after the last one that was trained."""
    known = np.flatnonzero(~np.isnan(scores))
    return scores[: known[-1] + 1] if len(known) else scores[:0]


def _params(params: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give one column a parameter: its label and a plain value a candidate."""
    keys = list(dict.fromkeys(key for row in params for key in row))
    return [{"label": str(key), "values": [_shown(row.get(key)) for row in params]} for key in keys]


def _shown(value: Any) -> float | int | str | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return value
    if isinstance(value, float):
        return plain_number(value)
    try:
        return name_of({"": value})[1:]
    except InputError:
        return type(value).__name__  # its repr holds a memory address: nothing that a reader could use
