import json

import numpy as np
import pytest

from robust_select.analysis.curves import curve_band
from robust_select.analysis.fractions import criterion_fractions
from robust_select.analysis.histograms import score_histograms
from robust_select.core.tables import Table
from robust_select.report.data import page_data
from robust_select.report.evidence import bins_data, count_unused, curves_data, top_n_data, used_curves, with_curves
from robust_select.report.numbers import plain_numbers
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving, TopTwo
from robust_select.stats.criteria import criterion


def result_of(scores, by="mean", rule=None):
    names = tuple(f"c{row}" for row in range(len(scores)))
    return replay(Table(names, np.asarray(scores, dtype=float)), rule or Exhaustive(len(scores[0])), criterion(by))


def test_bins_are_those_of_the_printed_histogram():
    scores = np.random.default_rng(0).gamma(2, size=(2, 60))
    scores[0, 5], scores[1, 55:] = np.inf, np.nan
    for row, found in zip(scores, bins_data(scores), strict=True):
        printed = score_histograms({"one": row})
        assert found["counts"] == printed.counts[0].tolist()
        np.testing.assert_allclose(np.linspace(*found["ends"], len(found["counts"]) + 1), printed.edges)


def test_few_and_equal_scores_have_no_bins():
    scores = np.array([[1, 2, 3, 4, np.nan], [1, 2, 3, 4, np.inf], [2, 2, 2, 2, 2], [1, 2, 3, 4, 5]])
    assert [found is None for found in bins_data(scores)] == [True, True, True, False]


def table_with_curves(n=3, n_replicates=4, n_epochs=5):
    curves = np.random.default_rng(1).uniform(0.1, 1, (n, n_replicates, n_epochs))
    return Table(tuple(f"c{row}" for row in range(n)), curves[:, :, -1], curves=curves)


def test_curves_are_found_by_name_and_have_their_median():
    table = table_with_curves()
    table.curves[1, 2, 3:] = np.nan
    table.curves[2] = np.nan
    found = curves_data(table, ["c1", "unknown", "c2", "c0"])
    assert found["epochs"] == [1, 2, 3, 4, 5]
    assert [one is None for one in found["of"]] == [False, True, True, False]
    band = curve_band(table.curves[1])
    np.testing.assert_allclose(found["of"][0]["median"], band.median, rtol=1e-3)
    np.testing.assert_allclose(found["of"][0]["q3"], band.q3, rtol=1e-3)
    assert found["of"][0]["curves"][2][3:] == [None, None]
    assert (found["of"][0]["nCurves"], found["of"][0]["nBroken"]) == (4, band.n_broken)
    assert curves_data(Table(("a",), np.ones((1, 2))), ["a"]) is None


def test_curves_take_no_more_room_than_there_is(monkeypatch):
    """The first candidates of the page have all curves, the next their median and quartiles, the last nothing."""
    monkeypatch.setattr("robust_select.report.evidence._MOST_OF_BANDS", 3 * 10 * 4)
    monkeypatch.setattr("robust_select.report.evidence._MOST_OF_CURVES", 2 * 4 * 10)
    monkeypatch.setattr("robust_select.report.evidence._MOST_EPOCHS", 10)
    found = curves_data(table_with_curves(6, 4, 101), [f"c{row}" for row in range(6)])
    assert found["epochs"] == [1, 12, 23, 34, 45, 57, 68, 79, 90, 101]
    assert ["none" if one is None else one["curves"] is not None for one in found["of"]] == [
        *(True, True),
        *(False, False),
        *("none", "none"),
    ]


def test_curves_of_instances_that_nobody_asked_for_are_not_drawn():
    """Halving of four: two of the warm-up each, then one more of the better half; six replicates are in the table."""
    table = table_with_curves(4, 6, 3)
    scores = table.scores + np.arange(4.0)[:, None]
    table = Table(table.candidates, scores, curves=table.curves)
    result = replay(table, Halving(warmup=2), criterion("mean"))
    data = page_data(result, curves=table)
    assert [one["nCurves"] for one in data["curves"]["of"]] == data["instances"]
    assert sum(data["instances"]) == result.trainings < table.scores.size
    for name, found in zip(data["names"], data["curves"]["of"], strict=True):
        row = table.candidates.index(name)
        np.testing.assert_allclose(found["curves"], table.curves[row, : len(found["curves"])], rtol=1e-3)
    assert count_unused(table, result) == table.scores.size - result.trainings


