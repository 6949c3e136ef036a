import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from robust_select.core.errors import InputError
from robust_select.train.executors import Borrowed, InProcess, Processes, open_crew


def make_trainer(held=None):
    return lambda params, instance: float(held is None)


def test_one_worker_is_this_process():
    assert isinstance(open_crew(make_trainer()), InProcess)


def test_several_workers_are_processes():
    crew = open_crew(make_trainer(), workers=3)
    assert isinstance(crew, Processes)
    assert (crew.n_workers, crew.n_in_flight) == (3, 6)
    crew.close()


def test_an_executor_is_borrowed_and_left_open():
    with ThreadPoolExecutor(1) as executor:
        crew = open_crew(make_trainer(), workers=2, executor=executor)
        assert isinstance(crew, Borrowed)
        assert crew.n_workers == 2
        crew.close()
        assert executor.submit(int, 3).result() == 3


@pytest.mark.parametrize("workers", [0, -1, True])
def test_a_crew_has_workers(workers):
    with pytest.raises(InputError, match=f"expected at least one worker, came workers={workers}"):
        open_crew(make_trainer(), workers=workers)


def test_a_trainer_that_cannot_be_sent_is_refused_with_advice():
    with pytest.raises(InputError, match=r"cannot be pickled.*open files and connections inside the trainer") as info:
        open_crew(make_trainer(threading.Lock()), workers=2)
    assert "workers=1" in str(info.value)
    assert "lock" in str(info.value)


def test_the_same_trainer_trains_in_this_process():
    assert isinstance(open_crew(make_trainer(threading.Lock())), InProcess)
