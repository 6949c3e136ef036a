"""The page in a real Chromium: it opens from a file without network or errors, and its controls work."""

import json

import numpy as np
import pytest

from robust_select.core.tables import Table, read_table
from robust_select.report.page import write_page
from robust_select.select.replay import replay
from robust_select.select.rules import Halving, Significance, TopTwo
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.browser

NASTY = (
    "</script><script>window.harm = 1</script>",
    '"><img src=x onerror="window.harm = 1">',
    '<a href="javascript:window.harm = 1">b</a>, "quoted"\nand broken',
    "&lt;i&gt; %{x} $math$ <b>bold</b>",
    "=1+1 'c'",
)
NAMES = "[...document.querySelectorAll('#table-body td.key span')].map(cell => cell.textContent)"


def result_for(names, n_replicates=8, rule=None):
    rng = np.random.default_rng(4)
    n = len(names)
    scores = rng.normal(0.02, 0.004, (n, n_replicates)) + np.linspace(0, 0.2, n)[:, None]
    scores[n // 2, 1] = np.inf
    params = tuple({"family": "svm" if row % 3 else "mlp", "width": 2**row % 1001} for row in range(n))
    table = Table(tuple(names), scores, np.full(scores.shape, 0.5), params)
    return replay(table, rule or Halving(warmup=4), criterion("mean"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    result = result_for([f"model {row:02d}" for row in range(24)])
    write_page(result, path, "Two dozen models", {"Seed": "7"}, base="model 05")
    return path


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [1400, 400])
def test_opens_without_errors_network_or_sideways_scrolling(browser, page, width, is_dark):
    browser.open(page, width, is_dark=is_dark)
    assert browser.errors() == []
    assert [address for address in browser.requests() if not address.startswith("file://")] == []
    assert len(browser.requests()) == 1
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.evaluate("document.querySelectorAll('.chart:has(.main-svg)').length") == 8
    assert browser.evaluate("document.querySelectorAll('#scores-chart .boxes path.box').length") == 24
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not is_dark


def test_redraws_when_the_colours_change(browser, page):
    browser.open(page)
    colour = "document.querySelector('#scores-chart .ytick text').style.fill"
    before = browser.evaluate(colour)
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.evaluate(f"new Promise(done => setTimeout(() => done({colour}), 300))") != before
    assert browser.errors() == []


def test_sorts_by_keyboard_and_by_mouse(browser, page):
    browser.open(page)
    order = browser.evaluate(NAMES)
    assert order[0] == "model 00"
    browser.evaluate("document.querySelector('button[data-column=candidate]').focus()")
    browser.press("Enter")
    browser.press("Enter")
    assert [name.lstrip("★ ") for name in browser.evaluate(NAMES)] == [
        f"model {row:02d}" for row in range(23, -1, -1)
    ]
    assert browser.evaluate("document.activeElement.dataset.column") == "candidate"
    assert browser.evaluate("document.activeElement.parentElement.ariaSort") == "descending"
    browser.press("Tab")
    browser.press("Space")
    assert browser.evaluate(NAMES) == order
    browser.click('button[data-column="param width"]')
    widths = browser.evaluate(
        "[...document.querySelectorAll('#table-body tr')].map(row => +row.children[8].textContent)"
    )
    assert widths == sorted(widths)
    assert len(set(widths)) > 10


def test_infinite_and_missing_values_sort_last_or_at_their_end(browser, page):
    browser.open(page)
    browser.click('button[data-column="mean"]')
    assert browser.evaluate(NAMES)[-1] == "model 12"
    browser.click('button[data-column="mean"]')
    assert browser.evaluate(NAMES)[0] == "model 12"


def test_filters_by_words_and_status(browser, page):
    browser.open(page)
    browser.evaluate("document.querySelector('#table-filter').focus()")
    browser.write("FAMILY=mlp model")
    assert len(browser.evaluate(NAMES)) == 8
    assert browser.evaluate("document.querySelector('#table-count').textContent") == "8 of 24 candidates"
    browser.write(" 21")
    assert browser.evaluate(NAMES) == ["model 21"]
    browser.write(" nothing like it")
    assert browser.evaluate(NAMES) == []
    browser.evaluate("document.querySelector('#table-filter').select()")
    browser.write("model")
    browser.evaluate("document.querySelector('#table-status').focus()")
    browser.press("ArrowDown")
    assert browser.evaluate(NAMES) == ["model 00"]
    assert browser.errors() == []


def test_shows_more_criteria_when_asked(browser, page):
    browser.open(page)
    count = "document.querySelectorAll('#table-head th').length"
    before = browser.evaluate(count)
    browser.click("#table-all")
    assert browser.evaluate(count) == before + 6


def test_the_reader_chooses_the_candidates_of_the_distributions(browser, page):
    browser.open(page)
    shown = "[...document.querySelectorAll('#scores-chart .ytick text')].map(text => text.textContent)"
    assert len(browser.evaluate(shown)) == 24
    browser.evaluate(
        "{ const select = document.querySelector('#scores-show'); select.value = '12';"
        " select.dispatchEvent(new Event('change')); }"
    )
    few = browser.evaluate(shown)
    assert len(few) == 12
    assert few[0].startswith("model 00")
    browser.click("#table-body tr:nth-child(20) input")
    assert len(browser.evaluate(shown)) == 13
    browser.press("Space")
    assert len(browser.evaluate(shown)) == 12


@pytest.mark.parametrize("scale", ["all", "close", "log"])
def test_every_scale_draws(browser, page, scale):
    browser.open(page)
    for name in ("path", "scores", "front"):
        select = f"document.querySelector('#{name}-scale')"
        browser.evaluate(f"{select}.value = '{scale}'; {select}.dispatchEvent(new Event('change'))")
    kinds = browser.evaluate(
        "['scores', 'front'].map(id => document.getElementById(`${id}-chart`)._fullLayout.xaxis.type)"
    )
    assert kinds == (["log", "log"] if scale == "log" else ["linear", "linear"])
    assert browser.errors() == []


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    path = tmp_path_factory.mktemp("uneven") / "page.html"
    rng = np.random.default_rng(6)
    scores = 0.3 * rng.normal(size=(8, 40)) + 0.15 * np.arange(8)[:, None]
    result = replay(Table(tuple("abcdefgh"), scores), TopTwo(budget=120), criterion("mean"))
    write_page(result, path, "Uneven", base="h")
    return path, result


@pytest.mark.parametrize("width", [1400, 400])
def test_top_two_is_drawn_along_its_trainings(browser, uneven, width):
    path, result = uneven
    browser.open(path, width)
    drawn = "document.getElementById('path-chart')"
    title = browser.evaluate(f"{drawn}._fullLayout.xaxis.title.text")
    assert title.startswith("trainings of all candidates together")
    selected = browser.evaluate(
        f"(t => ({{x: t.x, y: t.y, text: t.text}}))({drawn}.data.find(t => (t.name ?? '').startsWith('selected:')))"
    )
    row = result.table.candidates.index(result.selected)
    own = int((~np.isnan(result.table.scores[row])).sum())
    assert (selected["x"][0], selected["x"][-1]) == (8, result.trainings)
    assert selected["y"][-1] == pytest.approx(result.table.scores[row, :own].mean(), rel=1e-5)
    assert f"after {result.trainings} trainings, {own} of them its own" in selected["text"][-1]
    ticks = browser.evaluate(f"{drawn}._fullLayout.xaxis.ticktext")
    assert len(ticks) >= 2
    for text in ticks:
        trained, alive = (int(part) for part in text.removesuffix("</i>").split("<br><i>"))
        last = max(
            (step for step in result.steps if step.trainings <= trained), key=lambda s: s.trainings, default=None
        )
        if last is None:
            assert alive == 8
        elif last.trainings == trained:
            assert alive == len(last.kept) + len(last.removed)
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert "set aside" in browser.evaluate("document.getElementById('path-note').textContent")
    assert browser.errors() == []


def test_the_bars_are_the_trainings_of_each_candidate(browser, uneven):
    path, result = uneven
    browser.open(path)
    bars = browser.evaluate(
        "document.getElementById('trainings-chart').data.flatMap(t => t.y.map((row, at) => [row, t.x[at]]))"
    )
    names = browser.evaluate("document.getElementById('trainings-chart')._fullLayout.yaxis.ticktext")
    counts = dict(zip(result.table.candidates, (~np.isnan(result.table.scores)).sum(axis=1).tolist(), strict=True))
    assert {names[row].removeprefix("★ "): length for row, length in bars} == counts
    assert "★ h" in names
    assert browser.evaluate("document.querySelectorAll('#trainings-chart .bars .point').length") == 8
    half = "document.getElementById('trainings-note').textContent"
    assert browser.evaluate(half).startswith(f"{result.trainings} trainings; half of them went to the first ")
    browser.click("#table-body tr:nth-child(8) input")
    assert browser.evaluate("document.getElementById('trainings-chart').data.some(t => t.name === 'ticked')")
    assert browser.errors() == []


def test_names_do_no_harm(browser, tmp_path):
    result = result_for(NASTY)
    write_page(result, tmp_path / "page.html", NASTY[0], {NASTY[1]: NASTY[0]}, base=NASTY[1])
    browser.open(tmp_path / "page.html")
    browser.evaluate("document.querySelectorAll('#table-body input').forEach(box => box.click())")
    assert browser.errors() == []
    assert browser.evaluate("window.harm === undefined")
    assert browser.evaluate("document.querySelectorAll('script').length") == 3
    assert browser.evaluate("document.querySelectorAll('main img, main a').length") == 0
    assert {name.removeprefix("★ ") for name in browser.evaluate(NAMES)} == set(NASTY)
    drawn = browser.evaluate("[...document.querySelectorAll('#scores-chart .ytick text')].map(t => t.textContent)")
    for name in (NASTY[0], NASTY[3], NASTY[4]):  # the others are too long for a label
        assert any(text.startswith(name) for text in drawn), (name, drawn)


def test_the_policy_forbids_scripts_and_the_network(browser, page):
    browser.open(page)
    browser.evaluate(
        "{ window.refused = []; document.addEventListener('securitypolicyviolation',"
        " event => refused.push(event.effectiveDirective));"
        " const script = document.createElement('script'); script.textContent = 'window.harm = 1';"
        " document.body.append(script); fetch('https://robust-select.invalid/').catch(() => 0); 0 }"
    )
    refused = browser.evaluate("new Promise(done => setTimeout(() => done(refused), 300))")
    assert sorted(refused) == ["connect-src", "script-src-elem"]
    assert browser.evaluate("window.harm === undefined")


def test_the_saved_scores_replay_to_the_same_result(browser, tmp_path):
    result = result_for(NASTY, rule=Significance("welch"))
    write_page(result, tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    text = browser.evaluate("scoresAsCsv(JSON.parse(document.getElementById('page-data').textContent))")
    (tmp_path / "scores.csv").write_text(text, encoding="utf-8", newline="")
    table = read_table(tmp_path / "scores.csv")
    assert table.candidates == NASTY
    again = replay(table, Significance("welch"), criterion("mean"))
    assert (again.selected, again.remaining, again.discarded_at) == (
        result.selected,
        result.remaining,
        result.discarded_at,
    )
    assert [step.best_value for step in again.steps] == [step.best_value for step in result.steps]


def test_a_thousand_candidates_fit(browser, tmp_path):
    write_page(result_for([f"lr={row / 1e4}, width={row}" for row in range(1000)], 20), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 12e6
    browser.open(tmp_path / "page.html")
    assert len(browser.evaluate(NAMES)) == 200
    steps = browser.evaluate(
        "(t => [t.line.shape, t.x.length, t.y[0]])(document.getElementById('trainings-chart').data[0])"
    )
    assert steps == ["hvh", 1000, 12]
    browser.click("#table-more")
    assert len(browser.evaluate(NAMES)) == 1000
    assert browser.errors() == []


def test_what_is_read_aloud(browser, page):
    browser.open(page)
    unnamed = browser.evaluate(
        "[...document.querySelectorAll('input, select, button')].filter(element => element.offsetParent"
        " && !element.labels?.length && !element.textContent.trim() && !element.ariaLabel).length"
    )
    assert unnamed == 0
    headings = browser.evaluate("[...document.querySelectorAll('h1, h2')].map(h => h.textContent)")
    assert headings[0] == "Two dozen models"
    assert json.dumps(headings).count("Candidates") == 1
