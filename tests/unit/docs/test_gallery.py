"""The gallery: every figure of the design has its place, and its code stands on the page as it is run."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "docs" / "make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_of_the_design_is_there(gallery):
    assert {int(name.partition("-")[0]) for name in gallery.ENTRIES} == set(range(1, 18))


def test_the_page_shows_the_code_that_draws(gallery):
    for title, needs, draw in gallery.ENTRIES.values():
        assert f"## {title}\n" in PAGE
        assert f"`{needs}`" in PAGE
        assert f"```python\n{gallery.code_of(draw)}\n```" in PAGE


def test_every_picture_on_the_page_is_there_and_small():
    shown = re.findall(r"\]\((images/gallery/[^)]+)\)", PAGE)
    assert len(shown) >= 11
    for path in shown:
        assert 0 < (ROOT / "docs" / path).stat().st_size < 150_000
    there = {f"images/gallery/{path.name}" for path in (ROOT / "docs" / "images" / "gallery").iterdir()}
    assert there == set(shown)


def test_what_is_not_drawn_is_said(gallery):
    for name, (_, needs, _) in gallery.ENTRIES.items():
        if f"images/gallery/{name}.png" not in PAGE:
            assert f"its results, `{needs}`, are not in the repository" in PAGE
