import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robust_select.core.tables import Table
from robust_select.select.plan import plan
from robust_select.select.replay import replay
from robust_select.select.rules import Exhaustive, Halving, Significance
from robust_select.select.selection import Selection
from robust_select.stats.comparisons import COMPARISONS, comparison
from robust_select.stats.criteria import CRITERIA, criterion

FIXED = settings(derandomize=True, deadline=None, max_examples=30, database=None)
RULES = [Exhaustive(4), Halving(2, 1), *(Significance(test, warmup=2, max_instances=4) for test in COMPARISONS)]
PLAIN = [name for name in CRITERIA if name != "std-within-tolerance"]

# Multiples of 1/8 are exact in binary, so that shifting and scaling by powers of two round nothing.
eighths = st.integers(-800, 800).map(lambda value: value / 8)
holed = eighths | st.just(np.inf) | st.just(np.nan)


@st.composite
def scores(draw, n_replicates=4, max_candidates=7, elements=eighths):
    n_candidates = draw(st.integers(1, max_candidates))
    return draw(hnp.arrays(float, (n_candidates, n_replicates), elements=elements))


@st.composite
def distinct_scores(draw):
    """Scores without ties anywhere, so that no answer depends on position."""
    n_candidates = draw(st.integers(1, 7))
    n_scores = 4 * n_candidates
    values = draw(st.lists(st.integers(-(2**20), 2**20), min_size=n_scores, max_size=n_scores, unique=True))
    return np.array(values, dtype=float).reshape(n_candidates, 4)


def run(values, rule, by="mean", direction="minimize", names=None):
    names = tuple(f"c{row}" for row in range(len(values))) if names is None else names
    return replay(Table(names, values), rule, criterion(by), direction)


def story(result):
    return [(s.step, s.best, set(s.kept), set(s.removed), s.trainings) for s in result.steps]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{getattr(rule, 'test', '')}")
@FIXED
@given(data=st.data(), values=distinct_scores())
def test_the_order_of_candidates_does_not_matter(rule, data, values):
    means = values.cumsum(axis=1) / np.arange(1, 5)
    widths = [values[:, :n].std(axis=1) for n in (2, 3, 4)]
    for column in (*means.T, *widths):
        assume(len(np.unique(column.round(9))) == len(values))
    order = data.draw(st.permutations(range(len(values))))
    here = run(values, rule)
    there = run(values[order], rule, names=tuple(f"c{row}" for row in order))
    assert story(here) == story(there)
    assert here.selected == there.selected
    assert set(here.remaining) == set(there.remaining)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{getattr(rule, 'test', '')}")
@FIXED
@given(values=scores(), by=st.sampled_from(PLAIN))
def test_maximising_is_minimising_the_negative(rule, values, by):
    down, up = run(values, rule, by), run(-values, rule, by, "maximize")
    assert story(down) == story(up)
    assert down.remaining == up.remaining


