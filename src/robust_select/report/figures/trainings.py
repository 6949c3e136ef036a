"""Figure 12: how many candidates were trained at each step, and how many trainings each candidate got.

Called by ``save_figures`` and by users. Draws what ``analysis.trainings`` computed and computes nothing itself.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from robust_select.analysis.trainings import StepCounts, TrainingCounts
from robust_select.core.protocols import Bools
from robust_select.report.figures.style import (
    BASE,
    DISCARDED,
    LEFT,
    SELECTED,
    SERIES,
    Axes,
    MaxNLocator,
    axes_or_new,
    house_style,
    make_logarithmic,
    shortened,
    spans_decades,
)

_MOST_BARS = 40

_MOST_MARKERS = 30  # steps, each with a marker; of more, so many are marked

_LOOKS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    SELECTED: ({"facecolor": SELECTED, "edgecolor": SELECTED}, {"linestyle": "-", "linewidth": 3.0}),
    LEFT: ({"facecolor": "white", "edgecolor": LEFT, "hatch": "//////"}, {"linestyle": "-", "linewidth": 1.6}),
    DISCARDED: ({"facecolor": "white", "edgecolor": DISCARDED}, {"linestyle": (0, (1, 1)), "linewidth": 1.6}),
}
"""How bars and staircases of each colour look, so that they differ in grey, too: full, hatched, hollow."""

Groups = tuple[tuple[Bools, str, str], ...]
"""Who is drawn in which colour, and what the legend says of them."""


def draw_trained_by_step(found: Mapping[str, StepCounts], ax: Axes | None = None) -> Axes:
    """Draw how many candidates were trained at each step, of several selections side by side.

    Args:
        found: name of a selection (its rule, say) to (S,) counts; one without steps is left out.
        ax: where to draw; by default on a new figure, one column wide.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.trainings import trained_by_step
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(tuple("abcd"), np.arange(4.0)[:, None] + np.zeros(4))
        >>> found = trained_by_step(replay(table, Halving(warmup=2), criterion("mean")))
        >>> draw_trained_by_step({"halving": found}).get_ylabel()
        'candidates trained at the step'
    """
    with house_style():
        ax = axes_or_new(ax)
        shown = {name: one for name, one in found.items() if len(one.steps)}
        for row, (name, one) in enumerate(shown.items()):
            colour, dashes, marker = SERIES[row % len(SERIES)]
            ax.plot(
                one.steps,
                one.counts,
                color=colour,
                linestyle=dashes,
                marker=marker,
                markersize=3.5,
                markevery=max(1, -(-len(one.steps) // _MOST_MARKERS)),
                drawstyle="steps-mid",
                label=shortened(name),
            )
        ax.set_xlabel("step")
        ax.set_ylabel("candidates trained at the step")
        steps = [one.steps for one in shown.values()]
        counts = [one.counts for one in shown.values()]
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if steps and spans_decades(np.concatenate(steps).astype(float)) and max(map(np.max, steps)) > _MOST_MARKERS:
            make_logarithmic(ax.xaxis)
        if counts and spans_decades(np.concatenate(counts).astype(float)):
            make_logarithmic(ax.yaxis)
        else:
            ax.set_ylim(bottom=0)
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        if shown:
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.2)
    return ax


def draw_trainings(found: TrainingCounts, selected: str, base: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the trainings of each candidate by rank: bars with names, or a staircase for more than 40 candidates.

    Args:
        found: (C,) counts in the order of rank.
        selected: the candidate to draw in the colour of the selected one.
        base: the base model, marked by a star, if there is one.
        ax: where to draw; by default on a new figure, one column wide and as high as the bars need.

    Returns:
        The axes.

    Example:
        >>> from robust_select.analysis.trainings import training_counts
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Halving
        >>> from robust_select.stats.criteria import criterion
        >>> table = Table(tuple("abcd"), np.arange(4.0)[:, None] + np.zeros(4))
        >>> found = training_counts(replay(table, Halving(warmup=2), criterion("mean")))
        >>> draw_trainings(found, selected="a").get_xlabel()
        'trainings (10 together)'
    """
    n_candidates = len(found.candidates)
    is_selected = np.array([name == selected for name in found.candidates], dtype=bool)
    groups = (
        (is_selected, SELECTED, "selected"),
        (found.is_left & ~is_selected, LEFT, "not told apart from it"),
        (~found.is_left & ~is_selected, DISCARDED, "discarded"),
    )
    with house_style():
        if n_candidates <= _MOST_BARS:
            ax = axes_or_new(ax, height_inches=0.9 + 0.14 * n_candidates)
            _draw_bars(ax, found, groups, base)
        else:
            ax = axes_or_new(ax)
            _draw_stairs(ax, found, groups, base)
    return ax


def _draw_bars(ax: Axes, found: TrainingCounts, groups: Groups, base: str | None) -> None:
    names = [f"{'★ ' if name == base else ''}{shortened(name)}" for name in found.candidates]
    for rows, colour, label in groups:
        if rows.any():
            look, _ = _LOOKS[colour]
            where = np.flatnonzero(rows)
            bars = ax.barh(where, found.counts[rows], height=0.72, linewidth=0.8, label=label, **look)
            ax.bar_label(bars, padding=2, fontsize=6)
    ax.set_yticks(range(len(names)), names, fontsize=6)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(f"trainings ({found.counts.sum():,} together)")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(groups), columnspacing=1.2)


def _draw_stairs(ax: Axes, found: TrainingCounts, groups: Groups, base: str | None) -> None:
    edges = np.arange(len(found.counts) + 1) + 0.5
    for rows, colour, label in groups:
        if rows.any():
            shown = np.where(rows, found.counts, np.nan)
            ax.stairs(shown, edges, baseline=None, color=colour, label=label, **_LOOKS[colour][1])
    if base in found.candidates:
        row = found.candidates.index(str(base))
        ax.plot(
            row + 1,
            found.counts[row],
            linestyle="none",
            marker="*",
            color=BASE,
            label=f"base: {shortened(str(base))}",
        )
    ax.set_xlabel("rank of the candidate")
    ax.set_ylabel(f"trainings ({found.counts.sum():,} together)")
    make_logarithmic(ax.xaxis)
    ax.set_xlim(left=0.75)
    if spans_decades(found.counts.astype(float)):
        make_logarithmic(ax.yaxis)
    else:
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.2)
