"""The house style of printed figures: one column wide, colours that everybody tells apart, text that stays text.

Called by every figure. Knows nothing of what is drawn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.protocols import Floats

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
except ImportError as error:
    raise MissingExtraError("matplotlib", "figures") from error

__all__ = [
    "BASE",
    "COLUMN_INCHES",
    "DISCARDED",
    "FRONT",
    "LEFT",
    "SELECTED",
    "SERIES",
    "STYLE",
    "Axes",
    "Figure",
    "MaxNLocator",
    "Patch",
    "axes_or_new",
    "better",
    "figure_of",
    "house_style",
    "make_logarithmic",
    "shortened",
    "spans_decades",
]

COLUMN_INCHES = 3.4
"""Width of a single column in most two-column journals."""

SELECTED = "#D55E00"
LEFT = "#0072B2"
FRONT = "#009E73"
BASE = "#000000"
DISCARDED = "#7F7F7F"
"""After Okabe and Ito; discarded candidates are grey."""

SERIES = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", ":", "D"),
    ("#E69F00", (0, (5, 1)), "v"),
    ("#56B4E9", (0, (3, 1, 1, 1)), "P"),
    ("#000000", (0, (1, 1)), "X"),
)
"""Colour, line and marker of several things drawn together, so that they differ without colour, too."""

STYLE: Any = {
    "figure.figsize": (COLUMN_INCHES, 2.5),
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "robust-select",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.0,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in the house style; matplotlib's settings are as before afterwards.

    Example:
        >>> with house_style():
        ...     Figure().add_subplot().spines["top"].get_visible()
        False
    """
    with mpl.rc_context(STYLE):
        yield


def axes_or_new(ax: Axes | None, height_inches: float = 2.5, width_inches: float = COLUMN_INCHES) -> Axes:
    """Give the axes to draw on: those of the caller, or those of a new figure, by default one column wide."""
    if ax is not None:
        return ax
    return Figure(figsize=(width_inches, height_inches)).add_subplot()


def figure_of(ax: Axes) -> Figure:
    """Give the whole figure that axes belong to."""
    figure = ax.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise InputError("expected axes of a figure, came axes that were removed from theirs")
    return figure


def shortened(name: str, length: int = 26) -> str:
    r"""Shorten a name for a legend; keep matplotlib from reading mathematics into it, and files from breaking by it.

    Example:
        >>> shortened("lr=$0.1$", 6)
        'lr=\\$0…'
    """
    kept = name if len(name) <= length else f"{name[: length - 1]}…"
    kept = "".join(sign if sign.isprintable() else "\ufffd" for sign in kept)  # SVG knows no control characters
    return kept.replace("$", r"\$")


def better(is_lower_better: bool) -> str:
    """Say in which direction an axis is good."""
    return "lower is better" if is_lower_better else "higher is better"


def spans_decades(values: Floats) -> bool:
    """Say whether values are better drawn on a logarithmic axis: all positive, and far apart.

    Example:
        >>> spans_decades(np.array([0.01, 0.2, np.nan])), spans_decades(np.array([0.0, 9.0]))
        (True, False)
    """
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > 0 and known.max() > 8 * known.min())


def make_logarithmic(axis: Axis, is_small: bool = False) -> None:
    """Make an axis logarithmic, with plain numbers at round multiples of the powers of ten.

    Args:
        axis: of axes whose data are drawn already.
        is_small: whether there is room for a few numbers only.
    """
    low, high = axis.get_data_interval()
    is_short = low > 0 and high < 12 * low
    axis.axes.set(**{"xscale" if axis is axis.axes.xaxis else "yscale": "log"})
    fine, coarse = ((1.0, 2.0, 5.0), (1.0,)) if is_small else ((1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0), (1.0, 2.0, 5.0))
    axis.set_major_locator(LogLocator(subs=fine if is_short else coarse))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
