"""What ``check_ledger`` finds: nothing in a sound ledger, each kind of damage with its place and what to do."""

import re
import sqlite3
from contextlib import closing

import pytest

from robust_select.core.candidates import grid
from robust_select.core.errors import LedgerError
from robust_select.core.instances import Outcome
from robust_select.ledger import open_ledger
from robust_select.select.pruning import PruneEpochs
from robust_select.select.rules import Exhaustive, Halving, TopTwo
from robust_select.study import Study
from robust_select.study.checking import check_ledger
from robust_select.study.reading import read_result


def train(params, instance):
    if params["level"] == 4:
        raise ValueError("no level 4")
    score = params["level"] + 0.3 * instance.rng("initial_weights").normal()
    return Outcome(score, (2 * score, score)) if score < 3.2 else Outcome(float("nan"))


def study(path, rule, **others):
    return Study(grid(level=[1, 2, 3, 4]), train, criterion="mean", rule=rule, ledger=path, seed=3, **others)


@pytest.fixture
def path(tmp_path):
    """A finished study of 4 candidates: 12 trainings."""
    path = tmp_path / "study.db"
    study(path, Halving(warmup=2, final_instances=2), name="first").run()
    return path


def check(path, name=None):
    with open_ledger(path, must_exist=True) as ledger:
        return check_ledger(ledger, name)


def change(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    "rule",
    [Exhaustive(3), Halving(warmup=2, final_instances=3), TopTwo(budget=30, batch=2)],
    ids=lambda rule: rule.name,
)
def test_a_study_that_ran_is_sound_at_every_step(tmp_path, rule):
    path = tmp_path / "study.db"
    made = study(path, rule, fresh=2)
    for _ in made.steps():
        problems, [found] = check(path)
        assert (problems, found.problems, found.note) == ([], (), "")
    problems, [found] = check(path)
    assert (problems, found.problems, found.note, found.is_finished) == ([], (), "", True)
    assert (found.n_candidates, found.n_outcomes) == (4, made.result.trainings)


def test_a_study_that_prunes_is_sound(tmp_path):
    def curve(params, instance):
        losses = [params["level"] * (1 + 1 / epoch) for epoch in range(1, 5)]
        for epoch in range(1, 4):
            if instance.should_stop(losses[:epoch]):
                return Outcome.pruned(losses[:epoch])
        return Outcome(losses[-1], losses)

    prune = PruneEpochs((2,), keep=0.5, audit=0.0, first=2)
    made = Study(
        grid(level=list(range(1, 13))),
        curve,
        criterion="mean",
        rule=Exhaustive(2),
        ledger=tmp_path / "study.db",
        prune_epochs=prune,
    )
    made.run()
    problems, [found] = check(tmp_path / "study.db")
    assert (problems, found.problems) == ([], ())
    with open_ledger(tmp_path / "study.db") as ledger:
        assert ledger.count(ledger.study())["pruned"] > 0


