"""Figures 8 and 9: scores against the training sample size, as box plots side by side and over a fine grid.

Called by users. Draws what ``analysis.groups`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.distributions import Boxes
from robust_select.analysis.groups import SizeBoxes
from robust_select.core.errors import InputError
from robust_select.core.protocols import Floats
from robust_select.report.figures.style import (
    COLUMN_INCHES,
    SERIES,
    Axes,
    axes_or_new,
    better,
    figure_of,
    house_style,
    make_logarithmic,
    shortened,
    spans_decades,
)

_WIDTH = 0.8  # of all boxes of one size together


def draw_boxes(
    ax: Axes, found: Boxes, positions: Floats, width: float, colour: str, is_vertical: bool = True
) -> None:
    """Draw Tukey's boxes at positions, without the scores beyond the whiskers; where there is no score, none."""
    rows = np.flatnonzero(found.n_finite > 0)
    boxes = [
        {
            "whislo": found.lower[row],
            "q1": found.q1[row],
            "med": found.median[row],
            "q3": found.q3[row],
            "whishi": found.upper[row],
        }
        for row in rows
    ]
    line = {"color": colour, "linewidth": 0.8}
    ax.bxp(
        boxes,
        positions=positions[rows],
        widths=width,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        orientation="vertical" if is_vertical else "horizontal",
        boxprops={"facecolor": f"{colour}40", "edgecolor": colour, "linewidth": 0.8},
        medianprops={"color": colour, "linewidth": 1.4},
        whiskerprops=line,
        capprops=line,
    )


def draw_sizes(found: SizeBoxes, is_lower_better: bool = True, unit: str = "", ax: Axes | None = None) -> Axes:
    """Draw box plots against training sample size, the candidates side by side.

    The axis of scores is logarithmic where positive values spread widely.

    Args:
        found: K candidates or baselines at S sizes; not more than 7.
        is_lower_better: of the score.
        unit: of the score, for the axis.
        ax: where to draw; by default on a new figure, one column wide up to 24 boxes and two columns for more.

    Returns:
        The axes.

    Raises:
        InputError: more than 7 names.

    Example:
        >>> from robust_select.analysis.groups import boxes_by_size
        >>> found = boxes_by_size({"a": {100: np.array([3.0, 4.0]), 1000: np.array([1.0, 1.1])}})
        >>> draw_sizes(found).get_xlabel()
        'training examples'
    """
    _check_number(found)
    with house_style():
        n_boxes = len(found.names) * len(found.sizes)
        ax = axes_or_new(ax, 2.9, COLUMN_INCHES * (1 if n_boxes <= 24 else 2))
        places = np.arange(len(found.sizes), dtype=float)
        width = _WIDTH / len(found.names)
        for row, name in enumerate(found.names):
            colour, _, _ = SERIES[row]
            offset = (row - (len(found.names) - 1) / 2) * width
            draw_boxes(ax, found.of(row), places + offset, 0.82 * width, colour)
            ax.plot([], [], color=colour, linewidth=4, alpha=0.5, label=shortened(name))
        for place in places[1:]:
            ax.axvline(place - 0.5, color="#E0E0E0", linewidth=0.5, zorder=0)
        n_sizes = len(found.sizes)
        is_narrow = n_sizes > 2.2 * figure_of(ax).get_figwidth()
        ax.set_xticks(places, [f"{size:,}" for size in found.sizes], rotation=45 if is_narrow else 0)
        ax.set_xlim(-0.5, n_sizes - 0.5)
        _label(ax, found, is_lower_better, unit)
    return ax


def draw_fine_sizes(found: SizeBoxes, is_lower_better: bool = True, unit: str = "", ax: Axes | None = None) -> Axes:
    """Draw medians, quartiles and whiskers over a fine logarithmic grid of training sample sizes, as bands.

    Args:
        found: K candidates or baselines at S sizes; not more than 7.
        is_lower_better: of the score.
        unit: of the score, for the axis.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Raises:
        InputError: more than 7 names.

    Example:
        >>> from robust_select.analysis.groups import boxes_by_size
        >>> found = boxes_by_size({"a": {100: np.array([3.0, 4.0]), 1000: np.array([1.0, 1.1])}})
        >>> draw_fine_sizes(found).get_xscale()
        'log'
    """
    _check_number(found)
    with house_style():
        ax = axes_or_new(ax, 2.9)
        for row, name in enumerate(found.names):
            colour, line, marker = SERIES[row]
            box = found.of(row)
            rows = box.n_finite > 0
            x = found.sizes[rows]
            ax.fill_between(x, box.lower[rows], box.upper[rows], color=colour, alpha=0.12, linewidth=0)
            ax.fill_between(x, box.q1[rows], box.q3[rows], color=colour, alpha=0.3, linewidth=0)
            ax.plot(
                x,
                box.median[rows],
                color=colour,
                linestyle=line,
                marker=marker,
                markersize=2.5,
                linewidth=1.2,
                label=shortened(name),
            )
        make_logarithmic(ax.xaxis)
        _label(ax, found, is_lower_better, unit, "line: median; bands: middle half, whiskers")
    return ax


def _check_number(found: SizeBoxes) -> None:
    if len(found.names) > len(SERIES):
        raise InputError(f"expected {len(SERIES)} candidates or baselines at most, came {len(found.names)}")


def _label(ax: Axes, found: SizeBoxes, is_lower_better: bool, unit: str, note: str = "") -> None:
    box = found.boxes
    if spans_decades(np.r_[box.lower, box.upper]):
        make_logarithmic(ax.yaxis)
    n_unusable = int(found.n_unusable.sum())
    unusable = f"{n_unusable:,} diverged or failed, not drawn" if n_unusable else ""
    ax.set_xlabel("\n".join(["training examples", *filter(None, (note, unusable))]))
    ax.set_ylabel(f"score{f' [{unit}]' if unit else ''} ({better(is_lower_better)})")
    n_columns = min(len(found.names), 2 if figure_of(ax).get_figwidth() <= COLUMN_INCHES else 4)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=n_columns, columnspacing=1.2)
