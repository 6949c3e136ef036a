"""Trainers that are struck, and trainers that commit faults themselves.

Used by ``struck.py`` and ``faults.py``; every worker imports this file, so it imports little. Knows no studies.
"""

import contextlib
import ctypes
import faulthandler
import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robust_select.core.instances import Instance, Outcome


class Trainer:
    """Writes down what it has trained; begins nothing beyond the gate, a number in a file of the folder."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def __call__(self, params: Mapping[str, Any], instance: Instance) -> Outcome:
        """Train, which is to say: draw a number."""
        patience_ends = time.monotonic() + 60  # a strike that never comes is an error, no hanging study
        while len(read_lines(self.folder / "trained")) >= self._gate() and time.monotonic() < patience_ends:
            time.sleep(0.001)
        score = params["mean"] + params["spread"] * instance.rng("initial_weights").normal()
        time.sleep(0.004)
        if instance.candidate == "c6" and instance.replicate == 1:
            score = math.nan
        with (self.folder / "trained").open("a") as file:  # the very last thing that a training does
            file.write(f"{instance.candidate} {instance.replicate}\n")
        return Outcome(score, curve=(score, score))

    def _gate(self) -> float:
        with contextlib.suppress(FileNotFoundError, ValueError):  # not there: open
            return float((self.folder / "gate").read_text())
        return math.inf


def read_lines(path: Path) -> list[str]:
    """Read the lines of a file that are whole; none where there is no file."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return text[: text.rfind("\n") + 1].splitlines()


def _raise_much() -> float:
    raise ValueError("x" * 20_000_000)


def _raise() -> float:
    raise ValueError("no such layer")


def _exit_thread() -> float:
    thread = threading.Thread(target=sys.exit, args=(3,))
    thread.start()
    thread.join()
    return math.nan


def _use_up_memory() -> float:
    """Allocate more than this process may have."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 2**26, before[1]))
    try:
        return float(len(bytearray(2**31)))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _die_of(number: int) -> Callable[[], float]:
    def die() -> float:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()
        os.kill(os.getpid(), number)
        time.sleep(60)
        return 0.0

    return die


def _sleep() -> float:
    time.sleep(600)
    return 0.0


def _hang() -> float:
    """Hang in C, with the interpreter's lock held: no other thread of this process runs on."""
    ctypes.pythonapi.usleep(600_000_000)
    return 0.0


HARMLESS: Mapping[str, tuple[Callable[[], Any], str]] = {
    "returns nan": (lambda: math.nan, ""),
    "returns text": (lambda: "good", "came 'good' (str)"),
    "returns None": (lambda: None, "came None (NoneType)"),
    "returns an array": (lambda: np.zeros(3), "came array([0., 0., 0.]) (ndarray)"),
    "raises": (_raise, "ValueError: no such layer"),
    "raises with 20 MB of text": (_raise_much, "characters) ..."),
    "calls sys.exit": (lambda: sys.exit(3), "SystemExit: 3"),
    "exits a thread, returns nan": (_exit_thread, ""),
    "runs out of memory": (_use_up_memory, "MemoryError"),
}
"""Faults that leave the process alive, and a part of the message that says what happened; empty where it diverged."""

DEADLY: Mapping[str, tuple[Callable[[], Any], str]] = {
    "is killed (SIGKILL, as when memory is short)": (_die_of(signal.SIGKILL), "SIGKILL"),
    "is terminated (SIGTERM)": (_die_of(signal.SIGTERM), "SIGTERM"),
    "crashes (SIGSEGV)": (_die_of(signal.SIGSEGV), "SIGSEGV"),
    "calls os._exit": (lambda: os._exit(7), "EXIT(7)"),
}
"""Faults that take the worker with them."""

HANGING: Mapping[str, tuple[Callable[[], Any], str]] = {
    "sleeps for ever": (_sleep, "time_limit="),
    "hangs with the interpreter's lock": (_hang, "time_limit="),
    "is stopped (SIGSTOP)": (_die_of(signal.SIGSTOP), "time_limit="),
}
"""Faults that only a time limit ends."""


class FaultyTrainer:
    """Commits the fault by which a candidate is named, in one replicate of each; trains well otherwise.

    Attributes:
        guilty: the replicate that commits it, by candidate.
    """

    def __init__(self, guilty: Mapping[str, int]) -> None:
        self.guilty = guilty

    def __call__(self, params: Mapping[str, Any], instance: Instance) -> Any:
        """Train, or commit the fault."""
        if self.guilty.get(instance.candidate) == instance.replicate:
            commit, _ = {**HARMLESS, **DEADLY, **HANGING}[instance.candidate]
            return commit()
        return params["mean"] + instance.rng("initial_weights").normal()
