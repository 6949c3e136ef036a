import copy
import json
import math

import numpy as np
import pytest
from cloudpickle import dumps, loads
from scipy import stats

from robust_select.core.candidates import (
    Candidate,
    Integers,
    Uniform,
    as_candidates,
    grid,
    name_of,
    params_json,
    sample,
)
from robust_select.core.errors import InputError


class Steady:
    def __repr__(self):
        return "Steady()"


def a_function():
    """Stand in for a parameter that is code."""


def test_a_grid_is_every_combination_and_the_last_parameter_changes_fastest():
    made = grid(lr=[0.1, 0.01], width=[16, 32, 64])
    assert [dict(c.params) for c in made] == [
        {"lr": 0.1, "width": 16},
        {"lr": 0.1, "width": 32},
        {"lr": 0.1, "width": 64},
        {"lr": 0.01, "width": 16},
        {"lr": 0.01, "width": 32},
        {"lr": 0.01, "width": 64},
    ]
    assert [c.name for c in made][:2] == ["lr=0.1, width=16", "lr=0.1, width=32"]


def test_a_grid_takes_ranges_arrays_and_nested_lists():
    made = grid(depth=range(1, 3), lr=np.array([0.5]), layers=[[8], [8, 4]])
    assert [c.name for c in made] == [
        "depth=1, lr=0.5, layers=[8]",
        "depth=1, lr=0.5, layers=[8, 4]",
        "depth=2, lr=0.5, layers=[8]",
        "depth=2, lr=0.5, layers=[8, 4]",
    ]


@pytest.mark.parametrize("axes", [{"lr": 0.1}, {"lr": "0.1"}, {"lr": []}, {"lr": (x for x in [1])}])
def test_a_grid_refuses_what_is_no_list(axes):
    with pytest.raises(InputError, match="expected a list of values for each parameter, came lr="):
        grid(**axes)


def test_a_grid_needs_a_parameter():
    with pytest.raises(InputError, match="came none: grid"):
        grid()


def test_a_grid_with_a_value_twice_names_the_clash():
    with pytest.raises(InputError, match=r"came 'lr=0\.1' twice \(candidates 0 and 1\)"):
        grid(lr=[0.1, 0.1])


def test_a_sample_repeats_with_its_seed_and_changes_with_it():
    space = {"lr": Uniform(0, 1), "width": Integers(1, 1000)}
    assert sample(20, space, seed=3) == sample(20, space, seed=3)
    assert sample(20, space, seed=3) != sample(20, space, seed=4)
    assert sample(5, space, seed=3) == sample(20, space, seed=3)[:5]


def test_a_sample_holds_different_candidates_even_if_it_must_find_them_all():
    made = sample(12, {"a": [1, 2, 3], "b": Integers(0, 3)}, seed=0)
    assert sorted((c.params["a"], c.params["b"]) for c in made) == [(a, b) for a in (1, 2, 3) for b in range(4)]


def test_a_space_that_is_too_small_is_refused_with_what_it_holds():
    with pytest.raises(InputError, match="at least n=5 different candidates, found 4"):
        sample(5, {"a": ["x", "y"], "b": Integers(0, 1)})


def test_a_sample_draws_from_scipy():
    frozen = stats.loguniform(1e-4, 1e-1)
    made = sample(300, {"lr": frozen, "n": stats.randint(3, 10**6)}, seed=5)
    rates = [c.params["lr"] for c in made]
    assert {type(rate) for rate in rates} == {float}
    assert {type(c.params["n"]) for c in made} == {int}
    assert stats.kstest(rates, frozen.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("drawer", "cdf"),
    [
        (Uniform(2, 5), stats.uniform(2, 3).cdf),
        (Uniform(1e-5, 1e-1, log=True), stats.loguniform(1e-5, 1e-1).cdf),
    ],
)
def test_uniform_follows_its_distribution(drawer, cdf):
    rng = np.random.default_rng(0)
    drawn = [drawer.rvs(random_state=rng) for _ in range(2000)]
    assert min(drawn) >= drawer.low
    assert max(drawn) <= drawer.high
    assert stats.kstest(drawn, cdf).pvalue > 0.01


@pytest.mark.parametrize("log", [False, True])
def test_integers_include_both_ends_in_the_right_shares(log):
    drawer = Integers(2, 6, log=log)
    rng = np.random.default_rng(1)
    drawn = [drawer.rvs(random_state=rng) for _ in range(6000)]
    assert {type(value) for value in drawn} == {int}
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [2, 3, 4, 5, 6]
    shares = np.log((values + 1) / values) / math.log(7 / 2) if log else np.full(5, 0.2)
    assert stats.chisquare(counts, shares * 6000).pvalue > 0.01


@pytest.mark.parametrize("made", [Uniform, Integers])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((3, 3), "low < high"),
        ((4, 3), "low < high"),
        ((math.nan, 3), "low < high"),
        ((0, math.inf), "finite numbers"),
        ((0, 3, True), "low > 0 for a logarithmic range"),
    ],
)
def test_a_range_that_cannot_be_is_refused(made, given, message):
    with pytest.raises(InputError, match=message):
        made(*given)


