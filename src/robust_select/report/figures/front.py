"""Figure 16: mean against spread, with the Pareto front.

Called by ``save_figures`` and by users. Draws what ``analysis.front`` computed and computes nothing itself.
"""

from collections.abc import Collection

import numpy as np

from robust_select.analysis.front import SpreadFront
from robust_select.report.figures.style import (
    BASE,
    DISCARDED,
    FRONT,
    LEFT,
    SELECTED,
    Axes,
    MaxNLocator,
    axes_or_new,
    better,
    house_style,
    shortened,
)


def draw_mean_spread(
    front: SpreadFront,
    selected: str,
    remaining: Collection[str] = (),
    base: str | None = None,
    is_lower_better: bool = True,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw mean against standard deviation of every candidate's scores; hollow points rest on too few instances.

    Args:
        front: (C,) means, spreads, and who is on the front.
        selected: the candidate to draw as a diamond.
        remaining: candidates that are left.
        base: the base model, drawn as a star, if there is one.
        is_lower_better: of the score.
        unit: of the score, for the axes.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.front import spread_front
        >>> from robust_select.core.tables import Table
        >>> table = Table(("good", "steady", "bad"), np.array([[1.0, 2.0], [3.0, 3.1], [5.0, 9.0]]))
        >>> draw_mean_spread(spread_front(table, "minimize"), selected="good").get_xlabel()
        'mean score (lower is better)'
    """
    with house_style():
        ax = axes_or_new(ax, height_inches=3.0)
        names = np.array(front.candidates, dtype=object)
        is_drawn = np.isfinite(front.means) & np.isfinite(front.spreads)
        is_left = np.isin(names, np.array(list(remaining), dtype=object)) & (names != selected)
        groups = (
            (is_drawn & ~is_left & (names != selected), DISCARDED, "discarded"),
            (is_drawn & is_left, LEFT, "not told apart from it"),
        )
        for is_member, colour, label in groups:
            for is_hollow, note in ((False, ""), (True, f" (n < {front.min_instances})")):
                rows = is_member & (front.is_compared != is_hollow)
                if rows.any():
                    face = "none" if is_hollow else colour
                    ax.scatter(
                        front.means[rows],
                        front.spreads[rows],
                        s=12,
                        facecolors=face,
                        edgecolors=colour,
                        linewidths=0.7,
                        alpha=0.85,
                        label=label + note,
                    )
        _draw_front(ax, front, is_lower_better)
        for name, marker, colour, label in ((base, "*", BASE, "base: "), (selected, "D", SELECTED, "")):
            rows = is_drawn & (names == name)
            if name is not None and rows.any():
                shown = front.means[rows], front.spreads[rows]
                ax.scatter(*shown, s=34, marker=marker, color=colour, zorder=4, label=label + shortened(name))
        shown_unit = f" [{unit}]" if unit else ""
        ax.set_xlabel(f"mean score{shown_unit} ({better(is_lower_better)})")
        ax.set_ylabel(f"standard deviation{shown_unit}")
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        n_missing = len(names) - int(is_drawn.sum())
        if n_missing:
            ax.set_title(f"{n_missing} of {len(names)} candidates have no finite spread", loc="left", fontsize=7)
        if is_drawn.any():
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, columnspacing=1.2)
    return ax


def _draw_front(ax: Axes, front: SpreadFront, is_lower_better: bool) -> None:
    rows = np.flatnonzero(front.is_on_front)
    if len(rows) == 0:
        return
    means = front.means[rows]
    order = np.argsort(means if is_lower_better else -means, kind="stable")
    ax.plot(
        means[order],
        front.spreads[rows][order],
        drawstyle="steps-post",
        color=FRONT,
        linewidth=1.2,
        marker="o",
        markersize=8,
        markerfacecolor="none",
        label="Pareto front",
        zorder=3,
    )
