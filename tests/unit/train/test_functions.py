import decimal
import fractions
import math
import threading

import numpy as np
import pytest

from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.train.functions import train_instance

INSTANCE = Instance("a", 0, seeds_for(0, 0))


class Shaped:
    """What a tensor library returns for a scalar: a shape, a dtype and ``__float__``, but no ``Real``."""

    shape = ()

    def __init__(self, value, dtype="torch.float32"):
        self.value = value
        self.dtype = dtype

    def __float__(self):
        return float(self.value)


class Shy(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class ShyNumber:
    def __repr__(self):
        raise RuntimeError("no words")


def outcome_of(returned):
    return train_instance(lambda params, instance: returned, {}, INSTANCE)


@pytest.mark.parametrize(
    "returned",
    [
        0.25,
        np.float64(0.25),
        np.float32(0.25),
        np.float16(0.25),
        np.array(0.25),
        np.array(0.25, dtype=np.float32),
        fractions.Fraction(1, 4),
        Shaped(0.25),
    ],
)
def test_a_number_is_a_score(returned):
    outcome = outcome_of(returned)
    assert (outcome.score, outcome.state) == (0.25, State.COMPLETE)
    assert type(outcome.score) is float
    assert 0 <= outcome.seconds < 5


@pytest.mark.parametrize("returned", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_a_whole_number_is_a_score(returned):
    assert outcome_of(returned).score == 3.0


@pytest.mark.parametrize(
    "returned", [math.nan, math.inf, -math.inf, np.float32("nan"), np.array(np.inf), Shaped(math.nan), 10**400]
)
def test_what_is_not_finite_has_diverged(returned):
    outcome = outcome_of(returned)
    assert outcome.state is State.DIVERGED
    assert math.isnan(outcome.score)
    assert outcome.message == ""
    assert math.isfinite(outcome.seconds)


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        (None, "NoneType"),
        ("good", "str"),
        ("0.25", "str"),
        (True, "bool"),
        (np.True_, "bool"),
        (np.array(True), "ndarray"),
        (Shaped(1, dtype="torch.bool"), "Shaped"),
        (np.array("good"), "ndarray"),
        (np.array(1 + 2j), "ndarray"),
        (1 + 2j, "complex"),
        ([0.25], "list"),
        (np.array([0.25]), "ndarray"),
        ((0.25, 0.5), "tuple"),
        ({"loss": 0.25}, "dict"),
        (decimal.Decimal("0.25"), "Decimal"),
        (ShyNumber(), "ShyNumber"),
    ],
)
def test_anything_else_has_failed_and_is_shown(returned, kind):
    outcome = outcome_of(returned)
    assert outcome.state is State.FAILED
    assert outcome.message.startswith("expected the trainer to return a number or an Outcome, came ")
    assert outcome.message.endswith(f"{kind})") or outcome.message.endswith(f"{kind}_)")
    assert len(outcome.message) < 160


def test_a_long_return_value_is_cut():
    message = outcome_of("x" * 1000).message
    assert "..." in message
    assert len(message) < 160


def test_an_exception_is_a_failure_with_its_traceback():
    def raises(params, instance):
        raise ValueError(f"width={params['width']} is too wide")

    outcome = train_instance(raises, {"width": 7}, INSTANCE)
    assert outcome.state is State.FAILED
    assert outcome.message == "ValueError: width=7 is too wide"
    assert "in raises" in outcome.log
    assert math.isnan(outcome.score)
    assert 0 <= outcome.seconds < 5


@pytest.mark.parametrize("code", [0, 1, "bye", None])
def test_a_trainer_that_exits_has_failed(code):
    def exits(params, instance):
        raise SystemExit(code)

    outcome = train_instance(exits, {}, INSTANCE)
    assert outcome.state is State.FAILED
    assert outcome.message.startswith("SystemExit: ")


def test_an_exception_that_cannot_be_shown_is_a_failure_too():
    def raises(params, instance):
        raise Shy

    outcome = train_instance(raises, {}, INSTANCE)
    assert outcome.message == "Shy: (a Shy that cannot be shown)"


def test_ctrl_c_is_no_outcome():
    def interrupted(params, instance):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_instance(interrupted, {}, INSTANCE)


def test_an_outcome_keeps_its_curve_and_is_timed():
    outcome = outcome_of(Outcome(0.5, curve=np.array([0.9, 0.7, 0.5])))
    assert outcome.curve == (0.9, 0.7, 0.5)
    assert 0 <= outcome.seconds < 5


def test_an_outcome_keeps_its_own_seconds_and_message():
    given = Outcome(0.5, seconds=12.0)
    assert outcome_of(given) is given
    failed = outcome_of(Outcome.failed("out of memory"))
    assert (failed.state, failed.message) == (State.FAILED, "out of memory")


def test_the_trainer_gets_a_copy_to_the_bottom():
    params = {"layers": [16, 32], "optimiser": {"name": "adam"}}

    def spoils(params, instance):
        params["layers"].append(64)
        params["optimiser"]["name"] = "sgd"
        params["new"] = 1
        return 0.0

    train_instance(spoils, params, INSTANCE)
    assert params == {"layers": [16, 32], "optimiser": {"name": "adam"}}


def test_parameters_that_cannot_be_copied_are_handed_on():
    lock = threading.Lock()
    outcome = train_instance(lambda params, instance: float(params["lock"] is lock), {"lock": lock}, INSTANCE)
    assert outcome.score == 1.0


def test_the_trainer_sees_the_instance():
    instance = Instance("a", 3, seeds_for(7, 3))
    seen = []
    train_instance(lambda params, instance: seen.append(instance) or 0.0, {}, instance)
    assert seen == [instance]
