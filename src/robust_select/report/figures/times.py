"""Figure 15: score against training time at each step, kept and removed.

Called by ``save_figures`` and by users. Draws what ``analysis.times`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.times import StepTimes
from robust_select.report.figures.style import (
    COLUMN_INCHES,
    DISCARDED,
    LEFT,
    SELECTED,
    Axes,
    Figure,
    better,
    house_style,
    make_logarithmic,
    shortened,
    spans_decades,
)

_PER_ROW = 2


def draw_step_times(
    found: StepTimes, criterion: str, selected: str, is_lower_better: bool = True
) -> tuple[Axes, ...]:
    """Draw a panel a step: each candidate's criterion against the time that one training takes.

    Axes over which positive values spread widely are logarithmic. A candidate of infinite criterion is not drawn.

    Args:
        found: (S, C) what was known at each step.
        criterion: its name and unit, for the axis.
        selected: the candidate to draw as a diamond.
        is_lower_better: of the criterion.

    Returns:
        (S,) axes of one figure, one column wide.

    Example:
        >>> from robust_select.analysis.times import step_times
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> scores = np.array([[1.0, 1.2, 1.1], [5.0, 5.0, 5.0]])
        >>> result = replay(Table(("a", "b"), scores, np.ones((2, 3))), Halving(2), criterion("mean"))
        >>> len(draw_step_times(step_times(result), "mean", selected="a"))
        1
    """
    with house_style():
        n_steps = len(found.steps)
        n_rows = -(-n_steps // _PER_ROW)
        figure = Figure(figsize=(COLUMN_INCHES, 0.75 + 1.25 * n_rows))
        grid = figure.subplots(n_rows, min(_PER_ROW, n_steps), sharex=True, sharey=True, squeeze=False)
        panels = tuple(grid.ravel()[:n_steps])
        names = np.array(found.candidates, dtype=object)
        is_drawn = np.isfinite(found.values) & np.isfinite(found.seconds)
        for row, ax in enumerate(panels):
            removed = found.is_removed[row]
            groups = (
                (~removed & (names != selected), LEFT, "o", "kept", 9),
                (removed, DISCARDED, "x", "removed", 11),
                (names == selected, SELECTED, "D", shortened(selected), 18),
            )
            for members, colour, marker, label, size in groups:
                shown = members & is_drawn[row]
                ax.scatter(
                    found.seconds[row, shown],
                    found.values[row, shown],
                    s=size,
                    marker=marker,
                    color=colour,
                    linewidths=0.7,
                    alpha=0.85,
                    label=label,
                )
            n_lost = int((~np.isnan(found.values[row]) & ~is_drawn[row]).sum())
            lost = f" ({n_lost} not drawn)" if n_lost else ""
            ax.set_title(
                f"step {found.steps[row]}, {found.trainings[row]:,} trainings{lost}", loc="left", fontsize=6.5
            )
        for ax in grid.ravel()[n_steps:]:
            ax.set_visible(False)
        if spans_decades(found.seconds[is_drawn]):
            make_logarithmic(panels[0].xaxis, is_small=True)
        if spans_decades(found.values[is_drawn]):
            make_logarithmic(panels[0].yaxis)
        figure.supxlabel("time of one training [s]", fontsize=8)
        figure.supylabel(f"{criterion} ({better(is_lower_better)})", fontsize=8)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, columnspacing=1.2)
    return panels
