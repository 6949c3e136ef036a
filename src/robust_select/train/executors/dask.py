"""Trains on a Dask cluster: an executor on top of a client, and the crew that uses it.

Called by ``open_crew``. Imports distributed only when asked for a cluster; knows nothing of what is trained.
"""

import importlib
import logging
import os
import pickle
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, Protocol
from urllib.parse import urlsplit

import cloudpickle

from robust_select.core.errors import InputError, MissingExtraError, WorkerLostError
from robust_select.core.protocols import Trainer
from robust_select.train.executors.borrowed import Borrowed, train_stack_pickled

_SCHEME = "dask"
_PATIENCE = "10s"
_RETRIES = 2  # as in processes of our own

_logger = logging.getLogger("robust_select")


class Client(Protocol):
    """What is used of a ``distributed.Client``."""

    @property
    def asynchronous(self) -> bool:
        """Whether its methods are to be awaited."""
        ...

    @property
    def loop(self) -> Any:
        """Its event loop, which runs in a thread of its own."""
        ...

    @property
    def scheduler(self) -> Any:
        """The connection to the scheduler; None while there is none."""
        ...

    @property
    def status(self) -> Any:
        """How the connection is, in a word."""
        ...

    def cancel(self, futures: Any, /, *, asynchronous: bool) -> Any:
        """Give tasks up."""
        ...

    def close(self) -> Any:
        """Close the connection."""
        ...

    def nthreads(self) -> Any:
        """Tell the number of threads of each worker."""
        ...

    def submit(self, function: Callable[..., Any], /, *arguments: Any, key: str, pure: bool) -> Any:
        """Have a task done."""
        ...


class _BegunBeforeError(RuntimeError):
    """The worker died that made this call."""


class _NeverBegunError(RuntimeError):
    """The worker died before it made this call, or nobody waits for it."""


class DaskExecutor(Executor):
    """A cluster as an executor of functions whose first argument is the same pickled trainer each time.

    The trainer goes to the scheduler once; each worker fetches it from there, or from another worker. Modules that a
    worker cannot import otherwise are looked for where the coordinator has them, if the worker has such folders.

    A function whose worker dies while it runs is called again on another one, twice; then its future raises
    ``WorkerLostError``. But a stack is begun only once: then its future fails, so that its instances can be tried
    one by one. What only waited on a worker that died is not to blame.
    """

    def __init__(self, client: Client, is_ours: bool = False) -> None:
        self._client = client
        self._is_ours = is_ours
        self._address = _address_of(client)
        self._payload: bytes | None = None
        self._held: Any = None
        self._why_broken = ""
        self._promises: dict[Future[Any], Any] = {}

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> "Future[Any]":
        """Have a worker call a function.

        Args:
            function: importable by the workers, or pickled by value.
            arguments: the trainer's pickle, then what else it takes.
            keywords: what it takes by name.

        Raises:
            BrokenExecutor: the connection to the scheduler is lost.
        """
        if not self._why_broken and self._client.status not in ("running", "newly-connected"):
            self._why_broken = self._lost()
        if self._why_broken:
            raise BrokenExecutor(self._why_broken)
        payload, *others = arguments
        ended: Future[Any] = Future()
        try:
            # pickled here, for Dask would look into lists and tuples for tasks of its own
            call = cloudpickle.dumps((_import_path(), cloudpickle.dumps((function, others, keywords))))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            ended.set_exception(error)
            return ended
        is_stack = function is train_stack_pickled and len(others[0]) > 1
        ended.add_done_callback(lambda done: self._forget(done) if done.cancelled() else None)
        self._client.loop.add_callback(self._carry_out, ended, payload, call, is_stack)
        return ended

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more, have the cluster forget the trainer, and close the client if it is ours.

        Args:
            wait: without effect: what still runs is given up where the client is closed.
            cancel_futures: without effect, too.
        """
        self._why_broken = self._why_broken or "it is shut down"
        self._held = None
        if self._is_ours:
            self._client.close()

    def _hold(self, payload: bytes) -> Any:
        """Give the trainer to the scheduler, which keeps it for workers that come later, too."""
        if self._held is None or self._payload is not payload:
            self._payload = payload
            key = f"robust-select-trainer-{uuid.uuid4().hex}"
            self._held = self._client.submit(_keep, payload, key=key, pure=False)
        return self._held

    def _forget(self, ended: "Future[Any]") -> None:
        promise = self._promises.pop(ended, None)
        if promise is not None:
            self._client.loop.add_callback(lambda: self._client.cancel([promise], asynchronous=True))

    async def _carry_out(self, ended: "Future[Any]", payload: bytes, call: bytes, is_stack: bool) -> None:
        """Have a call made, again where its worker dies, and pass on how it ends; in the client's thread."""
        result: Any = None
        failure: BaseException | None = None
        n_lost = 0
        while not ended.cancelled():
            try:
                result = await self._attempt(ended, payload, call)
                break
            except _NeverBegunError:
                continue
            except _BegunBeforeError as error:
                n_lost += 1
                if is_stack or n_lost > _RETRIES:
                    failure = error if is_stack else WorkerLostError(n_lost, f"on the cluster of {self._address}")
                    break
            except BrokenExecutor as error:
                failure = error
                break
            except Exception as error:  # noqa: BLE001  whatever a worker raises, somebody waits for it
                failure = error
                break
        self._promises.pop(ended, None)
        if not ended.set_running_or_notify_cancel():
            return
        if failure is None:
            ended.set_result(result)
        else:
            ended.set_exception(failure)

    async def _attempt(self, ended: "Future[Any]", payload: bytes, call: bytes) -> Any:
        """Have a call made by one worker.

        Raises:
            _BegunBeforeError: the worker died while it made the call.
            _NeverBegunError: it died before, or the call is given up.
            BrokenExecutor: the scheduler is gone.
        """
        distributed = _distributed()
        name = f"robust-select-{uuid.uuid4().hex}"
        promise = self._client.submit(_call, self._hold(payload), call, name, key=name, pure=False)
        self._promises[ended] = promise
        try:
            return pickle.loads(await promise)  # noqa: S301  our own pickle, made by the worker
        except distributed.KilledWorker as error:  # so says the scheduler also of what only waited there
            begun = distributed.Event(name, client=self._client)
            if not await begun.is_set():
                raise _NeverBegunError from error
            await begun.clear()
            raise _BegunBeforeError(str(error)) from error
        except distributed.CancelledError as error:
            if ended.cancelled():
                raise _NeverBegunError from error
            is_lost = self._client.status != "running"
            self._why_broken = self._why_broken or (self._lost() if is_lost else f"cancelled on the cluster: {error}")
            raise BrokenExecutor(self._why_broken) from error

    def _lost(self) -> str:
        return f"the connection to the Dask scheduler at {self._address} is lost"


