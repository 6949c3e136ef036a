"""How much of the variance each random stream contributes: bars with intervals, one group a candidate.

Called by users. Draws what ``analysis.sources`` computed and computes nothing itself.
"""

import numpy as np
import pandas as pd

from robust_select.report.figures.style import SERIES, Axes, axes_or_new, house_style, shortened


def draw_sources(found: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of each source in the variance of each candidate's scores.

    Args:
        found: the rows of ``analysis.sources.sources``.
        ax: where to draw; by default on a new figure, one column wide and as high as the bars need.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.sources import sources
        >>> from robust_select.core.designs import Crossed
        >>> from robust_select.core.tables import Table
        >>> scores = (np.array([0.0, 4.0, 8.0])[:, None] + np.array([0.0, 1.0, 2.0])).reshape(1, 9)
        >>> draw_sources(sources(Table(("a",), scores), Crossed(3, 3))).get_xlabel()
        'share of the variance [%]'
    """
    with house_style():
        names, kinds = list(dict.fromkeys(found["candidate"])), list(dict.fromkeys(found["source"]))
        ax = axes_or_new(ax, 0.95 + 0.17 * len(names) * (len(kinds) + 1))
        height = 0.84 / len(kinds)
        for k, kind in enumerate(kinds):
            colour, _, _ = SERIES[k % len(SERIES)]
            rows = found[found["source"] == kind].set_index("candidate").loc[names]
            share, low, high = (100 * rows[key].to_numpy(dtype=float) for key in ("share", "low", "high"))
            places = np.arange(len(names)) + (k - (len(kinds) - 1) / 2) * height
            ax.barh(places, share, height=0.85 * height, color=colour, alpha=0.55, label=kind)
            ax.hlines(places, low, high, color=colour, linewidth=1.2)
        unknown = [name for name in names if found.loc[found["candidate"] == name, "share"].isna().all()]
        for name in unknown:
            ax.annotate("not known", (1, names.index(name)), va="center", fontsize=6)
        ax.set_yticks(range(len(names)), [shortened(name) for name in names])
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_xlim(0, 100)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("share of the variance [%]")
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, columnspacing=1.2)
    return ax
