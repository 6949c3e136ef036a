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
        """How many instances are best submitted at a time, so that nobody waits for work."""
        ...

    @property
    def n_workers(self) -> int:
        """How many instances are trained at the same time."""
        ...

    def submit(self, params: Mapping[str, Any], instance: Instance) -> "Future[Outcome]":
        """Have an instance trained; the future may raise ``WorkerLostError``."""
        ...

    def close(self) -> None:
        """Stop at once; trainings in flight are given up."""
        ...
