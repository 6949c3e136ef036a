"""The live view: serves the page of a study that is still running, and tells it what is new.

Called by the command line. Reads the ledger, never writes; knows nothing of how a study runs.
"""

import ipaddress
import json
import re
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from robust_select.core.errors import InputError, RobustSelectError
from robust_select.ledger import open_ledger
from robust_select.report.page import Page, live_page, live_update, waiting_page
from robust_select.report.reading import sources_of, sources_version
from robust_select.report.sources import Sources
from robust_select.study.reading import read_result

LOOPBACK = "127.0.0.1"
_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(?::[0-9]{1,5})?")
_PAUSE_SHARE = 4.0  # so many times as long as the last reading took nothing is read anew
_LEAST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Snapshot:
    """A study as it stands.

    Attributes:
        version: another one whenever the page would be another one.
        page: the whole page.
        update: what an open page needs to show the same, as JSON.
    """

    version: str
    page: Page
    update: str


class LiveStudy:
    """A study in a ledger that another process may be writing; asked by many readers, read once for all.

    Args:
        ledger: path of a SQLite file, or a database URL. It need not exist yet.
        study: its name, if the ledger holds several.
    """

    def __init__(self, ledger: str, study: str | None = None) -> None:
        self._ledger = ledger
        self._study = study
        self._lock = threading.Lock()
        self._last: Snapshot | None = None
        self._sources: tuple[str, Sources | None] | None = None  # as of the version of the studies beside it
        self._read_at = -float("inf")
        self._pause = _LEAST_PAUSE_SECONDS

    def snapshot(self) -> Snapshot:
        """Give the study as it stands, or stood a moment ago; a waiting page where nothing is trained yet."""
        with self._lock:
            if self._last is None or time.monotonic() - self._read_at >= self._pause:
                started = time.monotonic()
                self._last = self._read()
                self._read_at = time.monotonic()
                self._pause = max(_LEAST_PAUSE_SECONDS, _PAUSE_SHARE * (self._read_at - started))
            return self._last

    def _read(self) -> Snapshot:
        try:
            with open_ledger(self._ledger, must_exist=True) as opened:
                if self._study is None and not opened.names():
                    return _waiting("The ledger holds no study yet.")
                record = opened.study(self._study)
                counts = opened.count(record)
                if not sum(counts.values()):
                    return _waiting(f"Study {record.name!r} has no finished training yet.")
                version = (
                    f"{record.id}-{'-'.join(map(str, counts.values()))}-{zlib.crc32(record.stop_reason.encode()):x}"
                )
                beside = sources_version(opened, record)
                version = f"{version}-{beside}" if beside else version
                if self._last is not None and self._last.version == version:
                    return self._last
                found = read_result(opened, record.name)
                if self._sources is None or self._sources[0] != beside:
                    self._sources = (beside, sources_of(opened, record, found.result.direction))
        except RobustSelectError as error:
            return _waiting(str(error))
        known = self._sources[1]
        page = live_page(found.result, found.study.name, found.provenance, found.base, version, known)
        update = live_update(found.result, found.provenance, found.base, version, known)
        return Snapshot(version, page, update)


def _waiting(text: str) -> Snapshot:
    """Say what is waited for; the open page asks again, and loads itself anew when there is something to show."""
    version = f"waiting-{text}"
    return Snapshot(version, waiting_page(text), json.dumps({"version": version, "waiting": text}))


class LiveServer(ThreadingHTTPServer):
    """Serves one study, to read; ``serve_forever`` runs it.

    Args:
        snapshot: gives the study as it stands.
        host: name or address to listen at.
        port: 0 for any that is free.

    Raises:
        InputError: nobody can listen there.
    """

    daemon_threads = True

    def __init__(self, snapshot: Callable[[], Snapshot], host: str = LOOPBACK, port: int = 0) -> None:
        self.snapshot = snapshot
        self.host = host
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            self.address_family = found[0][0]
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"expected an address to listen at, came host={host!r}, port={port}: {error}; --port 0 takes any "
                "port that is free"
            ) from error

    @property
    def url(self) -> str:
        """Where to look."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_address[1]}/"

    def server_bind(self) -> None:
        """Listen; without asking a name server for this machine's name."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.host, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of readers that went away while they were answered."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def is_own(self, host: str) -> bool:
        """Say whether a request's Host header names this server, not a name that somebody pointed at it.

        A page of another origin can have its own name resolved to this address (DNS rebinding); such a name is
        refused. Addresses cannot be pointed elsewhere, and the port may be that of a tunnel.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["address"] or found["name"]
        if name.lower() in {"localhost", self.host.lower(), socket.gethostname().lower()}:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer
    protocol_version = "HTTP/1.0"  # a connection a question: none outlives the server
    server_version = "robust-select"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"read only\n", {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse

    def _answer(self) -> None:
        if not self.server.is_own(self.headers.get("Host", "")):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"this server has another name\n")
            return
        path = urlsplit(self.path).path
        if path not in ("/", "/update"):
            self._send(HTTPStatus.NOT_FOUND, b"nothing here\n")
            return
        found = self.server.snapshot()
        tag = f'"{_ascii(found.version)}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, b"", {"ETag": tag})
        elif path == "/update":
            more = {"ETag": tag, "Content-Type": "application/json"}
            self._send(HTTPStatus.OK, found.update.encode(), more)
        else:
            policy = f"{found.page.policy}; frame-ancestors 'none'"
            more = {"ETag": tag, "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
            self._send(HTTPStatus.OK, found.page.html.encode("utf-8", "xmlcharrefreplace"), more)

    def _send(self, status: HTTPStatus, body: bytes, more: dict[str, str] | None = None) -> None:
        headers: dict[str, Any] = {
            "Content-Type": "text/plain; charset=utf-8",
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(more or {}),
        }
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of each request."""


def _ascii(version: str) -> str:
    return "".join(sign if sign.isascii() and sign.isprintable() and sign not in '"\\' else "?" for sign in version)
