"""A real PostgreSQL server on loopback, in a temporary folder, as a user who is not root.

Called by the fixture in conftest.py. Knows nothing of ledgers, nor of pytest.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_USER = "tester"
_PASSWORD = "a secret"
_PATIENCE_SECONDS = 30


def programs() -> Path | None:
    """Find the folder of initdb, the newest version first; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """A server with a superuser, ``_USER``, and as many databases as are asked for."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self._folder, self._bin, self._numbers = folder, bin_folder, itertools.count()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._as_user: dict[str, Any] = {"cwd": folder, "env": {"LC_ALL": "C", "PATH": os.environ["PATH"]}}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            names = {entry.pw_name for entry in pwd.getpwall()}
            owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            self._as_user |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        words = folder / "words"
        words.write_text(_PASSWORD)
        words.chmod(0o644)
        command = [bin_folder / "initdb", "-D", folder / "data", "-U", _USER, f"--pwfile={words}"]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run([*command, *options], check=True, capture_output=True, **self._as_user)
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        """Start the server and wait until it listens."""
        log = self._folder / "log"
        n_before = log.stat().st_size if log.exists() else 0
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._folder,
            "fsync": "off",  # what the tests end is the server, never the machine
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with log.open("ab") as file:
            command = [self._bin / "postgres", "-D", self._folder / "data", *options]
            process = subprocess.Popen(command, stdout=file, stderr=file, **self._as_user)
        patience_ends = time.monotonic() + _PATIENCE_SECONDS
        while b"ready to accept connections" not in log.read_bytes()[n_before:]:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < patience_ends, log.read_text()
            time.sleep(0.02)
        return process

    def url(self, database: str) -> str:
        """Give the URL of a database, as a user would write it."""
        return f"postgresql://{_USER}:{_PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        name = f"ledger_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement, as the superuser."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def cut(self, url: str) -> int:
        """End all connections to a database, and say how many there were."""
        database = url.rpartition("/")[2]
        return len(
            self.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'")
        )

    def crash(self) -> None:
        """End the server without a word, as if it had died, and start it again."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=_PATIENCE_SECONDS)
        self._process = self._start()

    def close(self) -> None:
        """End the server at once, whoever is connected."""
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def open_server(bin_folder: Path) -> Iterator[Server]:
    """Start a server and end it afterwards; nothing of it remains."""
    folder = Path(tempfile.mkdtemp(prefix="robust-select-postgres-"))
    try:
        server = Server(folder, bin_folder)
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
