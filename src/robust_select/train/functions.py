"""One training: of one instance by a trainer that is a plain function, or of several together by one that can.

Called by the executors, in whatever process they run it. Knows nothing of where that is.
"""

import copy
import logging
import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

from robust_select.core.instances import Instance, Outcome, State
from robust_select.core.protocols import StackTrainer, Trainer

_logger = logging.getLogger("robust_select")

_MOST_MESSAGE = 1_000  # characters of a failure that are kept
_MOST_LOG = 20_000


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
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  the trainer is the user's: it may raise anything, or exit
        seconds = time.perf_counter() - started
        message = f"{type(error).__name__}: {_text(error, str)}".removesuffix(": ")
        return _bounded(Outcome.failed(message, seconds, _text(error, _traceback)))
    seconds = time.perf_counter() - started
    if isinstance(returned, Outcome):
        returned = _checked(returned, instance)
        return returned if math.isfinite(returned.seconds) else replace(returned, seconds=seconds)
    score = _number(returned)
    if score is None:
        shown = _text(returned, repr)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return Outcome.failed(
            f"expected the trainer to return a number or an Outcome, came {shown} ({type(returned).__name__})",
            seconds,
        )
    return Outcome(score, seconds=seconds)


def train_stack(
    trainer: Trainer, params: Sequence[Mapping[str, Any]], instances: Sequence[Instance]
) -> list[Outcome]:
    """Train several instances, together where the trainer can; an exception fails nobody but who is guilty of it.

    Args:
        trainer: asked for all together if it is a ``StackTrainer``; if that raises, one by one.
        params: (K,) of the candidates; the trainer gets deep copies.
        instances: (K,) which trainings.

    Returns:
        (K,) outcomes, timed: where the trainer does not say it, each took its share of the time.
    """
    if len(instances) > 1 and isinstance(trainer, StackTrainer):
        started = time.perf_counter()
        try:
            outcomes = list(trainer.train_together([_copy(own) for own in params], instances))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  whose fault it is shows when each is trained alone
            _logger.info("%d instances together: %s; now one by one", len(instances), _cut(_text(error, str), 200))
            outcomes = []
        share = (time.perf_counter() - started) / len(instances)
        if len(outcomes) == len(instances) and all(isinstance(outcome, Outcome) for outcome in outcomes):
            outcomes = [_checked(own, instance) for own, instance in zip(outcomes, instances, strict=True)]
            return [
                outcome if math.isfinite(outcome.seconds) else replace(outcome, seconds=share) for outcome in outcomes
            ]
    return [train_instance(trainer, own, instance) for own, instance in zip(params, instances, strict=True)]


def measure_stack(trainer: Trainer, params: Mapping[str, Any]) -> tuple[int, str]:
    """Ask a trainer how many instances are best trained together.

    Returns:
        The number, and why it is 1 where they cannot be stacked. Where the trainer raises, they are trained one by
        one, too: it will raise again, and then it is known whose fault it is.
    """
    if not isinstance(trainer, StackTrainer):
        return 1, ""
    try:
        return int(trainer.stack_size(_copy(params))), str(trainer.why_alone(_copy(params)))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  the trainer is the user's: it may raise anything, or exit
        return 1, ""


def _checked(outcome: Outcome, instance: Instance) -> Outcome:
    """Let a training end early only where the study asked for it: anything else would drop a candidate unseen."""
    outcome = _bounded(outcome)
    if outcome.state is not State.PRUNED or instance.should_stop(outcome.curve):
        return outcome
    return Outcome.failed(
        f"expected Outcome.pruned(curve) only where instance.should_stop(curve) is true, came one after epoch "
        f"{len(outcome.curve)}, where nothing asked to stop: train to the end",
        outcome.seconds,
    )


def _bounded(outcome: Outcome) -> Outcome:
    """Make what a user's outcome says fit to be sent, kept and shown: texts of some length, seconds a number."""
    message = _cut(_text(outcome.message, str), _MOST_MESSAGE)
    log = _cut(_text(outcome.log, str), _MOST_LOG)
    seconds = _number(outcome.seconds)
    seconds = math.nan if seconds is None else seconds
    if (message, log) == (outcome.message, outcome.log) and type(outcome.seconds) is float:
        return outcome
    return replace(outcome, message=message, log=log, seconds=seconds)


def _cut(text: str, n_most: int) -> str:
    """Leave the middle out where a text is too long: what matters is said at its ends."""
    if len(text) <= n_most:
        return text
    return f"{text[: n_most // 2]} ... ({len(text):,} characters) ... {text[-(n_most // 2) :]}"


def _traceback(error: object) -> str:
    return "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""


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
