"""Figure 7: loss against epoch for all instances of a candidate.

Called by ``save_figures`` and by users. Draws what ``analysis.curves`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.curves import CurveBand
from robust_select.report.figures.style import (
    DISCARDED,
    SELECTED,
    Axes,
    MaxNLocator,
    axes_or_new,
    better,
    house_style,
    make_logarithmic,
    shortened,
    spans_decades,
)


def draw_curves(
    found: CurveBand, name: str, is_lower_better: bool = True, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the curve of every instance thin, their median bold, the quartiles as a band.

    The axis of scores is logarithmic where positive values spread widely.

    Args:
        found: (R, E) curves.
        name: of the candidate, for the legend.
        is_lower_better: of the score.
        unit: of the score, for the axis.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.curves import curve_band
        >>> draw_curves(curve_band(np.array([[3.0, 1.0], [5.0, 2.0]])), "small").get_ylabel()
        'score (lower is better)'
    """
    with house_style():
        ax = axes_or_new(ax)
        epochs = np.arange(1, found.curves.shape[1] + 1)
        n = len(found.curves)
        alpha = min(0.6, max(0.12, 12 / n))
        for row, curve in enumerate(found.curves):
            label = f"{n:,} instance{'' if n == 1 else 's'}" if row == 0 else None
            ax.plot(epochs, curve, color=DISCARDED, alpha=alpha, linewidth=0.5, label=label)
        ax.fill_between(epochs, found.q1, found.q3, color=SELECTED, alpha=0.25, linewidth=0, label="middle half")
        ax.plot(epochs, found.median, color=SELECTED, linewidth=1.6, label="median")
        if spans_decades(found.curves):
            make_logarithmic(ax.yaxis)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("epoch")
        ax.set_ylabel(f"score{f' [{unit}]' if unit else ''} ({better(is_lower_better)})")
        broken = f", {found.n_broken} with gaps" if found.n_broken else ""
        ax.set_title(f"{shortened(name, 40)}{broken}", loc="left", fontsize=7)
        legend = ax.legend(loc="best")
        for handle in legend.get_lines():
            handle.set_alpha(1)
    return ax
