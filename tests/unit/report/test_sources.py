import json
from html.parser import HTMLParser

import numpy as np
import pytest

from robust_select.analysis.sources import compare_alone, sources
from robust_select.core.designs import Crossed
from robust_select.core.tables import Table
from robust_select.report.card import card_json, card_markdown, card_of_result
from robust_select.report.page import page_html
from robust_select.report.sources import CrossedSources, Sources, shares_of, sources_data, sources_html
from robust_select.select.replay import replay
from robust_select.select.rules import Halving
from robust_select.stats.criteria import criterion

NASTY = '</td><script>harm()</script>"'


def crossed(names, design, missing=()):
    rng = np.random.default_rng(2)
    shape = (len(names), design.n_weights, design.n_samples)
    scores = rng.normal(size=(*shape[:2], 1)) + 0.3 * rng.normal(size=(shape[0], 1, shape[2]))
    scores = (scores + 0.1 * rng.normal(size=shape)).reshape(len(names), -1)
    for name in missing:
        scores[names.index(name), 3] = np.nan
    return CrossedSources(str(design), sources(Table(tuple(names), scores), design))


@pytest.fixture(scope="module")
def known():
    """Two designs, of which the larger one lacks an instance of ``b``; and each stream alone for one candidate."""
    rng = np.random.default_rng(3)
    alone = compare_alone({"initial weights alone": Table((NASTY,), rng.normal(size=(1, 9)))}, n_resamples=50)
    first, second = crossed(["b", NASTY], Crossed(3, 3)), crossed([NASTY, "b"], Crossed(5, 6), ["b"])
    return Sources((first, second), (alone,))


class Cells(HTMLParser):
    """Reads tables as lists of rows of texts."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.tags = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data):
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data


def test_the_largest_complete_design_of_a_candidate_counts(known):
    assert shares_of(known, NASTY).design == "5 x 6"
    assert shares_of(known, NASTY).instances == 30
    assert shares_of(known, "b").design == "3 x 3"
    assert shares_of(known, "c") is None
    assert shares_of(None, "b") is None
    rows = known.crossed[1].shares.query("candidate != 'b'")
    found = shares_of(known, NASTY).shares
    assert [one.source for one in found] == ["initial weights", "training sample", "interaction and batch order"]
    assert [one.share for one in found] == rows["share"].tolist()
    assert [one.high for one in found] == rows["high"].tolist()


def test_the_tables_hold_every_share_the_selected_first(known):
    html = sources_html(known, NASTY)["panels"]
    read = Cells(html)
    assert "script" not in read.tags
    assert [len(table[0]) for table in read.tables] == [5, 5, 4]  # a column for caveats where there are any
    first, second, alone = read.tables
    assert [row[0] for row in first if len(row) == 1] == [NASTY, "b"]
    row = known.crossed[0].shares.query("candidate == 'b' and source == 'training sample'").iloc[0]
    cells = first[first.index(["b"]) + 2]
    assert cells[:2] == ["training sample", f"{100 * row['share']:.0f} %"]
    assert cells[2] == f"{100 * row['low']:.0f} % to {100 * row['high']:.0f} %"
    source, *numbers, caveat = second[second.index(["b"]) + 1]
    assert (source, numbers) == ("initial weights", ["", "", ""])
    assert caveat.startswith("1 of 30 instances are not trained: nothing can be said; only 5 different ones")
    assert alone[2][0] == "initial weights alone"


def test_the_charts_hold_what_the_tables_do(known):
    first, second, alone = sources_data(known, "b")
    assert (first["value"], first["names"], first["nLeftOut"]) == ("share", ["b", NASTY], 0)
    rows = known.crossed[0].shares.set_index(["source", "candidate"])
    for one in first["series"]:
        assert one["share"] == pytest.approx(
            [rows.loc[(one["name"], name), "share"] for name in ("b", NASTY)], rel=1e-5
        )
        assert one["low"] == pytest.approx([rows.loc[(one["name"], name), "low"] for name in ("b", NASTY)], rel=1e-5)
    assert second["series"][0]["share"][0] is None
    assert (alone["value"], alone["names"]) == ("std", [NASTY])
    assert sources_data(Sources((crossed([f"m{n}" for n in range(30)], Crossed(2, 2)),)), "m29")[0]["nLeftOut"] == 10


def test_what_is_said_where_the_selected_one_is_not_known(known):
    assert "is not among those" in sources_html(Sources((crossed(["a"], Crossed(2, 2)),)), "b")["says"]
    assert "varied alone" in sources_html(Sources((), known.alone), "b")["says"]


def test_the_page_and_its_card_say_it(known):
    table = Table(("b", NASTY), np.array([[1.0, 1.1, 1.2, 1.3], [3.0, 3.1, 3.2, 3.3]]))
    result = replay(table, Halving(warmup=3), criterion("mean"))
    html = page_html(result, sources=known)
    assert '<section id="sources"' in html
    assert 'id="sources-chart-2"' in html
    share = shares_of(known, "b").shares[0]
    text = (
        f"initial weights {100 * share.share:.0f} % (95 % interval {100 * share.low:.0f} to {100 * share.high:.0f} %)"
    )
    n_times = html.split('id="part-card"')[1].count(text)
    assert n_times == 3  # the card, its Markdown (LaTeX escapes the %), the section
    assert 'id="sources"' not in page_html(result)


def test_a_card_in_json_and_markdown(known):
    table = Table(("b", NASTY), np.array([[1.0, 1.1, 1.2, 1.3], [3.0, 3.1, 3.2, 3.3]]))
    result = replay(table, Halving(warmup=3), criterion("mean"))
    found = json.loads(card_json(card_of_result(result, sources=known)))["sources"]
    assert (found["design"], found["instances"], found["confidence"]) == ("3 x 3", 9, 0.95)
    assert sum(one["share"] for one in found["shares"]) == pytest.approx(1)
    assert "| Sources of its variance | initial weights" in card_markdown(card_of_result(result, sources=known))
    assert json.loads(card_json(card_of_result(result)))["sources"] is None
