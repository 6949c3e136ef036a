"""Long tables written piece by piece, whole or not at all."""

import os

import numpy as np
import pandas as pd
import pytest

from robust_select.core.errors import InputError
from robust_select.core.files import replacing
from robust_select.core.frames import read_frame
from robust_select.core.writing import write_frames

PIECES = [
    pd.DataFrame({"candidate": ["a", "a"], "score": [0.1 + 0.2, np.nan], "n": [1, 2], "kind": ["x", None]}),
    pd.DataFrame({"candidate": ["b"], "score": [5e-324], "n": [3], "kind": [None]}),
    pd.DataFrame({"candidate": ['☃, "b"'], "score": [-1.0], "n": [2**53], "kind": ["y"]}),
]
READERS = ("t.csv", "t.parquet")


@pytest.mark.parametrize("name", READERS)
def test_pieces_are_one_table(tmp_path, name):
    assert write_frames(iter(PIECES), tmp_path / name) == 4
    found = read_frame(tmp_path / name)
    expected = pd.concat(PIECES, ignore_index=True)
    assert found["candidate"].tolist() == expected["candidate"].tolist()
    np.testing.assert_array_equal(found["score"], expected["score"])
    assert found["n"].tolist() == expected["n"].tolist()
    assert found["kind"].isna().tolist() == [False, True, True, False]
    assert os.listdir(tmp_path) == [name]


def test_a_column_of_several_kinds_is_text_in_every_piece_of_a_parquet_file(tmp_path):
    """The first piece alone does not show it: a later one holds other kinds."""
    pieces = [pd.DataFrame({"x": pd.array(values, dtype=object)}) for values in ([1, 2], ["auto"], [None, [8, 4]])]
    write_frames(pieces, tmp_path / "t.parquet")
    found = pd.read_parquet(tmp_path / "t.parquet")["x"]
    assert found.fillna("none").tolist() == ["1", "2", "auto", "none", "[8, 4]"]


@pytest.mark.parametrize("name", READERS)
def test_an_error_on_the_way_leaves_what_was_there(tmp_path, name):
    def breaks():
        yield PIECES[0]
        raise ZeroDivisionError

    (tmp_path / name).write_text("the old one")
    with pytest.raises(ZeroDivisionError):
        write_frames(breaks(), tmp_path / name)
    assert (tmp_path / name).read_text() == "the old one"
    assert os.listdir(tmp_path) == [name]


def test_where_it_cannot_be_is_said(tmp_path):
    with pytest.raises(InputError, match=r"ending in .csv or .parquet, came 't.xls'"):
        write_frames(PIECES, tmp_path / "t.xls")
    with pytest.raises(InputError, match=r"found none at .*nowhere"):
        write_frames(PIECES, tmp_path / "nowhere" / "t.csv")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "t.csv").write_text("old")
    (tmp_path / "t.csv").symlink_to(tmp_path / "real" / "t.csv")
    with replacing(tmp_path / "t.csv") as part:
        part.write_text("new")
    assert (tmp_path / "t.csv").is_symlink()
    assert (tmp_path / "real" / "t.csv").read_text() == "new"


def test_a_file_is_made_as_any_other(tmp_path):
    (tmp_path / "plain.csv").write_text("a")
    with replacing(tmp_path / "t.csv") as part:
        assert not part.exists()
        part.write_text("a")
    assert (tmp_path / "t.csv").stat().st_mode == (tmp_path / "plain.csv").stat().st_mode
