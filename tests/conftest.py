"""For all tests: the repository on the path, Ctrl-C as a terminal has it, and a PostgreSQL server on request."""

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .postgres import Server, open_server, programs

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # benchmarks/ is no part of the installed package
    sys.path.insert(0, str(ROOT))
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before mlflow is imported, else it reports its use


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server; without one the tests are skipped, or fail where ROBUST_SELECT_REQUIRE_POSTGRES=1."""
    found = programs()
    missing = [] if found is not None else ["no PostgreSQL under /usr/lib/postgresql (Debian's package postgresql)"]
    if importlib.util.find_spec("psycopg") is None:
        missing.append("no psycopg (the extra postgres)")
    if missing or found is None:
        if os.environ.get("ROBUST_SELECT_REQUIRE_POSTGRES") == "1":
            pytest.fail(f"ROBUST_SELECT_REQUIRE_POSTGRES=1 is set, but there is {' and '.join(missing)}")
        pytest.skip(f"there is {' and '.join(missing)}")
    with open_server(found) as server:
        yield server
