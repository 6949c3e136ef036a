"""Figures 1, 2 and 3: scores after an epoch against final ones, Kendall's tau by epoch, overlap of the best by epoch.

Called by the command line and by users. Draws what ``analysis.stability`` computed and computes nothing itself.
"""

import numpy as np

from robust_select.analysis.distributions import Densities
from robust_select.analysis.stability import EpochScores
from robust_select.core.protocols import Bools, Floats
from robust_select.report.figures.style import (
    DISCARDED,
    SELECTED,
    SERIES,
    Axes,
    MaxNLocator,
    axes_or_new,
    better,
    house_style,
)


def draw_epoch_scores(
    scores: EpochScores, is_lower_better: bool = True, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the score of every candidate after an epoch against its final score; the final top ones are marked.

    Args:
        scores: (C,) after an epoch and after the last; those that are not finite are not drawn.
        is_lower_better: of the score.
        unit: of the score, for the axes.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.stability import epoch_scores
        >>> from robust_select.core.tables import Table
        >>> curves = np.array([[[0.9, 0.1]], [[0.8, 0.2]]])
        >>> found = epoch_scores(Table(("a", "b"), curves[..., -1], curves=curves), epoch=1)
        >>> draw_epoch_scores(found).get_ylabel()
        'final score'
    """
    with house_style():
        ax = axes_or_new(ax)
        is_drawn = np.isfinite(scores.at) & np.isfinite(scores.final)
        groups = (
            (is_drawn & ~scores.is_top, DISCARDED, "o", 9, "others"),
            (is_drawn & scores.is_top, SELECTED, "D", 16, f"best {int(scores.is_top.sum())} in the end"),
        )
        for rows, colour, marker, size, label in groups:
            if rows.any():
                x, y = scores.at[rows], scores.final[rows]
                ax.scatter(x, y, s=size, marker=marker, color=colour, alpha=0.8, linewidths=0, label=label)
        shown = f" [{unit}]" if unit else ""
        ax.set_xlabel(f"score after epoch {scores.epoch} of {scores.n_epochs}{shown}\n({better(is_lower_better)})")
        ax.set_ylabel(f"final score{shown}")
        n_missing = int((~is_drawn).sum())
        if n_missing:
            ax.set_title(f"{n_missing} of {len(is_drawn)} candidates have diverged", loc="left", fontsize=7)
        if is_drawn.any():  # above the axes, where its markers cannot be taken for candidates
            ax.legend(loc="lower right", bbox_to_anchor=(1, 1.08 if n_missing else 1), ncols=2, columnspacing=1.2)
    return ax


def draw_tau_densities(densities: Densities, tau: Floats, ax: Axes | None = None) -> Axes:
    """Draw how Kendall's tau with the final ranking is distributed over the replicates, epoch by epoch.

    Args:
        densities: (E, G) of tau after each epoch, from ``analysis.distributions.score_densities(found.tau.T)``; each
            epoch is shaded up to its own highest density. An epoch with too few replicates has none.
        tau: (R, E), for the line of its means.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.distributions import score_densities
        >>> tau = np.array([[0.1, 0.8, 1.0], [0.3, 0.9, 1.0], [0.2, 0.7, 1.0]])
        >>> draw_tau_densities(score_densities(tau.T), tau).get_xlabel()
        'epoch (of 3)'
    """
    with house_style():
        ax = axes_or_new(ax)
        epochs = np.arange(1, tau.shape[1] + 1)
        is_drawn: Bools = np.asarray(np.isfinite(densities.densities).all(axis=1))
        if is_drawn.any():
            peaks = np.where(is_drawn, densities.densities.max(axis=1), 1.0)
            shares = np.where(is_drawn[:, None], densities.densities / peaks[:, None], 0.0)
            shading = ax.pcolormesh(
                epochs, densities.grid, shares.T, cmap="Blues", vmin=0, vmax=1, shading="nearest", rasterized=True
            )
            bar = ax.figure.colorbar(shading, ax=ax, ticks=[0, 1], pad=0.02, aspect=30)
            bar.set_label("density / its highest", fontsize=7)
        ax.plot(
            epochs,
            tau.mean(axis=0),
            color=SELECTED,
            label=f"mean of {len(tau)} replicates" if len(tau) > 1 else "one replicate",
        )
        ax.axhline(0, color=DISCARDED, linewidth=0.6)
        ax.set_ylim(min(-0.3, float(tau.min())), 1.05)
        _label_epochs(ax, tau.shape[1])
        ax.set_ylabel("Kendall's tau with the final ranking")
        ax.legend(loc="upper left")
    return ax


def draw_overlap(
    overlap: Floats, n_top: int, n_candidates: int, label: str = "", series: int = 0, ax: Axes | None = None
) -> Axes:
    """Draw the share of the top candidates after each epoch that are top ones in the end: mean and std of replicates.

    Args:
        overlap: (R, E) shares.
        n_top: how many are the top ones.
        n_candidates: C; a guess would be right for the dashed share.
        label: for the legend, where several are drawn on the same axes.
        series: which of several, from 0: colour, line and marker.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> draw_overlap(np.array([[0.2, 0.8, 1.0], [0.4, 0.6, 1.0]]), n_top=5, n_candidates=50).get_xlabel()
        'epoch (of 3)'
    """
    with house_style():
        ax = axes_or_new(ax)
        epochs = np.arange(1, overlap.shape[1] + 1)
        colour, line, marker = SERIES[series % len(SERIES)]
        spread = 100 * overlap.std(axis=0, ddof=1) if len(overlap) > 1 else None
        ax.errorbar(
            epochs + 0.15 * series,
            100 * overlap.mean(axis=0),
            yerr=spread,
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=2,
            elinewidth=0.5,
            label=label or (f"mean and std of {len(overlap)} replicates" if len(overlap) > 1 else "one replicate"),
        )
        if series == 0:
            ax.axhline(100 * n_top / n_candidates, color=DISCARDED, linewidth=0.6, linestyle="--", label="a guess")
        ax.set_ylim(-5, 105)
        _label_epochs(ax, overlap.shape[1])
        ax.set_ylabel(f"top {n_top} of {n_candidates} that stay so [%]")
        ax.legend(loc="upper left")
    return ax


def _label_epochs(ax: Axes, n_epochs: int) -> None:
    ax.set_xlabel(f"epoch (of {n_epochs})")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
