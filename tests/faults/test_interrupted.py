"""Ctrl-C: the study stops at once, holds what has finished, and goes on when it is started again."""

import json
import signal

import numpy as np
import pytest

from .conftest import run_under_fire


@pytest.mark.parametrize("is_whole_group", [True, False], ids=["whole group", "coordinator alone"])
@pytest.mark.parametrize(("workers", "n", "latest"), [(1, 6, 0.1), (2, 2, 1.2)])
def test_nothing_is_lost(nursery, undisturbed, tmp_path, workers, n, latest, is_whole_group):
    delays = np.random.default_rng(5).uniform(latest / 4, latest, n).tolist()
    n_struck = run_under_fire(nursery, tmp_path, workers, delays, signal.SIGINT, is_whole_group)
    assert json.loads((tmp_path / "result.json").read_text()) == undisturbed
    assert n_struck >= 1
