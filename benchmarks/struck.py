"""The studies that faults strike, and the nursery that starts them in processes of their own.

The nursery is a program that ``striking.py`` starts. Knows nothing of what strikes.
"""

import dataclasses
import datetime
import json
import os
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Mapping
from pathlib import Path

from benchmarks.faulty import Trainer

import robust_select as rs
from robust_select.study.study import step_record

CANDIDATES = {f"c{i}": {"mean": 0.1 * (i % 5), "spread": 0.3 / (1 + i)} for i in range(8)}

RULES: Mapping[str, rs.Rule] = {
    "exhaustive": rs.Exhaustive(n=6),
    "halving": rs.Halving(warmup=4, final_instances=9),
    "significance": rs.Significance("welch", alpha=0.2, warmup=4, max_instances=9),
    "top-two": rs.TopTwo(confidence=0.999, warmup=3, batch=4, budget=56),
}
"""Each with settings with which a study has about 50 trainings and several steps."""

FAILED, INTERRUPTED, BROKEN = 1, 130, 70
"""Exit codes of a study: an error that says what to do, Ctrl-C, anything else."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What the nursery is to start.

    Attributes:
        folder: of the study: its ledger, what it has trained, its result.
        rule: one of ``RULES``.
        workers: 1 trains in the study's own process.
        is_clock_back: whether the clock goes back by a day whenever it is read.
        is_disk_full: whether no file can grow, from the beginning.
        said_in: the folder for its last words, where its own cannot be written to.
    """

    folder: str
    rule: str = "significance"
    workers: int = 1
    is_clock_back: bool = False
    is_disk_full: bool = False
    said_in: str = ""


def make_study(order: Order) -> rs.Study:
    """Make the study of an order."""
    ledger = Path(order.folder) / "study.db"
    return rs.Study(
        CANDIDATES, Trainer(order.folder), criterion="mean", rule=RULES[order.rule], ledger=ledger, seed=11
    )


def run_order(order: Order) -> None:
    """Run a study to its end, and write down what it has come to, without what depends on the time."""
    if order.is_clock_back:
        set_clock_back()
    if order.is_disk_full:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    result = make_study(order).run(workers=order.workers)
    found = {
        "selected": result.selected,
        "remaining": result.remaining,
        "why": result.stop_reason,
        "steps": [{**step_record(step), "seconds": None} for step in result.steps],
        "scores": [[repr(float(score)) for score in row] for row in result.table.scores],
    }
    (Path(order.folder) / "result.json").write_text(json.dumps(found))


def set_clock_back() -> None:
    """Let the clock go back by a day whenever this process reads it."""
    now = [time.time()]

    def read() -> float:
        now[0] -= 86_400.0
        return now[0]

    class Backwards(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Backwards":
            return cls.fromtimestamp(read(), tz)

    module = types.SimpleNamespace(**{**vars(datetime), "datetime": Backwards})
    for name, loaded in list(sys.modules.items()):
        if name.startswith("robust_select") and getattr(loaded, "datetime", None) is datetime:
            loaded.datetime = module  # type: ignore[attr-defined]
    time.time = read


def serve() -> None:
    """Be the nursery: start a study for each line of standard input, one after the other, and say how it ended."""
    for line in sys.stdin:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            os._exit(_be_born(order))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _be_born(order: Order) -> int:
    """Run a study in the process that was forked for it; give the exit code."""
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has programs in the background ignore it
        os.write(1, f"{os.getpid()}\n".encode())  # from here on it may be struck
        os.dup2(2, 1)  # standard output is for the nursery's own words
        run_order(order)
    except KeyboardInterrupt:
        return INTERRUPTED
    except rs.RobustSelectError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (Path(order.said_in or order.folder) / "said").write_text(str(error))
        return FAILED
    except BaseException:  # noqa: BLE001  anything else is what nobody is to see
        traceback.print_exc()
        return BROKEN
    return 0
