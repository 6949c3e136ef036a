import collections
import json

import pytest

from robust_select.core.candidates import params_json
from robust_select.core.errors import InputError
from robust_select.problems.ecal import build, draw, few_for_energy, few_for_position, hundred, published, space
from robust_select.problems.ecal.architectures import architecture_of
from robust_select.problems.ecal.candidates import N_PARAMETERS, architectures, settings
from robust_select.train.nn.settings import NAMES, Settings

SPACE = space()


def test_6912_different_candidates_of_different_names():
    assert len(SPACE) == 6912 == 128 * 54
    assert len({candidate.name for candidate in SPACE}) == 6912
    assert len({params_json(candidate.params) for candidate in SPACE}) == 6912


def test_every_architecture_counts_its_parameters_as_torch_does():
    for architecture in architectures():
        model = build(architecture.params())
        n_parameters = sum(parameter.numel() for parameter in model.parameters())
        assert n_parameters == architecture.n_parameters, architecture
        assert n_parameters <= N_PARAMETERS == 30_000
        assert len(architecture.hidden) + 1 <= 4


def test_the_order_and_the_names_are_those_of_before():
    assert [candidate.name for candidate in space()] == [candidate.name for candidate in SPACE]
    assert SPACE[0].name == "conv 32-64, 3 x 3, linear 9, relu; adadelta, lr 0.1, batch 32, decay 0"
    assert SPACE[-1].name == (
        "conv 32-16, 1 x 1, linear 128-64-9, prelu, joined both; sgd, lr 0.01, batch 64, decay 0.01"
    )


def test_the_published_models_are_in_the_space_with_their_training():
    trained = {
        "Model 1": ("nadam", 1e-4, 64, 0.01),
        "Model 2": ("adamw", 1e-3, 32, 0.1),
        "Model 3": ("adamw", 1e-4, 32, 0.1),
        "Model 4": ("adamw", 1e-4, 32, 0.1),
    }
    by_name = {candidate.name: candidate for candidate in SPACE}
    for candidate in published():
        assert by_name[candidate.name].params == candidate.params
        model, params = build(candidate.name), candidate.params
        assert model.architecture == architecture_of(params)
        if candidate.name in trained:
            keys = ("optimiser", "lr", "batch_size", "weight_decay")
            assert tuple(params[key] for key in keys) == trained[candidate.name]
    assert [candidate.name for candidate in published()][4:] == ["NAS 1", "NAS 2"]


def test_the_engine_knows_every_training_setting():
    assert len(set(settings())) == 54
    for item in settings():
        assert set(item.params()) <= set(NAMES)
        assert Settings().overridden(item.params()).optimiser == item.optimiser
    assert collections.Counter(item.optimiser for item in settings()) == dict.fromkeys(
        ("adadelta", "adam", "adamw", "nadam", "rmsprop", "sgd"), 9
    )


def test_parameters_are_plain_json():
    for candidate in SPACE[::500]:
        assert json.loads(params_json(candidate.params)) == dict(candidate.params)


def test_draws_differ_by_seed_and_begin_alike():
    first, more, other = draw(20, seed=1), draw(40, seed=1), draw(20, seed=2)
    assert more[:20] == first
    assert [candidate.name for candidate in first[:6]] == [candidate.name for candidate in published()]
    assert first[6:] != other[6:]
    assert len({candidate.name for candidate in more}) == 40
    names = {candidate.name for candidate in SPACE}
    assert {candidate.name for candidate in more} <= names


def test_a_draw_of_everybody_and_of_nobody_published():
    assert {candidate.name for candidate in draw(6912)} == {candidate.name for candidate in SPACE}
    assert not {candidate.name for candidate in draw(30, seed=3, published=False)} & {"Model 1", "Model 2", "NAS 1"}


@pytest.mark.parametrize(("n", "with_published"), [(5, True), (0, False), (6913, True)])
def test_draws_that_are_not_possible(n, with_published):
    with pytest.raises(InputError, match=f"came n={n}"):
        draw(n, published=with_published)


@pytest.mark.parametrize(("few", "base"), [(few_for_energy, "Model 2"), (few_for_position, "Model 4")])
def test_candidates_of_the_short_studies(few, base):
    candidates = few()
    assert 12 <= len(candidates) <= 24
    assert [candidate.name for candidate in candidates if candidate.is_base] == [base]
    assert len({params_json(candidate.params) for candidate in candidates}) == len(candidates)
    for candidate in candidates:
        assert architecture_of(candidate.params).n_parameters <= N_PARAMETERS
        Settings().overridden(candidate.params)


def test_a_hundred_for_an_hour():
    assert len(hundred()) == 100
    assert hundred()[:6] == published()
