import pytest

ASSUMED = ["plan", "--spread", 1, "--gap-spread", 3, "--studies", 3]


def test_assumed_all_rules(answer):
    found = answer(*ASSUMED, "--candidates", 6, "--seconds", 60, "--workers", 2, "--against", 4, "--tolerance", 0.5)
    assert list(found["rules"]) == ["exhaustive", "halving", "significance", "top-two"]
    assert found["rules"]["exhaustive"]["trainings"] == 24
    assert found["rules"]["exhaustive"]["hours"] == pytest.approx(24 / 60 / 2)
    assert found["rules"]["top-two"]["settings"]["tolerance"] == found["tolerance"] == 0.5
    assert set(found["rules"]["halving"]) == {
        *("settings", "studies", "trainings", "trainings_low", "trainings_high", "hours", "hours_low", "hours_high"),
        *("within_tolerance", "confidence", "finished", "enough", "is_more", "problem"),
    }
    assert found["rules"]["halving"]["confidence"] is None
    assert (found["candidates"], found["criterion"], found["workers"]) == (6, "mean", 2)


def test_from_a_pilot_table(answer, table):
    found = answer("plan", "--pilot", table, "--rule", "halving", "--warmup", 2, "--studies", 3)
    assert (found["candidates"], list(found["rules"])) == (3, ["halving"])
    assert found["rules"]["halving"]["trainings"] == 6
    assert found["rules"]["halving"]["hours"] * 3600 == pytest.approx(2 * (1 + 2 + 3))
    assert found["pilot"] == str(table)


def test_from_a_pilot_in_a_ledger(invoke, answer, study_file):
    assert invoke("run", study_file, "--quiet").exit_code == 0
    ledger = study_file.with_suffix(".db")
    found = answer("plan", "--pilot", ledger, "--rule", "exhaustive", "--instances", 3, "--studies", 2)
    assert (found["candidates"], found["criterion"]) == (4, "mean")
    assert found["rules"]["exhaustive"]["trainings"] == 12


def test_from_a_study_file_and_assumptions(answer, study_file):
    found = answer(*ASSUMED, "--study", study_file)
    assert found["rules"]["halving"]["trainings"] == 3 * 4 - 2


def test_a_budget_that_cannot_work_is_bad_input_with_the_number(invoke):
    done = invoke(*ASSUMED, "--candidates", 10, "--rule", "top-two", "--tolerance", 1, "--budget", 5)
    assert done.exit_code == 2
    assert "warm-up alone takes 10 trainings; nine of ten simulated studies are done with" in done.stderr


def test_in_words(invoke):
    done = invoke(*ASSUMED, "--candidates", 10, "--rule", "halving", "--seconds", 60)
    assert done.exit_code == 0
    assert "within tolerance" in done.stdout
    assert "simulated studies" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--candidates", 3, "--correlation", 0.3], "expected --correlation with --pilot or --spread only"),
        (["--candidates", 3, "--spread", 1], "expected --spread and --gap-spread together"),
        (["--spread", 1, "--gap-spread", 1], "--candidates N or --study"),
        (["--pilot", "p.csv", "--spread", 1], "expected no --spread with --pilot"),
        (["--pilot", "p.csv", "--candidates", 3], "expected no --candidates with --pilot"),
        (["--pilot", "p.csv"], "p.csv"),
        (["--pilot", "p.db"], "p.db"),
    ],
)
def test_bad_input(invoke, arguments, text):
    done = invoke("plan", *arguments)
    assert done.exit_code != 0
    assert text in done.stderr


def test_fresh_instances_by_command(answer, study_file, trained, table):
    found = answer("run", study_file, "--fresh", 3, "--quiet")
    assert found["trainings"] == 13
    assert trained()[-3:] == ["one 3", "one 4", "one 5"]
    assert found["summary"][0]["honest_low"] < found["summary"][0]["honest_mean"] < found["summary"][0]["honest_high"]
    replayed = answer("replay", table, "--rule", "halving", "--warmup", 1, "--fresh", 2, "--quiet")
    assert replayed["trainings"] == 3 + 2


def test_fresh_instances_by_study_file(answer, study_file):
    study_file.write_text("fresh = 2\n" + study_file.read_text())
    assert answer("run", study_file, "--quiet")["trainings"] == 12
