import pytest

from robust_select.cli.show import clean, show_table, shown_url

COLUMNS = {"candidate": False, "score": True, "caveats": False}
LONG = "only few instances, so that next to nothing is known of the spread; " * 4


def test_a_table_in_a_pipe_is_as_wide_as_it_needs(capsys):
    show_table(COLUMNS, [["[b]small[/b]", "1.5", "few"], ["large", "2", ""]], "Both")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "Both"
    assert lines[1].split() == ["candidate", "score", "caveats"]
    assert lines[3].split() == ["[b]small[/b]", "1.5", "few"]
    assert lines[4].split() == ["large", "2"]


def test_a_caveat_of_all_rows_is_said_once(capsys):
    show_table(COLUMNS, [["small", "1", "few"], ["large", "2", "few"]])
    shown = capsys.readouterr().out
    assert shown.count("few") == 1
    assert shown.endswith("All of these: few\n")


def test_caveats_that_do_not_fit_stand_below(capsys):
    show_table(COLUMNS, [["small", "1", LONG], ["middle", "2", LONG], ["large", "3", ""]])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [line.split() for line in lines[2:5]] == [["small", "1", "1"], ["middle", "2", "1"], ["large", "3"]]
    assert lines[5] == f"Caveat 1: {LONG}"


def test_a_long_name_is_folded_not_cut(capsys):
    name = "x" * 500
    show_table({"candidate": False, "score": True}, [[name, "1"]])
    assert capsys.readouterr().out.count("x") == 500


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b]b\x07", "a\ufffd]b\ufffd"), ("é\n∞", "é\n∞"), ("\x9b", "\ufffd")]
)
def test_signs_that_steer_a_terminal_are_replaced(text, shown):
    assert clean(text) == shown


def test_passwords_are_not_shown():
    assert shown_url("postgresql://user:secret@host/db") == "postgresql://user:***@host/db"
    assert shown_url("study.db") == "study.db"
