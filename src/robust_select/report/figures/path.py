"""Figure 10: the selection path, the criterion of each candidate against the step.

Called by ``save_figures`` and by users. Draws what ``analysis.path`` computed and computes nothing itself.
"""

from collections.abc import Collection

import numpy as np

from robust_select.analysis.path import SelectionPath
from robust_select.report.figures.style import (
    BASE,
    DISCARDED,
    LEFT,
    SELECTED,
    Axes,
    MaxNLocator,
    axes_or_new,
    better,
    house_style,
    shortened,
)


def draw_selection_path(
    path: SelectionPath,
    criterion: str,
    selected: str,
    remaining: Collection[str] = (),
    base: str | None = None,
    is_lower_better: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the criterion of every candidate for as long as it was alive.

    Discarded candidates end in a cross and are the fainter the earlier that was; the selected one is bold, others
    that are left are blue, the base model carries stars. Infinite values are not drawn, nor is a candidate while it
    was set aside. The lower axis counts the instances of each candidate, or all trainings where the candidates had
    unequally many; the upper axis counts the candidates that took part.

    Args:
        path: (S, C) values and who was alive.
        criterion: its name and unit, for the axis.
        selected: the candidate to draw bold.
        remaining: candidates that are left.
        base: the base model, if there is one.
        is_lower_better: of the criterion.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.path import selection_path
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0], [5.0, 5.0]]))
        >>> result = replay(table, Halving(warmup=2), criterion("mean"))
        >>> draw_selection_path(selection_path(result), "mean", selected="a").get_xlabel()
        'instances of each candidate'
    """
    with house_style():
        ax = axes_or_new(ax, height_inches=2.9)
        n_warmup = int(path.is_warmup.sum())
        n_after = max(len(path.steps) - n_warmup, 1)
        x, values = path.progress, np.where(np.isfinite(path.values), path.values, np.nan)
        n_shown = path.n_shown
        for row, name in enumerate(path.candidates):
            if name == selected:
                continue
            n = int(n_shown[row])
            is_left = name in remaining
            colour = LEFT if is_left else DISCARDED
            alpha = 0.9 if is_left else 0.2 + 0.5 * max(n - n_warmup, 0) / n_after
            shown = values[:n, row]
            ax.plot(x[:n], shown, color=colour, alpha=alpha, linewidth=1.0 if is_left else 0.6)
            if not is_left and n:
                ends = x[n - 1], shown[-1]
                ax.plot(*ends, marker="x", markersize=3, markeredgewidth=0.6, color=colour, alpha=alpha)
        if base in path.candidates:
            row = path.candidates.index(str(base))
            n = int(n_shown[row])
            starred = slice(0 if path.is_even else max(n - 1, 0), n)  # between steps they would stand too close
            ax.plot(
                x[starred], values[starred, row], linestyle="none", marker="*", markersize=5, color=BASE, zorder=5
            )
            ax.plot([], [], linestyle="none", marker="*", color=BASE, label=f"base: {shortened(str(base))}")
        row = path.candidates.index(selected)
        ax.plot(x, values[:, row], color=SELECTED, linewidth=2.0, zorder=4, label=shortened(selected))
        if any(name != selected for name in remaining):
            ax.plot([], [], color=LEFT, label="not told apart from it")
        if len(remaining) < len(path.candidates):
            ax.plot([], [], color=DISCARDED, linewidth=0.6, marker="x", markersize=3, label="discarded")
        ax.set_xlabel("instances of each candidate" if path.is_even else "trainings of all candidates together")
        ax.set_ylabel(f"{criterion} ({better(is_lower_better)})")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _count_alive(ax, path)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, columnspacing=1.2)
    return ax


def _count_alive(ax: Axes, path: SelectionPath) -> None:
    """Write on an upper axis how many candidates took part, at the same places as the lower one's ticks."""
    x, n_alive = path.progress, path.n_alive
    upper = ax.secondary_xaxis("top")
    ticks = [int(tick) for tick in ax.get_xticks() if float(tick).is_integer() and x[0] <= tick <= x[-1]]
    upper.set_xticks(ticks, [str(n_alive[np.searchsorted(x, tick, side="right") - 1]) for tick in ticks])
    upper.set_xlabel("candidates that took part")
