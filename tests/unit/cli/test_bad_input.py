import sqlite3

import pytest

from robust_select.ledger import open_ledger


def refused(done, *texts):
    """One message on standard error, exit code 2, nothing on standard output."""
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("robust-select: ") == 1
    for text in texts:
        assert text in done.stderr


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--criterion", "average"], ["'average'", "q3+iqr"]),
        (["--rule", "racing"], ["'racing'", "halving, significance"]),
        (["--rule", "significance", "--test", "z"], ["'z'", "mann-whitney"]),
        (["--rule", "halving", "--warmup", 0], ["warmup=0", "at least 1"]),
        (["--rule", "significance", "--alpha", 0], ["alpha=0", "between 0 and 1"]),
        (["--rule", "significance", "--alpha", 1], ["alpha=1", "between 0 and 1"]),
        (["--rule", "significance", "--alpha", "nan"], ["alpha=nan"]),
        (["--rule", "halving", "--warmup", 5], ["warmup=5", "4 replicates"]),
        (["--rule", "halving", "--alpha", 0.1], ["--alpha", "'significance'", "--warmup, --final-instances"]),
        (["--rule", "halving", "--tolerance", 0.1], ["--tolerance"]),
        (["--order", "0,0"], ["0,0"]),
        (["--order", "0,9"], ["0 to 3"]),
        (["--order", "a,b"], ["'a,b'", "whole numbers"]),
        (["--replicates", 9], ["1 to 4", "--replicates 9"]),
        (["--seed", -1], ["--seed -1"]),
        (["--score-prefix", "acc"], ["acc0, acc1"]),
        (["--json", "nowhere/out.json"], ["nowhere"]),
        (["--html", "nowhere/page.html"], ["nowhere"]),
    ],
)
def test_options_of_replay(invoke, table, options, texts):
    refused(invoke("replay", table, *options), *texts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("candidate,replicate,score\n", "at least one row"),
        ("name,lr\na,0.1\n", "expected scores"),
        ("candidate,replicate,score\na,0,1\na,0,2\n", "second one for candidate 'a'"),
        ("candidate,replicate,score\na,0,good\n", "'good' in data row 1"),
        (None, "found none"),
    ],
)
@pytest.mark.parametrize("command", ["replay", "measure"])
def test_tables(invoke, tmp_path, text, message, command):
    path = tmp_path / "scores.csv"
    if text is not None:
        path.write_text(text)
    refused(invoke(command, path), message, str(path))


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        ("criterion", "critereon", ["critereon: unknown key", "criterion"]),
        ('criterion = "mean"', 'criterion = "average"', ["criterion: expected a criterion among"]),
        (":train", ":fit", ["trainer", "has no 'fit'"]),
        ('trainer = "', 'trainer = "no_', ["trainer", "cannot be imported"]),
        ("warmup = 2", "warmup = 0", ["rule", "warmup=0"]),
        ('"halving"', '"racing"', ["rule", "'racing'"]),
        ("seed = 7", "seed = = 7", ["expected TOML"]),
    ],
)
@pytest.mark.parametrize("command", ["run", "measure"])
def test_study_files(invoke, study_file, old, new, texts, command):
    text = study_file.read_text()
    assert old in text
    study_file.write_text(text.replace(old, new))
    if (command, old) == ("measure", "warmup = 2"):
        texts = texts[:1]
    refused(invoke(command, study_file), str(study_file), *texts)


def test_a_missing_study_file(invoke, tmp_path):
    refused(invoke("run", tmp_path / "none.toml"), "found none")


def _other_version(path):
    with open_ledger(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE robust_select_meta SET value = '99' WHERE key = 'schema_version'")
    connection.close()


def _other_tables(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("no database at all, " * 100), "not a database"),
        (_other_version, "came version 99"),
        (_other_tables, "other tables"),
    ],
)
@pytest.mark.parametrize("command", ["status", "export", "report", "run"])
def test_ledgers_that_are_none(invoke, study_file, tmp_path, make, message, command):
    path = tmp_path / "ledger.db"
    make(path)
    arguments = {
        "status": [path],
        "export": [path, tmp_path / "out.csv"],
        "report": [path, "--json", "-"],
        "run": [study_file, "--ledger", path],
    }[command]
    refused(invoke(command, *arguments), message, str(path))


@pytest.mark.parametrize("command", ["status", "export", "report"])
def test_a_ledger_that_is_missing_is_not_made(invoke, tmp_path, command):
    more = {"status": [], "export": [tmp_path / "out.csv"], "report": ["--json", "-"]}[command]
    refused(invoke(command, tmp_path / "none.db", *more), "found no file")
    assert not (tmp_path / "none.db").exists()


def test_a_ledger_of_another_study(invoke, study_file, tmp_path):
    assert invoke("run", study_file, "--quiet").exit_code == 0
    study_file.write_text(study_file.read_text().replace("seed = 7", "seed = 8"))
    refused(invoke("run", study_file), "seed: in the ledger 7, now 8", "--on-existing new")
    refused(invoke("status", tmp_path / "widths.db", "--study", "heights"), "'heights'", "'widths'")


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--workers", 0], ["workers=0"]),
        (["--on-existing", "overwrite"], ["'overwrite'", "resume, new, error"]),
        (["--rule", "significance", "--final-instances", 3], ["--final-instances", "'halving'"]),
        (["--html", "nowhere/page.html"], ["nowhere"]),
    ],
)
def test_options_of_run(invoke, study_file, trained, options, texts):
    refused(invoke("run", study_file, *options), *texts)
    assert trained() == []


def test_export_to_another_kind_of_file(invoke, study_file, tmp_path):
    assert invoke("run", study_file, "--quiet").exit_code == 0
    refused(invoke("export", tmp_path / "widths.db", tmp_path / "out.xls"), ".csv or .parquet")


def test_report_of_nothing(invoke, study_file, tmp_path):
    assert invoke("run", study_file, "--quiet").exit_code == 0
    refused(invoke("report", tmp_path / "widths.db"), "--html PAGE")
    refused(invoke("report", tmp_path / "widths.db", "--figures", tmp_path, "--format", "gif"), "pdf, svg, png")


def test_another_demo(invoke):
    refused(invoke("demo", "cats"), "digits", "'cats'")


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--criterion", "average"], ["'average'"]),
        (["--criterion", "std-within-tolerance"], ["std-within-tolerance"]),
        (["--confidence", 1], ["confidence=1"]),
        (["--resamples", 0], ["0"]),
        (["--candidate", "nobody"], ["'nobody'"]),
        (["--instances", 5], ["--instances", "study file"]),
    ],
)
def test_options_of_measure(invoke, table, options, texts):
    refused(invoke("measure", table, *options), *texts)


def test_options_of_measure_with_a_study_file(invoke, study_file, trained):
    refused(invoke("measure", study_file, "--candidate", "nobody"), "'nobody'", "one, two, three, four")
    refused(invoke("measure", study_file, "--maximize"), "--maximize", "it is for a table")
    assert trained() == []


def test_usage_errors_are_exit_code_2(invoke):
    assert invoke("replay").exit_code == 2
    assert invoke("fly").exit_code == 2
    assert invoke("plan", "--candidates", "many").exit_code == 2
