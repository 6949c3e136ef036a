"""Figure 11: the score densities of all candidates, one of them highlighted.

Called by ``save_figures`` and by users. Draws what ``analysis.distributions`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.distributions import Densities
from robust_select.report.figures.style import DISCARDED, SELECTED, Axes, axes_or_new, better, house_style, shortened


def draw_score_densities(
    densities: Densities,
    highlighted: int,
    name: str,
    is_lower_better: bool = True,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the score densities of all candidates in grey and one in colour.

    Args:
        densities: (C, G) curves on a common grid; a candidate with too few scores has none.
        highlighted: position of the candidate to draw in colour.
        name: its name, for the legend.
        is_lower_better: of the score.
        unit: of the score, for the axis.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.distributions import score_densities
        >>> found = score_densities(np.array([[1.0, 1.1, 1.3, 1.2], [2.0, 2.5, 2.2, 2.9]]))
        >>> draw_score_densities(found, highlighted=0, name="small").get_xlabel()
        'score (lower is better)'
    """
    with house_style():
        ax = axes_or_new(ax)
        is_drawn = np.asarray(np.isfinite(densities.densities).all(axis=1))
        others = np.flatnonzero(is_drawn & (np.arange(len(is_drawn)) != highlighted))
        alpha = 0.55 if len(others) < 40 else 0.25
        for position, row in enumerate(others):
            label = f"{len(others)} other candidates" if position == 0 else None
            ax.plot(
                densities.grid, densities.densities[row], color=DISCARDED, alpha=alpha, linewidth=0.6, label=label
            )
        if is_drawn[highlighted]:
            curve = densities.densities[highlighted]
            label = f"{shortened(name)} (n = {densities.n_finite[highlighted]})"
            ax.fill_between(densities.grid, curve, color=SELECTED, alpha=0.2, linewidth=0)
            ax.plot(densities.grid, curve, color=SELECTED, linewidth=1.6, label=label)
        ax.set_ylim(bottom=0)
        ax.set_xlabel(f"score{f' [{unit}]' if unit else ''} ({better(is_lower_better)})")
        ax.set_ylabel(f"density{f' [1/{unit}]' if unit else ' [1/score]'}")
        n_missing = len(is_drawn) - int(is_drawn.sum())
        if n_missing:
            ax.set_title(f"{n_missing} of {len(is_drawn)} candidates have too few scores", loc="left", fontsize=7)
        if is_drawn.any():
            ax.legend(loc="best")
    return ax