def test_integers_are_whole():
    with pytest.raises(InputError, match=r"expected whole numbers, came Integers\(low=1\.5"):
        Integers(1.5, 3)


@pytest.mark.parametrize("values", ["abc", [], 3, {"a": 1}])
def test_a_space_refuses_what_cannot_be_drawn_from(values):
    with pytest.raises(InputError, match="expected a list, Uniform, Integers or a scipy distribution, came width="):
        sample(1, {"width": values})


def test_a_sample_needs_a_number():
    with pytest.raises(InputError, match="came n=0"):
        sample(0, {"a": [1]})


def test_choices_of_other_types_with_the_same_name_are_named_as_a_clash():
    with pytest.raises(InputError, match="came 'x=1' twice"):
        sample(2, {"x": [1, "1"]})


def test_candidates_come_from_what_a_user_may_give():
    ready = Candidate("ready", {"a": 1}, is_base=True)
    made = as_candidates([ready, {"name": "named", "b": 2}, {"b": 3}, "bare", {"name": 7}])
    assert made[0] is ready
    assert [(c.name, dict(c.params)) for c in made[1:]] == [
        ("named", {"b": 2}),
        ("b=3", {"b": 3}),
        ("bare", {}),
        ("7", {}),
    ]
    assert as_candidates({"small": {"w": 1}, 5: {}}) == (Candidate("small", {"w": 1}), Candidate("5"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "at least one candidate, came none"),
        ({}, "at least one candidate, came none"),
        (["a", 3.5], "came 3.5 as candidate 1"),
        (["a", "b", "a"], r"came 'a' twice \(candidates 0 and 2\)"),
        ("small", "expected a list of candidates, came 'small'"),
        (Candidate("a"), "expected a list of candidates"),
        (None, "expected a list of candidates, came None"),
        ({"lr": 0.1}, r"a dictionary of parameters for candidate 'lr', came params=0\.1"),
        ([" "], "name to be text, came name=' '"),
    ],
)
def test_candidates_that_cannot_be_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        as_candidates(given)


def test_a_name_is_text():
    with pytest.raises(InputError, match="came name=3"):
        Candidate(3)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, "default"),
        ({"lr": 0.001, "w": 16}, "lr=0.001, w=16"),
        ({"lr": 1e-7}, "lr=1e-07"),
        ({"lr": 0.1234567891}, "lr=0.1234567891"),
        ({"x": None, "y": True}, "x=null, y=true"),
        ({"x": (1, 2)}, "x=[1, 2]"),
        ({"f": math.sqrt}, "f=math.sqrt"),
        ({"s": Steady()}, "s=Steady()"),
        ({"n": np.float64(0.5), "i": np.int64(3)}, "n=0.5, i=3"),
    ],
)
def test_names_say_the_parameters(params, name):
    assert name_of(params) == name


def test_params_json_is_canonical_and_plain():
    params = {
        "b": np.int64(2),
        "a": np.array([1.5, 2.0]),
        "c": {"z", "y"},
        "d": {"k": np.float32(0.5)},
        "e": Steady(),
    }
    text = params_json(params)
    assert text == params_json(dict(reversed(params.items())))
    assert json.loads(text) == {"a": [1.5, 2.0], "b": 2, "c": ["y", "z"], "d": {"k": 0.5}, "e": "Steady()"}
    read_only = Candidate("x", {"inner": 1}).params
    assert json.loads(params_json({"f": a_function, "t": Steady, "m": read_only})) == {
        "f": f"{__name__}.a_function",
        "t": f"{__name__}.Steady",
        "m": {"inner": 1},
    }


def test_params_json_of_a_set_does_not_depend_on_its_order():
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    assert json.loads(params_json({"s": set(letters)})) == {"s": letters}
    assert params_json({"s": frozenset({3, 1, 2})}) == '{"s": [1, 2, 3]}'


def test_params_json_refuses_memory_addresses():
    with pytest.raises(InputError, match=r"looks the same in every run, came <object object at 0x"):
        params_json({"x": object()})


@pytest.mark.parametrize("params", [{"a": {1: 2, "b": 3}}, {"a": {(1, 2): 3}}])
def test_params_json_refuses_keys_that_are_no_text(params):
    with pytest.raises(InputError, match="expected parameters with text as keys"):
        params_json(params)


def test_params_are_read_only_and_a_copy():
    given = {"a": 1}
    made = Candidate("x", given)
    given["a"] = 2
    assert made.params["a"] == 1
    with pytest.raises(TypeError):
        made.params["a"] = 3


def test_a_candidate_survives_pickling_and_copying():
    made = Candidate("x", {"a": [1, 2], "b": "c"}, is_base=True)
    for twin in (loads(dumps(made)), copy.deepcopy(made)):
        assert twin == made
        assert hash(twin) == hash(made)
        assert twin.is_base
        with pytest.raises(TypeError):
            twin.params["a"] = 3


def test_equal_candidates_have_equal_hashes():
    whole, fraction = Candidate("x", {"a": 1}), Candidate("x", {"a": 1.0})
    assert whole == fraction
    assert len({whole, fraction, Candidate("y", {"a": 1})}) == 2
    assert hash(Candidate("z", {"a": object()})) == hash(Candidate("z"))
