"""The slider over the steps, score against training time, the card and the table of many candidates."""

import json

import numpy as np
import pytest

from robust_select.core.tables import Table
from robust_select.report.page import write_page
from robust_select.select.replay import replay
from robust_select.select.rules import Halving, TopTwo
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.browser

SAYS = "document.querySelector('#path-says').textContent"
PATH, COST = "document.getElementById('path-chart')", "document.getElementById('cost-chart')"
SLIDER = "document.querySelector('#path-step')"


def settled(browser, expression):
    """The value once the drawing of the next frame is done."""
    return browser.evaluate(
        f"new Promise(done => requestAnimationFrame(() => setTimeout(() => done({expression}), 30)))"
    )


def scores_of(n, n_replicates=12):
    rng = np.random.default_rng(4)
    return rng.normal(0.02, 0.004, (n, n_replicates)) + np.linspace(0, 0.2, n)[:, None]


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    path = tmp_path_factory.mktemp("halved") / "page.html"
    scores = scores_of(16)
    seconds = np.linspace(1, 40, 16)[:, None] + np.zeros(scores.shape)
    table = Table(tuple(f"model {row:02d}" for row in range(16)), scores, seconds)
    result = replay(table, Halving(warmup=3), criterion("mean"), fresh=4)
    write_page(result, path, base="model 05")
    return path, result


def test_the_slider_goes_through_the_steps_by_keyboard(browser, halved):
    path, result = halved
    browser.open(path)
    n_points = int(browser.evaluate(f"{SLIDER}.max")) + 1
    assert n_points == 2 + len(result.steps)  # two instances of the warm-up before the first step
    browser.evaluate(f"{SLIDER}.focus()")
    browser.press("Home")
    assert settled(browser, SAYS).startswith("Warm-up, 1 instance each: 16 kept, 0 removed, 0 removed earlier; 16 ")
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    for step in result.steps:
        out = 16 - len(step.kept) - len(step.removed)
        assert settled(browser, SAYS) == (
            f"Step {step.step}, {step.instances_used} instances each: {len(step.kept)} kept, "
            f"{len(step.removed)} removed, {out} removed earlier; {step.trainings} trainings so far"
        )
        assert browser.evaluate(f"{SLIDER}.ariaValueText ?? {SLIDER}.getAttribute('aria-valuetext')") == (
            browser.evaluate(SAYS)
        )
        names = set(browser.evaluate(f"{PATH}.data.map(t => t.name ?? '')"))
        assert ("removed in this step" in names) == bool(step.removed)
        furthest = browser.evaluate(f"Math.max(...{PATH}.data.flatMap(t => t.x.filter(x => x !== null)))")
        assert furthest == step.instances_used
        removed = f"({COST}.data.find(t => t.name === 'removed in this step') ?? {{x: []}}).x.length"
        assert browser.evaluate(removed) == len(step.removed)
        browser.press("ArrowRight")
    assert browser.errors() == []


def test_the_slider_goes_by_mouse(browser, halved):
    path, _ = halved
    browser.open(path)
    before = browser.evaluate(SAYS)
    browser.click("#path-step")
    middle = int(browser.evaluate(f"{SLIDER}.value"))
    assert 0 < middle < int(browser.evaluate(f"{SLIDER}.max"))
    assert settled(browser, SAYS) != before
    assert browser.evaluate(f"{PATH}._fullLayout.shapes.length") == 1


def test_the_scales_stay_while_the_slider_moves(browser, halved):
    path, _ = halved
    browser.open(path)
    ranges = f"JSON.stringify([{PATH}, {COST}].map(c => [c._fullLayout.xaxis.range, c._fullLayout.yaxis.range]))"
    last = browser.evaluate(ranges)
    browser.evaluate(f"{SLIDER}.focus()")
    browser.press("Home")
    assert settled(browser, ranges) == last


def test_score_against_training_time(browser, halved):
    path, result = halved
    browser.open(path)
    points = browser.evaluate(f"{COST}.data.flatMap(t => t.customdata.map((row, at) => [row, t.x[at], t.y[at]]))")
    names = browser.evaluate("JSON.parse(document.getElementById('page-data').textContent).names")
    assert len({row for row, *_ in points}) == 16
    last_used = {name: step.instances_used for step in result.steps for name in (*step.kept, *step.removed)}
    for row, seconds, value in points:
        position = result.table.candidates.index(names[row])
        assert seconds == pytest.approx(np.linspace(1, 40, 16)[position], rel=1e-4)
        own = result.table.scores[position, : last_used[names[row]]]
        assert value == pytest.approx(own.mean(), rel=1e-4)


