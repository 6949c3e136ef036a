"""Figure 13: trainings against confidence for the rules, as bars.

Called by users. Draws what ``analysis.costs`` computed and computes nothing itself.
"""

import textwrap
from typing import Any

import numpy as np

from robust_select.analysis.costs import RuleCosts
from robust_select.report.figures.style import (
    BASE,
    DISCARDED,
    LEFT,
    SELECTED,
    Axes,
    Patch,
    axes_or_new,
    house_style,
    make_logarithmic,
    shortened,
)

_HIGHLIGHT = (SELECTED, "#F3C9A5")
_OTHERS = (LEFT, "#A9CDE4")
_TONES = (DISCARDED, "#D0D0D0")  # in the legend: dark and light, whatever the colour
_ON_WHITE: Any = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8}


def draw_rule_costs(
    found: RuleCosts,
    highlighted: str | None = None,
    bound: float = float("nan"),
    ax: Axes | None = None,
) -> Axes:
    """Draw the trainings that each rule needs to be right so often, the cheapest rule at the top.

    Args:
        found: (K, L) trainings; of more than two confidences the first and the last are drawn.
        highlighted: name of the rule to draw in the colour of the selected one.
        bound: the least mean number of trainings at the last confidence, drawn as a line if it is finite.
        ax: where to draw; by default on a new figure, one column wide and as high as the bars need.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.costs import rule_costs
        >>> found = rule_costs({"halving": [(20.0, 0.9), (40.0, 0.96)], "exhaustive": [(90.0, 0.97)]})
        >>> [label.get_text() for label in draw_rule_costs(found, highlighted="halving").get_yticklabels()]
        ['halving', 'exhaustive']
    """
    with house_style():
        n = len(found.rules)
        ax = axes_or_new(ax, 0.9 + 0.24 * n)
        columns = sorted({len(found.confidences) - 1, 0}, reverse=True)
        height = 0.8 / len(columns)
        known = found.trainings[np.isfinite(found.trainings)]
        least = known.min(initial=np.inf)
        left = 0.5 * min(least, bound if np.isfinite(bound) else np.inf)
        left = float(left) if np.isfinite(left) else 1.0
        for place, column in enumerate(columns):
            offset = (place - (len(columns) - 1) / 2) * height
            for row, name in enumerate(found.rules):
                tones = _HIGHLIGHT if name == highlighted else _OTHERS
                value, y = float(found.trainings[row, column]), row - offset
                is_reached = np.isfinite(value)
                if is_reached:
                    ax.barh(y, value - left, left=left, height=0.9 * height, color=tones[place])
                text, x = (f"{value:,.0f}", value) if is_reached else ("never", left)
                ax.annotate(
                    text, (x, y), (2, 0), textcoords="offset points", va="center", fontsize=5.5, bbox=_ON_WHITE
                )
        handles: list[Any] = [
            Patch(color=_TONES[place], label=f"{100 * found.confidences[column]:g} % right")
            for place, column in enumerate(columns)
        ]
        if np.isfinite(bound) and bound > 0:
            label = f"bound at {100 * found.confidences[-1]:g} %"
            handles.append(ax.axvline(bound, color=BASE, linestyle=":", linewidth=1.0, label=label, zorder=0.5))
        names = [textwrap.fill(shortened(name, 52), 24) for name in found.rules]
        ax.set_yticks(range(n), names, fontsize=6, linespacing=0.9)
        ax.set_ylim(n - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        if len(known):
            ax.set_xlim(left, 2.0 * float(known.max()))
            make_logarithmic(ax.xaxis)
        ax.set_xlabel("mean number of trainings")
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, columnspacing=1.2)
    return ax
