"""What every ledger keeps to. A database of another kind joins by one more line in ``LOCATIONS``."""

import contextlib
import importlib
import math
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from robust_select.core.candidates import Candidate
from robust_select.core.errors import LedgerError, MissingExtraError
from robust_select.core.instances import Outcome, State
from robust_select.ledger import open_ledger

LOCATIONS = {
    "sqlite file": lambda request, folder: folder / "ledger.db",
    "sqlite url": lambda request, folder: f"sqlite:///{folder}/ledger.db",
    "sqlite memory": lambda request, folder: "sqlite://",
    "postgresql": lambda request, folder: request.getfixturevalue("postgres").new_database(),
}
SHARED = [kind for kind in LOCATIONS if kind != "sqlite memory"]
CANDIDATES = (
    Candidate("wide, deep", {"width": 64, "layers": [16, 32], "lr": 1e-3}, is_base=True),
    Candidate("näive ☃", {"width": None, "act": "relu", "nested": {"b": [1, {"a": True}]}}),
    Candidate("plain"),
)
SETTINGS = {"criterion": "mean", "rule": {"name": "halving", "warmup": 2}, "seed": 2**63}


@pytest.fixture(params=list(LOCATIONS))
def ledger(request, tmp_path):
    with open_ledger(LOCATIONS[request.param](request, tmp_path)) as opened:
        yield opened


@pytest.fixture(params=SHARED)
def location(request, tmp_path):
    """Where a ledger is that several can open."""
    return LOCATIONS[request.param](request, tmp_path)


@pytest.fixture
def study(ledger):
    return ledger.create_study("first", SETTINGS, CANDIDATES, {"python": "3.11"})


def recorded(ledger, study):
    return list(ledger.outcomes(study))


def test_a_new_ledger_holds_nothing(ledger):
    assert ledger.names() == []
    with pytest.raises(LedgerError, match="the ledger holds no study"):
        ledger.study()
    with pytest.raises(LedgerError, match="came 'first'; it holds none"):
        ledger.study("first")


def test_a_study_comes_back_as_it_was_written(ledger, study):
    found = ledger.study("first")
    assert found == study
    assert found.candidates == CANDIDATES
    assert [candidate.is_base for candidate in found.candidates] == [True, False, False]
    assert found.settings == SETTINGS
    assert found.origin == {"python": "3.11"}
    assert found.stop_reason == ""
    assert ledger.study() == study
    assert recorded(ledger, study) == []
    assert ledger.steps(study) == []
    assert ledger.count(study) == {"complete": 0, "diverged": 0, "failed": 0, "pruned": 0}


def test_names_are_unique_and_come_in_order(ledger, study):
    ledger.create_study("another", {}, CANDIDATES[:1])
    assert ledger.names() == ["first", "another"]
    with pytest.raises(LedgerError):
        ledger.create_study("first", {}, CANDIDATES)
    assert ledger.names() == ["first", "another"]
    with pytest.raises(LedgerError, match=r"expected the name of a study.*2 studies .'first', 'another'."):
        ledger.study()
    with pytest.raises(LedgerError, match="came 'frist'; it holds 'first', 'another'"):
        ledger.study("frist")


OUTCOMES = [
    Outcome(0.1 + 0.2, curve=(0.9, math.nan, math.inf, 5e-324, -0.0), seconds=1.5),
    Outcome(-1.7976931348623157e308),
    Outcome(math.inf, curve=(1.0,), seconds=0.25),
    Outcome.failed("ValueError: café ☃ \U0001f40d", 2.0, "Traceback ...\n  line"),
]


def test_every_kind_of_outcome_comes_back_to_the_last_bit(ledger, study):
    ledger.record(study, [(0, replicate, outcome) for replicate, outcome in enumerate(OUTCOMES)])
    found = recorded(ledger, study)
    assert [(position, replicate) for position, replicate, _ in found] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    for (_, _, outcome), given in zip(found, OUTCOMES, strict=True):
        np.testing.assert_array_equal(outcome.curve, given.curve)
        np.testing.assert_array_equal([outcome.score, outcome.seconds], [given.score, given.seconds])
        assert (outcome.state, outcome.message, outcome.log) == (given.state, given.message, given.log)
    assert math.copysign(1, found[0][2].curve[4]) == -1
    assert ledger.count(study) == {"complete": 2, "diverged": 1, "failed": 1, "pruned": 0}


def test_text_that_a_database_refuses_is_escaped(ledger, study):
    ledger.record(study, [(0, 0, Outcome.failed("file \udcff\x00 is bad", log="\ud800"))])
    [(_, _, outcome)] = recorded(ledger, study)
    assert outcome.message == "file \\udcff\\x00 is bad"
    assert outcome.log == "\\ud800"


def test_outcomes_come_by_replicate_then_candidate(ledger, study):
    ledger.record(study, [(2, 1, Outcome(1.0)), (0, 1, Outcome(2.0))])
    ledger.record(study, [(1, 0, Outcome(3.0))])
    assert [found[:2] for found in recorded(ledger, study)] == [(1, 0), (0, 1), (2, 1)]


