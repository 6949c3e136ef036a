"""Figures 4 to 9, 14 and 17: what the scores themselves look like."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl
from matplotlib.figure import Figure

from robust_select.analysis.chosen import TopN, top_n_of_result
from robust_select.analysis.curves import curve_band
from robust_select.analysis.fractions import criterion_fractions
from robust_select.analysis.groups import boxes_by_parameter, boxes_by_size
from robust_select.analysis.histograms import score_histograms
from robust_select.analysis.times import step_times
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.report.figures import (
    draw_criterion_fractions,
    draw_curves,
    draw_fine_sizes,
    draw_parameter,
    draw_score_histogram,
    draw_sizes,
    draw_source_histograms,
    draw_step_times,
    draw_top_n,
    save_figure,
    save_figures,
)
from robust_select.report.figures.style import SELECTED, SERIES, STYLE
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving
from robust_select.stats.criteria import PUBLISHED_CRITERIA, criterion


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    scores = np.linspace(1, 2, 6)[:, None] + 0.3 * rng.normal(size=(6, 9))
    scores[5, 2] = np.inf
    return Table(tuple("abcdef"), scores)


def test_fractions_rise_to_the_share_that_is_finite(table):
    ax = draw_criterion_fractions(criterion_fractions(table), unit="GeV")
    assert labels(ax) == list(PUBLISHED_CRITERIA)
    line = dict(zip(PUBLISHED_CRITERIA, ax.lines, strict=True))
    np.testing.assert_allclose(line["median"].get_xdata()[1:], np.sort(np.median(table.scores, axis=1)))
    np.testing.assert_allclose(line["median"].get_ydata(), np.arange(7) / 6)
    assert line["max"].get_ydata()[-1] == 5 / 6  # one is infinite
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("whose criterion is at most [GeV]", "fraction of 6 candidates")
    turned = draw_criterion_fractions(criterion_fractions(table, "maximize"), is_lower_better=False)
    assert turned.get_xlabel() == "whose criterion is at least [score]"
    assert (np.diff(turned.lines[0].get_xdata()) <= 0).all()


def test_a_histogram_holds_all_finite_scores(table):
    found = score_histograms({"f $x$": table.scores[5]})
    ax = draw_score_histogram(found, unit="GeV")
    bars = ax.patches[0].get_data()
    assert bars.values.sum() == 8
    np.testing.assert_array_equal(bars.edges, found.edges)
    assert ax.get_title(loc="left") == r"f \$x\$, n = 9 (1 diverged or failed)"
    assert labels(ax)[-1] == "max infinite"
    places = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata())]
    np.testing.assert_allclose(places, found.values[0][np.isfinite(found.values[0])])
    assert ax.get_xlabel() == "score [GeV] (lower is better)"


def test_sources_are_drawn_below_each_other_on_common_bins():
    rng = np.random.default_rng(0)
    samples = {"initial weights alone": rng.normal(0, 1, 50), "all streams": rng.normal(0, 3, 80)}
    found = score_histograms(samples)
    panels = draw_source_histograms(found, unit="cm")
    assert [panel.patches[0].get_data().values.sum() for panel in panels] == [50, 80]
    stds = [f"{sample.std(ddof=1):.3g}" for sample in samples.values()]
    assert [panel.get_title(loc="left") for panel in panels] == [
        f"initial weights alone, n = 50, std {stds[0]} cm",
        f"all streams, n = 80, std {stds[1]} cm",
    ]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    assert panels[0].get_figure() is panels[1].get_figure()
    assert len(panels[0].get_figure().legends[0].get_texts()) == 6


def test_every_instance_has_its_curve():
    curves = np.array([[4.0, 2.0, 1.0], [6.0, np.inf, 1.5], [8.0, 3.0, 2.0]])
    ax = draw_curves(curve_band(curves), "small")
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines[:3]], np.where(curves < 9, curves, np.nan))
    bold = next(line for line in ax.lines if line.get_color() == SELECTED)
    np.testing.assert_allclose(bold.get_ydata(), [6.0, 2.5, 1.5])
    np.testing.assert_array_equal(bold.get_xdata(), [1, 2, 3])
    assert labels(ax) == ["3 instances", "middle half", "median"]
    assert ax.get_title(loc="left") == "small, 1 with gaps"
    assert ax.get_yscale() == "linear"
    assert draw_curves(curve_band(curves[:1] ** 3), "small").get_yscale() == "log"


@pytest.fixture
def sizes():
    rng = np.random.default_rng(1)
    scores = {"one": {100: rng.normal(9, 1, 20), 1000: rng.normal(5, 1, 20)}, "two": {100: rng.normal(8, 1, 10)}}
    scores["two"][100][0] = np.inf
    return boxes_by_size(scores)


def boxes_of(ax, colour):
    """(lower, q1, median, q3, upper) of each box of a colour: read off its lines and its patch."""
    lines = [line for line in ax.lines if line.get_color() == colour and len(line.get_xdata()) == 2]
    patches = [patch for patch in ax.patches if mpl.colors.to_hex(patch.get_edgecolor()).upper() == colour]
    quartiles = [(patch.get_path().vertices[:, 1].min(), patch.get_path().vertices[:, 1].max()) for patch in patches]
    return quartiles, lines


def test_boxes_stand_side_by_side(sizes):
    ax = draw_sizes(sizes, unit="cm")
    for row, n_drawn in ((0, 2), (1, 1)):
        quartiles, _ = boxes_of(ax, SERIES[row][0])
        box = sizes.of(row)
        np.testing.assert_allclose(quartiles, np.column_stack([box.q1, box.q3])[:n_drawn])
    first, second = (
        patch.get_path().vertices[:, 0].mean()
        for patch in sorted(ax.patches, key=lambda patch: patch.get_path().vertices[:, 0].mean())[:2]
    )
    assert -0.5 < first < second < 0.5
    assert [text.get_text() for text in ax.get_xticklabels()] == ["100", "1,000"]
    assert labels(ax) == ["one", "two"]
    assert ax.get_xlabel() == "training examples\n1 diverged or failed, not drawn"
    assert ax.get_ylabel() == "score [cm] (lower is better)"


def test_many_boxes_take_two_columns():
    scores = {name: {size: np.arange(5.0) for size in range(100, 900, 100)} for name in "abcd"}
    assert draw_sizes(boxes_by_size(scores)).get_figure().get_figwidth() == pytest.approx(6.8)
    narrow = Figure(figsize=(3, 2)).add_subplot()
    draw_sizes(boxes_by_size(scores), ax=narrow)
    assert {label.get_rotation() for label in narrow.get_xticklabels()} == {45}


def test_a_fine_grid_is_drawn_as_bands(sizes):
    ax = draw_fine_sizes(sizes)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), sizes.of(0).median)
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [100])
    assert ax.get_xscale() == "log"
    whiskers, middle = (band.get_paths()[0].vertices[:, 1] for band in ax.collections[:2])
    box = sizes.of(0)
    assert (whiskers.min(), whiskers.max()) == (box.lower.min(), box.upper.max())
    assert (middle.min(), middle.max()) == (box.q1.min(), box.q3.max())


def test_refuses_more_names_than_colours():
    many = boxes_by_size({str(n): {100: np.ones(2)} for n in range(len(SERIES) + 1)})
    for draw in (draw_sizes, draw_fine_sizes):
        with pytest.raises(InputError, match="7 candidates or baselines at most, came 8"):
            draw(many)


def test_the_best_value_of_a_parameter_is_at_the_top():
    params = ({"activation": "sigmoid"}, {"activation": "ReLU"}, {"activation": "ReLU"})
    scores = np.array([[5.0, 6.0, np.inf], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])
    found = boxes_by_parameter(Table(("a", "b", "c"), scores, params=params), "activation")
    ax = draw_parameter(found, unit="cm")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["ReLU (n = 6)", "sigmoid (n = 3, 1 unusable)"]
    medians = {
        round(line.get_ydata().mean()): line.get_xdata()[0] for line in ax.lines if line.get_linewidth() == 1.4
    }
    assert medians == {0: 2.5, 1: 5.5}
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is the uppermost
    assert ax.get_title(loc="left") == "activation"


def test_top_n_is_drawn_against_n():
    found = TopN(
        ("1 instance of each", "5 instances of each"), np.arange(1, 4), np.array([[0.5, 0.8, 1], [0.7, 0.9, 1]]), 3
    )
    ax = draw_top_n(found)
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines[:2]], found.probabilities)
    assert ax.get_legend().get_title().get_text() == "ranking by"
    many = TopN(("all",), np.arange(1, 101), np.linspace(0.1, 1, 100)[None], 100)
    assert draw_top_n(many).get_xscale() == "log"


def test_curves_of_the_selected_one_are_saved(tmp_path):
    rng = np.random.default_rng(2)
    scores = np.array([1.0, 2.0])[:, None] + 0.1 * rng.normal(size=(2, 6))
    curves = scores[:, :, None] + np.array([2.0, 1.0, 0.0])
    found = replay(Table(("a", "b"), scores), Exhaustive(6), criterion("mean"))
    found = replace(found, table=replace(found.table, curves=curves))
    stems = [file.stem for file in save_figures(found, tmp_path, "svg")]
    assert stems[:3] == ["01-epoch-scores", "02-tau-by-epoch", "03-overlap-by-epoch"]
    assert "07-curves" in stems


def test_files_by_their_suffix(tmp_path):
    ax = draw_top_n(TopN(("all",), np.arange(1, 3), np.array([[0.9, 1.0]]), 2))
    assert save_figure(ax, tmp_path / "a.svg").read_text().startswith("<?xml")
    with pytest.raises(InputError, match="expected a file name ending in"):
        save_figure(ax, tmp_path / "a.gif")


def test_nothing_is_cut_off(sizes, tmp_path, monkeypatch):
    """A border of white around every figure, with long names and 72 candidates, too."""
    from matplotlib.image import imread

    monkeypatch.setitem(STYLE, "savefig.dpi", 100)  # fewer pixels, the same layout
    rng = np.random.default_rng(3)
    scores = np.linspace(1, 30, 72)[:, None] + 0.3 * rng.normal(size=(72, 12))
    names = tuple(f"lr={row / 1e3}, width={2 ** (row % 7)}, activation=leaky ReLU" for row in range(72))
    many = Table(names, scores, np.abs(scores) / 7, params=tuple({"name": name} for name in names))
    result = replay(many, Halving(warmup=3), criterion("mean"))
    samples = dict(zip(names[:4], scores[:4], strict=True))
    drawn = [
        draw_criterion_fractions(criterion_fractions(many), unit="GeV"),
        draw_source_histograms(score_histograms(samples), unit="GeV")[0],
        draw_curves(curve_band(np.cumsum(np.abs(scores), axis=1)), names[0]),
        draw_sizes(sizes),
        draw_fine_sizes(sizes, unit="GeV"),
        draw_parameter(boxes_by_parameter(many, "name")),
        draw_top_n(top_n_of_result(result)),
        draw_step_times(step_times(result), "mean [GeV]", result.selected)[0],
    ]
    files = [save_figure(ax, tmp_path / f"{number}.png") for number, ax in enumerate(drawn)]
    for file in files:
        picture = imread(file)[..., :3]
        edges = (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:])
        assert [edge.min() for edge in edges] == [1, 1, 1, 1], file
