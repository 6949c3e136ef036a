"""Figures 13 and 15, and the sources of randomness: what rules cost, whom they remove, what varies."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl

from robust_select.analysis.costs import RuleCosts
from robust_select.analysis.sources import sources
from robust_select.analysis.times import StepTimes, step_times
from robust_select.core.designs import Crossed
from robust_select.core.tables import Table
from robust_select.report.figures import draw_rule_costs, draw_sources, draw_step_times, save_figure
from robust_select.report.figures.style import DISCARDED, LEFT, SELECTED, STYLE
from robust_select.select.replay import replay
from robust_select.select.rules import Halving
from robust_select.stats.criteria import criterion


@pytest.fixture
def costs():
    trainings = np.array([[50.0, 80.0], [100.0, 300.0], [200.0, np.nan]])
    return RuleCosts(("top-two", "a rule with a name that is really very long", "halving"), (0.85, 0.95), trainings)


def test_a_bar_ends_at_its_trainings(costs):
    ax = draw_rule_costs(costs, "top-two", bound=40.0)
    ends = {
        (round(bar.get_y() + bar.get_height() / 2), bar.get_x() + bar.get_width()): bar.get_facecolor()
        for bar in ax.patches
    }
    assert sorted(ends) == [(0, 50), (0, 80), (1, 100), (1, 300), (2, 200)]
    assert mpl.colors.to_hex(ends[0, 80]).upper() == SELECTED
    assert mpl.colors.to_hex(ends[1, 300]).upper() == LEFT
    texts = [text.get_text() for text in ax.texts]
    assert sorted(texts) == ["100", "200", "300", "50", "80", "never"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "95 % right",
        "85 % right",
        "bound at 95 %",
    ]
    assert next(line for line in ax.lines).get_xdata()[0] == 40
    assert ax.get_xscale() == "log"
    assert ax.get_yticklabels()[1].get_text().replace("\n", " ") == costs.rules[1]


def test_no_rule_reaches_it():
    ax = draw_rule_costs(RuleCosts(("a",), (0.95,), np.array([[np.nan]])))
    assert [text.get_text() for text in ax.texts] == ["never"]
    assert len(ax.get_legend().get_texts()) == 1


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(5)
    scores = np.linspace(1, 20, 16)[:, None] + 0.1 * rng.normal(size=(16, 9))
    seconds = np.geomspace(0.1, 5, 16)[:, None] * np.ones((16, 9))
    return replay(Table(tuple("abcdefghijklmnop"), scores, seconds), Halving(warmup=3), criterion("mean"))


def test_a_panel_a_step_with_kept_and_removed(result):
    found = step_times(result)
    panels = draw_step_times(found, "mean [GeV]", result.selected)
    assert len(panels) == len(found.steps) == 4
    for row, panel in enumerate(panels):
        kept, removed, selected = (points.get_offsets().data for points in panel.collections)
        assert len(removed) == found.is_removed[row].sum() == 8 / 2**row
        assert len(kept) + len(selected) == 8 / 2**row
        chosen = found.candidates.index(result.selected)
        np.testing.assert_allclose(selected, [[found.seconds[row, chosen], found.values[row, chosen]]])
        assert panel.get_title(loc="left") == f"step {row + 3}, {found.trainings[row]} trainings"
    assert {panel.get_xscale() for panel in panels} == {"log"}
    colours = [mpl.colors.to_hex(points.get_facecolor()[0]).upper() for points in panels[0].collections]
    assert colours == [LEFT, DISCARDED, SELECTED]
    figure = panels[0].get_figure()
    assert (figure.get_supxlabel(), figure.get_supylabel()) == (
        "time of one training [s]",
        "mean [GeV] (lower is better)",
    )


def test_who_is_infinite_is_counted():
    found = StepTimes(
        ("a", "b", "c"),
        np.array([2]),
        np.array([6]),
        np.array([[1.0, 2.0, np.inf]]),
        np.array([[1.0, 1.0, 1.0]]),
        np.array([[False, False, True]]),
    )
    (panel,) = draw_step_times(found, "mean", "a")
    assert panel.get_title(loc="left") == "step 2, 6 trainings (1 not drawn)"
    assert [len(points.get_offsets()) for points in panel.collections] == [1, 0, 1]


def test_shares_are_drawn_with_their_intervals():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2, 6, 1)) + 0.3 * rng.normal(size=(2, 1, 6)) + 0.2 * rng.normal(size=(2, 6, 6))
    table = Table(("a", "b", "c"), np.vstack([scores.reshape(2, 36), np.full((1, 36), np.inf)]))
    found = sources(table, Crossed(6, 6), n_draws=500)
    ax = draw_sources(found)
    kinds = ["initial weights", "training sample", "interaction and batch order"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == kinds
    for kind, bars, intervals in zip(kinds, ax.containers, ax.collections, strict=True):
        rows = found[found["source"] == kind].iloc[:2]
        np.testing.assert_allclose([bar.get_width() for bar in bars][:2], 100 * rows["share"])
        ends = [path.vertices[:, 0] for path in intervals.get_paths()[:2]]
        np.testing.assert_allclose(ends, 100 * rows[["low", "high"]].to_numpy())
    assert [text.get_text() for text in ax.texts] == ["not known"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]


def test_nothing_is_cut_off(costs, result, tmp_path, monkeypatch):
    from matplotlib.image import imread

    monkeypatch.setitem(STYLE, "savefig.dpi", 100)  # fewer pixels, the same layout
    row = {"share": 0.3, "low": 0.1, "high": 1.0}
    shares = pd.DataFrame(
        [{"candidate": "a" * 60, "source": kind, **row} for kind in ("one", "two", "three", "four")]
    )
    drawn = (
        draw_rule_costs(costs, "top-two", bound=20.0),
        draw_step_times(step_times(result), "mean [GeV]", result.selected)[0],
        draw_sources(shares),
    )
    for number, ax in enumerate(drawn):
        picture = imread(save_figure(ax, tmp_path / f"{number}.png"))[..., :3]
        edges = (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:])
        assert [edge.min() for edge in edges] == [1, 1, 1, 1], number
