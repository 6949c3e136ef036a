import json

import pytest


def test_the_published_setting(answer):
    found = answer(
        *["plan", "--candidates", 6912, "--rule", "halving", "--warmup", 5, "--final-instances", 100, "--against", 50]
    )
    assert (found["trainings"], found["exhaustive"]) == (41567, 345600)
    assert found["ratio"] == pytest.approx(8.3143, abs=1e-4)


@pytest.mark.parametrize(("warmup", "trainings"), [(1, 141), (3, 285), (10, 789), (11, 861), (12, 933)])
def test_the_published_counts(answer, warmup, trainings):
    assert answer("plan", "--candidates", 72, "--rule", "halving", "--warmup", warmup)["trainings"] == trainings


def test_significance_has_bounds_only(answer):
    found = answer("plan", "--candidates", 10, "--rule", "significance", "--warmup", 3, "--max-instances", 20)
    assert (found["trainings"], found["least"], found["most"]) == (None, 30, 200)
    assert found["ratio"] == 500 / 200


def test_exhaustive_takes_its_instances(answer):
    assert answer("plan", "--candidates", 10, "--rule", "exhaustive", "--instances", 7)["trainings"] == 70


def test_replicates_limit_what_can_be_trained(answer):
    free = answer("plan", "--candidates", 64, "--rule", "halving", "--warmup", 2)["trainings"]
    limited = answer("plan", "--candidates", 64, "--rule", "halving", "--warmup", 2, "--replicates", 3)["trainings"]
    assert free == 3 * 64 - 2
    assert limited == 64 * 2 + 32


def test_candidates_and_rule_from_a_study_file(answer, study_file):
    found = answer("plan", "--study", study_file)
    assert (found["candidates"], found["rule"], found["settings"]["warmup"]) == (4, "halving", 2)
    assert found["trainings"] == 3 * 4 - 2
    assert answer("plan", "--study", study_file, "--warmup", 3)["trainings"] == 4 * 4 - 2


def test_in_words(invoke):
    done = invoke("plan", "--candidates", 72, "--rule", "halving", "--warmup", 1)
    assert "141 trainings of 72 candidates" in done.stdout
    assert "3,600 trainings" in done.stdout
    many = invoke("plan", "--candidates", 10, "--rule", "significance", "--warmup", 2).stdout
    assert "from 20 to 500 trainings" in many
    assert "1 to 25 times as many" in many


def test_json_to_a_file_leaves_the_words_on_the_terminal(invoke, tmp_path):
    done = invoke("plan", "--candidates", 72, "--json", tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text())["candidates"] == 72
    assert "72 candidates" in done.stdout


def test_without_candidates_there_is_nothing_to_count(invoke):
    done = invoke("plan", "--rule", "halving")
    assert done.exit_code == 2
    assert "--candidates N or --study" in done.stderr