DAMAGES = {
    "UPDATE outcomes SET state = 'asleep' WHERE position = 1": "in a state that exists, came 4? ?.*'level=2'",
    "UPDATE outcomes SET score = 1.0 WHERE state = 'failed'": "complete with a score, or not complete and without",
    "UPDATE outcomes SET score = NULL WHERE position = 0 AND replicate = 1": "came 1 otherwise: .*'level=1', rep",
    "UPDATE outcomes SET score = 'good' WHERE position = 0": "whose score is stored as real or integer or null",
    "UPDATE outcomes SET score = 9e999 WHERE position = 0": "with a finite score",
    "UPDATE outcomes SET seconds = -1.0": "with seconds that are not negative, came .*; .* and ",
    "UPDATE outcomes SET curve = x'001122' WHERE position = 0": "with a curve of whole numbers of 8 bytes",
    "UPDATE outcomes SET curve = 'text567 ' WHERE position = 0": "whose curve is stored as blob or null",
    "UPDATE outcomes SET position = 17 WHERE position = 3": "of a candidate of the study, came .*candidate 17",
    "UPDATE outcomes SET replicate = -1 WHERE position = 3 AND replicate = 0": "of a replicate from 0, .* -1",
    "UPDATE outcomes SET finished_at = 'soon'": "with a time at which it finished",
    "UPDATE outcomes SET message = x'00'": "whose message is stored as text",
    "UPDATE studies SET settings = '{}'": "a seed that is a whole number from 0.*seed=None",
    "UPDATE studies SET settings = replace(settings, '\"seed\": 3', '\"seed\": -3')": "seed=-3",
    "UPDATE candidates SET name = 'same'": "candidates of different names, came 'same' twice",
    "UPDATE candidates SET params = '{'": "its settings and candidates, but it is damaged",
    "UPDATE steps SET record = 'x'": "the steps of study 'first', but it is damaged",
    "DELETE FROM steps WHERE number = 0": "steps 0, 1, .* some are missing",
    "DELETE FROM outcomes WHERE position = 1 AND replicate = 0": "outcomes that the rule asks for",
    "UPDATE outcomes SET score = score + 9 WHERE position = 0": "step 0 as the recorded outcomes lead to it, best",
    "UPDATE steps SET record = replace(record, '\"trainings\": 8', '\"trainings\": 7')": "trainings=8, came .*=7",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_named_and_answered(path, damage):
    change(path, damage)
    _, [found] = check(path)
    assert found.problems
    assert all(problem.what and problem.advice for problem in found.problems)
    assert re.search(DAMAGES[damage], " | ".join(problem.what for problem in found.problems))
    assert found.study == "first"


def test_rows_that_belong_to_no_study_are_found(path):
    change(path, "INSERT INTO steps VALUES (9, 0, '{}')")
    [problem], [found] = check(path)
    assert "rows of studies that exist, came 1 of none, in steps" in problem.what
    assert found.problems == ()


def test_a_missing_column_is_found(path):
    change(path, "ALTER TABLE outcomes RENAME COLUMN log TO lost")
    problems, [found] = check(path)
    assert "table 'outcomes' with column 'log', which is missing" in problems[0].what
    assert found.problems


def test_an_index_that_does_not_fit_is_found(path):
    """Pages of an index filled with others: the rows themselves may be all there."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        [page] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'outcomes'"
        ).fetchone()
    with path.open("rb+") as file:
        file.seek((page - 1) * size + 8)  # after the header of the page: where the cells are
        file.write(b"\x00" * 16)
    problems, _ = check(path)
    assert any("a sound SQLite file, but SQLite says" in problem.what for problem in problems)


def test_damage_of_one_study_hides_no_other(path):
    study(path, Exhaustive(1), name="second").run()
    change(path, "UPDATE candidates SET params = '{' WHERE study_id = 1")
    problems, checks = check(path)
    assert problems == []
    assert [(found.study, bool(found.problems)) for found in checks] == [("first", True), ("second", False)]
    _, [alone] = check(path, "second")
    assert alone.problems == ()


def test_a_rule_that_only_its_user_knows_is_no_damage(path):
    change(path, "UPDATE studies SET settings = replace(settings, '\"halving\"', '\"mine\"')")
    _, [found] = check(path)
    assert found.problems == ()
    assert "not replayed: " in found.note
    assert "'mine'" in found.note


def test_a_study_that_is_not_there(path):
    with pytest.raises(LedgerError, match="came 'none'"):
        check(path, "none")


def test_what_another_version_selected_is_said(path):
    change(path, 'UPDATE studies SET answer = \'{"selected": "level=2", "robust_select": "0.0.9"}\'')
    with open_ledger(path) as ledger:
        reading = read_result(ledger)
    assert reading.note.startswith("robust-select 0.0.9 selected 'level=2' when the study ended; version ")
    assert reading.note.endswith("selects 'level=1' from the same trainings")
    assert reading.provenance["When it ended"] == reading.note
    _, [found] = check(path)
    assert (found.problems, found.note) == ((), reading.note)


def test_what_was_selected_is_written_down_and_stays(tmp_path):
    path = tmp_path / "study.db"
    result = study(path, TopTwo(confidence=0.8, budget=60)).run()
    with open_ledger(path) as ledger:
        first = ledger.study().answer
    assert first["selected"] == result.selected
    assert first["confidence"] == result.confidence
    change(path, "UPDATE studies SET answer = replace(answer, '0.1.0', '0.0.9')")
    study(path, TopTwo(confidence=0.8, budget=60)).run()  # nothing is trained: it is what the other version said
    with open_ledger(path) as ledger:
        assert ledger.study().answer == {**first, "robust_select": "0.0.9"}
    study(path, TopTwo(confidence=0.8, budget=60), fresh=2).run()
    with open_ledger(path) as ledger:
        assert ledger.study().answer == first


@pytest.mark.parametrize(("then", "is_said"), [(0.96, False), (0.5, True)])
def test_another_confidence_is_said_where_it_matters(tmp_path, then, is_said):
    path = tmp_path / "study.db"
    result = study(path, TopTwo(confidence=0.8, budget=60)).run()
    given = result.confidence if not is_said else then
    change(path, f"UPDATE studies SET answer = json_set(answer, '$.confidence', {given})")
    with open_ledger(path) as ledger:
        note = read_result(ledger).note
    assert bool(note) is is_said
    assert ("with confidence 0.5" in note) is is_said
