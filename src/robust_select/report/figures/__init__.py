"""Figures for print: records and arrays in, matplotlib Axes out; ``save_figures`` writes those of a result.

Called by the command line and by users. The only room that loads matplotlib (extra ``figures``).
"""

from pathlib import Path
from typing import Literal, get_args

from robust_select.analysis.distributions import score_densities
from robust_select.analysis.front import spread_front
from robust_select.analysis.path import selection_path
from robust_select.analysis.trainings import training_counts
from robust_select.core.errors import InputError
from robust_select.report.figures.densities import draw_score_densities
from robust_select.report.figures.front import draw_mean_spread
from robust_select.report.figures.path import draw_selection_path
from robust_select.report.figures.style import figure_of, house_style, make_logarithmic, spans_decades
from robust_select.report.figures.trainings import draw_trainings
from robust_select.select.result import Result

__all__ = [
    "Format",
    "draw_mean_spread",
    "draw_score_densities",
    "draw_selection_path",
    "draw_trainings",
    "house_style",
    "save_figures",
]

Format = Literal["pdf", "svg", "png"]


def save_figures(
    result: Result, folder: str | Path, format: Format = "pdf", base: str | None = None, unit: str = ""
) -> tuple[Path, ...]:
    """Draw the figures of a result and save each as a file.

    Axes over which positive values spread widely are made logarithmic.

    Args:
        result: of a selection.
        folder: where to; made if there is none.
        format: "pdf", "svg" or "png".
        base: name of the base model, if there is one.
        unit: of the score, for the axes.

    Returns:
        The files, in the order of the figures' numbers. Without steps there is no selection path.

    Raises:
        InputError: an unknown format, or ``base`` names no candidate.
    """
    if format not in get_args(Format):
        raise InputError(f"expected a format among {', '.join(get_args(Format))}, came format={format!r}")
    table, others = result.table, [name for name in result.remaining if name != result.selected]
    if base is not None and base not in table.candidates:
        raise InputError(f"expected the name of a candidate as base model, came base={base!r}")
    is_lower = result.direction == "minimize"
    path, front = selection_path(result), spread_front(table, result.direction)
    drawn = {}
    if len(path.steps):
        name = f"{result.criterion.name}{f' [{unit}]' if unit else ''}"
        is_low = is_lower or result.criterion.kind == "spread"
        ax = draw_selection_path(path, name, result.selected, result.remaining, base, is_low)
        if spans_decades(path.values):
            make_logarithmic(ax.yaxis)
        drawn["10-selection-path"] = ax
    drawn["11-score-densities"] = draw_score_densities(
        score_densities(table.scores), table.candidates.index(result.selected), result.selected, is_lower, unit
    )
    drawn["12-trainings"] = draw_trainings(training_counts(result), result.selected, base)
    ax = draw_mean_spread(front, result.selected, others, base, is_lower, unit)
    if spans_decades(front.means):
        make_logarithmic(ax.xaxis)
    drawn["16-mean-spread"] = ax
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[format]  # the same bytes each time
    files = []
    with house_style():
        for stem, ax in drawn.items():
            files.append(folder / f"{stem}.{format}")
            figure_of(ax).draw_without_rendering()  # the ticks settle with the first layout, their room with the next
            figure_of(ax).savefig(files[-1], format=format, metadata=metadata)
    return tuple(files)
