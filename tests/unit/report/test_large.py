"""A page of very many candidates, or trainings: the best ones are on it, and it says so."""

import numpy as np
import pytest

from robust_select.core.tables import Table
from robust_select.report import data
from robust_select.report.data import count_shown, page_data
from robust_select.report.page import page_html
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive


def result_of_many(n_candidates, n_instances):
    """Candidate 0 is the best, the others follow in order."""
    rng = np.random.default_rng(0)
    scores = np.arange(n_candidates)[:, None] + rng.uniform(0, 0.4, size=(n_candidates, n_instances))
    table = Table(tuple(f"c{row}" for row in range(n_candidates)), scores)
    return replay(table, Exhaustive(n_instances), "mean")


@pytest.fixture(scope="module")
def many():
    return result_of_many(1500, 2)


def test_the_best_thousand_and_the_base_model_are_shown(many):
    shown = page_data(many, base="c1400")
    assert shown["names"] == [f"c{row}" for row in [*range(1000), 1400]]
    assert shown["base"] == 1000
    for key in ("scores", "position", "isLeft", "discardedAt", "caveats", "instances", "seconds", "bins"):
        assert len(shown[key]) == 1001
    assert {len(values) for values in shown["criteria"].values()} == {1001}
    assert len(shown["boxes"]["median"]) == len(shown["path"]["states"]) == len(shown["front"]["means"]) == 1001
    assert shown["path"]["alive"][-1] == 1500  # what is said of all is of all
    np.testing.assert_allclose(
        shown["boxes"]["median"], np.median(many.table.scores[shown["position"]], 1), rtol=1e-5
    )


def test_the_page_says_what_it_leaves_out(many):
    html = page_html(many)
    assert "The charts and the table below show the best 1,000 of 1,500 candidates one by one." in html
    assert '"c999"' in html
    assert '"c1000"' not in html
    assert html.count("1,500") > 1


def test_many_trainings_of_each_leave_room_for_fewer(monkeypatch):
    monkeypatch.setattr(data, "_MOST_SCORES", 600)
    assert count_shown(result_of_many(60, 30)) == 50  # so many are shown in any case
    assert len(page_data(result_of_many(60, 30))["names"]) == 50
    assert count_shown(result_of_many(80, 10)) == 60
    assert count_shown(result_of_many(40, 20)) == 40


def test_a_usual_page_leaves_nothing_out():
    result = result_of_many(30, 3)
    assert len(page_data(result)["names"]) == count_shown(result) == 30
    assert "candidates one by one." not in page_html(result)
