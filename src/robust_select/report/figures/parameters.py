"""Figure 17: the values of a parameter compared, such as optimisers or activations.

Called by users. Draws what ``analysis.groups`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.groups import ParameterBoxes
from robust_select.report.figures.sizes import draw_boxes
from robust_select.report.figures.style import (
    LEFT,
    Axes,
    axes_or_new,
    better,
    house_style,
    make_logarithmic,
    shortened,
    spans_decades,
)


def draw_parameter(
    found: ParameterBoxes, is_lower_better: bool = True, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw a box of scores for each value of a parameter, the best median at the top.

    The axis of scores is logarithmic where positive values spread widely.

    Args:
        found: K values.
        is_lower_better: of the score.
        unit: of the score, for the axis.
        ax: where to draw; by default on a new figure, one column wide and as high as the boxes need.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.groups import boxes_by_parameter
        >>> from robust_select.core.tables import Table
        >>> params = ({"optimizer": "SGD"}, {"optimizer": "Adam"})
        >>> table = Table(("a", "b"), np.array([[2.0, 4.0], [1.0, 2.0]]), params=params)
        >>> draw_parameter(boxes_by_parameter(table, "optimizer")).get_xlabel()
        'score (lower is better)'
    """
    with house_style():
        n = len(found.values)
        ax = axes_or_new(ax, 0.8 + 0.22 * n)
        draw_boxes(ax, found.boxes, np.arange(n, dtype=float), 0.62, LEFT, is_vertical=False)
        names = []
        for row, value in enumerate(found.values):
            n_unusable = int(found.n_unusable[row])
            note = f", {n_unusable} unusable" if n_unusable else ""
            names.append(f"{shortened(value)} (n = {int(found.boxes.n_finite[row]) + n_unusable:,}{note})")
        ax.set_yticks(range(n), names)
        ax.set_ylim(n - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        if spans_decades(np.r_[found.boxes.lower, found.boxes.upper]):
            make_logarithmic(ax.xaxis)
        ax.set_xlabel(f"score{f' [{unit}]' if unit else ''} ({better(is_lower_better)})")
        ax.set_title(shortened(found.parameter, 40), loc="left", fontsize=7)
    return ax
