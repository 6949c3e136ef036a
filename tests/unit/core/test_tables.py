import math

import numpy as np
import pandas as pd
import pytest

from robust_select.core.errors import InputError
from robust_select.core.tables import Table, read_table
from robust_select.core.writing import write_frame

HOLED = np.array([[0.5, math.nan, math.inf], [1.5, 2.5, 3.5]])


def written(folder, text, name="scores.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def holed():
    return Table(("b", "a"), HOLED, seconds=np.array([[1.0, math.nan, 2.0], [3.0, 4.0, math.nan]]))


def test_a_table_counts_and_copies():
    scores = HOLED.copy()
    table = Table(("b", "a"), scores)
    scores[0, 0] = 9.0
    assert table.scores[0, 0] == 0.5
    assert (table.n_candidates, table.n_replicates) == (2, 3)
    assert table.params == ({}, {})
    np.testing.assert_array_equal(table.losses("maximize"), [[-0.5, math.nan, math.inf], [-1.5, -2.5, -3.5]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": np.ones(2)}, r"for 2 candidates, came shape \(2,\)"),
        ({"scores": np.ones((3, 2))}, r"for 2 candidates, came shape \(3, 2\)"),
        ({"candidates": ("a", "a")}, "different names, came 'a' twice"),
        ({"seconds": np.ones((2, 4))}, r"seconds of shape \(2, 3\), came \(2, 4\)"),
        ({"params": ({},)}, "params for 2 candidates, came params for 1"),
    ],
)
def test_a_table_whose_parts_do_not_fit_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Table(**{"candidates": ("a", "b"), "scores": np.ones((2, 3)), **given})


def test_a_subset_keeps_the_given_order():
    table = Table(
        ("a", "b", "c"), np.arange(6.0).reshape(3, 2), [[0, 1], [2, 3], [4, 5]], ({"i": 0}, {"i": 1}, {"i": 2})
    )
    part = table.subset(["c", "a"])
    assert part.candidates == ("c", "a")
    assert part.scores.tolist() == [[4, 5], [0, 1]]
    assert part.seconds.tolist() == [[4, 5], [0, 1]]
    assert part.params == ({"i": 2}, {"i": 0})
    assert holed().subset(["a"]).seconds.shape == (1, 3)
    assert Table(("a",), [[1.0]]).subset(["a"]).seconds is None
    with pytest.raises(InputError, match="came 'z'"):
        table.subset(["a", "z"])


def test_to_frame_has_one_row_an_instance_that_was_trained():
    frame = holed().to_frame()
    assert frame["candidate"].tolist() == ["b", "b", "a", "a", "a"]
    assert frame["replicate"].tolist() == [0, 2, 0, 1, 2]
    assert frame["state"].tolist() == ["complete", "diverged", "complete", "complete", "complete"]
    np.testing.assert_array_equal(frame["score"], [0.5, math.nan, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(frame["seconds"], [1.0, 2.0, 3.0, 4.0, math.nan])


def test_parameters_become_columns_of_their_own_type():
    params = ({"lr": 0.1, "width": 16, "kind": "x"}, {"lr": 0.2, "width": 32, "kind": "y"})
    frame = Table(("a", "b"), np.ones((2, 2)), params=params).to_frame()
    assert frame["lr"].tolist() == [0.1, 0.1, 0.2, 0.2]
    assert pd.api.types.is_integer_dtype(frame["width"])
    assert frame["kind"].tolist() == ["x", "x", "y", "y"]
    assert "state" in frame
    clash = Table(("a",), np.ones((1, 1)), params=({"score": 7, "candidate": "z"},)).to_frame()
    assert clash["score"].tolist() == [1.0]
    assert clash["candidate"].tolist() == ["a"]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "T.PARQUET", "t.pq"])
def test_a_round_trip_through_a_file_changes_nothing(tmp_path, name):
    params = ({"lr": 0.1, "kind": "x"}, {"lr": 1e-7, "kind": "y"})
    scores = np.array([[0.1 + 0.2, math.nan, math.inf], [1 / 3, -2.5, 3e-300]])
    table = Table(("big, old", "1"), scores, np.array([[1.0, math.nan, 2.0], [3.0, 4.0, math.nan]]), params)
    write_frame(table.to_frame(), tmp_path / name)
    read = read_table(str(tmp_path / name))
    assert read.candidates == table.candidates
    np.testing.assert_array_equal(read.scores, scores)
    np.testing.assert_array_equal(read.seconds, table.seconds)
    assert read.params == params


def test_a_column_of_several_kinds_is_text_in_parquet(tmp_path):
    table = Table(("a", "b", "c"), np.ones((3, 1)), params=({"gamma": "scale"}, {"gamma": 0.1}, {"gamma": None}))
    write_frame(table.to_frame(), tmp_path / "t.parquet")
    found = [params["gamma"] for params in read_table(tmp_path / "t.parquet").params]
    assert found[:2] == ["scale", "0.1"]
    assert pd.isna(found[2])


def test_long_rows_may_come_in_any_order_and_columns_too():
    frame = pd.DataFrame(
        {
            "lr": [0.2, 0.1, 0.2, 0.1],
            "score": [4.0, 1.0, 3.0, 2.0],
            "replicate": [7, 2, 2, 7],
            "candidate": ["b", "a", "b", "a"],
        }
    )
    table = Table.from_frame(frame)
    assert table.candidates == ("b", "a")
    assert table.scores.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert table.params == ({"lr": 0.2}, {"lr": 0.1})
    assert table.seconds is None


def test_in_a_long_table_an_absent_row_was_not_trained_and_an_unusable_score_diverged(tmp_path):
    path = written(
        tmp_path,
        "candidate,replicate,score,seconds,state\n"
        "a,0,0.5,1.5,complete\na,1,,2,complete\na,2,NaN,inf,complete\na,3,inf,,complete\na,4,0.25,3,failed\n"
        "b,0,1,1,complete\nb,4, -Infinity ,1,complete\n",
    )
    table = read_table(path)
    inf, nan = math.inf, math.nan
    np.testing.assert_array_equal(np.abs(table.scores), [[0.5, inf, inf, inf, inf], [1, nan, nan, nan, inf]])
    np.testing.assert_array_equal(table.seconds, [[1.5, 2, nan, nan, 3], [1, nan, nan, nan, 1]])
    assert table.params == ({}, {})
    np.testing.assert_array_equal(table.losses("minimize")[1], [1, nan, nan, nan, inf])


def test_in_a_wide_table_an_empty_cell_was_not_trained_and_a_written_nan_diverged(tmp_path):
    text = "model,lr,score_10,score_2,note\nx,0.1,1,,n\ny,0.2,nan,4,m\nz,0.3,inf,NAN,k\n"
    table = read_table(written(tmp_path, text))
    assert table.candidates == ("x", "y", "z")
    np.testing.assert_array_equal(table.scores, [[math.nan, 1], [4, math.inf], [math.inf, math.inf]])
    assert table.params[1] == {"lr": 0.2, "note": "m"}


def test_a_wide_table_with_prefixes(tmp_path):
    text = "depth,Acc_0,Acc_1,Time_1,Time_9,Acc_x\n3,0.9,0.8,5,1,q\n4,0.7,0.6,,1,r\n"
    table = read_table(written(tmp_path, text), score_prefix="Acc_", seconds_prefix="Time_")
    assert table.candidates == ("0", "1")
    assert table.scores.tolist() == [[0.9, 0.8], [0.7, 0.6]]
    np.testing.assert_array_equal(table.seconds, [[math.nan, 5], [math.nan, math.nan]])
    assert table.params == ({"depth": 3, "Acc_x": "q"}, {"depth": 4, "Acc_x": "r"})


def test_a_prefix_is_text_and_no_pattern(tmp_path):
    table = read_table(written(tmp_path, "a.0,ab0,a.1\n1,5,2\n"), score_prefix="a.")
    assert table.scores.tolist() == [[1.0, 2.0]]
    assert table.params == ({"ab0": 5},)


def test_a_prefix_makes_a_table_wide_that_also_looks_long():
    frame = pd.DataFrame({"candidate": ["a"], "replicate": [3], "score": [1.0], "s1": [5.0], "s0": [4.0]})
    table = Table.from_frame(frame, score_prefix="s")
    assert table.scores.tolist() == [[4.0, 5.0]]
    assert table.params == ({"replicate": 3, "score": 1.0},)


def test_a_bare_array_in_a_data_frame_needs_the_empty_prefix_only():
    scores = np.arange(12.0).reshape(4, 3)
    assert Table.from_frame(pd.DataFrame(scores), score_prefix="").scores.tolist() == scores.tolist()


def test_default_columns_of_a_wide_table_may_hold_seconds(tmp_path):
    table = read_table(written(tmp_path, "candidate,score_0,score_1,seconds_0,seconds_1\na,1,2,3,4\n"))
    assert table.seconds.tolist() == [[3, 4]]
    assert table.params == ({},)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_nullable_columns_of_pandas_are_read(backend):
    frame = pd.DataFrame({"candidate": ["a", "b"], "replicate": [0, 0], "score": [0.5, None], "seconds": [None, 2.0]})
    table = Table.from_frame(frame.convert_dtypes(dtype_backend=backend))
    assert table.scores.tolist() == [[0.5], [math.inf]]
    np.testing.assert_array_equal(table.seconds, [[math.nan], [2.0]])


def test_names_may_be_numbers_or_categories():
    frame = pd.DataFrame({"candidate": pd.Categorical(["b", "a"]), "replicate": [0, 0], "score": [1, 2]})
    assert Table.from_frame(frame).candidates == ("b", "a")
    assert Table.from_frame(frame.assign(candidate=[10, 2])).candidates == ("10", "2")


def test_scores_keep_every_digit(tmp_path):
    numbers = np.random.default_rng(0).normal(size=200) * 10.0 ** np.arange(-100, 100)
    table = Table(tuple(map(str, range(200))), numbers[:, None])
    write_frame(table.to_frame(), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").scores[:, 0].tolist() == numbers.tolist()
