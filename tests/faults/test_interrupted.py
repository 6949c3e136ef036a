"""Ctrl-C: the study stops at once, holds what has finished, and goes on when it is started again."""

import json
import signal

import pytest

from .conftest import run_under_fire, strikes_of


@pytest.mark.parametrize("is_whole_group", [True, False], ids=["whole group", "coordinator alone"])
@pytest.mark.parametrize(("workers", "n"), [(1, 6), (2, 2)])
def test_nothing_is_lost(nursery, undisturbed, tmp_path, workers, n, is_whole_group):
    strikes = strikes_of(5, n, undisturbed, first=1)
    run_under_fire(nursery, tmp_path, workers, strikes, signal.SIGINT, is_whole_group)
    assert json.loads((tmp_path / "result.json").read_text()) == undisturbed
