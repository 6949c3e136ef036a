"""Which figures a result has no data for, and why.

Called by the command line. Draws nothing and computes nothing that belongs to analysis.
"""

from collections.abc import Callable, Iterable

from robust_select.analysis.chosen import why_no_top_n
from robust_select.analysis.stability import stability
from robust_select.core.errors import InputError
from robust_select.select.result import Result


def figures_left_out(result: Result, stems: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Say of each figure that ``save_figures`` did not draw why.

    Figures 6, 8, 9, 13 and 17 are of more than one result (sources of randomness, sizes, rules, parameters) and are
    not missed.

    Args:
        result: of a selection.
        stems: names of the figures that were drawn, without their suffix.

    Returns:
        Names and reasons, in the order of the figures' numbers.

    Example:
        >>> import numpy as np
        >>> from robust_select.core.tables import Table
        >>> from robust_select.select.replay import replay
        >>> from robust_select.select.rules import Exhaustive
        >>> from robust_select.stats.criteria import criterion
        >>> result = replay(Table(("a", "b"), np.ones((2, 3))), Exhaustive(3), criterion("max"))
        >>> figures_left_out(result, ["04-criterion-fractions", "10-selection-path"])[0]
        ('01-epoch-scores', 'the instances have no curves')
    """
    drawn = set(stems)
    return tuple((stem, why(result)) for stem, why in _REASONS.items() if stem not in drawn)


def _no_epochs(result: Result) -> str:
    if result.table.curves is None:
        return "the instances have no curves"
    try:
        stability(result.table, result.direction)
    except InputError as error:
        return str(error)
    return "in one replicate only was every candidate trained"


def _no_curves(result: Result) -> str:
    return "the instances of the selected candidate have no curves"


def _no_top_n(result: Result) -> str:
    return "there is one candidate only" if result.table.n_candidates == 1 else why_no_top_n(result)


def _no_times(result: Result) -> str:
    has_times = result.table.seconds is not None and bool((result.table.seconds == result.table.seconds).any())
    return "no step discarded anybody" if has_times else "no training time is known"


_REASONS: dict[str, Callable[[Result], str]] = {
    "01-epoch-scores": _no_epochs,
    "02-tau-by-epoch": _no_epochs,
    "03-overlap-by-epoch": _no_epochs,
    "04-criterion-fractions": lambda result: "no candidate has a finite criterion",
    "05-score-histogram": lambda result: "the selected candidate has fewer than five finite scores",
    "07-curves": _no_curves,
    "10-selection-path": lambda result: "no step has been decided",
    "12-by-step": lambda result: "no step has been decided",
    "14-top-n": _no_top_n,
    "15-step-times": _no_times,
}
