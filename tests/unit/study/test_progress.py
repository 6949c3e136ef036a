import io
import re

import numpy as np
import pytest
from rich.console import Console

from robust_select.select.rules import Exhaustive, Halving, Significance
from robust_select.select.selection import Selection
from robust_select.stats.criteria import criterion
from robust_select.study import Study, progress
from robust_select.study.progress import ProgressBar, _clock, expected_trainings


@pytest.fixture
def terminal(monkeypatch):
    """A terminal that keeps what is drawn on it."""
    screen = io.StringIO()

    def make_console(stderr):
        assert stderr
        return Console(file=screen, force_terminal=True, width=140, legacy_windows=False, _environ={})

    monkeypatch.setattr(progress, "Console", make_console)
    monkeypatch.setattr(progress, "_REFRESH_SECONDS", 0.0)
    return screen


def text_of(screen):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def selection_of(names, rule, n_told=0):
    selection = Selection(names, rule, criterion("mean"))
    rng = np.random.default_rng(0)
    while n_told:
        for candidate, replicate in selection.ask(n_told):
            selection.tell(candidate, replicate, candidate + 0.01 * rng.normal(), 1.0)
            n_told -= 1
    return selection


def drawn(selection, terminal, n_known=0):
    with ProgressBar(selection, n_known, is_shown=True) as bar:
        bar._started -= 60.0
        bar.update()
        bar._progress.refresh()
    return text_of(terminal)


def test_it_tells_who_is_alive_who_leads_and_how_long_it_takes(terminal):
    # 60 s for 9 trainings and 8 x 3 + 4 + 2 = 30 expected: 140 s left
    text = drawn(selection_of([f"c{i}" for i in range(8)], Halving(warmup=3), 9), terminal)
    assert "8 alive, leader c" in text
    assert "9 trainings of 30" in text
    assert "2:20 left" in text


def test_what_the_ledger_held_says_nothing_about_the_speed(terminal):
    text = drawn(selection_of([f"c{i}" for i in range(8)], Halving(warmup=3), 9), terminal, n_known=6)
    assert "7:00 left" in text


def test_an_upper_limit_is_called_one(terminal):
    selection = selection_of(["a", "b"], Significance("welch", warmup=2, max_instances=10), 2)
    text = drawn(selection, terminal)
    assert "2 trainings of at most 20" in text
    assert "at most 9:00 left" in text


@pytest.mark.parametrize("name", ["act=[relu]", "[/bold] closing", "[red]", "[link=x]y"])
def test_brackets_in_a_name_are_no_markup(terminal, name):
    assert f"leader {name}" in drawn(selection_of([name, "zzz"], Exhaustive(n=5), 2), terminal)


def test_a_long_name_is_cut(terminal):
    text = drawn(selection_of(["x" * 50], Exhaustive(n=5), 2), terminal)
    assert "x" * 29 + "…" in text
    assert "x" * 30 not in text


def test_it_draws_while_a_study_runs_and_leaves_a_clean_line(terminal):
    study = Study(["a", "b"], lambda params, instance: float(len(instance.candidate)), rule=Halving(warmup=5))
    study.run(progress=True)
    assert "trainings of 10" in text_of(terminal)
    assert terminal.getvalue().rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


def test_nothing_is_drawn_where_it_is_not_wanted(terminal):
    Study(["a", "b"], lambda params, instance: 0.5, rule=Halving(warmup=5)).run(progress=False)
    assert terminal.getvalue() == ""


def test_nothing_is_drawn_without_a_terminal(capsys):
    Study(["a", "b"], lambda params, instance: 0.5, rule=Halving(warmup=5)).run(progress=True)
    assert capsys.readouterr() == ("", "")


def test_discarded_candidates_lower_what_is_expected_at_most():
    selection = selection_of(["a", "b", "c"], Significance("welch", warmup=3, max_instances=10), 9)
    assert expected_trainings(selection) == (30, False)
    selection.ask()  # the step discards b and c: 3 trainings each, and a alone is the end
    assert expected_trainings(selection) == (16, False)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (61, "1:01"), (3600, "1:00:00"), (86399.9, "23:59:59")]
)
def test_a_clock(seconds, shown):
    assert _clock(seconds) == shown
