import pytest

from robust_select.core.designs import Crossed, Varying
from robust_select.core.errors import InputError
from robust_select.core.instances import seeds_for


def test_every_weights_meet_every_sample_as_often_as_said():
    design = Crossed(3, 4, 2)
    seeds = [design.seeds(5, replicate) for replicate in range(design.n_instances)]
    pairs = [(made.initial_weights, made.training_sample) for made in seeds]
    assert len(set(pairs)) == 12
    assert all(pairs.count(pair) == 2 for pair in set(pairs))
    assert len({weights for weights, _ in pairs}) == 3
    assert len({sample for _, sample in pairs}) == 4
    assert len({made.batch_order for made in seeds}) == 24


def test_seeds_are_those_of_plain_replicates():
    design = Crossed(3, 4, 2)
    made = design.seeds(5, 12 + 2 * 4 + 3)  # repeat 1, weights 2, sample 3
    assert made.initial_weights == seeds_for(5, 2).initial_weights
    assert made.training_sample == seeds_for(5, 3).training_sample
    assert made.batch_order == seeds_for(5, 23).batch_order


@pytest.mark.parametrize("replicate", [-1, 4])
def test_a_design_has_so_many_replicates(replicate):
    with pytest.raises(InputError, match=f"from 0 to 3, came replicate={replicate}"):
        Crossed(2, 2).seeds(0, replicate)


@pytest.mark.parametrize(
    ("text", "design"), [("8x8", Crossed()), (" 10 X 5 ", Crossed(10, 5)), ("4×6×3", Crossed(4, 6, 3))]
)
def test_reads_what_it_writes(text, design):
    assert Crossed.parse(text) == design
    assert Crossed.parse(str(design)) == design


@pytest.mark.parametrize("text", ["", "8", "8x", "8x8x2x2", "axb", "-8x8", "8.5x8"])
def test_refuses_other_words(text):
    with pytest.raises(InputError, match="expected a design such as 8x8"):
        Crossed.parse(text)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((1, 8), "n_weights=1"), ((8, 1), "n_samples=1"), ((8, 8, 0), "n_repeats=0"), ((2000, 2), "1000 at most")],
)
def test_refuses_numbers_out_of_range(numbers, words):
    with pytest.raises(InputError, match=words):
        Crossed(*numbers)


def test_alone_varies_what_it_names():
    design = Varying(("training_sample",), 5)
    seeds = [design.seeds(5, replicate) for replicate in range(5)]
    assert [made.training_sample for made in seeds] == [seeds_for(5, n).training_sample for n in range(5)]
    assert {made.initial_weights for made in seeds} == {seeds_for(5, 0).initial_weights}
    assert {made.batch_order for made in seeds} == {seeds_for(5, 0).batch_order}


def test_alone_names_what_varies():
    assert str(Varying(("training_sample",), 2)) == "training sample alone"
    assert str(Varying(("training_sample", "initial_weights"), 2)) == "initial weights and training sample"
    assert str(Varying(("batch_order", "training_sample", "initial_weights"), 2)) == "all streams"


@pytest.mark.parametrize(
    ("varying", "n", "words"),
    [
        ((), 5, "came ()"),
        (("weights",), 5, "weights"),
        (("batch_order",) * 2, 5, "different"),
        (("batch_order",), 1, "1"),
    ],
)
def test_alone_refuses(varying, n, words):
    with pytest.raises(InputError) as raised:
        Varying(varying, n)
    assert words in str(raised.value)
