import base64
import hashlib
import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.report.page import page_html, write_page
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Halving, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion

NASTY = (
    "</script><script>window.harm=1</script>",
    '"><img src=x onerror="window.harm=1">',
    "<!--<script>",
    "a\u2028b & 'c' \\ \u2603",
    "$title ${data} %{x} {0}",
)


def result_for(names, n_replicates=4, params=()):
    rng = np.random.default_rng(5)
    scores = rng.normal(1, 0.1, (len(names), n_replicates)) + np.arange(len(names))[:, None]
    return replay(Table(tuple(names), scores, None, params), Halving(warmup=2), criterion("mean"))


class Reader(HTMLParser):
    """Collects the elements of a page and the text of each script."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.scripts = []
        self.text = ""
        self._open = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open != "style":
            self.text += data


@pytest.fixture(scope="module")
def nasty():
    params = tuple({"<b>key</b>": name, "plain": 1.5} for name in NASTY)
    return Reader(page_html(result_for(NASTY, params=params), NASTY[0], {NASTY[1]: NASTY[0]}, base=NASTY[2]))


def test_nothing_is_loaded_from_anywhere(nasty):
    for tag, attributes in nasty.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img", "form"}
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
        assert not any(key.startswith("on") for key in attributes)


def test_the_policy_allows_these_scripts_and_no_network(nasty):
    policy = next(a["content"] for tag, a in nasty.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert len(nasty.scripts) == 3
    for script in nasty.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_names_survive_and_make_no_elements(nasty):
    data = json.loads(nasty.scripts[0])
    assert sorted(data["names"]) == sorted(NASTY)
    assert data["names"][data["base"]] == NASTY[2]
    assert data["params"][0]["label"] == "<b>key</b>"
    assert "<" not in nasty.scripts[0]
    assert [tag for tag, _ in nasty.elements].count("script") == 3
    assert not any(tag == "b" and attributes.get("class") != "name" for tag, attributes in nasty.elements)
    assert NASTY[0] in nasty.text
    assert NASTY[1] in nasty.text


def test_the_file_can_be_written_whatever_the_names(tmp_path):
    write_page(result_for(NASTY), tmp_path / "page.html", provenance={"file name": "bad \ud800 name"})
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.rstrip().endswith("</html>")


def test_data_are_those_of_the_result():
    scores = np.array([[1.0, 1.5, 1.25], [9.0, np.inf, np.nan], [3.0, 3.0, 3.0]])
    params = ({"lr": 0.1, "layers": [1, 2]}, {"lr": float("nan")}, {"lr": 1, "kind": True})
    result = replay(Table(("a", "b", "c"), scores, None, params), Halving(warmup=2), criterion("mean"))
    data = json.loads(Reader(page_html(result)).scripts[0])
    assert data["names"] == ["a", "c", "b"]
    assert data["position"] == [0, 2, 1]
    assert data["scores"] == [[1.0, 1.5], [3.0, 3.0], [9.0, "inf"]]
    assert data["criteria"]["mean"] == [1.25, 3.0, "inf"]
    assert data["discardedAt"] == [None, 2, 2]
    assert data["isLeft"] == [True, False, False]
    assert data["path"]["values"] == [[1.0, 1.25], [3.0, 3.0], [9.0, "inf"]]
    assert data["boxes"]["median"] == [1.25, 3.0, 9.0]
    assert data["params"] == [
        {"label": "lr", "values": [0.1, 1, None]},
        {"label": "layers", "values": ["[1, 2]", None, None]},
        {"label": "kind", "values": [None, "true", None]},
    ]


def test_the_path_of_top_two_counts_trainings():
    rng = np.random.default_rng(6)
    table = Table(tuple("abcdefgh"), 0.3 * rng.normal(size=(8, 40)) + 0.15 * np.arange(8)[:, None])
    result = replay(table, TopTwo(budget=120), criterion("mean"))
    data = json.loads(Reader(page_html(result)).scripts[0])
    path = data["path"]
    assert path["isEven"] is False
    assert (path["x"][0], path["x"][-1]) == (8, result.trainings)
    assert len(path["x"]) == len(path["steps"]) == len(path["alive"]) == len(path["isWarmup"])
    at_end = [(row, values) for row, values in enumerate(path["values"]) if len(values) == len(path["x"])]
    assert 0 in [row for row, _ in at_end]
    for row, values in at_end:
        scores = table.scores[data["position"][row], : path["counts"][row][-1]]
        assert values[-1] == pytest.approx(scores.mean(), rel=1e-5)
    assert data["instances"][0] == path["counts"][0][-1]
    even = json.loads(Reader(page_html(result_for("abcd"))).scripts[0])["path"]
    assert (even["isEven"], even["x"], even["counts"]) == (True, [1, 2, 3], None)


def test_each_point_of_the_path_says_who_was_kept_and_who_removed():
    seconds = np.array([[1.0, 2, 3, 4], [5, 5, 5, 5], [np.nan] * 4, [7, np.nan, 7, 7]])
    scores = np.arange(4.0)[:, None] + np.zeros(4)
    result = replay(Table(tuple("abcd"), scores, seconds), Halving(warmup=2), criterion("mean"))
    data = json.loads(Reader(page_html(result)).scripts[0])
    assert data["names"] == list("abcd")
    assert data["path"]["steps"] == [1, 2, 3]
    assert data["path"]["trainings"] == [4, 8, 10]
    assert data["path"]["states"] == ["kkk", "kkr", "kr", "kr"]
    assert data["seconds"] == [2.0, 5.0, None, 7.0]


def test_states_of_a_rule_that_lets_candidates_come_back():
    rng = np.random.default_rng(6)
    table = Table(tuple("abcdefgh"), 0.3 * rng.normal(size=(8, 40)) + 0.15 * np.arange(8)[:, None])
    result = replay(table, TopTwo(budget=120), criterion("mean"))
    data = json.loads(Reader(page_html(result)).scripts[0])
    path, steps = data["path"], {(step.step, step.trainings): step for step in result.steps}
    seen = 0
    for point, key in enumerate(zip(path["steps"], path["trainings"], strict=True)):
        signs = {
            name: (states + "-" * 200)[point] for name, states in zip(data["names"], path["states"], strict=True)
        }
        assert sum(sign != "-" for sign in signs.values()) == path["alive"][point]
        if key in steps:
            seen += 1
            assert {name for name, sign in signs.items() if sign == "r"} == set(steps[key].removed)
            assert {name for name, sign in signs.items() if sign == "k"} == set(steps[key].kept)
    assert seen == len(steps)


def test_only_criteria_are_among_the_criteria():
    data = json.loads(Reader(page_html(result_for("ab"))).scripts[0])
    assert list(data["criteria"]) == ["min", "median", "mean", "q3", "q3+iqr", "max", "std", "iqr"]


def test_provenance_is_shown_and_wins(tmp_path):
    html = page_html(result_for("ab"), provenance={"Seed": "7", "Rule": "halving, warm-up 2", "Python": "9.9"})
    assert "<dt>Seed</dt><dd>7</dd>" in html
    assert "<dt>Rule</dt><dd>halving, warm-up 2</dd>" in html
    assert html.count("<dt>Python</dt>") == 1
    assert "<dt>Steps</dt><dd>1; candidates left after each: 1</dd>" in html


def test_a_whole_file_stands_in_a_box_that_the_keyboard_reaches():
    html = page_html(result_for("ab"), provenance={"Study file": "# <what>\nname = 'a'\n"})
    assert '<pre tabindex="0" aria-label="Study file"># &lt;what&gt;\nname = &#x27;a&#x27;</pre>' in html


def test_a_selection_that_has_not_begun_has_a_page():
    result = result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean")))
    data = json.loads(Reader(page_html(result)).scripts[0])
    assert data["path"]["steps"] == []
    assert data["scores"] == [[], []]


def test_an_unknown_base_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="base='zz'"):
        page_html(result_for("ab"), base="zz")
    with pytest.raises(InputError, match="found none at"):
        write_page(result_for("ab"), tmp_path / "nowhere" / "page.html")


def test_a_thousand_candidates_stay_below_twelve_megabytes(tmp_path):
    write_page(result_for([f"candidate number {n}" for n in range(1000)], 50), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 12e6


def test_the_card_can_be_quoted(nasty):
    assert "Robustness card" in nasty.text
    assert "\\begin{tabular}" in nasty.text
    assert "### Robustness card" in nasty.text


def test_the_page_does_not_load_matplotlib():
    program = (
        "import sys, numpy as np; from robust_select import Exhaustive, Table, criterion, replay;"
        "from robust_select.report.page import page_html;"
        "page_html(replay(Table(('a',), np.ones((1, 1))), Exhaustive(1), criterion('mean')));"
        "assert 'matplotlib' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