def test_an_outcome_is_recorded_once_and_a_batch_wholly_or_not_at_all(ledger, study):
    ledger.record(study, [(0, 0, Outcome(1.0))])
    with pytest.raises(LedgerError, match="another process has recorded the same training meanwhile"):
        ledger.record(study, [(1, 0, Outcome(2.0)), (0, 0, Outcome(3.0))])
    assert [(found[0], found[2].score) for found in recorded(ledger, study)] == [(0, 1.0)]
    ledger.record(study, [(1, 0, Outcome(2.0))])
    assert ledger.count(study)["complete"] == 2


def test_nothing_to_record_is_fine(ledger, study):
    ledger.record(study, [])
    assert recorded(ledger, study) == []


def test_studies_do_not_mix(ledger, study):
    other = ledger.create_study("other", {}, CANDIDATES)
    ledger.record(study, [(0, 0, Outcome(1.0))])
    ledger.record(other, [(0, 0, Outcome(2.0)), (1, 0, Outcome(3.0))])
    ledger.save_step(other, 0, {"best": "plain"})
    ledger.finish(other, "done")
    assert [outcome.score for _, _, outcome in recorded(ledger, study)] == [1.0]
    assert ledger.steps(study) == []
    assert ledger.study("first").stop_reason == ""
    assert ledger.study("other").stop_reason == "done"


def test_steps_come_in_order_and_may_be_replaced(ledger, study):
    ledger.save_step(study, 1, {"step": 3, "removed": ["plain"]})
    ledger.save_step(study, 0, {"step": 2, "best_value": 0.1 + 0.2})
    ledger.save_step(study, 1, {"step": 3, "removed": []})
    assert ledger.steps(study) == [{"step": 2, "best_value": 0.1 + 0.2}, {"step": 3, "removed": []}]


def test_a_finished_study_can_be_opened_again(ledger, study):
    ledger.finish(study, "one candidate is left")
    assert ledger.study("first").stop_reason == "one candidate is left"
    ledger.finish(study, "")
    assert ledger.study("first").stop_reason == ""


