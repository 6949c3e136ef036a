"""The playground: its controls work by mouse and keyboard, and show what was computed."""

import numpy as np
import pytest

from robust_select.core.tables import Table
from robust_select.report.page import write_page
from robust_select.report.playground import explore
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.stats.criteria import criterion

pytestmark = pytest.mark.browser

SAYS = "document.querySelector('#play-says').textContent"
ALL = "document.getElementById('play-all')"
NASTY = "<script>window.harm = 1</script>"


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    path = tmp_path_factory.mktemp("played") / "page.html"
    rng = np.random.default_rng(8)
    scores = rng.normal(1, 0.3, (5, 8)) + 0.12 * np.arange(5)[:, None]
    table = Table((NASTY, "\"b\" & 'c'", "c", "d", "e"), scores)
    rule, by = Halving(2), criterion("mean")
    playground = explore(table, range(8), asked=(rule, by), samples=4)
    write_page(replay(table, rule, by), path, playground=playground)
    return path, table, playground


def choose(browser, knob, value):
    browser.evaluate(
        f"{{ const knob = document.getElementById('play-{knob}'); knob.value = {value!r};"
        " knob.dispatchEvent(new Event('change')); }"
    )


def told(result):
    return f"{result.selected} is selected after {result.trainings} training{'s' if result.trainings != 1 else ''}, "


def test_it_begins_with_what_was_asked_for(browser, played):
    path, table, _ = played
    browser.open(path)
    knobs = browser.evaluate(
        "['criterion', 'rule', 'warmup'].map(knob => document.getElementById(`play-${knob}`).value)"
    )
    assert knobs == ["mean", "halving", "2"]
    assert browser.evaluate(SAYS).startswith(told(replay(table, Halving(2), criterion("mean"))))
    assert browser.evaluate("['test', 'level'].every(knob => document.getElementById(`play-${knob}`).disabled)")
    assert browser.errors() == []


@pytest.mark.parametrize("sample", [0, 3])
def test_each_choice_shows_what_a_replay_gives(browser, played, sample):
    path, table, playground = played
    browser.open(path)
    browser.evaluate("document.getElementById('play-sample').focus()")
    for _ in range(sample):
        browser.press("ArrowRight")
    order = playground.orders[sample].tolist()
    choose(browser, "rule", "significance")
    choose(browser, "test", "paired-t")
    choose(browser, "warmup", "3")
    choose(browser, "level", "0.2")
    rule = Significance("paired-t", 0.2, 3, max_instances=1000)
    assert browser.evaluate(SAYS).startswith(told(replay(table, rule, criterion("mean"), order=order)))
    choose(browser, "criterion", "max")
    assert browser.evaluate(SAYS).startswith(told(replay(table, rule, criterion("max"), order=order)))
    choose(browser, "rule", "top-two")
    choose(browser, "level", "0.8")
    top_two = TopTwo(0.8, 1, max_instances=1000)
    assert browser.evaluate(SAYS).startswith(told(replay(table, top_two, criterion("max"), order=order)))
    assert browser.evaluate("document.getElementById('play-level-name').textContent") == "Confidence"
    choose(browser, "rule", "exhaustive")
    choose(browser, "warmup", "5")
    assert browser.evaluate(SAYS).startswith(told(replay(table, Exhaustive(5), criterion("max"), order=order)))
    replicates = ", ".join(map(str, order))
    assert f"in the order {replicates}." in browser.evaluate("document.getElementById('play-note').textContent")
    assert browser.evaluate("window.harm === undefined")
    assert browser.errors() == []


def test_the_knobs_turn_by_keyboard(browser, played):
    path, _, _ = played
    browser.open(path)
    browser.evaluate("document.getElementById('play-rule').focus()")
    browser.press("ArrowDown")
    assert browser.evaluate("document.getElementById('play-rule').value") == "significance"
    assert browser.evaluate("document.activeElement.id") == "play-rule"
    browser.evaluate("document.getElementById('play-sample').focus()")
    browser.press("End")
    assert browser.evaluate("document.getElementById('play-sample-says').textContent") == "4 of 4"


def test_only_settings_that_the_criterion_allows_are_offered(browser, played):
    path, _, _ = played
    browser.open(path)
    choose(browser, "criterion", "std")
    offered = browser.evaluate("[...document.getElementById('play-warmup').options].map(option => option.value)")
    assert offered == ["2", "3", "5", "8"]


def test_the_drawings_hold_every_setting_and_every_sample(browser, played):
    path, _, playground = played
    browser.open(path)
    n_possible = int((playground.selected[0, :, 0] >= 0).sum())
    drawn = browser.evaluate(f"{ALL}.data.filter(t => t.name !== 'chosen').flatMap(t => t.x).length")
    assert drawn == n_possible
    bars = browser.evaluate("document.getElementById('play-who').data[0].x")
    assert sum(bars) == 4
    chosen = playground.asked[1]
    found = browser.evaluate(f"{ALL}.data.find(t => t.name === 'chosen').x[0]")
    assert found == pytest.approx(playground.trainings[0, chosen].mean())


def test_a_click_on_a_setting_chooses_it(browser, played):
    path, _, _ = played
    browser.open(path)
    browser.evaluate(
        f"(() => {{ const t = {ALL}.data.find(t => t.name === 'exhaustive');"
        f" {ALL}.emit('plotly_click', {{ points: [{{ customdata: t.customdata[0] }}] }}); }})()"
    )
    knobs = browser.evaluate("['rule', 'warmup'].map(knob => document.getElementById(`play-${knob}`).value)")
    assert knobs == ["exhaustive", "1"]
    assert browser.evaluate(SAYS).split(" training")[0].endswith("after 5")


@pytest.mark.parametrize("width", [1400, 400])
def test_nothing_stands_out_sideways(browser, played, width):
    path, _, _ = played
    browser.open(path, width)
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    hidden = browser.evaluate(
        "[...document.querySelectorAll('#playground select, #playground input')].filter(knob =>"
        " knob.getBoundingClientRect().right > window.innerWidth).length"
    )
    assert hidden == 0
