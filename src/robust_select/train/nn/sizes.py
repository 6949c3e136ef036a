"""How many instances are best trained as one: measured once for a shape on this machine, then remembered.

Called by the trainer beside this file, where the training will run. Knows nothing of modules.
"""

import functools
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from robust_select.core.files import replacing
from robust_select.core.version import __version__

SIZES = (1, 2, 4, 8, 16)
"""The sizes that are tried."""

_LEAST_GAIN = 1.02  # a larger stack takes more memory, so it has to be worth it
_PATIENCE = 2  # sizes in a row without a gain, then the rest is not tried
_SECONDS_A_SIZE = 0.15
_MOST_SECONDS_A_SIZE = 1.0  # a step that takes longer gains nothing by stacking: its work fills the core as it is
_LEAST_STEPS, _MOST_STEPS = 3, 200


def best_size(
    description: str, step_of: Callable[[int], Callable[[], object]], clock: Callable[[], float] = time.perf_counter
) -> int:
    """Give the best stack size for a shape, from memory, from the user's cache, or measured now.

    Args:
        description: all that the time of a step depends on, but the machine.
        step_of: makes, for a stack size, a function that takes one step of such a stack.
        clock: gives seconds.

    Returns:
        One of ``SIZES``.
    """
    key = hashlib.sha256(f"{description}\n{_machine()}".encode()).hexdigest()[:32]
    if key not in _MEASURED:
        stored = _stored().get(key)
        if stored in SIZES:
            _MEASURED[key] = stored
        else:
            _MEASURED[key] = measured_size(step_of, clock)
            _store(key, _MEASURED[key])
    return _MEASURED[key]


def measured_size(
    step_of: Callable[[int], Callable[[], object]], clock: Callable[[], float] = time.perf_counter
) -> int:
    """Measure the best stack size.

    Args:
        step_of: makes, for a stack size, a function that takes one step of such a stack.
        clock: gives seconds.

    Returns:
        The size that takes the least time an instance; of sizes that are as good within 2 % the smallest.
    """
    best, best_seconds, n_without_gain = 1, float("inf"), 0
    for size in SIZES:
        step = step_of(size)
        seconds = _seconds_a_step(step, clock) / size
        if seconds * _LEAST_GAIN < best_seconds:
            best, best_seconds, n_without_gain = size, seconds, 0
        else:
            n_without_gain += 1
        if n_without_gain == _PATIENCE or 2 * size * seconds * (_LEAST_STEPS + 1) > _MOST_SECONDS_A_SIZE:
            break
    return best


def _seconds_a_step(step: Callable[[], object], clock: Callable[[], float]) -> float:
    """Time steps, the first not counted, and give the shortest: other programs only ever add time."""
    began = clock()
    step()
    if clock() - began > _MOST_SECONDS_A_SIZE:
        return clock() - began
    shortest, total = float("inf"), 0.0
    for n_steps in range(_MOST_STEPS):
        if n_steps >= _LEAST_STEPS and total >= _SECONDS_A_SIZE:
            break
        began = clock()
        step()
        seconds = clock() - began
        shortest, total = min(shortest, seconds), total + seconds
    return shortest


_MEASURED: dict[str, int] = {}
"""What this process knows, by key."""


def _machine() -> str:
    return f"{_cpu()}, {torch.get_num_threads()} threads, torch {torch.__version__}, robust-select {__version__}"


@functools.cache
def _cpu() -> str:
    """Name the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _path() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "robust-select" / "stack-sizes.json"


def _stored() -> dict[str, Any]:
    """Read the user's cache; one that is missing or damaged is empty."""
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # RuntimeError: no home folder
        return {}
    return found if isinstance(found, dict) else {}


def _store(key: str, size: int) -> None:
    """Add to the user's cache, whole or not at all; where nothing can be written, nothing is."""
    try:
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(json.dumps({**_stored(), key: size}, indent=0, sort_keys=True), encoding="utf-8")
    except (OSError, RuntimeError):
        pass  # it is measured again next time
