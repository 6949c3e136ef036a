"""Figure 14: the probability that the true best candidate is among the chosen top N.

Called by ``save_figures`` and by users. Draws what ``analysis.chosen`` computed and computes nothing itself.
"""

from robust_select.analysis.chosen import TopN
from robust_select.report.figures.style import (
    SERIES,
    Axes,
    MaxNLocator,
    axes_or_new,
    house_style,
    make_logarithmic,
)

_MANY = 40


def draw_top_n(found: TopN, ax: Axes | None = None) -> Axes:
    """Draw how likely the true best is among the first N, against N.

    Args:
        found: (K, N) probabilities.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> import numpy as np
        >>> from robust_select.analysis.chosen import top_n_of_table
        >>> from robust_select.core.tables import Table
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0, 1.2, 1.1], [2.0, 2.1, 2.2, 2.3]]))
        >>> draw_top_n(top_n_of_table(table, n_instances=[1, 2])).get_xlabel()
        'the best is among the first N of 2 candidates'
    """
    with house_style():
        ax = axes_or_new(ax)
        for row, label in enumerate(found.labels):
            colour, line, marker = SERIES[row % len(SERIES)]
            has_marks = found.n_candidates <= _MANY
            ax.plot(
                found.sizes,
                found.probabilities[row],
                color=colour,
                linestyle=line,
                marker=marker if has_marks else None,
                markersize=2.5,
                linewidth=1.2,
                label=label,
            )
        ax.axhline(0.95, color="#B0B0B0", linewidth=0.6, zorder=0)
        ax.annotate(
            "95 %", (1, 0.95), xycoords=("axes fraction", "data"), ha="right", va="top", fontsize=6, color="#707070"
        )
        ax.set_ylim(0, 1.03)
        if found.n_candidates > _MANY:
            make_logarithmic(ax.xaxis)
        else:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel(f"the best is among the first N of {found.n_candidates:,} candidates")
        ax.set_ylabel("probability")
        ax.legend(loc="lower right", title="ranking by", title_fontsize=7)
    return ax
