import json
import stat

import numpy as np
import pytest
from torch import nn

from robust_select.train.nn import Data, TorchTrainer, sizes


class Clock:
    """Time that passes only when a step is taken."""

    def __init__(self, seconds):
        self.seconds, self.now, self.steps = seconds, 0.0, []

    def __call__(self):
        return self.now

    def step_of(self, size):
        def step():
            self.steps.append(size)
            self.now += self.seconds[size]

        return step


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sizes, "_MEASURED", {})
    return tmp_path / "robust-select" / "stack-sizes.json"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({1: 0.01, 2: 0.011, 4: 0.012, 8: 0.013, 16: 0.014}, 16),
        ({1: 0.01, 2: 0.012, 4: 0.016, 8: 0.040, 16: 0.100}, 4),
        ({1: 0.01, 2: 0.02, 4: 0.04, 8: 0.08, 16: 0.16}, 1),
        ({1: 0.01, 2: 0.0201, 4: 0.03, 8: 0.06, 16: 0.12}, 4),  # past a size that gains nothing
        ({1: 0.01, 2: 0.0199, 4: 0.0398, 8: 0.0792, 16: 0.16}, 1),  # 1 % is not worth the memory
    ],
)
def test_the_size_with_the_least_time_an_instance_is_taken(seconds, expected):
    clock = Clock(seconds)
    assert sizes.measured_size(clock.step_of, clock) == expected
    assert clock.now < 4


def test_slow_steps_are_not_measured_for_long():
    clock = Clock({1: 3.0, 2: 6.0})
    assert sizes.measured_size(clock.step_of, clock) == 1
    assert clock.steps == [1]


def test_a_size_is_remembered_and_on_disk_for_other_processes(cache, monkeypatch):
    calls = []

    def step_of(size):
        calls.append(size)
        return lambda: None

    monkeypatch.setattr(sizes, "measured_size", lambda step_of, clock: step_of(4) and 4)
    assert [sizes.best_size("a", step_of) for _ in range(2)] == [4, 4]
    monkeypatch.setattr(sizes, "_MEASURED", {})
    assert sizes.best_size("a", step_of) == 4
    assert calls == [4]
    sizes.best_size("b", step_of)
    assert len(json.loads(cache.read_text())) == len(calls) == 2
    monkeypatch.setattr(sizes, "_MEASURED", {})
    monkeypatch.setattr(sizes, "_machine", lambda: "another one")
    sizes.best_size("a", step_of)
    assert len(calls) == 3


@pytest.mark.parametrize("content", ["", "[1]", '{"key": 4', "\x00"])
def test_a_damaged_cache_is_made_anew(cache, content):
    cache.parent.mkdir()
    cache.write_text(content)
    assert sizes.best_size("a", lambda size: lambda: None) in sizes.SIZES
    assert len(json.loads(cache.read_text())) == 1


def test_a_size_that_nobody_measures_is_not_believed(cache):
    sizes.best_size("a", lambda size: lambda: None)
    cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), 1000)))
    sizes._MEASURED.clear()
    assert sizes.best_size("a", lambda size: lambda: None) in sizes.SIZES


def test_where_nothing_can_be_written_nothing_is(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(sizes, "_MEASURED", {})
    assert sizes.best_size("a", lambda size: lambda: None) in sizes.SIZES
    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)


def test_a_trainer_measures_its_shape_once(cache):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(64, 3))
    data = Data(inputs, inputs.sum(1), inputs[:8], inputs[:8].sum(1))

    def build(params):
        return nn.Sequential(nn.Linear(3, params["width"]), nn.ReLU(), nn.Linear(params["width"], 1))

    trainer = TorchTrainer(build, data, defaults={"epochs": 1})
    assert trainer.stack_size({"width": 4, "lr": 0.1}) == trainer.stack_size({"width": 4, "lr": 0.2}) > 1
    assert len(json.loads(cache.read_text())) == 1
    trainer.stack_size({"width": 5})
    assert len(json.loads(cache.read_text())) == 2
