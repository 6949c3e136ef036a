"""Outcomes as arrays say what outcomes as records say; what makes no sense is refused."""

import gc
import math
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from robust_select.core.candidates import Candidate
from robust_select.core.errors import LedgerError
from robust_select.core.instances import Outcome, State
from robust_select.ledger import open_ledger, outcomes

CANDIDATES = tuple(Candidate(name, {"x": n, "kind": "pqrs"[n]}) for n, name in enumerate("abcd"))
RECORDED = [
    (0, 0, Outcome(0.1 + 0.2, (0.9, math.nan, math.inf), 1.5)),
    (0, 1, Outcome(math.inf, (1.0,), 0.25)),
    (2, 0, Outcome.failed("no ☃", 2.0, "log")),
    (2, 1, Outcome.pruned([3.0, 2.0], 0.5)),
    (3, 0, Outcome(-1.0)),
    (3, 7, Outcome(5e-324)),  # while 1 to 6 are in training
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "study.db"
    with open_ledger(path) as ledger:
        ledger.record(ledger.create_study("first", {}, CANDIDATES), RECORDED[::-1])
        other = ledger.create_study("other", {}, CANDIDATES)
        ledger.record(other, [(1, 0, Outcome(9.0, (8.0,)))])
    return path


@pytest.mark.parametrize("rows_at_once", [1, 2, 10_000])
def test_known_outcomes_are_those_recorded_but_for_texts(path, rows_at_once, monkeypatch):
    monkeypatch.setattr(outcomes, "_ROWS_AT_ONCE", rows_at_once)
    with open_ledger(path) as ledger:
        study = ledger.study("first")
        known = ledger.known(study)
        records = {(position, replicate): outcome for position, replicate, outcome in ledger.outcomes(study)}
    assert list(known) == sorted(records)
    assert len(known) == len(records)
    for key, record in records.items():
        found = known[key]
        assert found.state is record.state
        np.testing.assert_array_equal(found.curve, record.curve)
        np.testing.assert_array_equal([found.score, found.seconds], [record.score, record.seconds])
        assert key in known
    for missing in [(1, 0), (0, 2), (3, 1), (3, 8), (4, 0), (-1, 0), (0, -1), (2, 2)]:
        assert missing not in known
        assert known.get(missing) is None
        with pytest.raises(KeyError):
            known[missing]


def test_a_study_without_outcomes_knows_none(tmp_path):
    with open_ledger(tmp_path / "study.db") as ledger:
        known = ledger.known(ledger.create_study("first", {}, CANDIDATES))
    assert (len(known), list(known), known.get((0, 0))) == (0, [], None)


@pytest.mark.parametrize("n_rows", [1, 3, 1000])
def test_pieces_of_the_long_table_make_the_whole(path, n_rows):
    with open_ledger(path) as ledger:
        study = ledger.study("first")
        pieces = list(ledger.frames(study, curves=True, n_rows=n_rows))
        whole = ledger.frame(study)
    assert len(pieces) == (1 if n_rows == 1000 else 4 if n_rows == 1 else 2)
    assert len({tuple(piece.columns) for piece in pieces}) == 1
    frame = pd.concat(pieces, ignore_index=True)
    expected = pd.DataFrame(
        {
            "candidate": ["a", "a", "c", "c", "d", "d"],
            "replicate": [0, 1, 0, 1, 0, 7],
            "score": [0.1 + 0.2, math.nan, math.nan, math.nan, -1.0, 5e-324],
            "state": ["complete", "diverged", "failed", "pruned", "complete", "complete"],
            "seconds": [1.5, 0.25, 2.0, 0.5, math.nan, math.nan],
            "message": ["", "", "no ☃", "stopped after epoch 2", "", ""],
            "stopped_at": pd.array([None, None, None, 2, None, None], dtype="Int64"),
            "epoch_1": [0.9, 1.0, math.nan, 3.0, math.nan, math.nan],
            "epoch_2": [math.nan, math.nan, math.nan, 2.0, math.nan, math.nan],
            "epoch_3": [math.inf] + [math.nan] * 5,
            "kind": ["p", "p", "r", "r", "s", "s"],
            "x": [0, 0, 2, 2, 3, 3],
        }
    )
    pd.testing.assert_frame_equal(frame, expected)
    pd.testing.assert_frame_equal(whole, expected.drop(columns=["epoch_1", "epoch_2", "epoch_3"]))


def test_the_table_says_who_was_stopped(path):
    with open_ledger(path) as ledger:
        table = ledger.table(ledger.study("first"))
    assert np.argwhere(table.is_stopped).tolist() == [[2, 1]]
    assert table.stopped[2, 1] == 2
    assert np.isnan(table.scores[2, 1])
    assert np.argwhere(np.isinf(table.scores)).tolist() == [[0, 1], [2, 0]]


DAMAGES = {
    "state": "UPDATE outcomes SET state = 'asleep'",
    "score": "UPDATE outcomes SET score = 'fine'",
    "no score": "UPDATE outcomes SET score = NULL WHERE state = 'complete'",
    "infinite": "UPDATE outcomes SET score = 9e999 WHERE state = 'complete'",
    "seconds": "UPDATE outcomes SET seconds = x'00'",
    "replicate": "UPDATE outcomes SET replicate = 2305843009213693952 + replicate",
    "below 0": "UPDATE outcomes SET replicate = -1 - replicate",
    "position": "UPDATE outcomes SET position = position + 9",
    "curve": "UPDATE outcomes SET curve = x'0011' WHERE curve IS NOT NULL",
    "no pruned curve": "UPDATE outcomes SET curve = NULL WHERE state = 'pruned'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_makes_no_sense_is_refused_in_one_sentence(path, damage, caplog):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(DAMAGES[damage])
        connection.commit()
    with open_ledger(path) as ledger:
        study = ledger.study("first")
        with pytest.raises(LedgerError, match=r"expected to read .*damaged .*status COPY --check"):
            read_all(ledger, study)
    gc.collect()  # a query that outlives its connection is told by SQLAlchemy's log
    assert caplog.records == []


def read_all(ledger, study):
    ledger.known(study)
    ledger.table(study)
    ledger.curves(study)
    list(ledger.frames(study, curves=True))
    for _, _, outcome in ledger.outcomes(study):
        assert outcome.state in State


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE studies SET settings = '[1'",
        "UPDATE studies SET settings = '[]'",
        "UPDATE studies SET origin = x'ff'",
        "UPDATE studies SET created_at = 'yesterday'",
        "UPDATE studies SET answer = '3'",
        "UPDATE candidates SET params = '{\"x\": '",
        "UPDATE candidates SET position = position + 9",
        "UPDATE candidates SET name = x'00ff'",
        "DELETE FROM candidates",
    ],
)
def test_a_study_that_cannot_be_read_is_named(path, damage):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
        connection.commit()
    with open_ledger(path) as ledger, pytest.raises(LedgerError, match=r"study 'first'.*damaged"):
        ledger.study("first")
