"""Figure 4: the fraction of candidates with a criterion below a loss, for the six criteria.

Called by ``save_figures`` and by users. Draws what ``analysis.fractions`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.fractions import Fractions
from robust_select.report.figures.style import SERIES, Axes, axes_or_new, house_style


def draw_criterion_fractions(
    found: Fractions, is_lower_better: bool = True, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw for each criterion which fraction of the candidates is at least so good.

    A candidate that a diverged instance makes infinitely bad counts, so a curve may end below 1.

    Args:
        found: (K, C) sorted values.
        is_lower_better: of the score.
        unit: of the score, for the axis.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.fractions import criterion_fractions
        >>> from robust_select.core.tables import Table
        >>> table = Table(("a", "b"), np.array([[1.0, 3.0], [2.0, 2.0]]))
        >>> draw_criterion_fractions(criterion_fractions(table)).get_ylabel()
        'fraction of 2 candidates'
    """
    with house_style():
        ax = axes_or_new(ax)
        for k, name in enumerate(found.criteria):
            colour, line, _ = SERIES[k % len(SERIES)]
            n, row = int(found.n_known[k]), found.values[k]
            shown = row[np.isfinite(row)]
            if len(shown):
                heights = np.arange(1, len(shown) + 1) / n
                ax.step(
                    np.r_[shown[0], shown],
                    np.r_[0.0, heights],
                    where="post",
                    color=colour,
                    linestyle=line,
                    linewidth=1.2,
                    label=name,
                )
        ax.set_ylim(0, 1.02)
        side = "at most" if is_lower_better else "at least"
        ax.set_xlabel(f"whose criterion is {side}{f' [{unit}]' if unit else ' [score]'}")
        ax.set_ylabel(f"fraction of {int(found.n_known.max(initial=0)):,} candidates")
        if ax.lines:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, columnspacing=1.4)
    return ax
