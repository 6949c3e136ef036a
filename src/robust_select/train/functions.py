"""One training of one instance by a trainer that is a plain function.

Called by the executors, in whatever process they run it. Knows nothing of where that is.
"""

import copy
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import Trainer


def train_instance(trainer: Trainer, params: Mapping[str, Any], instance: Instance) -> Outcome:
    """Train an instance; whatever the trainer does short of killing the process becomes an outcome.

    Args:
        trainer: gives a score or an ``Outcome``.
        params: of the candidate; the trainer gets a deep copy, as it would in another process.
        instance: which training.

    Returns:
        What the trainer gave, timed; failed if it raised, tried to exit, or gave something that is no score.

    Example:
        >>> from robust_select.core.instances import seeds_for
        >>> train_instance(lambda params, instance: "good", {}, Instance("a", 0, seeds_for(0, 0))).message
        "expected the trainer to return a number or an Outcome, came 'good' (str)"
    """
    own_params = _copy(params)
    started = time.perf_counter()
    try:
        returned = trainer(own_params, instance)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the trainer is the user's: it may raise anything
        seconds = time.perf_counter() - started
        return Outcome.failed(f"{type(error).__name__}: {_text(error, str)}", seconds, traceback.format_exc())
    seconds = time.perf_counter() - started
    if isinstance(returned, Outcome):
        return returned if math.isfinite(returned.seconds) else replace(returned, seconds=seconds)
    score = _number(returned)
    if score is None:
        shown = _text(returned, repr)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return Outcome.failed(
            f"expected the trainer to return a number or an Outcome, came {shown} ({type(returned).__name__})",
            seconds,
        )
    return Outcome(score, seconds=seconds)


def _copy(params: Mapping[str, Any]) -> dict[str, Any]:
    """Copy parameters, so that a trainer that changes them spoils no later instance."""
    try:
        return copy.deepcopy(dict(params))
    except Exception:  # noqa: BLE001  a parameter that cannot be copied (a lock, say) is handed on as it is
        return dict(params)


def _text(thing: object, shown_by: Callable[[object], str]) -> str:
    try:
        return shown_by(thing)
    except Exception:  # noqa: BLE001  the thing is the user's, and its own method raised
        return f"(a {type(thing).__name__} that cannot be shown)"


def _number(returned: Any) -> float | None:
    """Read a score: a real number, or a zero-dimensional array or tensor that holds one."""
    is_number = isinstance(returned, Real) or getattr(returned, "shape", None) == ()
    if not is_number or isinstance(returned, bool) or "bool" in str(getattr(returned, "dtype", "")):
        return None
    try:
        return float(returned)
    except OverflowError:  # a whole number beyond all floats
        return math.inf
    except (TypeError, ValueError):  # an array of text, a complex number
        return None
