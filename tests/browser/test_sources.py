"""Sources of randomness on the page, and drawings that wait until somebody comes near, in a real Chromium."""

import time

import numpy as np
import pytest

from robust_select.analysis.sources import compare_alone, sources
from robust_select.core.designs import Crossed
from robust_select.core.tables import Table
from robust_select.report.page import write_page
from robust_select.report.sources import CrossedSources, Sources
from robust_select.select.replay import replay
from robust_select.select.rules import Halving
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.browser

DRAWN = "[...document.querySelectorAll('.chart:has(.main-svg)')].map(box => box.id)"
NASTY = "<img src=x onerror='window.harm=1'> & \"b\""


@pytest.fixture(scope="module")
def known():
    """Shares of three candidates, nothing known of the last, and each stream alone."""
    rng = np.random.default_rng(2)
    scores = (rng.normal(size=(3, 5, 1)) + 0.5 * rng.normal(size=(3, 5, 6))).reshape(3, 30)
    scores[2, 7] = np.inf
    crossed = sources(Table(("m2", "m0", NASTY), scores), Crossed(5, 6))
    alone = {name: Table(("m0",), rng.normal(size=(1, 20))) for name in ("initial weights alone", "all streams")}
    return Sources((CrossedSources("5 x 6", crossed),), (compare_alone(alone, n_resamples=100),))


@pytest.fixture(scope="module")
def page(known, tmp_path_factory):
    path = tmp_path_factory.mktemp("sources") / "page.html"
    scores = np.random.default_rng(0).normal(size=(8, 6)) + 2 * np.arange(8)[:, None]
    result = replay(Table(tuple(f"m{row}" for row in range(8)), scores), Halving(warmup=3), criterion("mean"))
    assert result.selected == "m0"
    write_page(result, path, sources=known)
    return path


@pytest.mark.parametrize("width", [1400, 400])
def test_bars_are_the_shares_with_their_intervals(browser, page, known, width):
    browser.open(page, width)
    chart = "document.getElementById('sources-chart-0')"
    assert browser.evaluate(f"{chart}._fullLayout.yaxis.ticktext")[:2] == ["m0", "m2"]
    rows = known.crossed[0].shares.set_index(["source", "candidate"])
    for name, x, up, down in browser.evaluate(
        f"{chart}.data.map(t => [t.name, t.x, t.error_x.array, t.error_x.arrayminus])"
    ):
        for at, candidate in enumerate(["m0", "m2"]):
            row = 100 * rows.loc[(name, candidate), ["share", "low", "high"]].astype(float)
            assert [x[at], x[at] - down[at], x[at] + up[at]] == pytest.approx(row.tolist(), rel=1e-4)
        assert x[2] is None
    assert browser.evaluate(f"[...{chart}.querySelectorAll('.annotation')].map(a => a.textContent)") == ["not known"]
    assert browser.evaluate("document.getElementById('sources-chart-1').data.length") == 2
    assert browser.evaluate("document.querySelectorAll('#sources table').length") == 2
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.evaluate("window.harm") is None
    assert browser.errors() == []


def test_what_is_far_below_waits_until_somebody_comes_near_or_prints(browser, page):
    """With a browser that is never idle: only what is near is drawn, though the page is ready; printing draws all."""
    stub = "window.requestIdleCallback = () => 0;"
    script = browser.send("Page.addScriptToEvaluateOnNewDocument", source=stub)["identifier"]
    try:
        browser.send("Emulation.setDeviceMetricsOverride", width=1400, height=700, deviceScaleFactor=1, mobile=False)
        browser.send("Page.navigate", url=page.resolve().as_uri())
        assert until(browser, "document.documentElement?.dataset.state === 'ready'")
        browser.evaluate("document.getElementById('path').scrollIntoView()")
        assert until(browser, f"{DRAWN}.includes('path-chart')")
        assert "front-chart" not in browser.evaluate(DRAWN)
        assert browser.evaluate("document.documentElement.dataset.drawn") is None
        assert browser.evaluate("document.querySelectorAll('#table-body tr').length") == 8
        browser.evaluate("document.getElementById('front').scrollIntoView()")
        assert until(browser, f"{DRAWN}.includes('front-chart')")
        browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert browser.evaluate("document.documentElement.dataset.drawn") == "all"
        assert len(browser.evaluate(DRAWN)) == 9  # this table has no training times
        assert browser.errors() == []
    finally:
        browser.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def until(browser, expression):
    """Wait for an expression to become true, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if browser.evaluate(f"Boolean({expression})"):
            return True
        time.sleep(0.05)
    return False
