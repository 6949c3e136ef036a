import builtins
import importlib
import math
import sys

import numpy as np
import pytest
import torch
from torch import nn

from robust_select.core.errors import InputError, MissingExtraError
from robust_select.problems.ecal import build, require_torch
from robust_select.problems.ecal.architectures import ACTIVATIONS, Architecture, architecture_of, named
from robust_select.problems.ecal.models import Network
from robust_select.train.nn.stacking import make_stacks

PUBLISHED = {
    "Model 1": 23_923,
    "Model 2": 23_932,
    "Model 3": 23_644,
    "Model 4": 23_662,
    "NAS 1": 5_756,
    "NAS 2": 15_932,
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def images(n, seed=0):
    return torch.rand(n, 1, 15, 15, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "n_parameters"), PUBLISHED.items())
def test_the_published_models_have_the_published_sizes(name, n_parameters):
    short = name.replace(" ", "").lower()
    assert count(build(name)) == count(build(short)) == n_parameters
    assert build(name)(images(3)).shape == (3, 1)


def test_model_1_layer_by_layer():
    model = build("model1")
    cells = images(4)
    first, second = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    late = [module for module in model.modules() if isinstance(module, nn.Linear)]
    hidden = nn.functional.max_pool2d(torch.relu(nn.functional.conv2d(cells, first.weight)), 2)
    assert hidden.shape == (4, 32, 6, 6)
    hidden = nn.functional.max_pool2d(torch.relu(nn.functional.conv2d(hidden, second.weight, padding=1)), 2)
    assert hidden.shape == (4, 64, 3, 3)
    hidden = torch.relu(hidden.reshape(4, 576) @ late[0].weight.T + late[0].bias)
    torch.testing.assert_close(model(cells), hidden @ late[1].weight.T + late[1].bias)


def test_the_sum_of_the_cells_reaches_model_2():
    model = build("model2")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.late[0].weight[0, -1] = 1.0  # the joined feature, through one unit, to the output
        model.late[2].weight[0, 0] = 2.0
    cells = images(5)
    torch.testing.assert_close(model(cells)[:, 0], 2 * cells.sum((1, 2, 3)))


def test_the_barycentre_reaches_model_4():
    model = build("model4")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.late[0].weight[0, -2] = 1.0  # x
        model.late[0].weight[1, -1] = 1.0  # y
        model.late[1].weight.fill_(1.0)  # PReLU lets negative ones through
        model.late[2].weight[0, :2] = torch.tensor([1.0, 100.0])
    cells = torch.zeros(2, 1, 15, 15)
    cells[0, 0, 7, 7], cells[0, 0, 8, 7] = 3.0, 1.0  # x = 4 cm / 4
    cells[1, 0, 7, 5] = 0.5  # y = -8 cm
    np.testing.assert_allclose(model(cells)[:, 0].detach(), [1.0, -800.0], rtol=1e-5)


def test_an_image_without_energy_gives_a_number():
    assert torch.isfinite(build("model4")(torch.zeros(2, 1, 15, 15))).all()


def test_weights_are_kaimings():
    torch.manual_seed(3)
    model = build("model3")
    second = model.convolutions[3].weight
    slope = 0.25  # of PReLU
    assert second.std().item() == pytest.approx(math.sqrt(2 / (1 + slope**2) / (32 * 9)), rel=0.03)
    assert build("model1").convolutions[3].weight.std().item() == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.03)
    assert all(not module.bias.any() for module in model.modules() if isinstance(module, nn.Linear))


def test_weights_follow_torchs_seed():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([parameter.flatten() for parameter in build("nas1").parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    model = build({"model": "Model 2", "activation": activation, "lr": 0.1})
    assert count(model) == 23_932 + (32 + 64 + 9 if activation == "prelu" else 0)
    assert torch.isfinite(model(images(2))).all()


@pytest.mark.parametrize("name", PUBLISHED)
def test_instances_can_be_stacked(name):
    modules = [build(name) for _ in range(2)]
    packed = make_stacks(modules)
    assert not packed.reason
    [(stack, members)] = packed.parts
    assert list(members) == [0, 1]
    cells = torch.stack([images(3, 1), images(3, 2)])
    expected = torch.stack([module(inputs) for module, inputs in zip(modules, cells, strict=True)])
    torch.testing.assert_close(stack(cells), expected, rtol=1e-4, atol=1e-5)


def test_parameters_of_a_candidate():
    params = {"filters": [8, 4], "pooled": 1, "hidden": [5, 3], "joined": "both", "optimiser": "sgd"}
    model = build(params)
    by_hand = 9 * 8 + 9 * 8 * 4 + (4 + 1) * 5 + (5 + 3 + 1) * 3 + (3 + 1)
    assert count(model) == model.architecture.n_parameters == by_hand
    assert architecture_of({"model": "nas2", "joined": "none"}).n_parameters == 15_932 - 9


def test_parameters_survive_a_ledger():
    for name in PUBLISHED:
        assert architecture_of(named(name).params()) == named(name)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "filters, pooled, hidden"),
        ({"filters": [8, 8], "pooled": 1}, "none of hidden"),
        ({"model": "Model 5"}, "'Model 5'"),
        ({"model": "Model 1", "filters": [8]}, r"filters=\[8\]"),
        ({"model": "Model 1", "filters": 8}, "filters=8"),
        ({"model": "Model 1", "filters": [8, 0]}, r"filters=\[8, 0\]"),
        ({"model": "Model 1", "hidden": []}, r"hidden=\[\]"),
        ({"model": "Model 1", "hidden": [9, 9, 9, 9]}, r"one to 3 hidden layers"),
        ({"model": "Model 1", "pooled": 2}, "pooled=2"),
        ({"model": "Model 1", "activation": "swish"}, "'swish'"),
        ({"model": "Model 1", "joined": "energy"}, "'energy'"),
    ],
)
def test_parameters_that_no_architecture_has(params, text):
    with pytest.raises(InputError, match=text):
        build(params)


def test_an_unknown_name():
    with pytest.raises(InputError, match=r"Model 1, .*, NAS 2, came 'resnet'"):
        build("resnet")


def test_without_torch_the_pip_command_is_said(monkeypatch):
    def missing(name, *arguments, **options):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *arguments, **options)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.delitem(sys.modules, "robust_select.problems.ecal.models")
    with pytest.raises(MissingExtraError, match=r'pip install "robust-select\[torch\]"'):
        require_torch()


def test_candidates_can_be_listed_without_torch():
    import subprocess

    code = (
        "import sys; from robust_select.problems.ecal import space; n = len(space()); "
        "print(n, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["6912", "False"]


def test_an_export_that_is_not_there():
    package = importlib.import_module("robust_select.problems.ecal")
    with pytest.raises(AttributeError, match="no attribute 'energy_c'"):
        _ = package.energy_c


def test_a_network_is_an_ordinary_module():
    model = Network(Architecture((4, 4), 3, (3,)))
    other = Network(Architecture((4, 4), 3, (3,)))
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(images(2)), other(images(2)))
