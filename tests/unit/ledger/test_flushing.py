import threading

import pytest

from robust_select.core.candidates import Candidate
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger
from robust_select.ledger.flushing import LateFlush


class Disk:
    """Counts what it is asked to confirm; may refuse."""

    def __init__(self, error=None):
        self.n_asked = 0
        self.asked = threading.Event()
        self.error = error

    def sync(self):
        self.n_asked += 1
        self.asked.set()
        if self.error is not None:
            raise self.error


def test_what_nobody_flushes_is_flushed_by_itself():
    disk = Disk()
    late = LateFlush(disk.sync, 0.01)
    for _ in range(100):
        late.wanted()
    assert disk.asked.wait(10)
    late.close()
    assert disk.n_asked < 100


def test_what_was_flushed_is_not_flushed_again():
    disk = Disk()
    late = LateFlush(disk.sync, 0.02)
    late.wanted()
    late.flush()
    timer = late._timer
    timer.join()  # it has come, and found nothing to do
    late.close()
    assert disk.n_asked == 1


def test_who_flushes_next_is_told_of_an_error():
    disk = Disk(OSError("input/output error"))
    late = LateFlush(disk.sync, 0.0)
    late.wanted()
    assert disk.asked.wait(10)
    disk.error = None  # a disk tells an error once
    late.close()
    with pytest.raises(OSError, match="input/output error"):
        late.flush()
    late.flush()
    assert disk.n_asked == 2


def test_a_ledger_confirms_the_end_of_a_burst_by_itself(tmp_path, monkeypatch):
    """In-process, a long training may follow: nobody else flushes while it runs."""
    from robust_select.ledger import ledger as module

    confirmed = threading.Event()
    monkeypatch.setattr(module.os, "fsync", lambda number: confirmed.set())
    with open_ledger(tmp_path / "study.db") as ledger:
        study = ledger.create_study("first", {}, [Candidate("a")])
        confirmed.clear()
        ledger.record(study, [(0, 0, Outcome(1.0))])
        assert confirmed.wait(10)