def test_the_table_has_nan_where_not_trained_and_inf_where_not_usable(ledger, study):
    ledger.record(study, [(0, 0, Outcome(0.5, seconds=2.0)), (0, 1, Outcome(math.nan)), (2, 1, Outcome.failed("no"))])
    table = ledger.table(study)
    np.testing.assert_array_equal(table.scores, [[0.5, np.inf], [np.nan, np.nan], [np.nan, np.inf]])
    np.testing.assert_array_equal(table.seconds, [[2.0, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
    assert table.candidates == ("wide, deep", "näive ☃", "plain")


def test_the_frame_tells_states_and_messages(ledger, study):
    ledger.record(study, [(0, 0, Outcome(0.5)), (0, 1, Outcome(math.nan)), (2, 1, Outcome.failed("no"))])
    frame = ledger.frame(study).set_index(["candidate", "replicate"])
    assert list(frame.index) == [("wide, deep", 0), ("wide, deep", 1), ("plain", 1)]
    assert list(frame["state"]) == [State.COMPLETE, State.DIVERGED, State.FAILED]
    assert list(frame["message"]) == ["", "", "no"]
    assert frame.loc[("wide, deep", 0), "width"] == 64


def test_what_is_known_is_what_is_recorded_but_for_texts(ledger, study):
    ledger.record(study, [(2 * (n % 2), n // 2, outcome) for n, outcome in enumerate(OUTCOMES)])
    known = ledger.known(study)
    assert list(known) == [(0, 0), (0, 1), (2, 0), (2, 1)]
    for position, replicate, outcome in recorded(ledger, study):
        found = known[position, replicate]
        np.testing.assert_array_equal(found.curve, outcome.curve)
        np.testing.assert_array_equal([found.score, found.seconds], [outcome.score, outcome.seconds])
        assert found.state is outcome.state
        assert found.message == found.log == ""


def test_the_long_table_comes_in_pieces(ledger, study):
    ledger.record(study, [(position, 0, outcome) for position, outcome in enumerate(OUTCOMES[:3])])
    ledger.record(study, [(1, 1, Outcome.pruned([2.0, 1.0]))])
    pieces = list(ledger.frames(study, curves=True, n_rows=1))
    assert [list(piece["candidate"]) for piece in pieces] == [["wide, deep"], ["näive ☃", "näive ☃"], ["plain"]]
    assert [piece["epoch_1"].tolist()[-1] for piece in pieces] == [0.9, 2.0, 1.0]
    assert [piece["stopped_at"].tolist()[-1] for piece in pieces] == [pd.NA, 2, pd.NA]
    assert len({tuple(piece.columns) for piece in pieces}) == 1
    assert ledger.has_curves(study)
    assert not ledger.has_curves(ledger.create_study("other", {}, CANDIDATES))


def test_a_study_ends_with_an_answer_and_may_go_on_without(ledger, study):
    answer = {"selected": "näive ☃", "confidence": None, "robust_select": "9.9"}
    ledger.finish(study, "done", answer)
    assert ledger.study("first").answer == answer
    ledger.finish(study, "")
    assert ledger.study("first").answer == {}


def test_a_study_with_nothing_trained_has_an_empty_table(ledger, study):
    table = ledger.table(study)
    assert table.candidates == ("wide, deep", "näive ☃", "plain")
    assert np.isnan(table.scores).all()
    assert len(ledger.frame(study)) == 0


def test_a_reader_sees_what_is_recorded_while_it_reads(ledger, study):
    ledger.record(study, [(0, replicate, Outcome(float(replicate))) for replicate in range(3)])
    reader = ledger.outcomes(study)
    assert next(reader)[2].score == 0.0
    reader.close()
    ledger.record(study, [(1, 0, Outcome(1.0))])
    assert ledger.count(study)["complete"] == 4


def test_who_opens_it_again_finds_it_all(location):
    with open_ledger(location) as ledger:
        made = ledger.create_study("first", SETTINGS, CANDIDATES)
        ledger.record(made, [(0, replicate, outcome) for replicate, outcome in enumerate(OUTCOMES)])
        ledger.flush()
    with open_ledger(location, must_exist=True) as ledger:
        assert ledger.study() == made
        assert ledger.count(made) == {"complete": 2, "diverged": 1, "failed": 1, "pruned": 0}


def test_several_may_make_it_at_once(location):
    start, names = threading.Barrier(4), []

    def work():
        start.wait()
        with open_ledger(location) as ledger:
            names.append(ledger.names())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == [[], [], [], []]


def test_a_study_is_run_by_one_at_a_time(location):
    with open_ledger(location) as ledger, open_ledger(location) as other:
        first, second = (ledger.create_study(name, {}, CANDIDATES) for name in ("first", "second"))
        with ledger.hold(first):
            ledger.record(first, [(0, 0, Outcome(1.0))])
            refused = pytest.raises(
                LedgerError, match=r"another process runs study 'first' at this moment, and only one"
            )
            with refused, other.hold(first):
                pass
            with other.hold(second):  # another study of the ledger
                other.record(second, [(0, 0, Outcome(2.0))])
            assert [outcome.score for _, _, outcome in other.outcomes(first)] == [1.0]  # everybody may read
        with other.hold(first):
            other.record(first, [(1, 0, Outcome(3.0))])
        assert ledger.count(first)["complete"] == 2


def test_who_fails_holds_nothing(ledger, study):
    for _ in range(2):
        with contextlib.suppress(ZeroDivisionError), ledger.hold(study):
            ledger.record(study, [(0, len(recorded(ledger, study)), Outcome(1.0))])
            raise ZeroDivisionError
    assert ledger.count(study)["complete"] == 2


def test_nothing_remains_of_having_held_a_file(tmp_path):
    with open_ledger(tmp_path / "study.db") as ledger:
        study = ledger.create_study("first", {}, CANDIDATES)
        with ledger.hold(study):
            assert (tmp_path / "study.db-run-1").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_where_a_file_cannot_be_locked_the_study_is_not_run(tmp_path):
    with open_ledger(tmp_path / "study.db") as ledger:
        study = ledger.create_study("first", {}, CANDIDATES)
        (tmp_path / "study.db-run-1").mkdir()
        with (
            pytest.raises(LedgerError, match=r"the study cannot be locked .*is its folder writable"),
            ledger.hold(study),
        ):
            pass


def test_another_postgresql_database_is_refused_and_left_alone(postgres):
    url = postgres.new_database()
    database = url.rpartition("/")[2]
    postgres.execute("CREATE TABLE photons (energy real)", database)
    with pytest.raises(LedgerError, match="came a database with other tables"):
        open_ledger(url)
    tables = postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database)
    assert tables == [("photons",)]


def test_a_ledger_may_have_a_schema_of_its_own(postgres):
    url = postgres.new_database()
    database = url.rpartition("/")[2]
    postgres.execute("CREATE TABLE photons (energy real)", database)
    ledgers = []
    with contextlib.ExitStack() as opened:
        for schema in ("one", "two"):
            postgres.execute(f"CREATE SCHEMA {schema}", database)
            ledgers.append(opened.enter_context(open_ledger(f"{url}?options=-csearch_path%3D{schema}")))
            opened.enter_context(ledgers[-1].hold(ledgers[-1].create_study(schema, {}, CANDIDATES)))
        assert [ledger.names() for ledger in ledgers] == [["one"], ["two"]]


def test_what_cannot_be_reached_is_told_without_the_password(postgres):
    with pytest.raises(LedgerError, match='database "nowhere" does not exist') as info:
        open_ledger(postgres.url("nowhere"))
    wrong = postgres.url("postgres").replace("a%20secret", "wrong%20words")
    with pytest.raises(LedgerError, match="password authentication failed") as other:
        open_ledger(wrong)
    assert "secret" not in str(info.value)
    assert "wrong" not in str(other.value)


def test_without_its_driver_postgresql_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r'psycopg is not installed: pip install "robust-select.postgres."'):
        open_ledger("postgresql://127.0.0.1:1/nothing")
    monkeypatch.undo()
    assert importlib.import_module("psycopg")
