import pytest

from robust_select.cli.app import app
from robust_select.cli.options import RULE_OPTIONS, Choice, make_rule, settings_of
from robust_select.core.errors import InputError
from robust_select.select.rules import DEFAULT_RULE, RULES, Halving, Significance, TopTwo
from robust_select.stats.comparisons import COMPARISONS


def test_every_setting_of_every_rule_has_an_option():
    options = {"n" if name == "instances" else name for name in RULE_OPTIONS}
    assert {setting for name in RULES for setting in settings_of(name)} <= options


def test_every_test_is_named_in_the_help():
    named = RULE_OPTIONS["test"][1].removeprefix("significance: ").rstrip(".").replace(" or ", ", ")
    assert tuple(named.split(", ")) == COMPARISONS


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_without_options_has_its_own_defaults(name):
    assert make_rule(Choice(name)) == RULES[name]()


def test_without_a_name_it_is_the_default_rule():
    assert make_rule(Choice()) == RULES[DEFAULT_RULE]() == TopTwo()
    assert make_rule(Choice(None, {"confidence": 0.9})) == TopTwo(confidence=0.9)


def test_options_become_settings():
    assert make_rule(Choice("significance", {"test": "ks", "alpha": 0.01})) == Significance("ks", 0.01)
    assert make_rule(Choice("exhaustive", {"instances": 4})).settings() == {"n": 4}


def test_options_change_the_rule_of_a_study_file():
    base = {"name": "halving", "warmup": 3, "final_instances": 20}
    assert make_rule(Choice(None, {"warmup": 4}), base) == Halving(4, 20)
    assert make_rule(Choice("halving", {"warmup": 4}), base) == Halving(4, 20)
    assert make_rule(Choice("significance", {"warmup": 4}), base) == Significance(warmup=4)


def test_an_option_of_another_rule_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"--warmup, --final-instances.*--alpha.*'significance'"):
        make_rule(Choice("halving", {"alpha": 0.1}))


def test_the_tolerance_may_be_the_criterions():
    assert make_rule(Choice("halving", {"tolerance": 0.1}), is_tolerance_used=True) == Halving()
    with pytest.raises(InputError, match="--tolerance"):
        make_rule(Choice("halving", {"tolerance": 0.1}))


def test_every_command_is_there():
    names = {command.callback.__name__ for command in app.registered_commands}
    assert names >= {"run", "measure", "plan", "status", "replay", "export", "report", "demo"}


@pytest.mark.parametrize("command", ["run", "plan", "replay"])
def test_help_names_every_rule_and_option(invoke, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = invoke(command, "--help").stdout
    assert all(name in shown for name in RULES)
    assert all(f"--{name.replace('_', '-')}" in shown for name in RULE_OPTIONS)