@FIXED
@given(
    values=scores(),
    by=st.sampled_from(PLAIN),
    scale=st.sampled_from([0.25, 1.0, 8.0]),
    shift=st.integers(-64, 64).map(float),
)
def test_criteria_follow_the_units_of_the_score(values, by, scale, shift):
    made = criterion(by)
    expected = scale * made(values) + (shift if made.kind == "location" else 0.0)
    np.testing.assert_allclose(made(scale * values + shift), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", [Exhaustive(4), Halving(2, 1)], ids=lambda rule: rule.name)
@FIXED
@given(values=scores(), by=st.sampled_from(["min", "median", "q3", "max"]), scale=st.sampled_from([0.25, 8.0]))
def test_ranking_rules_do_not_ask_for_units(rule, values, by, scale):
    assert story(run(values, rule, by)) == story(run(scale * values - 16.0, rule, by))


@pytest.mark.parametrize("by", ["min", "max"])
@FIXED
@given(values=distinct_scores())
def test_extremes_do_not_ask_for_the_scale_either(by, values):
    here, there = run(values, Halving(2, 1), by), run(np.exp(values / 2**18), Halving(2, 1), by)
    assert story(here) == story(there)


@pytest.mark.parametrize("name", ["ks", "mann-whitney"])
@FIXED
@given(values=scores(n_replicates=6))
def test_tests_by_ranks_do_not_ask_for_the_scale(name, values):
    made = comparison(name)
    np.testing.assert_allclose(made(values, values[0]), made(np.exp(values / 50), np.exp(values[0] / 50)), rtol=1e-12)


@pytest.mark.parametrize("name", COMPARISONS)
@FIXED
@given(values=scores(n_replicates=5), data=st.data())
def test_a_comparison_is_a_p_value_and_symmetric(name, values, data):
    made = comparison(name)
    found = made(values, values[0])
    assert ((found >= 0) & (found <= 1)).all()
    assert found[0] == pytest.approx(1.0)
    back = [made(values[:1], row)[0] for row in values]
    np.testing.assert_allclose(found, back, rtol=1e-9, atol=1e-12)
    if not made.is_paired:
        shuffled = np.array([data.draw(st.permutations(row.tolist())) for row in values])
        np.testing.assert_allclose(made(shuffled, values[0]), found, rtol=1e-6, atol=1e-9)


@FIXED
@given(
    n_candidates=st.integers(1, 40),
    warmup=st.integers(1, 5),
    final=st.integers(0, 4),
    n_available=st.none() | st.integers(5, 9),
)
def test_halving_takes_as_many_trainings_as_planned(n_candidates, warmup, final, n_available):
    rule = Halving(warmup, final)
    names = [str(row) for row in range(n_candidates)]
    selection = Selection(names, rule, criterion("mean"), n_available=n_available)
    rng = np.random.default_rng(0)
    while asked := selection.ask():
        for candidate, replicate in asked:
            assert n_available is None or replicate < n_available
            selection.tell(candidate, replicate, rng.random())
    assert selection.n_trainings == plan(n_candidates, rule, n_available=n_available).trainings


@pytest.mark.parametrize("test", COMPARISONS)
@FIXED
@given(values=scores(), warmup=st.integers(1, 4), patience=st.none() | st.integers(1, 3))
def test_significance_stays_within_its_plan(test, values, warmup, patience):
    rule = Significance(test, warmup=warmup, patience=patience)
    result = run(values, rule)
    expected = plan(len(values), rule, n_available=4)
    assert expected.least <= result.trainings <= expected.most
    assert result.steps[0].step == warmup


@FIXED
@given(values=scores(), by=st.sampled_from(["median", "mean", "q3", "q3+iqr", "max", "cvar", "min"]))
def test_a_hopeless_candidate_changes_nothing_under_exhaustive(values, by):
    hopeless = np.full((1, 4), 10_000.0)
    diverged = np.full((1, 4), np.inf)
    expected = run(values, Exhaustive(4), by).selected
    for more in (hopeless, diverged):
        assert run(np.concatenate([values, more]), Exhaustive(4), by).selected == expected
        names = ("hopeless", *(f"c{row}" for row in range(len(values))))
        assert run(np.concatenate([more, values]), Exhaustive(4), by, names=names).selected == expected


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{getattr(rule, 'test', '')}")
@FIXED
@given(values=scores(elements=eighths | st.just(np.inf)), by=st.sampled_from(PLAIN))
def test_every_story_is_consistent(rule, values, by):
    result = run(values, rule, by)
    alive = {f"c{row}" for row in range(len(values))}
    for step in result.steps:
        assert step.best in step.kept
        assert set(step.kept) | set(step.removed) == alive
        assert not set(step.kept) & set(step.removed)
        alive = set(step.kept)
    assert set(result.remaining) == alive
    assert result.selected == result.remaining[0]
    assert [s.trainings for s in result.steps] == sorted(s.trainings for s in result.steps)
    ranked = [int(name[1:]) for name in result.remaining]
    left = criterion(by).order(result.table.losses("minimize")[sorted(ranked)])
    assert ranked == [sorted(ranked)[row] for row in left]


@FIXED
@given(values=scores(elements=holed), data=st.data(), by=st.sampled_from(CRITERIA))
def test_replicates_are_exchangeable_for_every_criterion(values, data, by):
    shuffled = np.array([data.draw(st.permutations(row.tolist())) for row in values])
    made = criterion(by, tolerance=4.0)
    np.testing.assert_array_equal(made(values), made(shuffled))
    np.testing.assert_array_equal(made.order(values), made.order(shuffled))


@FIXED
@given(values=scores(elements=holed))
def test_a_table_survives_its_data_frame(values):
    rows, columns = ~np.isnan(values).all(axis=1), ~np.isnan(values).all(axis=0)
    assume(rows.any())
    table = Table(tuple(f"c{row}" for row in range(len(values))), values)
    back = Table.from_frame(table.to_frame())
    assert back.candidates == tuple(np.array(table.candidates)[rows])
    np.testing.assert_array_equal(back.scores, values[rows][:, columns])
