from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl
from matplotlib.figure import Figure

from robust_select.analysis.distributions import score_densities
from robust_select.analysis.front import spread_front
from robust_select.analysis.path import selection_path
from robust_select.analysis.trainings import StepCounts, TrainingCounts, trained_by_step, training_counts
from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.report.figures import (
    draw_mean_spread,
    draw_score_densities,
    draw_selection_path,
    draw_trained_by_step,
    draw_trainings,
    save_figures,
)
from robust_select.report.figures.missing import figures_left_out
from robust_select.report.figures.style import BASE, DISCARDED, LEFT, SELECTED, STYLE
from robust_select.select.replay import replay
from robust_select.select.result import result_of
from robust_select.select.rules import Halving, TopTwo
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(2)
    scores = np.linspace(0.05, 0.9, 8)[:, None] + 0.02 * rng.normal(size=(8, 8))
    scores[6, 1] = np.inf
    names = ("plain", "$x_1$ and $y", "c", "d", "e", "f", "g", "h")
    return replay(Table(names, scores), Halving(warmup=3), criterion("mean"))


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_path_draws_every_candidate_as_long_as_it_was_alive(result):
    path = selection_path(result)
    ax = draw_selection_path(path, "mean [GeV]", result.selected, base="$x_1$ and $y")
    row = path.candidates.index(result.selected)
    bold = [line for line in ax.lines if line.get_color() == SELECTED]
    assert len(bold) == 1
    np.testing.assert_array_equal(bold[0].get_ydata(), path.values[:, row])
    others = [line for line in ax.lines if line.get_linewidth() == 0.6 and len(line.get_xdata()) > 1]
    assert sorted(len(line.get_xdata()) for line in others) == sorted(
        path.is_alive[:, [other for other in range(8) if other != row]].sum(axis=0)
    )
    assert ax.get_ylabel() == "mean [GeV] (lower is better)"
    assert labels(ax) == [r"base: \$x_1\$ and \$y", "plain", "discarded"]


def test_densities_highlight_one(result):
    found = score_densities(result.table.scores)
    ax = draw_score_densities(found, 0, "plain", unit="cm")
    assert labels(ax) == [f"{len(ax.lines) - 1} other candidates", f"plain (n = {found.n_finite[0]})"]
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), found.densities[0])
    assert ax.get_xlabel() == "score [cm] (lower is better)"


def test_densities_say_how_many_are_missing():
    ax = draw_score_densities(score_densities(np.array([[1.0, 2.0, 3.0], [1.0, np.nan, np.nan]])), 0, "a")
    assert ax.get_title(loc="left") == "1 of 2 candidates have too few scores"
    assert draw_score_densities(score_densities(np.full((1, 2), np.nan)), 0, "a").get_legend() is None


def test_the_front_is_a_staircase(result):
    front = spread_front(result.table, "minimize")
    ax = draw_mean_spread(front, result.selected, base="c")
    stairs = next(line for line in ax.lines if line.get_label() == "Pareto front")
    assert (np.diff(stairs.get_xdata()) >= 0).all()
    assert (np.diff(stairs.get_ydata()) <= 0).all()
    assert len(stairs.get_xdata()) == front.is_on_front.sum()
    assert ax.get_title(loc="left") == "1 of 8 candidates have no finite spread"
    n_points = sum(len(points.get_offsets()) for points in ax.collections)
    assert n_points == 7 + 1  # the base model's star lies on its point; the selected one is a diamond only


def test_draws_on_the_axes_given_and_leaves_the_settings(result):
    before = dict(mpl.rcParams)
    ax = Figure().add_subplot()
    assert draw_mean_spread(spread_front(result.table, "minimize"), result.selected, ax=ax) is ax
    assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def uneven():
    rng = np.random.default_rng(6)
    table = Table(tuple("abcdefgh"), 0.3 * rng.normal(size=(8, 40)) + 0.15 * np.arange(8)[:, None])
    return replay(table, TopTwo(budget=120), criterion("mean"))


