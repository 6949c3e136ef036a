import math

import numpy as np
import pytest

from robust_select.core.errors import (
    ExecutorBrokenError,
    InputError,
    LedgerError,
    MissingExtraError,
    RobustSelectError,
    SettingsDifferError,
    StudyFileError,
    TableError,
    TrainerError,
    WorkerLostError,
)
from robust_select.core.protocols import check_direction, losses_of


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_diverged_score_is_the_worst_loss_and_a_missing_one_stays_missing(direction):
    scores = np.array([[2.0, math.nan, math.inf], [-3.0, -math.inf, 0.0]])
    sign = -1.0 if direction == "maximize" else 1.0
    found = losses_of(scores, direction)
    expected = [[sign * 2.0, math.nan, math.inf], [sign * -3.0, math.inf, 0.0]]
    np.testing.assert_array_equal(found, expected)
    found[0, 0] = 99.0
    assert scores[0, 0] == 2.0


def test_a_direction_is_one_of_two():
    assert check_direction("minimize") == "minimize"
    assert check_direction("maximize") == "maximize"
    with pytest.raises(InputError, match="expected direction 'minimize' or 'maximize', came 'max'"):
        check_direction("max")


@pytest.mark.parametrize(
    ("error", "builtin", "words"),
    [
        (InputError("no"), ValueError, ["no"]),
        (TableError("no scores", "x.csv"), ValueError, ["x.csv: no scores"]),
        (
            StudyFileError("s.toml", [("rule.warmup", "too small"), ("", "no trainer")]),
            ValueError,
            ["s.toml", "\n  rule.warmup: too small\n  no trainer"],
        ),
        (LedgerError("not a ledger", "sqlite:///x"), ValueError, ["ledger sqlite:///x: not a ledger"]),
        (
            SettingsDifferError("mine", [("seed", "1", "2")], "sqlite:///x"),
            ValueError,
            ["'mine'", "seed: in the ledger 1, now 2", "on_existing='new'"],
        ),
        (MissingExtraError("pyarrow", "parquet"), ImportError, ['pip install "robust-select[parquet]"']),
        (WorkerLostError(3, "signal 9"), RuntimeError, ["died 3 times", "signal 9"]),
        (ExecutorBrokenError("pool is shut down"), RuntimeError, ["pool is shut down", "workers=N"]),
        (
            TrainerError(5, "KeyError: 'lr'", "Traceback"),
            RuntimeError,
            ["first 5 trainings", "KeyError: 'lr'\nTraceback"],
        ),
    ],
)
def test_an_error_is_ours_and_the_builtin_that_it_means(error, builtin, words):
    assert isinstance(error, RobustSelectError)
    assert isinstance(error, builtin)
    assert all(word in str(error) for word in words)


def test_errors_carry_their_data():
    assert TableError("m", "x.csv").source == "x.csv"
    assert StudyFileError("s", [("a", "b")]).problems == [("a", "b")]
    assert SettingsDifferError("m", [("seed", "1", "2")], "u").differences == [("seed", "1", "2")]
    assert SettingsDifferError("m", [], "u").url == LedgerError("m", "u").url == "u"
    assert MissingExtraError("p", "e").extra == "e"
    assert WorkerLostError(2, "r").attempts == 2
    assert TrainerError(4, "f", "").n_failures == 4
