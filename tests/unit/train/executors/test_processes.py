import os
import signal
import time

import psutil
import pytest

from robust_select.core.errors import WorkerLostError
from robust_select.core.instances import Instance, State, seeds_for
from robust_select.train.executors.processes import Processes, _first_line


def instance(replicate=0):
    return Instance("a", replicate, seeds_for(0, replicate))


@pytest.fixture
def crew_of():
    crews = []

    def make(trainer, **options):
        crews.append(Processes(trainer, **{"n_workers": 1, **options}))
        return crews[-1]

    yield make
    for crew in crews:
        crew.close()


def test_a_worker_is_single_threaded_and_leaves_ctrl_c_to_the_coordinator(crew_of):
    def looks(params, instance):
        import os
        import signal

        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return float(is_ignored and all(os.environ.get(name) == "1" for name in names))

    assert crew_of(looks).submit({}, instance()).result(timeout=30).score == 1.0


def test_a_lost_instance_is_tried_again_on_another_process(crew_of, tmp_path):
    def dies_once(params, instance):
        import os

        with open(params["path"], "a+") as file:
            file.write(f"{os.getpid()}\n")
            file.seek(0)
            n_tries = len(file.readlines())
        if n_tries == 1:
            os.kill(os.getpid(), 9)
        return 0.5

    path = tmp_path / "pids"
    outcome = crew_of(dies_once).submit({"path": str(path)}, instance()).result(timeout=60)
    assert outcome.score == 0.5
    assert len(set(path.read_text().split())) == 2


@pytest.mark.parametrize(("death", "told"), [("kill", "SIGKILL"), ("exit", "EXIT(7)")])
def test_an_instance_that_kills_every_process_is_given_up(crew_of, death, told):
    def dies(params, instance):
        import os

        if instance.replicate == 0 and params["death"] == "kill":
            os.kill(os.getpid(), 9)
        if instance.replicate == 0:
            os._exit(7)
        return 0.5

    crew = crew_of(dies, retries=1)
    lost, fine = (crew.submit({"death": death}, instance(replicate)) for replicate in (0, 1))
    with pytest.raises(WorkerLostError, match="died 2 times while training this instance") as info:
        lost.result(timeout=60)
    assert told in str(info.value)
    assert info.value.attempts == 2
    assert fine.result(timeout=60).score == 0.5


def test_a_worker_that_dies_while_it_is_idle_is_replaced(crew_of):
    def tells_pid(params, instance):
        import os

        return os.getpid()

    crew = crew_of(tells_pid)
    first = crew.submit({}, instance()).result(timeout=30).score
    os.kill(int(first), signal.SIGKILL)
    time.sleep(0.3)
    assert crew.submit({}, instance()).result(timeout=60).score != first


class Sharing:
    """A trainer that notes the folder of its data."""

    def __call__(self, params, instance):
        return 0.5

    def with_data_in(self, folder):
        self.folder = folder
        return self


def test_a_second_ctrl_c_leaves_no_folder_behind(crew_of, monkeypatch):
    trainer = Sharing()
    crew = crew_of(trainer)
    assert trainer.folder.is_dir()

    def interrupted(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(crew._lanes[0], "shutdown", interrupted)
        with pytest.raises(KeyboardInterrupt):
            crew.close()
    assert not trainer.folder.exists()


def test_closing_ends_the_processes_at_once_even_in_a_training(crew_of, tmp_path):
    def sleeps(params, instance):
        import os
        import pathlib
        import time

        pathlib.Path(params["path"]).write_text(str(os.getpid()))
        time.sleep(60)
        return 0.0

    path = tmp_path / "begun"
    crew = crew_of(sleeps)
    crew.submit({"path": str(path)}, instance())
    while not (path.exists() and path.read_text()):
        time.sleep(0.02)
    worker = psutil.Process(int(path.read_text()))
    began = time.monotonic()
    crew.close()
    assert time.monotonic() - began < 10
    _, alive = psutil.wait_procs([worker], timeout=5)
    assert alive == []


def test_parameters_that_cannot_be_sent_fail_that_instance_alone(crew_of):
    import threading

    crew = crew_of(lambda params, instance: 0.5)
    bad = crew.submit({"lock": threading.Lock()}, instance())
    with pytest.raises(Exception, match="pickle"):
        bad.result(timeout=30)
    assert crew.submit({}, instance(1)).result(timeout=30).score == 0.5


def test_a_trainer_that_cannot_be_imported_in_a_worker_has_failed(crew_of):
    class Exploding:
        def __reduce__(self):
            return (exec, ("raise ImportError('no such library here')",))

        def __call__(self, params, instance):
            return 0.5

    outcome = crew_of(Exploding()).submit({}, instance()).result(timeout=30)
    assert outcome.state is State.FAILED
    assert outcome.message == "the trainer cannot be loaded in a worker: ImportError: no such library here"


def test_a_start_that_fails_reaches_the_future(crew_of, monkeypatch):
    crew = crew_of(lambda params, instance: 0.5)

    def refuses(*arguments):
        raise OSError("cannot allocate memory")

    monkeypatch.setattr(crew._lanes[0], "submit", refuses)
    with pytest.raises(Exception, match="no process can be started: OSError: cannot allocate memory"):
        crew.submit({}, instance()).result(timeout=30)
    monkeypatch.undo()
    assert crew.submit({}, instance()).result(timeout=30).score == 0.5


def test_of_a_long_reason_the_first_line_is_kept():
    assert _first_line(RuntimeError("one\ntwo")) == "one"
    assert _first_line(RuntimeError()) == "RuntimeError"
