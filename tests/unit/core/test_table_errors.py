import sys

import numpy as np
import pandas as pd
import pytest

from robust_select.core.errors import InputError, MissingExtraError, TableError
from robust_select.core.tables import Table, read_table
from robust_select.core.writing import write_frame

HEADER = "candidate,replicate,score\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        (HEADER, "expected at least one row, came an empty table"),
        (HEADER + "a,0,1\nb,0,x1\n", "expected numbers in column 'score', came 'x1' in data row 2"),
        (HEADER + "a,0,NA\n", "expected numbers in column 'score', came 'NA' in data row 1"),
        (
            HEADER + "a,0,1\na,1,2\nb,0,1\na,1,3\na,0,4\n",
            "a second one for candidate 'a', replicate 1, in data row 4",
        ),
        (HEADER + "7,0,1\n7,0,2\n", "a second one for candidate '7', replicate 0, in data row 2"),
        (HEADER + "a,0,1\na,-1,2\n", "whole numbers from 0 in column 'replicate', came -1 in data row 2"),
        (HEADER + "a,0.5,1\n", "whole numbers from 0 in column 'replicate', came 0.5 in data row 1"),
        (HEADER + "a,first,1\n", "whole numbers from 0 in column 'replicate', came 'first' in data row 1"),
        (HEADER + "a,0,1\na,,1\n", "whole numbers from 0 in column 'replicate', came nan in data row 2"),
        (HEADER + "a,inf,1\n", "whole numbers from 0 in column 'replicate', came inf in data row 1"),
        (HEADER + "a,1e300,1\n", "whole numbers from 0 in column 'replicate', came 1e+300 in data row 1"),
        (HEADER + "a,0,1\n,1,2\n", "expected a name in column 'candidate', came nothing in data row 2"),
        ("replicate,score\n0,1\n", "expected a column 'candidate' (or 'model') beside 'replicate' and 'score'"),
        (HEADER + "a,0,1\nb,0,2,3\n", "expected a CSV or Parquet table, but Error tokenizing data"),
        (HEADER + "a,0,1,5\nb,0,2,6\n", "but its rows hold more fields than its header"),
        ("candidate,seconds,replicate,score\na,fast,0,1\n", "expected numbers in column 'seconds', came 'fast'"),
        ("candidate,score_0\na,1\nb,2\na,3\n", "expected one row a candidate, came 'a' in data rows 1 and 3"),
        ("candidate,score_0\na,1\n,2\n", "expected a name in column 'candidate', came nothing in data row 2"),
        ("candidate,score_0\na,much\n", "expected numbers in column 'score_0', came 'much' in data row 1"),
        ("a;b\n1;2\n", "came columns a;b"),
        ("name,Acc_0,Acc_1,T_0\na,1,2,3\n", "came columns name, Acc_0, Acc_1, T_0; numbered columns found: Acc_, T_"),
        ("x\n1\n", "expected scores: either columns candidate, replicate, score"),
    ],
)
def test_a_csv_file_that_is_no_table_is_refused_with_what_and_where(tmp_path, text, message):
    path = tmp_path / "scores.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert message in str(caught.value)
    assert caught.value.source == str(path)


@pytest.mark.parametrize(
    "content", [bytes(range(256)) * 20, b"\x00" * 100, b"\xff\xfe\x00a\x00b", b"\x89PNG\r\n\x1a\n"]
)
@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_binary_file_is_no_table(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match="expected"):
        read_table(tmp_path / name)


def test_a_missing_file_and_a_folder_are_no_table(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(TableError, match="expected a CSV or Parquet file, found none"):
            read_table(path)


def test_prefixes_that_fit_no_column_are_named(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("candidate,Acc_0,Acc_1\na,1,2\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"a column a replicate named Loss_0, Loss_1, .* found: Acc_$"):
        read_table(path, score_prefix="Loss_")
    with pytest.raises(TableError, match=r"expected columns named Time_0, Time_1, \.\.\., came candidate, Acc_0"):
        read_table(path, score_prefix="Acc_", seconds_prefix="Time_")


def test_a_long_list_of_columns_is_cut():
    frame = pd.DataFrame(np.ones((1, 40)), columns=[f"p{i}q" for i in range(40)])
    with pytest.raises(TableError, match=r"p11q, \.\.\. \(40 columns\)$"):
        Table.from_frame(frame)


def test_a_data_frame_is_named_as_the_source():
    with pytest.raises(TableError, match=r"^the data frame: expected at least one row"):
        Table.from_frame(pd.DataFrame())
    twice = pd.DataFrame([["a", 0, 1.0, 2.0]], columns=["candidate", "replicate", "score", "score"])
    with pytest.raises(TableError, match=r"^mine: expected columns with different names, came 'score' twice"):
        Table.from_frame(twice, source="mine")


def test_an_empty_parquet_table_is_refused(tmp_path):
    pd.DataFrame({"candidate": [], "replicate": [], "score": []}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match="came an empty table"):
        read_table(tmp_path / "t.parquet")


def test_writing_needs_a_folder_and_a_known_suffix(tmp_path):
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(InputError, match="expected a folder to write to, found none at"):
        write_frame(frame, tmp_path / "none" / "t.csv")
    with pytest.raises(InputError, match=r"ending in \.csv or \.parquet, came 't\.xlsx'"):
        write_frame(frame, tmp_path / "t.xlsx")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    frame = Table(("a",), np.ones((1, 1))).to_frame()
    write_frame(frame, tmp_path / "t.parquet")
    for module in [name for name in sys.modules if name.split(".")[0] in {"pyarrow", "fastparquet"}]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"robust-select\[parquet\]\""):
        read_table(tmp_path / "t.parquet")
    with pytest.raises(MissingExtraError, match=r"pip install \"robust-select\[parquet\]\""):
        write_frame(frame, tmp_path / "u.parquet")
