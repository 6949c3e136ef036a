"""Figures for print: records and arrays in, matplotlib Axes out; ``save_figures`` writes those of a result.

Called by the command line and by users. The only room that loads matplotlib (extra ``figures``).
"""

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from robust_select.analysis.chosen import top_n_of_result
from robust_select.analysis.curves import curve_band
from robust_select.analysis.distributions import score_densities
from robust_select.analysis.fractions import criterion_fractions
from robust_select.analysis.front import spread_front
from robust_select.analysis.histograms import score_histograms
from robust_select.analysis.path import selection_path
from robust_select.analysis.stability import epoch_scores
from robust_select.analysis.stability import stability as stability_of  # a module beside this one has its name
from robust_select.analysis.times import step_times
from robust_select.analysis.trainings import trained_by_step, training_counts
from robust_select.core.errors import InputError
from robust_select.report.figures.chosen import draw_top_n
from robust_select.report.figures.costs import draw_rule_costs
from robust_select.report.figures.curves import draw_curves
from robust_select.report.figures.densities import draw_score_densities
from robust_select.report.figures.fractions import draw_criterion_fractions
from robust_select.report.figures.front import draw_mean_spread
from robust_select.report.figures.histograms import draw_score_histogram, draw_source_histograms
from robust_select.report.figures.parameters import draw_parameter
from robust_select.report.figures.path import draw_selection_path
from robust_select.report.figures.sizes import draw_fine_sizes, draw_sizes
from robust_select.report.figures.sources import draw_sources
from robust_select.report.figures.stability import draw_epoch_scores, draw_overlap, draw_tau_densities
from robust_select.report.figures.style import Axes, figure_of, house_style, make_logarithmic, spans_decades
from robust_select.report.figures.times import draw_step_times
from robust_select.report.figures.trainings import draw_trained_by_step, draw_trainings
from robust_select.select.result import Result

__all__ = [
    "Format",
    "draw_criterion_fractions",
    "draw_curves",
    "draw_epoch_scores",
    "draw_fine_sizes",
    "draw_mean_spread",
    "draw_overlap",
    "draw_parameter",
    "draw_rule_costs",
    "draw_score_densities",
    "draw_score_histogram",
    "draw_selection_path",
    "draw_sizes",
    "draw_source_histograms",
    "draw_sources",
    "draw_step_times",
    "draw_tau_densities",
    "draw_top_n",
    "draw_trained_by_step",
    "draw_trainings",
    "house_style",
    "save_figure",
    "save_figures",
]

Format = Literal["pdf", "svg", "png"]

