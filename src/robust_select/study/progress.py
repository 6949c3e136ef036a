"""The progress bar of a running study.

Called by ``Study.run``. Knows only the selection that it watches.
"""

import time
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from robust_select.select.selection import Selection

_REFRESH_SECONDS = 0.25


class ProgressBar:
    """Shows alive candidates, the leader, trainings done and expected, and the time left.

    Args:
        selection: the one to watch.
        n_known: how many trainings the ledger held already; they say nothing about the speed.
        is_shown: draws nothing otherwise, nor where standard error is no terminal.
    """

    def __init__(self, selection: Selection, n_known: int, is_shown: bool) -> None:
        self._selection = selection
        self._n_known = n_known
        self._started = time.monotonic()
        self._refreshed = 0.0
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),  # a candidate may be called act=[relu]
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not is_shown or not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None, count="", left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self) -> None:
        """Draw again, four times a second at most."""
        now = time.monotonic()
        if self._progress.disable or now - self._refreshed < _REFRESH_SECONDS:
            return
        self._refreshed = now
        selection = self._selection
        n_trained = selection.n_trainings
        n_new = n_trained - self._n_known
        n_expected, is_exact = expected_trainings(selection)
        about = "" if is_exact else "at most "
        left = ""
        if n_expected is not None and n_new > 0:
            left = f"{about}{_clock((n_expected - n_trained) * (now - self._started) / n_new)} left"
        leader = selection.selected
        leader = leader if len(leader) <= 30 else f"{leader[:29]}…"
        self._progress.update(
            self._task,
            total=n_expected,
            completed=n_trained,
            description=f"{int(selection.alive.sum())} alive, leader {leader}",
            count=f"{n_trained} trainings" + ("" if n_expected is None else f" of {about}{n_expected}"),
            left=left,
        )


def expected_trainings(selection: Selection) -> tuple[int | None, bool]:
    """Count the trainings of the whole selection: exactly, or at most, from who is alive now.

    Returns:
        The number (None: no limit), and whether it is exact.
    """
    trainings = selection.rule.trainings(selection.n_entered, selection.n_available)
    n_stopped = len(selection.candidates) - selection.n_entered
    if trainings.exact is not None or trainings.most is None:
        return None if trainings.exact is None else trainings.exact + selection.fresh + n_stopped, True
    n_most_each = trainings.most // selection.n_entered
    n_trained = np.count_nonzero(~np.isnan(selection.scores), axis=1)
    n_open = np.clip(n_most_each - n_trained[selection.alive], 0, None).sum()
    return int(n_trained.sum() + n_open) + selection.fresh + n_stopped, False


def _clock(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