def open_dask(trainer: Trainer, cluster: str | Client, n_workers: int | None = None) -> Borrowed:
    """Make a crew that trains on a Dask cluster.

    Args:
        trainer: trains one instance, or several together.
        cluster: ``"dask://HOST:PORT"`` of a scheduler, or a client, which stays open.
        n_workers: how many trainings, or stacks of them, the cluster has at a time; by default as many as it has
            threads now.

    Raises:
        InputError: no scheduler answers, it has no workers, or the client cannot be used here.
        MissingExtraError: distributed is not installed.
    """
    is_ours = isinstance(cluster, str)
    client = _connected(cluster) if isinstance(cluster, str) else cluster
    if client.asynchronous:
        raise InputError("expected a Dask client whose methods wait, came one with asynchronous=True: make another")
    if client.status != "running":
        raise InputError(f"expected a Dask client that is connected, came one that is {client.status}: make another")
    executor = DaskExecutor(client, is_ours)
    try:
        return Borrowed(trainer, executor, n_workers or _count_workers(client), executor.shutdown)
    except BaseException:
        executor.shutdown()
        raise


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        raise MissingExtraError("distributed", "dask") from error


def is_client(thing: object) -> bool:
    """Say whether something is a Dask client, without importing distributed for it."""
    module = sys.modules.get("distributed")
    return module is not None and isinstance(thing, module.Client)


def scheduler_address(text: str) -> str:
    """Read where a scheduler is.

    Raises:
        InputError: it is not ``dask://HOST:PORT``.

    Example:
        >>> scheduler_address("dask://10.0.0.1:8786")
        'tcp://10.0.0.1:8786'
    """
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme == _SCHEME and parts.hostname and parts.port and not parts.path.strip("/")
    except ValueError:  # a port that is no number
        is_whole = False
    if not is_whole:
        raise InputError(
            f"expected an executor such as 'dask://HOST:PORT', a dask.distributed client or an executor of "
            f"concurrent.futures, came {text!r}"
        )
    return f"tcp://{parts.netloc}"


def _connected(text: str) -> Client:
    address = scheduler_address(text)
    distributed = _distributed()
    try:
        made: Client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False, name="robust-select")
        return made
    except OSError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"expected a Dask scheduler at executor={text!r}, found none ({reason}): start one with "
            "'dask scheduler --port PORT' and workers with 'dask worker HOST:PORT --nworkers N --nthreads 1'"
        ) from error


def _count_workers(client: Client) -> int:
    """Count the threads of a cluster."""
    threads: dict[str, int] = client.nthreads()
    if not threads:
        raise InputError(
            f"expected workers at the Dask scheduler {_address_of(client)}, found none yet: start some, or say with "
            "workers=N (command line: --workers N) how many there will be"
        )
    if max(threads.values()) > 1:
        _logger.warning(
            "Dask workers with several threads train several instances in one process, where PyTorch's random "
            "numbers are shared: start them with --nthreads 1"
        )
    return int(sum(threads.values()))


def _address_of(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "an unknown address"


def _keep(payload: bytes) -> bytes:
    """Be the trainer's pickle, as a task, which Dask does again where the worker that has it is gone."""
    return payload


def _import_path() -> list[str]:
    return [os.path.abspath(folder) for folder in sys.path]


def _unpack(call: bytes) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
    """Read what to call, in a worker, after the folders are known where the coordinator finds its modules."""
    folders, rest = pickle.loads(call)  # noqa: S301  our own pickle, made by the coordinator
    sys.path += [folder for folder in folders if folder not in sys.path and os.path.isdir(folder)]
    function, others, keywords = pickle.loads(rest)  # noqa: S301  the same
    return function, others, keywords


def _call(payload: bytes, call: bytes, name: str) -> bytes:
    """Call a function in a worker, unless one has died that did; that is known by an event of this name.

    Returns:
        The pickled result: what cannot be pickled fails here, where the error travels home.
    """
    begun = _distributed().Event(name)
    if begun.is_set():
        begun.clear()
        raise _BegunBeforeError("the worker died that trained these instances")
    begun.set()
    try:
        function, others, keywords = _unpack(call)
        return bytes(cloudpickle.dumps(function(payload, *others, **keywords)))
    finally:
        begun.clear()
