import math

import numpy as np
import pytest
from cloudpickle import dumps, loads

from robust_select.core.errors import InputError
from robust_select.core.instances import STREAMS, Instance, Outcome, Seeds, State, seeds_for


@pytest.mark.parametrize(
    ("seed", "replicate", "expected"),
    [
        (0, 0, (4088532484, 3581274545, 1008912121)),
        (7, 0, (393969088, 1834709978, 856967280)),
        (7, 3, (2234724314, 3976707960, 4014525388)),
        (2**40, 12, (4072591198, 1712028989, 3794779956)),
    ],
)
def test_seeds_are_the_same_in_every_version(seed, replicate, expected):
    made = seeds_for(seed, replicate)
    assert (made.initial_weights, made.training_sample, made.batch_order) == expected


def test_streams_replicates_and_studies_all_differ():
    drawn = [getattr(seeds_for(seed, replicate), s) for seed in range(20) for replicate in range(50) for s in STREAMS]
    assert len(set(drawn)) == len(drawn)
    assert all(isinstance(value, int) and 0 <= value < 2**32 for value in drawn)


def test_seeds_are_those_of_numpys_spawned_sequences():
    children = [child.spawn(3) for child in np.random.SeedSequence(11).spawn(4)]
    for replicate in range(4):
        expected = Seeds(*(int(child.generate_state(1)[0]) for child in children[replicate]))
        assert seeds_for(11, replicate) == expected


@pytest.mark.parametrize("stream", STREAMS)
def test_a_fixed_stream_keeps_the_seed_of_replicate_0_and_the_others_vary(stream):
    first, later, free = seeds_for(7, 0), seeds_for(7, 9, fixed=[stream]), seeds_for(7, 9)
    for other in STREAMS:
        assert getattr(later, other) == getattr(first if other == stream else free, other)


def test_all_streams_fixed_repeat_the_same_training():
    assert {seeds_for(7, replicate, fixed=STREAMS) for replicate in range(5)} == {seeds_for(7, 0)}


@pytest.mark.parametrize(("seed", "replicate"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed, replicate):
    with pytest.raises(InputError, match=f"came seed={seed}, replicate={replicate}"):
        seeds_for(seed, replicate)


def test_an_unknown_stream_is_refused():
    with pytest.raises(InputError, match=r"expected streams among initial_weights, .*, came dropout, noise"):
        seeds_for(0, 0, fixed=["noise", "dropout", "batch_order"])


def test_generators_repeat_and_differ_by_stream():
    instance = loads(dumps(Instance("a", 2, seeds_for(7, 2))))
    drawn = {stream: instance.rng(stream).integers(2**60) for stream in STREAMS}
    assert len(set(drawn.values())) == 3
    assert drawn == {stream: instance.rng(stream).integers(2**60) for stream in STREAMS}
    other = Instance("b", 2, seeds_for(7, 2))
    assert other.rng("batch_order").integers(2**60) == drawn["batch_order"]
    assert drawn["batch_order"] == np.random.default_rng(instance.seeds.batch_order).integers(2**60)


@pytest.mark.parametrize(
    ("given", "state", "score"),
    [
        ({"score": 0.5}, State.COMPLETE, 0.5),
        ({"score": np.float32(0.5)}, State.COMPLETE, 0.5),
        ({"score": math.nan}, State.DIVERGED, math.nan),
        ({"score": math.inf}, State.DIVERGED, math.nan),
        ({"score": -math.inf}, State.DIVERGED, math.nan),
        ({"score": 0.5, "state": "diverged"}, State.DIVERGED, math.nan),
        ({"score": 0.5, "state": State.FAILED}, State.FAILED, math.nan),
    ],
)
def test_an_outcome_has_a_score_only_if_it_is_complete(given, state, score):
    made = Outcome(**given)
    assert made.state is state
    assert type(made.score) is float
    assert made.score == score or (math.isnan(made.score) and math.isnan(score))


def test_an_outcome_keeps_its_curve_as_plain_numbers():
    made = Outcome(0.5, curve=np.array([0.9, 0.5], dtype=np.float32), seconds=2.0)
    assert made.curve == (float(np.float32(0.9)), 0.5)
    assert {type(value) for value in made.curve} == {float}
    assert loads(dumps(made)) == made


def test_a_failed_outcome_says_why():
    made = Outcome.failed("ValueError: no", seconds=1.5, log="Traceback")
    assert (made.state, made.message, made.seconds, made.log) == (State.FAILED, "ValueError: no", 1.5, "Traceback")
    assert math.isnan(made.score)


@pytest.mark.parametrize(
    ("given", "error"), [({"score": "much"}, ValueError), ({"score": 1, "state": "?"}, ValueError)]
)
def test_an_outcome_refuses_what_is_no_score_or_state(given, error):
    with pytest.raises(error):
        Outcome(**given)
