"""Figures 5 and 6: histograms of instance losses with the six criteria as lines; the same by source of randomness.

Called by ``save_figures`` and by users. Draws what ``analysis.histograms`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.histograms import Histograms
from robust_select.report.figures.style import (
    COLUMN_INCHES,
    DISCARDED,
    SERIES,
    Axes,
    Figure,
    MaxNLocator,
    axes_or_new,
    better,
    house_style,
    shortened,
)


def draw_score_histogram(
    found: Histograms, is_lower_better: bool = True, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the histogram of the first sample's scores, and its criteria as lines.

    Args:
        found: of one sample.
        is_lower_better: of the score.
        unit: of the score, for the axis.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.histograms import score_histograms
        >>> draw_score_histogram(score_histograms({"small": np.array([1.0, 2.0, 2.0, 3.0])})).get_ylabel()
        'instances'
    """
    with house_style():
        ax = axes_or_new(ax, height_inches=2.8)
        _draw_bars(ax, found, 0)
        _draw_criteria(ax, found, 0, with_values=True)
        ax.set_xlabel(f"score{f' [{unit}]' if unit else ''} ({better(is_lower_better)})")
        ax.set_ylabel("instances")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
        ax.set_title(_title(found, 0, shortened(found.names[0], 40)), loc="left", fontsize=7)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, columnspacing=1.2)
    return ax


def draw_source_histograms(found: Histograms, is_lower_better: bool = True, unit: str = "") -> tuple[Axes, ...]:
    """Draw one histogram below the other, one a source of randomness, on a common axis of scores.

    Args:
        found: of K samples, such as "initial weights alone" and "all streams".
        is_lower_better: of the score.
        unit: of the score, for the axis.

    Returns:
        (K,) axes of one figure, one column wide.

    Example:
        >>> from robust_select.analysis.histograms import score_histograms
        >>> scores = {"initial weights alone": np.array([1.0, 1.1, 1.2]), "all streams": np.array([0.8, 1.0, 1.5])}
        >>> len(draw_source_histograms(score_histograms(scores)))
        2
    """
    with house_style():
        n = len(found.names)
        figure = Figure(figsize=(COLUMN_INCHES, 0.95 * n + 0.9))
        panels = figure.subplots(n, sharex=True, squeeze=False)[:, 0]
        for row, ax in enumerate(panels):
            _draw_bars(ax, found, row)
            _draw_criteria(ax, found, row, with_values=False)
            std = "" if np.isnan(found.stds[row]) else f", std {found.stds[row]:.3g}{f' {unit}' if unit else ''}"
            ax.set_title(_title(found, row, shortened(found.names[row], 32)) + std, loc="left", fontsize=7)
        panels[-1].set_xlabel(f"score{f' [{unit}]' if unit else ''} ({better(is_lower_better)})")
        figure.supylabel("instances", fontsize=8)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(labels), columnspacing=0.9, handlelength=1.3
        )
    return tuple(panels)


def _draw_bars(ax: Axes, found: Histograms, row: int) -> None:
    ax.stairs(found.counts[row], found.edges, fill=True, color=DISCARDED, alpha=0.45, linewidth=0)
    ax.stairs(found.counts[row], found.edges, color=DISCARDED, linewidth=0.6)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _draw_criteria(ax: Axes, found: Histograms, row: int, with_values: bool) -> None:
    for k, name in enumerate(found.criteria):
        colour, line, _ = SERIES[k % len(SERIES)]
        value = found.values[row, k]
        label = name if not with_values else f"{name} {value:.3g}" if np.isfinite(value) else f"{name} infinite"
        if np.isfinite(value):
            ax.axvline(value, color=colour, linestyle=line, linewidth=1.2, label=label)
        else:
            ax.plot([], [], color=colour, linestyle=line, linewidth=1.2, label=label)


def _title(found: Histograms, row: int, name: str) -> str:
    n, n_unusable = int(found.n_instances[row]), int(found.n_unusable[row])
    return f"{name}, n = {n:,}" + (f" ({n_unusable:,} diverged or failed)" if n_unusable else "")
