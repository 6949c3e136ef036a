import numpy as np
import pandas as pd
import pytest

from robust_select.analysis.groups import boxes_by_parameter, boxes_by_size, scores_by_size
from robust_select.core.errors import InputError
from robust_select.core.tables import Table


def test_names_may_have_other_sizes():
    rng = np.random.default_rng(0)
    scores = {"a": {1000: rng.normal(size=9), 100: rng.normal(size=7)}, "b": {500: np.array([1.0, np.inf])}}
    found = boxes_by_size(scores)
    assert found.sizes.tolist() == [100, 500, 1000]
    np.testing.assert_allclose(found.of(0).q3[[0, 2]], [np.quantile(scores["a"][size], 0.75) for size in (100, 1000)])
    assert np.isnan(found.of(0).median[1])
    assert found.of(1).n_finite.tolist() == [0, 1, 0]
    assert found.n_unusable.tolist() == [[0, 0, 0], [0, 1, 0]]
    with pytest.raises(InputError, match="one training sample size"):
        boxes_by_size({"a": {}})


def frame():
    rows = [
        {"candidate": f"{model} {n}", "replicate": r, "score": n + r, "model_name": model, "n_training": n}
        for model in ("Model 1", "Model 2")
        for n in (100, 200)
        for r in range(3)
    ]
    return pd.DataFrame(rows)


def test_a_table_is_sorted_by_all_but_the_size():
    found = scores_by_size(Table.from_frame(frame()))
    assert list(found) == ["model_name=Model 1", "model_name=Model 2"]
    assert {size: scores.tolist() for size, scores in found["model_name=Model 2"].items()} == {
        100: [100, 101, 102],
        200: [200, 201, 202],
    }
    named = Table.from_frame(frame().rename(columns={"model_name": "name"}))
    assert list(scores_by_size(named)) == ["Model 1", "Model 2"]


def test_an_empty_parameter_is_none():
    gaps = frame().assign(depth=[1.0] * 6 + [np.nan] * 6)
    assert list(scores_by_size(Table.from_frame(gaps))) == ["model_name=Model 1, depth=1", "model_name=Model 2"]


@pytest.mark.parametrize("size", [None, "many", 0, 10.5, True, float("nan")])
def test_refuses_what_is_no_size(size):
    with pytest.raises(InputError, match=r"n_training=.* of candidate 'a'"):
        scores_by_size(Table(("a",), np.ones((1, 2)), params=({"n_training": size},)))


def test_refuses_two_of_the_same_size():
    params = ({"name": "x", "n_training": 5, "lr": 1}, {"name": "x", "n_training": 5, "lr": 2})
    with pytest.raises(InputError, match="a second 'x' with n_training=5: candidate 'b'"):
        scores_by_size(Table(("a", "b"), np.ones((2, 2)), params=params))


def test_candidates_of_a_value_are_pooled():
    params = ({"act": "tanh"}, {"act": "ReLU"}, {"act": "ReLU"}, {})
    scores = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, np.inf], [9.0, 9.0]])
    found = boxes_by_parameter(Table(tuple("abcd"), scores, params=params), "act")
    assert found.values == ("tanh", "ReLU")
    assert found.boxes.median.tolist() == [1.5, 4]
    assert (found.n_candidates.tolist(), found.n_unusable.tolist()) == ([1, 2], [0, 1])
    turned = boxes_by_parameter(Table(tuple("abcd"), scores, params=params), "act", "maximize")
    assert turned.values == ("ReLU", "tanh")
    with pytest.raises(InputError, match=r"a parameter of the candidates \(act\), came 'depth'"):
        boxes_by_parameter(Table(tuple("abcd"), scores, params=params), "depth")
