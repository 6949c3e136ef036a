import json

import numpy as np
import pytest

from robust_select.core.errors import InputError
from robust_select.core.tables import Table
from robust_select.report.data import script_json
from robust_select.report.page import page_html
from robust_select.report.playground import CRITERIA, explore, is_possible, playground_data, samples_for
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving, Significance, TopTwo
from robust_select.stats.criteria import criterion


def table(n_candidates=5, n_replicates=8, seed=8):
    rng = np.random.default_rng(seed)
    scores = rng.normal(1, 0.3, (n_candidates, n_replicates)) + 0.2 * np.arange(n_candidates)[:, None]
    return Table(tuple(f"c{row}" for row in range(n_candidates)), scores)


@pytest.fixture(scope="module")
def found():
    return explore(table(), [3, *range(3), *range(4, 8)], samples=3)


def made(setting):
    """The rule that a setting means, made here anew."""
    if setting.rule == "exhaustive":
        return Exhaustive(setting.warmup)
    if setting.rule == "halving":
        return Halving(setting.warmup)
    if setting.rule == "top-two":
        return TopTwo(setting.level, setting.warmup, max_instances=1000)
    test, _, control = setting.test.partition(", ")
    return Significance(test, setting.level, setting.warmup, control=control or "per-look", max_instances=1000)


@pytest.mark.parametrize("sample", [0, 2])
@pytest.mark.parametrize("by", ["mean", "q3+iqr", "std"])
def test_every_setting_is_what_replay_gives(found, sample, by):
    row = found.criteria.index(by)
    for position in range(0, len(found.settings), 3):
        setting = found.settings[position]
        rule = made(setting)
        if found.selected[row, position, sample] < 0:
            with pytest.raises(InputError):
                rule.check(criterion(by))
            continue
        result = replay(table(), rule, criterion(by), order=found.orders[sample].tolist())
        assert found.names[found.selected[row, position, sample]] == result.selected, setting
        assert found.trainings[row, position, sample] == result.trainings, setting


def test_the_first_sample_is_the_order_asked_for_and_the_others_shuffle_it(found):
    assert found.orders[0].tolist() == [3, 0, 1, 2, 4, 5, 6, 7]
    assert all(sorted(order) == list(range(8)) for order in found.orders.tolist())
    assert len({tuple(order) for order in found.orders.tolist()}) == 3


def test_scores_to_be_maximised():
    low, high = explore(table(), range(8), samples=2), None
    turned = Table(low.names, -table().scores)
    high = explore(turned, range(8), "maximize", samples=2)
    assert (low.selected == high.selected).all()
    by = low.criteria.index("mean")
    np.testing.assert_allclose(high.values[by], -low.values[by])
    spread = low.criteria.index("std")
    np.testing.assert_allclose(high.values[spread], low.values[spread])


def test_what_was_asked_for_is_where_the_reader_begins():
    rule = Significance("welch", 0.03, 4, max_instances=1000)
    found = explore(table(), range(8), asked=(rule, criterion("cvar")), samples=1)
    name, position = found.asked
    assert name == "cvar"
    assert found.criteria == (*CRITERIA, "cvar")
    assert (found.settings[position].test, found.settings[position].level) == ("welch", 0.03)
    result = replay(table(), rule, criterion("cvar"))
    row = found.criteria.index("cvar")
    assert found.names[found.selected[row, position, 0]] == result.selected
    assert found.trainings[row, position, 0] == result.trainings


def test_a_setting_of_the_grid_is_replaced_by_the_one_asked_for():
    rule = TopTwo(0.95, 1, max_instances=3)
    plain = explore(table(), range(8), samples=1)
    found = explore(table(), range(8), asked=(rule, criterion("mean")), samples=1)
    assert found.settings == plain.settings
    position = found.asked[1]
    assert found.trainings[0, position, 0] == replay(table(), rule, criterion("mean")).trainings
    assert found.trainings[0, position, 0] != plain.trainings[0, position, 0]


def test_a_criterion_with_a_tolerance_is_left_out():
    asked = (Halving(2), criterion("std-within-tolerance", 0.1))
    assert explore(table(), range(8), asked=asked, samples=1).asked is None


def test_incomplete_replicates_are_left_out_and_counted():
    scores = table().scores.copy()
    scores[2, 5] = np.nan
    scores[0, 1] = np.inf  # diverged is an outcome
    found = explore(Table(table().candidates, scores), range(8), samples=2)
    assert found.n_left_out == 1
    assert 5 not in found.orders
    assert 1 in found.orders


def test_too_few_replicates_are_refused():
    thin = Table(("a", "b"), np.array([[1.0, np.nan, 2.0], [np.nan, 1.0, 2.0]]))
    assert not is_possible(thin, range(3))
    with pytest.raises(InputError, match="came 1"):
        explore(thin, range(3))
    with pytest.raises(InputError, match="samples=0"):
        explore(table(), range(8), samples=0)


def test_large_tables_get_fewer_samples_and_no_top_two():
    rng = np.random.default_rng(0)
    large = Table(tuple(map(str, range(1001))), rng.normal(size=(1001, 2)))
    found = explore(large, range(2), samples=1)
    assert "top-two" not in {setting.rule for setting in found.settings}
    assert [samples_for(n) for n in (10, 6_000, 20_000, 100_000)] == [10, 10, 3, 2]


def test_the_data_name_only_who_was_selected(found):
    data = json.loads(script_json(playground_data(found)))
    assert data["nCandidates"] == 5
    assert data["nSamples"] == 3
    flat = [row for per in data["selected"] for one in per for row in one]
    assert set(flat) - {-1} == set(range(len(data["names"])))
    by = data["criteria"].index("mean")
    means = table().scores.mean(axis=1)
    for name, rank, value in zip(data["names"], data["ranks"][by], data["values"][by], strict=True):
        own = int(name[1:])
        assert rank == 1 + int((means < means[own]).sum())
        assert value == pytest.approx(means[own], rel=1e-5)
    assert data["best"][by] == f"c{means.argmin()}"
    back = data["names"][data["selected"][by][0][0]]
    assert back == found.names[found.selected[found.criteria.index("mean"), 0, 0]]


def test_only_a_page_with_a_playground_has_its_controls(found):
    result = replay(table(), Halving(2), criterion("mean"))
    assert 'id="play-rule"' in page_html(result, playground=found)
    assert 'id="play-rule"' not in page_html(result)
