import itertools
import os

import pytest

from robust_select.core.errors import InputError, StudyFileError
from robust_select.select.rules import DEFAULT_RULE, RULES, Exhaustive, TopTwo
from robust_select.study.file import read_study

_numbers = itertools.count()
GOOD = 'trainer = "{module}:train"\ncandidates.grid.lr = [0.1, 0.2]\n'


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Write a study file beside a module of trainers (of a new name each time), and read it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"trainers_of_test_{next(_numbers)}"
    (tmp_path / f"{module}.py").write_text(
        "def train(params, instance):\n    return params['lr']\n\n"
        "def many():\n    return [{'lr': 1.0}, {'lr': 2.0}, {'lr': 3.0}]\n\n"
        "def none():\n    return []\n\nconstant = 3\n\n"
        "class Group:\n    train = staticmethod(train)\n"
    )
    (tmp_path / f"{module}_broken.py").write_text("1 / 0\n")

    def make(text, **options):
        path = tmp_path / "study.toml"
        path.write_text(text.replace("{module}", module), encoding="utf-8")
        return read_study(path, **options)

    return make


def problems_of(read, text):
    with pytest.raises(StudyFileError) as info:
        read(text)
    assert isinstance(info.value, InputError)
    assert str(info.value).startswith(info.value.source)
    for where, message in info.value.problems:
        assert f"{where}: {message}" in str(info.value) if where else message in str(info.value)
    return info.value.problems


def test_a_short_file_has_the_defaults(read, tmp_path):
    study, workers = read(GOOD)
    assert [candidate.name for candidate in study.candidates] == ["lr=0.1", "lr=0.2"]
    assert (study.criterion.name, study.direction, study.seed, study.name) == ("q3+iqr", "minimize", 0, "study")
    assert study.ledger == str(tmp_path / "study.db")
    assert study.rule == RULES[DEFAULT_RULE]() == TopTwo()
    assert workers is None
    assert "candidates.grid.lr" in study.origin["study_file"]
    assert study.run().selected == "lr=0.1"


def test_every_key_is_heard(read, tmp_path):
    study, workers = read(
        GOOD + 'name = "my study"\ncriterion = "mean"\ndirection = "maximize"\nseed = 5\nledger = "deep/er.db"\n'
        "workers = 2\n[rule]\nname = 'exhaustive'\nn = 3\n"
    )
    assert (study.criterion.name, study.direction, study.seed, study.name) == ("mean", "maximize", 5, "my study")
    assert study.ledger == str(tmp_path / "deep" / "er.db")
    assert study.rule == Exhaustive(n=3)
    assert workers == 2
    assert read(GOOD + 'ledger = "postgresql://host/name"\n')[0].ledger == "postgresql://host/name"


def test_the_rule_can_be_overridden(read):
    assert read(GOOD, rule_override=Exhaustive(n=2))[0].rule == Exhaustive(n=2)


@pytest.mark.parametrize(
    ("candidates", "names"),
    [
        ('[[candidates]]\nname = "a"\nbase = true\n[[candidates]]\nlr = 0.5\n', ["a", "lr=0.5"]),
        ('candidates.function = "{module}:many"\n', ["lr=1", "lr=2", "lr=3"]),
        ("candidates.grid = { a = [1, 2], b = ['x'] }\n", ["a=1, b=x", "a=2, b=x"]),
        ("candidates.sample = { n = 1, space = { a = [4], b = ['x'] } }\n", ["a=4, b=x"]),
    ],
)
def test_candidates_come_in_several_ways(read, candidates, names):
    study, _ = read('trainer = "{module}:train"\n' + candidates)
    assert [candidate.name for candidate in study.candidates] == names


def test_a_base_candidate_keeps_its_mark_and_its_parameters_clean(read):
    study, _ = read('trainer = "{module}:train"\n[[candidates]]\nname = "a"\nbase = true\nlr = 0.5\n')
    assert (study.candidates[0].is_base, dict(study.candidates[0].params)) == (True, {"lr": 0.5})


def test_a_space_may_hold_ranges(read):
    space = "{ lr = { low = 1e-4, high = 1e-1, log = true }, width = { low = 8, high = 64 }, act = ['relu'] }"
    text = f'trainer = "{{module}}:train"\ncandidates.sample = {{ n = 20, seed = 3, space = {space} }}\n'
    params = [candidate.params for candidate in read(text)[0].candidates]
    assert len(params) == 20
    assert all(1e-4 <= found["lr"] <= 1e-1 and isinstance(found["width"], int) for found in params)
    assert params == [candidate.params for candidate in read(text)[0].candidates]


def test_a_method_of_a_class_is_found(read):
    assert read(GOOD.replace(":train", ":Group.train"))[0].run().selected == "lr=0.1"


def test_a_module_beside_the_file_trains_in_processes(read):
    study, _ = read(GOOD + "rule = { name = 'exhaustive', n = 2 }\ncriterion = 'mean'\n")
    assert study.run(workers=2).table.scores.tolist() == [[0.1, 0.1], [0.2, 0.2]]


