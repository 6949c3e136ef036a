"""The short form of the fuzz campaign: a few inputs of every target, the same ones every time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from . import commands, readers
from .guard import check

TARGETS = {**readers.TARGETS, **commands.TARGETS}
COSTLY = {"scores in tables", "curves in tables", "command-line options", "ledger, values", "ledger, bytes"}
COSTLY |= {"ledger, export and back"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in, for all targets."""
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        yield folder


@pytest.mark.parametrize("name", TARGETS)
def test_bad_input_ends_in_a_message(place: Path, name: str):
    folder = place / name.replace(" ", "-").replace(",", "")
    folder.mkdir()
    run: Callable[[bytes], None] = TARGETS[name](folder)

    @settings(
        max_examples=8 if name in COSTLY else 40,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=20, max_size=80))
    def every(plan: bytes) -> None:
        check(run, plan)

    every()