def test_curves_of_stopped_instances_and_of_unknown_candidates():
    """Who was stopped by its epochs has a curve and no score; a candidate that the result lacks has no curve."""
    table = table_with_curves(2, 2, 3)
    scores = np.array([[1.0, 1.1], [np.nan, np.nan]])
    table = Table(("a", "b"), scores, curves=table.curves, stopped=np.array([[0, 0], [2, 0]]))
    result = replay(table, Exhaustive(2), criterion("mean"))
    assert np.isnan(used_curves(table, result).curves[1]).all(axis=1).tolist() == [False, True]
    other = Table(("a", "z"), np.ones((2, 2)), curves=table.curves)
    assert np.isnan(used_curves(other, result).curves[1]).all()
    assert not np.isnan(used_curves(other, result).curves[0]).any()
    assert used_curves(result.table, result) is result.table


def test_a_result_gets_the_curves_of_what_it_used():
    table = table_with_curves(3, 5, 4)
    result = replay(table, Exhaustive(2), criterion("mean"))
    assert result.table.curves is None
    known = with_curves(result, table).table
    assert known.scores.shape == known.curves.shape[:2]
    np.testing.assert_array_equal(known.curves[:, :2], table.curves[:, :2])
    assert np.isnan(known.curves[:, 2:]).all()
    assert with_curves(result, Table(table.candidates, table.scores)) is result


def test_the_top_n_end_where_nothing_is_missing():
    scores = np.random.default_rng(2).normal(size=(12, 10)) + 4.0 * np.arange(12)[:, None]
    assert top_n_data(result_of(scores))["probabilities"] == [1.0]
    close = top_n_data(result_of(scores - 3.99 * np.arange(12)[:, None]))["probabilities"]
    assert len(close) == 12
    assert close == sorted(close)
    assert close[-1] == 1.0


@pytest.mark.parametrize(
    ("scores", "by", "why"),
    [
        ([[1.0, 2, 3], [1, 2, 4]], "max", "no true value"),
        ([[1.0, 2, 3, np.inf], [1, 2, 4, 5]], "median", "1 candidate diverged or failed now and then"),
        ([[1.0, np.inf], [np.inf, 2]], "mean", "no candidate has a finite mean"),
        ([[1.0, 2, 3], [np.nan, np.nan, np.nan]], "mean", "1 candidate has no score"),
    ],
)
def test_what_cannot_be_said_is_not_said(scores, by, why):
    scores = np.array(scores)
    if np.isnan(scores).any():
        from robust_select.select.result import result_of as so_far
        from robust_select.select.selection import Selection

        selection = Selection(["a", "b"], Exhaustive(3), criterion(by))
        selection.ask()
        selection.tell(0, 0, 1.0, 0.0)
        assert why in top_n_data(so_far(selection))["problem"]
    else:
        assert why in top_n_data(result_of(scores, by))["problem"]


def test_one_candidate_is_no_question():
    assert top_n_data(result_of([[1.0, 2, 3]])) is None


def test_a_tolerance_counts_those_within_it_as_the_best():
    rng = np.random.default_rng(3)
    scores = 0.1 * rng.normal(size=(4, 60)) + np.array([0.0, 0.005, 5, 6])[:, None]
    strict = top_n_data(result_of(scores, rule=TopTwo(max_instances=30)))
    loose = top_n_data(result_of(scores, rule=TopTwo(max_instances=30, tolerance=0.5)))
    assert loose["tolerance"] == 0.5
    assert loose["probabilities"][0] > strict["probabilities"][0] + 0.1
    assert loose["isQuoted"]


def test_all_of_it_is_on_the_page_in_its_order():
    table = table_with_curves(3, 6, 4)
    scores = table.scores + np.array([[0.0], [5], [2]])
    result = replay(Table(table.candidates, scores, curves=table.curves), Exhaustive(6), criterion("mean"))
    data = json.loads(json.dumps(page_data(result, curves=table)))
    assert data["names"] == ["c0", "c2", "c1"]
    assert data["nCandidates"] == 3
    np.testing.assert_allclose(
        data["curves"]["of"][1]["curves"], [plain_numbers(curve) for curve in table.curves[2]], rtol=1e-3
    )
    found = criterion_fractions(result.table)
    for name, values in zip(found.criteria, found.values, strict=True):
        assert sorted(data["criteria"][name]) == pytest.approx(values.tolist(), rel=1e-5)
