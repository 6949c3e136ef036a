import numpy as np
import pytest

from robust_select.core.errors import InputError, TableError
from robust_select.core.tables import Table, read_table
from robust_select.core.writing import write_frame

CURVES = np.array(
    [[[0.9, 0.5, 0.1], [0.8, 0.4, np.nan]], [[0.7, np.inf, np.nan], [np.nan, np.nan, np.nan]]]
)  # complete, diverged after two epochs, diverged at the second, not trained


@pytest.fixture
def table():
    scores = np.array([[0.1, np.inf], [np.inf, np.nan]])
    return Table(("a", "b"), scores, params=({"width": 1}, {"width": 2}), curves=CURVES)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_curves_survive_a_file(table, tmp_path, name):
    write_frame(table.to_frame(), tmp_path / name)
    found = read_table(tmp_path / name)
    np.testing.assert_array_equal(found.curves, CURVES)
    np.testing.assert_array_equal(found.scores, table.scores)
    assert found.params == table.params  # epochs are no parameters


def test_the_frame_has_a_column_an_epoch(table):
    frame = table.to_frame()
    assert [name for name in frame.columns if name.startswith("epoch_")] == ["epoch_1", "epoch_2", "epoch_3"]
    assert frame["epoch_2"].tolist() == [0.5, 0.4, np.inf]
    assert "epoch_1" not in Table(("a",), np.ones((1, 1))).to_frame()


def test_curves_written_by_hand(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text("candidate,replicate,score,epoch_2,epoch_1\na,0,0.2,0.2,0.9\na,1,nan,nan,0.8\na,2,0.3,0.3,\n")
    np.testing.assert_array_equal(read_table(path).curves, [[[0.9, 0.2], [0.8, np.inf], [np.nan, 0.3]]])


def test_a_subset_keeps_its_curves(table):
    np.testing.assert_array_equal(table.subset(["b"]).curves, CURVES[1:])
    assert Table(("a",), np.ones((1, 1))).subset(["a"]).curves is None


def test_refuses_curves_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match=r"\(1, 2, 'epochs'\).*came \(1, 3, 4\)"):
        Table(("a",), np.ones((1, 2)), curves=np.ones((1, 3, 4)))
    with pytest.raises(InputError, match=r"came \(1, 2, 0\)"):
        Table(("a",), np.ones((1, 2)), curves=np.ones((1, 2, 0)))
    path = tmp_path / "gap.csv"
    path.write_text("candidate,replicate,score,epoch_1,epoch_3\na,0,0.2,0.9,0.2\n")
    with pytest.raises(TableError, match="epoch_1 to epoch_3, all there, came none named epoch_2"):
        read_table(path)
    path.write_text("candidate,replicate,score,epoch_1\na,0,0.2,high\n")
    with pytest.raises(TableError, match="'epoch_1', came 'high'"):
        read_table(path)
