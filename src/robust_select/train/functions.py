"""One training of one instance by a trainer that is a plain function.

Called by the executors, in whatever process they run it. Knows nothing of where that is.
"""

import math
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import Trainer


def train_instance(trainer: Trainer, params: Mapping[str, Any], instance: Instance) -> Outcome:
    """Train an instance; whatever the trainer does short of killing the process becomes an outcome.

    Args:
        trainer: gives a score or an ``Outcome``.
        params: of the candidate; the trainer gets a copy.
        instance: which training.

    Returns:
        What the trainer gave, timed; failed if it raised or gave something that is no score.

    Example:
        >>> from robust_select.core.instances import seeds_for
        >>> train_instance(lambda params, instance: "good", {}, Instance("a", 0, seeds_for(0, 0))).message
        "expected the trainer to return a number or an Outcome, came 'good' (str)"
    """
    started = time.perf_counter()
    try:
        returned = trainer(dict(params), instance)
    except Exception as error:  # noqa: BLE001  the trainer is the user's: it may raise anything
        seconds = time.perf_counter() - started
        return Outcome.failed(f"{type(error).__name__}: {error}", seconds, traceback.format_exc())
    seconds = time.perf_counter() - started
    if isinstance(returned, Outcome):
        return returned if math.isfinite(returned.seconds) else replace(returned, seconds=seconds)
    score = _number(returned)
    if score is None:
        shown = repr(returned)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return Outcome.failed(
            f"expected the trainer to return a number or an Outcome, came {shown} ({type(returned).__name__})",
            seconds,
        )
    return Outcome(score, seconds=seconds)


def _number(returned: Any) -> float | None:
    """Read a score: a real number, or a zero-dimensional array or tensor that holds one."""
    if isinstance(returned, Real) and not isinstance(returned, (bool, np.bool_)):
        return float(returned)
    if getattr(returned, "shape", None) == () and not isinstance(returned, np.bool_):
        return float(returned)
    return None
