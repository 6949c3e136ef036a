"""A study struck down with SIGKILL at random moments ends as if nothing had happened."""

import json
import signal

import pytest

from .conftest import held_in, run_under_fire, strikes_of


def test_left_alone_it_is_worth_the_trouble(undisturbed):
    assert len(undisturbed["steps"]) > 2
    n_trained = sum(score != "nan" for row in undisturbed["scores"] for score in row)
    assert 32 < n_trained < 72
    assert sum(score == "inf" for row in undisturbed["scores"] for score in row) == 1


@pytest.mark.parametrize("seed", range(6))
def test_in_one_process_five_times(nursery, undisturbed, tmp_path, seed):
    strikes = strikes_of(seed, 5, undisturbed)
    run_under_fire(nursery, tmp_path, 1, strikes, signal.SIGKILL, is_whole_group=bool(seed % 2))
    assert json.loads((tmp_path / "result.json").read_text()) == undisturbed


@pytest.mark.parametrize("is_whole_group", [True, False], ids=["whole group", "coordinator alone"])
def test_with_two_workers(nursery, undisturbed, tmp_path, is_whole_group):
    strikes = strikes_of(17, 3, undisturbed)
    run_under_fire(nursery, tmp_path, 2, strikes, signal.SIGKILL, is_whole_group)
    assert json.loads((tmp_path / "result.json").read_text()) == undisturbed


def test_a_finished_study_started_again_trains_nothing(nursery, undisturbed, tmp_path):
    for _ in range(2):
        assert nursery.start(tmp_path, 1).wait() == 0
        assert json.loads((tmp_path / "result.json").read_text()) == undisturbed
    lines = (tmp_path / "trained").read_text().splitlines()
    assert len(lines) == len(set(lines)) == len(held_in(tmp_path))
