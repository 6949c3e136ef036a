"""What a crew is: somebody who trains instances, one or several at a time.

Implemented by the files beside this one, called by studies. Knows nothing of processes.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from robust_select.core.instances import Instance, Outcome


class Crew(Protocol):
    """Trains instances."""

    @property
    def n_in_flight(self) -> int:
        """How many instances are best submitted at a time, so that nobody waits for work and stacks are full."""
        ...

    @property
    def n_workers(self) -> int:
        """How many trainings run at the same time."""
        ...

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Have an instance trained; the future may raise ``WorkerLostError``.

        A crew that trains instances together may let it wait for others, until ``start``.
        """
        ...

    def start(self) -> None:
        """Hear that no more is submitted until something has finished: what waits is to be trained now."""
        ...

    def close(self) -> None:
        """Stop at once; trainings in flight are given up."""
        ...
