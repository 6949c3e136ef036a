import http.client
import json
import math
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from robust_select.core.candidates import grid
from robust_select.core.errors import InputError
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger
from robust_select.report.live import LiveServer, LiveStudy, Snapshot
from robust_select.report.page import waiting_page
from robust_select.report.reading import sources_of

SETTINGS = {"rule": {"name": "halving", "warmup": 2}, "criterion": "mean", "direction": "minimize", "seed": 7}


@contextmanager
def served(snapshot, host="127.0.0.1"):
    with LiveServer(snapshot, host, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server, path="/", method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    try:
        connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def fixed(version="1-2-0"):
    return lambda: Snapshot(version, waiting_page("hello <b>"), json.dumps({"version": version, "waiting": "hello"}))


@pytest.fixture
def server():
    with served(fixed()) as found:
        yield found


def hurry(study):
    """Have the next question read the ledger again, as it would a second later."""
    study._read_at = -math.inf


def test_the_page_and_its_headers(server):
    status, headers, body = ask(server)
    assert status == 200
    assert b"hello &lt;b&gt;" in body
    assert int(headers["Content-Length"]) == len(body)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


def test_asking_again_for_the_same_costs_nothing(server):
    status, headers, body = ask(server, "/update")
    assert (status, json.loads(body)["version"]) == (200, "1-2-0")
    again, _, nothing = ask(server, "/update", If_None_Match=headers["ETag"])
    assert (again, nothing) == (304, b"")
    assert ask(server, "/update", If_None_Match='"another"')[0] == 200
    status, _, nothing = ask(server, method="HEAD")
    assert (status, nothing) == (200, b"")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:9", "localhost:8642", "[::1]:80", "10.0.0.7:1", "LOCALHOST"]
)
def test_addresses_and_localhost_are_this_server(server, host):
    assert ask(server, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8642", "localhost.evil.example", "", "[", "127.0.0.1.x"]
)
def test_a_name_that_was_pointed_here_is_refused(server, host):
    status, _, body = ask(server, Host=host)
    assert status == 421
    assert b"hello" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_can_only_be_read(server, method):
    status, headers, _ = ask(server, "/", method, b"x=1")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_other_paths_hold_nothing(server):
    assert [ask(server, path)[0] for path in ("/etc/passwd", "/../secret", "//x", "/update/x")] == [404] * 4
    assert ask(server, "/?a=1")[0] == 200


def test_it_listens_on_loopback_unless_told_otherwise():
    with LiveServer(fixed()) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


def test_an_address_that_is_taken_is_refused(server):
    with pytest.raises(InputError, match="--port 0"):
        LiveServer(fixed(), port=server.server_address[1])
    with pytest.raises(InputError, match=r"host='no\.such\.host\.invalid'"):
        LiveServer(fixed(), host="no.such.host.invalid")


def test_from_nothing_to_a_finished_study(tmp_path):
    path = tmp_path / "study.db"
    study = LiveStudy(str(path))

    def now():
        hurry(study)
        return study.snapshot()

    assert "found no file" in json.loads(now().update)["waiting"]
    with open_ledger(path) as ledger:
        assert "no study yet" in json.loads(now().update)["waiting"]
        record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2]))
        waiting = now()
        assert "'widths' has no finished training yet" in json.loads(waiting.update)["waiting"]
        assert "Waiting for the first training" in waiting.page.html
        assert now().version == waiting.version
        ledger.record(record, [(0, 0, Outcome(0.5, seconds=1.0))])
        first = now()
        update = json.loads(first.update)
        assert (update["version"], update["isFinished"]) == (first.version, False)
        assert update["data"]["instances"] == [1, 0]
        assert "is the best so far" in update["parts"]["what"]
        assert now() is first
        ledger.record(record, [(1, 0, Outcome(0.2)), (0, 1, Outcome(0.6)), (1, 1, Outcome(0.3))])
        second = now()
        assert second.version != first.version
        assert json.loads(second.update)["data"]["names"] == ["width=2", "width=1"]
        ledger.finish(record, "one candidate is left")
        last = now()
        assert last.version != second.version
        assert json.loads(last.update)["isFinished"]
        assert 'id="live"' in last.page.html