def test_without_times_the_chart_says_so(browser, tmp_path):
    result = replay(Table(tuple("abcd"), scores_of(4)), Halving(warmup=3), criterion("mean"))
    write_page(result, tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    assert browser.evaluate("document.querySelector('#cost-note').textContent") == "No training time is known."
    assert browser.evaluate(f"{COST}.hidden")


def test_top_two_says_who_was_set_aside(browser, tmp_path):
    rng = np.random.default_rng(6)
    scores = 0.3 * rng.normal(size=(8, 40)) + 0.4 * np.arange(8)[:, None]
    result = replay(Table(tuple("abcdefgh"), scores, np.ones(scores.shape)), TopTwo(), criterion("mean"))
    write_page(result, tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    left, last = len(result.remaining), result.steps[-1]
    out = 8 - left - len(last.removed)
    assert browser.evaluate(SAYS) == (
        f"After {result.trainings} trainings: {left} kept, {len(last.removed)} removed, {out} set aside earlier"
    )
    sure = browser.evaluate("document.querySelector('.sure').textContent")
    assert sure.startswith("The posterior probability, given these scores, that no other candidate")
    assert "at least" not in sure
    assert browser.errors() == []


def test_the_card_is_on_top_and_can_be_taken_along(browser, halved):
    path, result = halved
    browser.open(path)
    order = "[...document.querySelectorAll('main > section')].map(section => section.id)"
    assert browser.evaluate(order)[1] == "card"
    assert browser.evaluate("document.querySelector('.card .quote .name').textContent") == result.selected
    assert "4 instances; fresh" in browser.evaluate("document.querySelector('#part-card .rows').textContent")
    browser.evaluate("document.querySelector('#part-card summary').focus()")
    browser.press("Enter")
    assert browser.evaluate("document.querySelector('#part-card details').open")
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.click("#part-card .form:nth-child(3) .copy")
    button = "document.querySelector('.form:nth-child(3) .copy').textContent"
    said = browser.evaluate(f"new Promise(done => setTimeout(() => done({button}), 200))")
    assert said in {"Copied", "Selected: copy it"}
    text = browser.evaluate("document.querySelector('#part-card .form:nth-child(3) pre').textContent")
    assert text.startswith("### Robustness card: model")
    assert browser.errors() == []


def test_what_was_saved_is_drawn_to_scale(browser, halved):
    path, result = halved
    browser.open(path)
    used = browser.evaluate(
        "[...document.querySelectorAll('.bar')].map(bar => bar.firstChild.getBoundingClientRect().width /"
        " bar.getBoundingClientRect().width)"
    )
    most = int((~np.isnan(result.table.scores)).sum(axis=1).max())
    assert used[0] == pytest.approx(result.trainings / (16 * most), abs=0.01)
    whole = most * np.linspace(1, 40, 16).sum()
    assert used[1] == pytest.approx(result.seconds / whole, abs=0.01)


def test_five_thousand_candidates_do_no_harm(browser, tmp_path):
    names = [f"<script>window.harm = {row}</script> 'q' \"{row}\"" for row in range(5000)]
    scores = scores_of(5000, 6)
    table = Table(tuple(names), scores, np.ones(scores.shape), tuple({"width": row % 17} for row in range(5000)))
    write_page(replay(table, Halving(warmup=3), criterion("mean")), tmp_path / "page.html", names[0])
    browser.open(tmp_path / "page.html")
    assert browser.evaluate("document.querySelectorAll('#table-body tr').length") == 200
    browser.evaluate("document.querySelector('#table-filter').focus()")
    browser.write("width=16 harm")
    assert browser.evaluate("document.querySelector('#table-count').textContent").startswith("59 of 1,000 ")
    browser.evaluate(f"{SLIDER}.focus()")
    browser.press("Home")
    assert "5,000 kept" in settled(browser, SAYS)
    assert browser.evaluate("window.harm === undefined")
    assert browser.errors() == []
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_curves_are_shown_as_rank_stability(browser, tmp_path):
    rng = np.random.default_rng(3)
    final = np.arange(6.0)[:, None] + 0.1 * rng.normal(size=(6, 4))
    curves = np.stack([final[::-1], rng.normal(size=final.shape), final], axis=2)
    result = replay(Table(tuple("abcdef"), final), Halving(warmup=2), criterion("mean"))
    names = Table(tuple("abcdef"), final, None, (), curves)
    write_page(result, tmp_path / "page.html", curves=names)
    browser.open(tmp_path / "page.html", 400)
    mean = browser.evaluate("document.getElementById('stability-chart').data.find(t => t.name === 'mean tau').y")
    assert (mean[0], mean[2]) == (-1, 1)
    assert "Pruning before epoch 3 of 3" in browser.evaluate("document.getElementById('stability-says').textContent")
    said = browser.evaluate("document.getElementById('stability-note').textContent")
    assert "4 replicates" in said
    assert f"{final.size - result.trainings} instances with a curve were never asked for" in said
    assert "By these alone" not in said
    assert browser.errors() == []
    write_page(
        result, tmp_path / "page.html", curves=Table(names.candidates, final[::-1], None, (), curves[:, :, ::-1])
    )
    browser.open(tmp_path / "page.html")
    said = browser.evaluate("document.getElementById('stability-note').textContent")
    assert "By these alone f is the best" in said
    assert result.selected == "a"
    write_page(result, tmp_path / "page.html", curves=Table(names.candidates, final, None, (), curves[..., :1]))
    browser.open(tmp_path / "page.html")
    note = json.dumps(browser.evaluate("document.getElementById('stability-note').textContent"))
    assert "Not known" in note
    assert browser.errors() == []
