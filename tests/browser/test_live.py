"""The live view in a real Chromium: it waits, opens, and follows the study without losing what the reader chose."""

import threading
import time

import pytest

from robust_select.core.candidates import grid
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger
from robust_select.report.live import LiveServer, LiveStudy

pytestmark = pytest.mark.browser

SETTINGS = {"rule": {"name": "halving", "warmup": 2}, "criterion": "mean", "direction": "minimize", "seed": 7}
SAYS = "document.querySelector('#live-says').textContent"


@pytest.fixture
def served(tmp_path):
    path = tmp_path / "study.db"
    with LiveServer(LiveStudy(str(path)).snapshot) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield path, server.url
        finally:
            server.shutdown()
            thread.join()


def until(browser, expression):
    """Wait for an expression to become true, at most 20 seconds; a page that loads itself anew answers later."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if browser.evaluate(f"(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()"):
            return True
        time.sleep(0.05)
    return False


def test_it_waits_opens_and_follows(browser, served):
    path, url = served
    browser.open(url)
    assert "found no file" in browser.evaluate("document.getElementById('says').textContent")
    with open_ledger(path) as ledger:
        record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2, 3, 4]))
        assert until(browser, "document.getElementById('says').textContent.includes('no finished training')")
        ledger.record(record, [(row, 0, Outcome(float(row), seconds=1.0)) for row in range(4)])
        assert until(browser, "document.querySelector('#live-says')?.textContent === 'Live: 4 trainings.'")
        browser.click("#table-body tr:nth-child(3) input")
        browser.evaluate("document.querySelector('#part-card summary').click()")
        browser.evaluate("document.querySelector('#table-filter').focus()")
        browser.write("width")
        ledger.record(record, [(row, 1, Outcome(float(row) - 5 * (row == 3), seconds=1.0)) for row in range(4)])
        assert until(browser, f"{SAYS} === 'Live: 8 trainings.'")
        names = "[...document.querySelectorAll('#table-body td.key span')].map(cell => cell.textContent)"
        assert browser.evaluate(names)[0] in {"width=1", "width=4"}
        ticked = "[...document.querySelectorAll('#table-body tr')].filter(row => row.querySelector('input').checked)"
        assert browser.evaluate(f"{ticked}.map(row => row.querySelector('td.key span').textContent)") == ["width=3"]
        assert browser.evaluate("document.querySelector('#table-filter').value") == "width"
        assert browser.evaluate("document.querySelector('#part-card details').open")
        ledger.record(record, [(0, 2, Outcome(0.0)), (3, 2, Outcome(-1.0))])
        ledger.finish(record, "one candidate is left")
        assert until(browser, f"{SAYS} === 'The study is finished: 10 trainings.'")
        assert browser.evaluate("document.querySelectorAll('.chart:has(.main-svg)').length") == 8
    assert browser.errors() == []


def test_it_says_when_the_server_is_gone(browser, tmp_path):
    path = tmp_path / "study.db"
    with open_ledger(path) as ledger:
        record = ledger.create_study("widths", SETTINGS, grid(width=[1, 2]))
        ledger.record(record, [(0, 0, Outcome(0.5))])
    with LiveServer(LiveStudy(str(path)).snapshot) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            browser.open(server.url)
        finally:
            server.shutdown()
            thread.join()
    assert until(browser, f"{SAYS}.startsWith('The server does not answer')")
    assert browser.evaluate("document.querySelector('.headline').textContent").startswith("width=1")
