"""Gives the browser tests a Chromium; without one they are skipped, or fail where ROBUST_SELECT_REQUIRE_BROWSER=1."""

import os
from collections.abc import Iterator

import pytest

from .driver import Browser, chromium, open_browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        if os.environ.get("ROBUST_SELECT_REQUIRE_BROWSER") == "1":
            pytest.fail("ROBUST_SELECT_REQUIRE_BROWSER=1 is set, but there is no Chromium")
        pytest.skip("no Chromium here")
    with open_browser(program) as found:
        yield found
