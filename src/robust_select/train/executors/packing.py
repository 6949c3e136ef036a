"""Which waiting instances are trained together: those of one stack key, as many as are best, spread over idle lanes.

Called by the crews beside this file. Knows nothing of processes or of what is trained.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from robust_select.core.instances import Instance, Outcome
from robust_select.core.protocols import StackTrainer, Trainer

MOST_WAITING = 4096
"""How many instances a crew that packs takes: enough to find those of one key among many candidates."""

_WAITING_A_WORKER = 32  # two stacks of a usual size, so that on many workers, too, stacks are full

_ALONE = ""  # the key of those that are trained one by one

_logger = logging.getLogger("robust_select")


def most_waiting(n_workers: int) -> int:
    """Say how many instances a crew that packs takes at most; more than ``MOST_WAITING`` where workers are many.

    Example:
        >>> most_waiting(2), most_waiting(1000)
        (4096, 32000)
    """
    return max(MOST_WAITING, _WAITING_A_WORKER * n_workers)


@dataclass(eq=False)
class Task:
    """An instance on its way.

    Attributes:
        params: of the candidate.
        instance: which training.
        n_lost: how many processes died while they trained it.
        is_alone: whether it is never trained together with others again, for one of them may kill the process.
        future: of its outcome.
    """

    params: Mapping[str, Any]
    instance: Instance
    n_lost: int = 0
    is_alone: bool = False
    future: "Future[Outcome]" = field(default_factory=Future)


@dataclass(frozen=True)
class Measurement:
    """A wish to know the best stack size of a key.

    Attributes:
        key: the stack key.
        params: of a candidate that has it.
    """

    key: str
    params: Mapping[str, Any]


class Waiting:
    """Tasks that wait for a lane, those of one stack key together, in the order in which keys came first.

    Args:
        trainer: a plain one is given one instance at a time.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._stacker = trainer if isinstance(trainer, StackTrainer) else None
        self._groups: OrderedDict[str, deque[Task]] = OrderedDict()
        self._sizes: dict[str, int] = {_ALONE: 1}
        self._measuring: set[str] = set()
        self._said: set[str] = set()

    @property
    def is_packing(self) -> bool:
        """Whether instances may be trained together, so that it is worth waiting for more of them."""
        return self._stacker is not None

    def put(self, task: Task) -> None:
        """Add a task at the end."""
        self._groups.setdefault(self._key(task), deque()).append(task)

    def put_first(self, task: Task) -> None:
        """Give a task back that is to be trained alone, before all others."""
        self._groups.setdefault(_ALONE, deque()).appendleft(task)
        self._groups.move_to_end(_ALONE, last=False)

    def take(self, n_idle: int, only_full: bool = False) -> "list[Task] | Measurement | None":
        """Take what an idle lane does next.

        Args:
            n_idle: how many lanes are idle, this one included; few tasks are spread evenly over them.
            only_full: leave stacks that are not full, for more may come.

        Returns:
            Tasks to train together, a size to measure first, or nothing.
        """
        for key, tasks in self._groups.items():
            if key in self._measuring:
                continue
            size = self._sizes.get(key)
            if size is None and len(tasks) > 1:
                self._measuring.add(key)
                return Measurement(key, tasks[0].params)
            if only_full and (size is None or len(tasks) < size):
                continue
            n_taken = size if only_full and size is not None else self._share(key, n_idle)
            taken = [tasks.popleft() for _ in range(n_taken)]
            if not tasks:
                del self._groups[key]
            return taken
        return None

    def measured(self, measurement: Measurement, size: int, reason: str = "") -> None:
        """Hear of the best stack size of a key.

        Args:
            measurement: the wish.
            size: how many instances are best trained together.
            reason: why they can only be trained one by one; said once.
        """
        self._measuring.discard(measurement.key)
        self._sizes[measurement.key] = max(1, size)
        if reason and reason not in self._said:
            self._said.add(reason)
            _logger.warning("candidates are trained one by one, and so more slowly: %s", reason)

    def clear(self) -> "list[Task]":
        """Forget all tasks; they are given back."""
        tasks = [task for group in self._groups.values() for task in group]
        self._groups.clear()
        return tasks

    def _key(self, task: Task) -> str:
        if self._stacker is None:
            return _ALONE
        try:
            return self._stacker.stack_key(task.params)
        except Exception:  # noqa: BLE001  the trainer is the user's; it will raise again when it trains this one
            return _ALONE

    def _share(self, wanted: str, n_idle: int) -> int:
        """Say how many tasks of a key one of the idle lanes takes."""
        counts: dict[str, tuple[int, int]] = {}
        n_stacks = 0
        for key, tasks in self._groups.items():
            if key not in self._measuring and (key in self._sizes or len(tasks) == 1):
                counts[key] = (len(tasks), self._sizes.get(key, 1))
                n_stacks += -(-len(tasks) // counts[key][1])
                if n_stacks > n_idle:
                    return min(len(self._groups[wanted]), self._sizes.get(wanted, 1))
        parts = spread(list(counts.values()), n_idle)[list(counts).index(wanted)]
        return -(-counts[wanted][0] // parts)


def spread(groups: list[tuple[int, int]], n_lanes: int) -> list[int]:
    """Split groups of tasks into stacks, so that no lane is idle while another has a stack that can be split.

    Args:
        groups: number of tasks and largest stack size of each.
        n_lanes: how many lanes are idle.

    Returns:
        How many stacks each group is split into; at least as many as its largest stack size asks for.

    Example:
        >>> spread([(10, 8)], 2), spread([(10, 8), (3, 8)], 4), spread([(1, 8)], 4)
        ([2], [3, 1], [1])
    """
    parts = [-(-n_tasks // size) for n_tasks, size in groups]
    while sum(parts) < n_lanes:
        largest = [-(-n_tasks // n_parts) for (n_tasks, _), n_parts in zip(groups, parts, strict=True)]
        if max(largest) == 1:
            break
        parts[largest.index(max(largest))] += 1
    return parts
