import numpy as np
import pytest

pytest.importorskip("matplotlib")

from robust_select.analysis.distributions import score_densities
from robust_select.analysis.stability import EpochScores, epoch_scores, stability
from robust_select.core.tables import Table
from robust_select.report.figures import draw_epoch_scores, draw_overlap, draw_tau_densities, save_figure
from robust_select.report.figures.style import DISCARDED, SELECTED, Figure


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    curves = np.linspace(0.1, 0.3, 12)[:, None, None] + rng.normal(size=(12, 6, 8)) * np.linspace(0.3, 0.01, 8)
    return Table(tuple("abcdefghijkl"), curves[..., -1], curves=curves)


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_scores_after_an_epoch_and_the_top_ones(table):
    found = epoch_scores(table, 3, top=0.25)
    ax = draw_epoch_scores(found, unit="%")
    others, best = ax.collections
    np.testing.assert_allclose(best.get_offsets(), np.column_stack([found.at, found.final])[found.is_top])
    assert len(others.get_offsets()) == 9
    assert labels(ax) == ["others", "best 3 in the end"]
    assert ax.get_xlabel() == "score after epoch 3 of 8 [%]\n(lower is better)"
    assert ax.get_ylabel() == "final score [%]"


def test_says_who_is_not_drawn():
    bad = EpochScores(1, 2, np.array([np.inf, 0.1]), np.array([np.inf, 0.2]), np.array([False, True]))
    assert draw_epoch_scores(bad, False).get_title(loc="left") == "1 of 2 candidates have diverged"
    nobody = EpochScores(1, 2, np.array([np.inf]), np.array([np.inf]), np.array([True]))
    assert draw_epoch_scores(nobody).get_legend() is None


def test_tau_is_shaded_by_its_density_in_each_epoch(table):
    found = stability(table)
    densities = score_densities(found.tau.T)
    ax = draw_tau_densities(densities, found.tau)
    shading = ax.collections[0].get_array().reshape(-1, 8)
    expected = densities.densities / densities.densities.max(axis=1, keepdims=True)
    np.testing.assert_allclose(shading, expected.T)
    line = next(line for line in ax.lines if line.get_color() == SELECTED)
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([np.arange(1, 9), found.tau.mean(axis=0)]))
    assert labels(ax) == ["mean of 6 replicates"]


def test_tau_of_few_replicates_is_a_line_only(table):
    found = stability(Table(table.candidates, table.scores[:, :1], curves=table.curves[:, :1]))
    ax = draw_tau_densities(score_densities(found.tau.T), found.tau)
    assert len(ax.collections) == 0
    assert labels(ax) == ["one replicate"]
    assert len(ax.figure.axes) == 1  # no colour bar


def test_overlap_with_error_bars_of_several(table):
    found = stability(table, top=0.25)
    ax = draw_overlap(found.overlap, found.n_top, found.n_candidates, "one-cycle")
    assert draw_overlap(found.overlap / 2, found.n_top, found.n_candidates, "constant", 1, ax) is ax
    first, second = ax.containers
    np.testing.assert_allclose(first.lines[0].get_ydata(), 100 * found.overlap.mean(axis=0))
    np.testing.assert_allclose(second.lines[0].get_ydata(), 50 * found.overlap.mean(axis=0))
    ends = np.array([segment[:, 1] for segment in first.lines[2][0].get_segments()])
    np.testing.assert_allclose((ends[:, 1] - ends[:, 0]) / 2, 100 * found.overlap.std(axis=0, ddof=1), atol=1e-9)
    guesses = [line.get_ydata()[0] for line in ax.lines if line.get_color() == DISCARDED]
    assert guesses == [25.0]
    assert labels(ax) == ["a guess", "one-cycle", "constant"]
    assert ax.get_ylabel() == "top 3 of 12 that stay so [%]"
    single = draw_overlap(found.overlap[:1], 3, 12)
    assert labels(single) == ["a guess", "one replicate"]


@pytest.mark.parametrize("format", ["pdf", "svg", "png"])
def test_the_same_bytes_each_time_on_axes_of_the_caller(table, tmp_path, format):
    found = stability(table)
    files = []
    for name in ("one", "two"):
        axes = Figure(figsize=(6.8, 2.5)).subplots(1, 3)
        draw_epoch_scores(epoch_scores(table, 4), ax=axes[0])
        draw_tau_densities(score_densities(found.tau.T), found.tau, ax=axes[1])
        draw_overlap(found.overlap, found.n_top, found.n_candidates, ax=axes[2])
        files.append(save_figure(axes[0], tmp_path / f"{name}.{format}").read_bytes())
    assert files[0] == files[1]
