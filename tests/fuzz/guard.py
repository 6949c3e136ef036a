"""Runs one fuzzed input within limits of time and memory, and says whether the library kept its word.

Used by the tests and the campaign. Knows nothing of what the inputs are.
"""

import contextlib
import re
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType

from sqlalchemy.exc import SAWarning

from robust_select.core.errors import RobustSelectError

SECONDS = 30.0
"""A single input may take so long."""

BYTES = 1 << 29
"""A single input, of less than a megabyte, may make the process so much larger than it ever was."""

_RESERVED_BYTES = 3 << 30  # beyond what is reserved already: allocators reserve much more than they use

_OUT_OF_MEMORY = re.compile(r"MemoryError|nable to allocate|alloc of size|bad_alloc|annot allocate", re.IGNORECASE)


class TooSlowError(BaseException):
    """An input took too long; no Exception, so that nobody who handles damaged files catches it."""


class CrashError(AssertionError):
    """The library did with an input what it must not."""


def check(target: Callable[[bytes], object], plan: bytes) -> bool:
    """Run a target on a plan, from which it makes its input.

    Returns:
        Whether the input was refused, with the library's own error.

    Raises:
        CrashError: another exception came out, or the input took too long or too much memory.
    """
    try:
        with _limits(), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("default", SAWarning)  # says which part of a URL it ignores
            before = _peak()
            target(plan)
        _check_growth(before)
    except RobustSelectError as error:
        if _OUT_OF_MEMORY.search(str(error)):
            raise CrashError(f"took too much memory: {error}") from error
        _check_growth(before)
        return True
    except TooSlowError as error:
        raise CrashError(f"took longer than {SECONDS:g} s, at {_where(error)}") from error
    except CrashError:
        raise
    except Exception as error:
        raise CrashError(f"{type(error).__name__}: {str(error)[:300]}, at {_where(error)}") from error
    return False


def _peak() -> int:
    """The most memory that the process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _check_growth(before: int) -> None:
    grown = _peak() - before
    if grown > BYTES:
        raise CrashError(f"took {grown >> 20} MiB of memory")


def _where(error: BaseException) -> str:
    """Name the place in the library that the error came through last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "robust_select" in frame.filename]
    if not frames:
        return "no place of ours"
    return f"{frames[-1].filename.rpartition('robust_select/')[2]}:{frames[-1].lineno}"


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Let the block take so much time and memory."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlowError

    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (_virtual_memory() + _RESERVED_BYTES, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def _virtual_memory() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