def test_unequal_numbers_are_drawn_along_all_trainings(uneven):
    path = selection_path(uneven)
    ax = draw_selection_path(path, "mean", uneven.selected, uneven.remaining, base="h")
    assert ax.get_xlabel() == "trainings of all candidates together"
    bold = next(line for line in ax.lines if line.get_color() == SELECTED)
    np.testing.assert_array_equal(bold.get_xdata(), path.trainings)
    np.testing.assert_array_equal(bold.get_ydata(), path.values[:, path.candidates.index(uneven.selected)])
    star = next(line for line in ax.lines if line.get_color() == BASE and len(line.get_xdata()))
    last = np.flatnonzero(path.is_alive[:, 7])[-1]
    assert (star.get_xdata().tolist(), star.get_ydata().tolist()) == ([path.trainings[last]], [path.values[last, 7]])
    upper = ax.child_axes[0]
    for tick, text in zip(upper.get_xticks(), upper.get_xticklabels(), strict=True):
        before = path.trainings[path.trainings <= tick]
        assert text.get_text() == str(path.is_alive[len(before) - 1].sum())


def test_a_bar_is_as_long_as_its_candidate_was_trained(uneven):
    found = training_counts(uneven)
    ax = draw_trainings(found, uneven.selected, base="h")
    lengths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
    assert [lengths[row] for row in range(8)] == found.counts.tolist()
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert [name.removeprefix("★ ") for name in names] == list(found.candidates)
    assert [name for name in names if name.startswith("★")] == ["★ h"]
    assert ax.get_xlabel() == f"trainings ({uneven.trainings} together)"
    tones = {mpl.colors.to_hex(bar.get_facecolor()).upper() for bar in ax.patches[:1]}
    assert tones == {SELECTED}
    are_others_left = len(uneven.remaining) > 1
    assert set(labels(ax)) == {"selected", "discarded", *(["not told apart from it"] if are_others_left else [])}


def test_bars_differ_without_colour():
    """Grey prints orange, blue and grey alike: one is full, one hatched, one hollow."""
    found = TrainingCounts(("a", "b", "c"), np.array([5, 4, 3]), np.array([True, True, False]))
    looks = [(mpl.colors.to_hex(bar.get_facecolor()), bar.get_hatch()) for bar in draw_trainings(found, "a").patches]
    assert looks == [(SELECTED.lower(), None), ("#ffffff", "//////"), ("#ffffff", None)]


def test_candidates_by_step_are_drawn_as_they_are(result, uneven):
    found = {"halving": trained_by_step(result), "top-two": trained_by_step(uneven)}
    ax = draw_trained_by_step({**found, "nothing yet": StepCounts(np.zeros(0, dtype=int), np.zeros(0, dtype=int))})
    assert labels(ax) == ["halving", "top-two"]
    for line, one in zip(ax.lines, found.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), one.steps)
        np.testing.assert_array_equal(line.get_ydata(), one.counts)
    assert len({(line.get_linestyle(), line.get_marker(), line.get_color()) for line in ax.lines}) == 2
    long = StepCounts(np.arange(1, 501), np.full(500, 7))
    ax = draw_trained_by_step({"long": long})
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_ylim()[0]) == ("log", "linear", 0)
    assert len(long.steps) / ax.lines[0].get_markevery() <= 30
    assert draw_trained_by_step({}).get_legend() is None


def test_many_candidates_are_a_staircase():
    counts = np.repeat([30, 8, 4, 2], [1, 9, 40, 50])
    names = tuple(f"c{row}" for row in range(100))
    ax = draw_trainings(TrainingCounts(names, counts, np.arange(100) < 3), "c0", base="c20")
    assert len(ax.patches) == 3
    assert len({(str(stairs.get_linestyle()), stairs.get_linewidth()) for stairs in ax.patches}) == 3
    drawn = {mpl.colors.to_hex(stairs.get_edgecolor()).upper(): stairs.get_data() for stairs in ax.patches}
    for colour, rows in ((SELECTED, slice(0, 1)), (LEFT, slice(1, 3)), (DISCARDED, slice(3, 100))):
        values = drawn[colour].values
        np.testing.assert_array_equal(values[rows], counts[rows])
        assert np.isfinite(values).sum() == len(counts[rows])
        np.testing.assert_array_equal(drawn[colour].edges, np.arange(101) + 0.5)
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[21.0, 4.0]]]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    even = draw_trainings(TrainingCounts(names, np.full(100, 3), np.arange(100) < 1), "c0")
    assert (even.get_yscale(), even.get_ylim()[0]) == ("linear", 0)


