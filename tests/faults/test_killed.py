"""A study struck down with SIGKILL at random moments ends as if nothing had happened."""

import json
import signal

import numpy as np
import pytest

from .conftest import held_in, run_under_fire


def delays_of(seed, n, low, high):
    return np.random.default_rng(seed).uniform(low, high, n).tolist()


def test_left_alone_it_is_worth_the_trouble(undisturbed):
    assert len(undisturbed["steps"]) > 2
    n_trained = sum(score != "nan" for row in undisturbed["scores"] for score in row)
    assert 32 < n_trained < 72
    assert sum(score == "inf" for row in undisturbed["scores"] for score in row) == 1


def test_in_one_process_thirty_times(nursery, undisturbed, tmp_path):
    n_struck = 0
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        n_struck += run_under_fire(
            nursery, folder, 1, delays_of(seed, 5, 0.0, 0.06), signal.SIGKILL, is_whole_group=bool(seed % 2)
        )
        assert json.loads((folder / "result.json").read_text()) == undisturbed
    assert n_struck >= 24


@pytest.mark.parametrize("is_whole_group", [True, False], ids=["whole group", "coordinator alone"])
def test_with_two_workers(nursery, undisturbed, tmp_path, is_whole_group):
    n_struck = run_under_fire(
        nursery, tmp_path, 2, delays_of(17, 3, 0.3, 1.2), signal.SIGKILL, is_whole_group=is_whole_group
    )
    assert json.loads((tmp_path / "result.json").read_text()) == undisturbed
    assert n_struck >= 2


def test_a_finished_study_started_again_trains_nothing(nursery, undisturbed, tmp_path):
    for _ in range(2):
        assert nursery.start(tmp_path, 1).wait() == 0
        assert json.loads((tmp_path / "result.json").read_text()) == undisturbed
    lines = (tmp_path / "trained").read_text().splitlines()
    assert len(lines) == len(set(lines)) == len(held_in(tmp_path))
