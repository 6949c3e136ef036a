"""The charts of single candidates and of how sure the choice is, in a real Chromium."""

import numpy as np
import pytest

from robust_select.analysis.chosen import top_n_of_result
from robust_select.analysis.curves import curve_band
from robust_select.analysis.fractions import criterion_fractions
from robust_select.analysis.histograms import score_histograms
from robust_select.core.tables import Table
from robust_select.report.page import write_page
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.browser

NASTY = "<img src=x onerror='window.harm=1'> & \"b\""


@pytest.fixture(scope="module")
def table():
    """Six candidates with curves over 12 epochs; one diverges once, the last has no curve."""
    rng = np.random.default_rng(5)
    names = ("a", "b", "c", NASTY, "e", "f")
    scores = rng.gamma(4, 0.02, (6, 30)) + 0.05 * np.arange(6)[:, None]
    scores[2, 4] = np.inf
    curves = scores[:, :, None] * np.linspace(3, 1, 12) + 0.01
    curves[5] = np.nan
    return Table(names, scores, curves=curves)


@pytest.fixture(scope="module")
def result(table):
    return replay(Table(table.candidates, table.scores), Exhaustive(30), criterion("mean"))


@pytest.fixture(scope="module")
def page(table, result, tmp_path_factory):
    path = tmp_path_factory.mktemp("evidence") / "page.html"
    write_page(result, path, curves=table)
    return path


def chart(name):
    return f"document.getElementById('{name}-chart')"


def lines(browser, name):
    """Give the x and y of each named trace of a chart."""
    found = browser.evaluate(f"{chart(name)}.data.map(t => [t.name ?? '', [...t.x], [...t.y]])")
    return {name: (x, y) for name, x, y in found if name}


def choose(browser, row):
    browser.evaluate(
        f"{{ const who = document.getElementById('instances-who'); who.value = '{row}';"
        " who.dispatchEvent(new Event('change')); }"
    )


@pytest.mark.parametrize("width", [1400, 400])
def test_fractions_are_the_sorted_criteria(browser, page, table, width):
    browser.open(page, width)
    found, drawn = criterion_fractions(table), lines(browser, "fractions")
    assert list(drawn) == list(found.criteria)
    for k, name in enumerate(found.criteria):
        x, y = drawn[name]
        finite = found.values[k][np.isfinite(found.values[k])]
        assert x[1:] == pytest.approx(finite.tolist(), rel=1e-5)
        assert y[1:] == pytest.approx(((np.arange(len(finite)) + 1) / 6).tolist())
    assert "infinite counts" in browser.evaluate("document.getElementById('fractions-note').textContent")
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.errors() == []


@pytest.mark.parametrize("width", [1400, 400])
def test_the_reader_chooses_whose_instances_are_drawn(browser, page, table, width):
    browser.open(page, width)
    names = browser.evaluate("[...document.getElementById('instances-who').options].map(o => o.title)")
    assert set(names) == set(table.candidates)
    for row in (0, names.index(NASTY)):
        choose(browser, row)
        scores = table.scores[table.candidates.index(names[row])]
        printed = score_histograms({"one": scores})
        bars = browser.evaluate(f"[...{chart('histogram')}.data[0].y]")
        assert bars == printed.counts[0].tolist()
        values = {name.rsplit(" ", 1)[0]: x[0] for name, (x, _) in lines(browser, "histogram").items()}
        assert values == {
            name: pytest.approx(value, rel=1e-5)
            for name, value in zip(printed.criteria, printed.values[0].tolist(), strict=True)
        }
        band, drawn = curve_band(table.curves[table.candidates.index(names[row])]), lines(browser, "curves")
        assert drawn["median"] == (list(range(1, 13)), pytest.approx(band.median.tolist(), rel=1e-3))
        assert drawn["middle half"][1] == pytest.approx(band.q3.tolist(), rel=1e-3)
        assert drawn["30 instances"][1].count(None) == 30
    assert browser.evaluate("window.harm") is None
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.errors() == []


def test_what_diverged_and_what_has_no_curve_is_said(browser, page, table):
    browser.open(page)
    names = browser.evaluate("[...document.getElementById('instances-who').options].map(o => o.title)")
    choose(browser, names.index("c"))
    note = browser.evaluate("document.getElementById('histogram-note').textContent")
    assert note.startswith("30 instances, 1 of them diverged or failed")
    assert "mean" in note
    assert "max" in note
    choose(browser, names.index("f"))
    assert browser.evaluate("document.getElementById('curves-chart').hidden")
    assert "No curve" in browser.evaluate("document.getElementById('curves-note').textContent")
    assert browser.errors() == []


def test_ticking_a_candidate_shows_its_instances(browser, page):
    browser.open(page)
    browser.click("#table-body tr:nth-child(3) input")
    assert browser.evaluate("document.getElementById('instances-who').value") == "2"
    browser.press("Space")  # unticked again: nothing else is shown
    assert browser.evaluate("document.getElementById('instances-who').value") == "2"
    browser.evaluate("document.getElementById('instances-who').focus()")
    browser.press("ArrowDown")
    assert browser.evaluate("document.getElementById('instances-who').value") == "3"
    assert browser.errors() == []


def test_the_top_n_are_those_of_the_analysis(browser, page, result):
    browser.open(page)
    expected = top_n_of_result(result, 1000).probabilities[0]
    x, y = lines(browser, "topn")["probability"]
    assert x == list(range(1, len(x) + 1))
    assert y == pytest.approx(expected[: len(y)].tolist(), abs=6e-4)
    note = browser.evaluate("document.getElementById('topn-note').textContent")
    assert note.startswith("The selected one is the best with ")


def test_what_is_not_known_has_no_section_or_a_reason(browser, tmp_path):
    one = replay(Table(("a",), np.ones((1, 3))), Exhaustive(3), criterion("mean"))
    write_page(one, tmp_path / "one.html")
    browser.open(tmp_path / "one.html")
    hidden = "['topn', 'fractions', 'curves'].map(id => document.getElementById(id).hidden)"
    assert browser.evaluate(hidden) == [True, True, True]
    assert "Too few" in browser.evaluate("document.getElementById('histogram-note').textContent")
    scores = np.random.default_rng(0).normal(size=(3, 8))
    worst = replay(Table(("a", "b", "c"), scores), Exhaustive(8), criterion("max"))
    write_page(worst, tmp_path / "max.html")
    browser.open(tmp_path / "max.html")
    assert browser.evaluate(hidden) == [False, False, True]
    assert "no true value" in browser.evaluate("document.getElementById('topn-note').textContent")
    assert browser.errors() == []