def test_nothing_is_cut_off(result, uneven, tmp_path, monkeypatch):
    """A border of white around every figure, also where the first layout is not yet the last."""
    from matplotlib.image import imread

    monkeypatch.setitem(STYLE, "savefig.dpi", 100)  # fewer pixels, the same layout
    rng = np.random.default_rng(2)
    names = tuple(f"lr={row / 1e3}, width={2 ** (row % 7)}" for row in range(400))
    scores = 0.2 * rng.normal(size=(400, 30)) + 1 + np.linspace(0, 3, 400)[:, None]
    many = replay(Table(names, scores), Halving(warmup=4), criterion("mean"))
    for found, folder in ((result, "a"), (uneven, "b"), (many, "c")):
        for file in save_figures(found, tmp_path / folder, "png", base=found.table.candidates[2]):
            picture = imread(file)[..., :3]
            edges = (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:])
            assert [edge.min() for edge in edges] == [1, 1, 1, 1], file


@pytest.mark.parametrize("format", ["pdf", "svg", "png"])
def test_saves_one_column_wide_and_the_same_bytes_each_time(result, tmp_path, format):
    first = save_figures(result, tmp_path / "one", format, base="c")
    again = save_figures(result, tmp_path / "two", format, base="c")
    assert [file.name for file in first] == [
        f"{stem}.{format}"
        for stem in (
            "04-criterion-fractions",
            "05-score-histogram",
            "10-selection-path",
            "11-score-densities",
            "12-by-step",
            "12-trainings",
            "14-top-n",
            "16-mean-spread",
        )
    ]
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    if format == "svg":
        assert 'width="244.8pt"' in first[0].read_text()  # 3.4 inches
        assert ">discarded</text>" in first[2].read_text()  # text stays text


def test_what_is_not_drawn_is_said_with_its_reason(result, tmp_path):
    stems = [file.stem for file in save_figures(result, tmp_path, "svg")]
    said = dict(figures_left_out(result, stems))
    assert not set(said) & set(stems)
    assert sorted([*said, *stems]) == [
        *("01-epoch-scores", "02-tau-by-epoch", "03-overlap-by-epoch", "04-criterion-fractions"),
        *("05-score-histogram", "07-curves", "10-selection-path", "11-score-densities", "12-by-step"),
        *("12-trainings", "14-top-n", "15-step-times", "16-mean-spread"),
    ]
    assert said["01-epoch-scores"] == "the instances have no curves"
    assert said["15-step-times"] == "no training time is known"
    begun = dict(figures_left_out(result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean"))), []))
    assert begun["12-by-step"] == begun["10-selection-path"] == "no step has been decided"
    assert begun["14-top-n"] == "2 candidates have no score"
    alone = replay(Table(("a",), np.ones((1, 3)), np.ones((1, 3))), Halving(warmup=2), criterion("mean"))
    said = dict(figures_left_out(alone, []))
    assert (said["14-top-n"], said["15-step-times"]) == ("there is one candidate only", "no step discarded anybody")
    curves = np.random.default_rng(1).uniform(size=(2, 1, 4))
    once = replay(Table(("a", "b"), curves[:, :, -1]), Halving(warmup=1), criterion("mean"))
    once = replace(once, table=replace(once.table, curves=curves))
    assert dict(figures_left_out(once, []))["02-tau-by-epoch"].startswith("in one replicate only")


def test_without_steps_there_is_no_path(tmp_path):
    result = result_of(Selection(["a", "b"], Halving(warmup=2), criterion("mean")))
    assert [file.stem for file in save_figures(result, tmp_path, "svg")] == [
        "11-score-densities",
        "12-trainings",
        "16-mean-spread",
    ]


def test_refuses_an_unknown_format_and_base(result, tmp_path):
    with pytest.raises(InputError, match="pdf, svg, png"):
        save_figures(result, tmp_path, "gif")
    with pytest.raises(InputError, match="base='zz'"):
        save_figures(result, tmp_path, "svg", base="zz")
