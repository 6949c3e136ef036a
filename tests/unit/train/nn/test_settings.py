import dataclasses
import math

import pytest

from robust_select.core.errors import InputError
from robust_select.train.nn import Settings
from robust_select.train.nn.settings import NAMES, settings_from


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, "expected settings among epochs, batch_size, .* came epoch"),
        ({"optimiser": "lion"}, "expected optimiser among sgd, adam, adamw, nadam, rmsprop, adadelta, came .*'lion'"),
        ({"schedule": "step"}, "expected schedule among constant, cosine, one-cycle, came schedule='step'"),
        ({"resample": "jackknife"}, "expected resample among subset, bootstrap"),
        ({"dtype": "float16"}, "expected dtype among float32, float64"),
        ({"epochs": 0}, "expected epochs to be a whole number of at least 1, came epochs=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"batch_size": None}, "batch_size=None"),
        ({"epochs": True}, "epochs=True"),
        ({"n_train": 0}, "n_train=0"),
        ({"stack_size": 0}, "stack_size=0"),
        ({"lr": 0}, "expected lr above 0"),
        ({"lr": -1e-3}, "expected lr to be a finite number of at least 0, came lr=-0.001"),
        ({"lr": math.nan}, "lr=nan"),
        ({"lr": "fast"}, "lr='fast'"),
        ({"lr": None}, "lr=None"),
        ({"weight_decay": math.inf}, "weight_decay=inf"),
        ({"clip_norm": 0}, "expected clip_norm above 0"),
        ({"momentum": 1.5}, "expected momentum between 0 and 1"),
        ({"betas": (0.9,)}, "expected betas to be two numbers"),
        ({"betas": (0.9, 1.0)}, "expected betas below 1"),
        ({"nesterov": True}, "nesterov with a momentum above 0"),
        ({"warmup_epochs": 3, "epochs": 3}, "fewer warm-up epochs than epochs"),
        ({"warmup_epochs": 1, "schedule": "one-cycle"}, "no warm-up epochs for one-cycle"),
        (3, "expected Settings or a dictionary"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        settings_from(given)


def test_parameters_override_by_name_and_others_are_not_its_business():
    found = Settings(epochs=3).overridden({"lr": 0.5, "batch_size": 7, "width": 16, "optimiser": "sgd"})
    assert found == Settings(epochs=3, lr=0.5, batch_size=7, optimiser="sgd")
    with pytest.raises(InputError, match="lr=-1"):
        Settings().overridden({"lr": -1})


def test_settings_are_kept_as_they_are_given():
    given = Settings(lr=0.5)
    assert settings_from(given) is given
    assert settings_from(None) == Settings()


def test_every_setting_has_a_line_of_explanation():
    described = Settings.__doc__.split("Attributes:")[1]
    assert [name for name in NAMES if f"\n        {name}: " not in described] == []


def test_hyperparameters_carry_every_number_over():
    values = {
        "lr": 0.5, "weight_decay": 0.25, "momentum": 0.75, "nesterov": True, "betas": (0.5, 0.6), "eps": 1e-3,
        "alpha": 0.4, "rho": 0.3, "momentum_decay": 0.2,
    }  # fmt: skip
    assert Settings(dampening=0.5, centered=True).hyperparameters().dampening == 0.5
    assert Settings(dampening=0.5, centered=True).hyperparameters().centered is True
    made = dataclasses.asdict(Settings(**values).hyperparameters())
    assert {name: made[name] for name in values} == values


def test_a_warm_up_is_counted_in_steps_and_may_be_a_fraction():
    schedule = Settings(epochs=4, warmup_epochs=1.5).learning_rates(n_steps_an_epoch=10)
    assert (schedule.n_steps, schedule.n_warmup_steps) == (40, 15)
    assert schedule.factor(0) == 1 / 16
    assert schedule.factor(39) == 1


def test_one_cycle_leaves_adadelta_without_momentum():
    schedule = Settings(schedule="one-cycle", optimiser="adadelta", pct_start=0.5, div_factor=10).learning_rates(2)
    assert schedule.momentum(0) is None
    assert schedule.factor(0) == pytest.approx(0.1)
    assert Settings(schedule="one-cycle", optimiser="adam").learning_rates(2).momentum(0) == pytest.approx(0.95)