_LEAST_REPLICATES = 2  # of all candidates: one ranking says nothing of how rankings agree
_ENOUGH_FOR_BARS = 5  # scores of the selected candidate: fewer are no distribution
_METADATA = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}  # the same bytes each time


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
        The files, in the order of the figures' numbers: those that the result has data for.

    Raises:
        InputError: an unknown format, or ``base`` names no candidate.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 1.2, 1.1], [5.0, 5.2, 5.1]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.stem[:2] for path in save_figures(result, folder, "svg")]
        ['04', '10', '11', '12', '12', '14', '16']
    """
    if format not in get_args(Format):
        raise InputError(f"expected a format among {', '.join(get_args(Format))}, came format={format!r}")
    if base is not None and base not in result.table.candidates:
        raise InputError(f"expected the name of a candidate as base model, came base={base!r}")
    drawn = {**_draw_epochs(result, unit), **_draw_scores(result, unit), **_draw_selection(result, base, unit)}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(save_figure(ax, folder / f"{stem}.{format}") for stem, ax in sorted(drawn.items()))


def save_figure(ax: Axes, path: str | Path) -> Path:
    """Save the figure that axes belong to in the house style; the same figure gives the same bytes each time.

    Args:
        ax: one of the figure's axes.
        path: where to; its suffix says the format: .pdf, .svg or .png.

    Raises:
        InputError: another suffix.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from robust_select.analysis.curves import curve_band
        >>> ax = draw_curves(curve_band(np.array([[3.0, 1.0], [5.0, 2.0]])), "small")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_figure(ax, Path(folder) / "curves.svg").name
        'curves.svg'
    """
    path = Path(path)
    format = path.suffix.removeprefix(".")
    if format not in _METADATA:
        raise InputError(f"expected a file name ending in .pdf, .svg or .png, came {path.name!r}")
    with house_style():
        figure_of(ax).draw_without_rendering()  # the ticks settle with the first layout, their room with the next
        figure_of(ax).savefig(path, format=format, metadata=_METADATA[format])
    return path


def _draw_epochs(result: Result, unit: str) -> dict[str, Axes]:
    """Draw what the curves say of pruning by epochs; nothing where they cannot be compared."""
    table, direction = result.table, result.direction
    try:
        found = stability_of(table, direction)
    except InputError:  # no curves, of different lengths, or no replicate in which all candidates were trained
        return {}
    if found.n_replicates < _LEAST_REPLICATES:
        return {}
    scores = epoch_scores(table, min(found.guessing_before, found.n_epochs - 1), direction)
    return {
        "01-epoch-scores": draw_epoch_scores(scores, direction == "minimize", unit),
        "02-tau-by-epoch": draw_tau_densities(score_densities(found.tau.T), found.tau),
        "03-overlap-by-epoch": draw_overlap(found.overlap, found.n_top, found.n_candidates),
    }


def _draw_scores(result: Result, unit: str) -> dict[str, Axes]:
    """Draw what does not depend on who was discarded when."""
    table, is_lower = result.table, result.direction == "minimize"
    row = table.candidates.index(result.selected)
    drawn = {}
    fractions = criterion_fractions(table, result.direction)
    if np.isfinite(fractions.values).any():
        drawn["04-criterion-fractions"] = draw_criterion_fractions(fractions, is_lower, unit)
    if np.isfinite(table.scores[row]).sum() >= _ENOUGH_FOR_BARS:
        histogram = score_histograms({result.selected: table.scores[row]}, result.direction)
        drawn["05-score-histogram"] = draw_score_histogram(histogram, is_lower, unit)
    if table.curves is not None and not np.isnan(table.curves[row]).all():
        drawn["07-curves"] = draw_curves(curve_band(table.curves[row]), result.selected, is_lower, unit)
    drawn["11-score-densities"] = draw_score_densities(
        score_densities(table.scores), row, result.selected, is_lower, unit
    )
    top_n = top_n_of_result(result) if table.n_candidates > 1 else None
    if top_n is not None:
        drawn["14-top-n"] = draw_top_n(top_n)
    return drawn


def _draw_selection(result: Result, base: str | None, unit: str) -> dict[str, Axes]:
    """Draw the way of the selection and what it came to."""
    is_lower = result.direction == "minimize"
    others = [name for name in result.remaining if name != result.selected]
    path, front = selection_path(result), spread_front(result.table, result.direction)
    name = f"{result.criterion.name}{f' [{unit}]' if unit else ''}"
    is_low = is_lower or result.criterion.kind == "spread"
    drawn = {}
    if len(path.steps):
        ax = draw_selection_path(path, name, result.selected, result.remaining, base, is_low)
        if spans_decades(path.values):
            make_logarithmic(ax.yaxis)
        drawn["10-selection-path"] = ax
        drawn["12-by-step"] = draw_trained_by_step({result.rule: trained_by_step(result)})
    drawn["12-trainings"] = draw_trainings(training_counts(result), result.selected, base)
    times = step_times(result)
    if times is not None:
        drawn["15-step-times"] = draw_step_times(times, name, result.selected, is_low)[0]
    ax = draw_mean_spread(front, result.selected, others, base, is_lower, unit)
    if spans_decades(front.means):
        make_logarithmic(ax.xaxis)
    drawn["16-mean-spread"] = ax
    return drawn