def test_sources_of_randomness_are_shown_as_soon_as_they_are_known(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    study = LiveStudy(str(path), "widths")
    read = []
    monkeypatch.setattr("robust_select.report.live.sources_of", lambda *given: read.append(1) or sources_of(*given))
    with open_ledger(path) as ledger:
        record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2]))
        ledger.record(record, [(0, 0, Outcome(0.5))])
        first = json.loads(study.snapshot().update)
        assert first["parts"]["sources"] == ""
        beside = ledger.create_study("sources of widths, 2 x 2", SETTINGS, grid(width=[1]))
        ledger.record(beside, [(0, at, Outcome(score)) for at, score in enumerate([0.3, 0.2, 0.5, 0.4])])
        hurry(study)
        snapshot = study.snapshot()
        update = json.loads(snapshot.update)
        assert update["version"] != first["version"]
        assert "Sources of randomness" in update["parts"]["sources"]
        assert update["parts"]["sources"] in snapshot.page.html
        assert update["data"]["sources"][0]["names"] == ["width=1"]
        ledger.record(record, [(1, 0, Outcome(0.2))])
        hurry(study)
        again = json.loads(study.snapshot().update)
        assert again["version"] != update["version"]
        assert len(read) == 2  # only where something was trained there


@pytest.mark.parametrize("password", ["secret", "se:c/r%40et", "secret@x"])
def test_a_password_is_not_served(password):
    found = LiveStudy(f"nosuchdatabase://user:{password}@host/db").snapshot()
    assert "nosuchdatabase://user:***@host/db" in json.loads(found.update)["waiting"]
    assert password not in found.page.html + found.update + found.version


def test_readers_do_not_make_it_read_more_often(tmp_path):
    path = tmp_path / "study.db"
    study = LiveStudy(str(path))
    before = study.snapshot()
    with open_ledger(path) as ledger:
        record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2]))
        ledger.record(record, [(0, 0, Outcome(0.5))])
    assert study.snapshot() is before
    hurry(study)
    assert study.snapshot() is not before


def test_several_studies_are_told_apart(tmp_path):
    path = tmp_path / "study.db"
    with open_ledger(path) as ledger:
        for name in ("first", "second"):
            record = ledger.create_study(name, SETTINGS, grid(width=[1, 2]))
            ledger.record(record, [(0, 0, Outcome(0.5))])
    assert "2 studies ('first', 'second')" in json.loads(LiveStudy(str(path)).snapshot().update)["waiting"]
    assert "<title>second</title>" in LiveStudy(str(path), "second").snapshot().page.html


def test_the_parts_fit_the_page(tmp_path):
    path = tmp_path / "study.db"
    with open_ledger(path) as ledger:
        record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2]))
        ledger.record(record, [(0, 0, Outcome(0.5))])
    found = LiveStudy(str(path)).snapshot()
    update = json.loads(found.update)
    for name, html in update["parts"].items():
        assert f'id="part-{name}">{html}</' in found.page.html


def test_the_command_serves_while_another_process_writes(tmp_path):
    path = tmp_path / "study.db"
    command = [sys.executable, "-m", "robust_select.cli", "report", str(path), "--watch", "--port", "0"]
    program = "import sys; from robust_select.cli import main; sys.argv[0] = 'robust-select'; main()"
    command[1:3] = ["-c", program]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = watching.stdout.readline().split()[2]
        port = int(url.rsplit(":", 1)[1].strip("/"))
        assert url.startswith("http://127.0.0.1:")
        with open_ledger(path) as ledger:
            record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2]))
            ledger.record(record, [(0, 0, Outcome(0.5))])
            deadline = time.monotonic() + 20
            update = {"waiting": ""}
            while "waiting" in update and time.monotonic() < deadline:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("GET", "/update")
                update = json.loads(connection.getresponse().read())
                connection.close()
                time.sleep(0.2)
            assert update["data"]["instances"] == [1, 0]
            ledger.record(record, [(1, 0, Outcome(0.5))])  # the reader is no hindrance
    finally:
        watching.send_signal(2)
        code = watching.wait(timeout=20)
        watching.stdout.close()
    assert code == 0