TRAINER = 'trainer = "{module}:train"\n'


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (GOOD + 'criterium = "mean"\n', "criterium", "unknown key; allowed: trainer, candidates, name, criterion"),
        (GOOD + 'seed = "x"\n', "seed", "should be a valid integer, unable to parse string as an integer, came 'x'"),
        (GOOD + "seed = -1\n", "seed", "greater than or equal to 0, came -1"),
        (GOOD + "workers = 0\n", "workers", "greater than or equal to 1, came 0"),
        (GOOD + "tolerance = -0.5\n", "tolerance", "greater than or equal to 0, came -0.5"),
        (GOOD + 'direction = "down"\n', "direction", "should be 'minimize' or 'maximize', came 'down'"),
        (GOOD + 'name = " "\n', "name", "expected text that is not blank, came ' '"),
        (GOOD + 'criterion = "men"\n', "criterion", "expected a criterion among min, median, mean"),
        (GOOD + "criterion = 3\n", "criterion", "came '3'"),
        (GOOD + 'rule = "halving"\n', "rule", 'expected a table with a name among exhaustive, halving'),
        (GOOD + "rule = { warmup = 3 }\n", "rule", 'expected a table with a name among exhaustive, halving'),
        (GOOD + 'rule = { name = "halvin" }\n', "rule", "expected a rule among exhaustive, halving"),
        (GOOD + 'rule = { name = "halving", warmups = 3 }\n', "rule", "came warmups"),
        (GOOD + 'rule = { name = "halving", warmup = 0 }\n', "rule", "at least 1, came warmup=0"),
        (GOOD + 'rule = { name = "halving", warmup = 1.5 }\n', "rule", "came warmup=1.5"),
        (GOOD + 'rule = { name = "significance", alpha = 1.5 }\n', "rule", "both excluded, came alpha=1.5"),
        (GOOD + 'rule = { name = "significance", test = "welsh" }\n', "rule", "expected a test among welch, ks"),
        (GOOD + 'criterion = "std"\nrule = { name = "halving", warmup = 1 }\n', "rule", "came warmup=1"),
        (GOOD.replace("{module}", "no_such_module_here"), "trainer", "No module named 'no_such_module_here'"),
        (GOOD.replace("{module}", "{module}_broken"), "trainer", "ZeroDivisionError: division by zero"),
        (GOOD.replace(":train", ":tran"), "trainer", "has no 'tran'"),
        (GOOD.replace(":train", ":Group.tran"), "trainer", "has no 'Group.tran'"),
        (GOOD.replace(":train", ":constant"), "trainer", "expected a function, came"),
        (GOOD.replace(":train", ""), "trainer", 'expected "module:function", came'),
        (GOOD.replace("trainer", "#"), "trainer", "this key is missing"),
        (TRAINER, "candidates", "this key is missing"),
        (TRAINER + "candidates = []\n", "candidates", "expected at least one candidate, came none"),
        (TRAINER + "candidates = 3\n", "candidates", "expected a table with grid, sample or function, or a list"),
        (TRAINER + "candidates = [3]\n", "candidates[0]", "should be a valid dictionary, came 3"),
        (TRAINER + "candidates = {}\n", "candidates", "expected exactly one of grid, sample, function"),
        (TRAINER + "candidates.gird.lr = [1]\n", "candidates.gird", "unknown key; allowed: grid, sample, function"),
        (TRAINER + "candidates.grid = {}\n", "candidates.grid", "at least 1 item"),
        (TRAINER + "candidates.grid.lr = []\n", "candidates", "came lr=[]"),
        (TRAINER + "candidates.grid.lr = 3\n", "candidates.grid.lr", "should be a valid list, came 3"),
        (TRAINER + "[[candidates]]\nlr = 1\n[[candidates]]\nlr = 1\n", "candidates", "came 'lr=1' twice"),
        (TRAINER + "[[candidates]]\nbase = 3\n", "candidates", "came base=3 in candidate 0"),
        (TRAINER + 'candidates.function = "{module}:none"\n', "candidates.function", "at least one candidate"),
        (TRAINER + 'candidates.function = "{module}:train"\n', "candidates.function", "raised TypeError"),
        (TRAINER + 'candidates.function = "{module}:nobody"\n', "candidates.function", "has no 'nobody'"),
        (TRAINER + "candidates.sample = { n = 0, space = { a = [1] } }\n", "candidates.sample.n", "came 0"),
        (TRAINER + "candidates.sample = { n = 1 }\n", "candidates.sample.space", "this key is missing"),
        (TRAINER + "candidates.sample = { n = 9, space = { a = [1] } }\n", "candidates", "at least n=9 different"),
        (TRAINER + "candidates.sample = { n = 1, space = { a = 3 } }\n", "candidates.sample.space.a", "a list of"),
        (
            TRAINER + "candidates.sample = { n = 1, space = { a = { low = 1, high = 2, lgo = true } } }\n",
            "candidates.sample.space.a.lgo",
            "unknown key",
        ),
        (TRAINER + "candidates.sample = { n = 1, space = { a = { low = 2, high = 1 } } }\n", "candidates", "low <"),
        ("hello\n", "", "expected TOML: "),
        (GOOD + "seed = 1\nseed = 2\n", "", "expected TOML: "),
    ],
)  # fmt: skip
def test_one_problem_is_told_once_with_its_place(read, text, where, message):
    [(found, sentence)] = problems_of(read, text)
    assert found == where
    assert message in sentence
    assert "_table" not in sentence
    assert "_list" not in sentence


def test_all_problems_are_told_at_once(read):
    problems = problems_of(read, 'sed = 1\nworkers = 0\ncriterion = "men"\n')
    assert [where for where, _ in problems] == ["trainer", "candidates", "criterion", "workers", "sed"]


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(StudyFileError, match="expected a TOML file, found none"):
            read_study(path)


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyFileError, match="expected TOML: 'utf-8' codec"):
        read_study(tmp_path / "study.toml")


def test_reading_makes_no_ledger(read, tmp_path):
    read(GOOD)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".db")]
