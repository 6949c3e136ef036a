import pytest
import torch
from torch.nn import functional

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError
from robust_select.problems import images
from robust_select.problems.images.activations import ACTIVATIONS, activation
from robust_select.problems.images.convolutional import convolutional_network
from robust_select.problems.images.models import CIFAR10, DIGITS, FASHION_MNIST, build
from robust_select.problems.images.residual import Block, residual_network
from robust_select.problems.images.transformer import Attention, CompactTransformer, DropPath


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_base_model_has_as_many_parameters_as_published():
    network = images.resnet18()
    assert count(network) == 11_173_962
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_parameters_of_smaller_members_by_hand():
    # stem 1*4*9 + 2*4; stage 1: 2*(4*4*9 + 2*4); stage 2: 4*8*9 + 8*8*9 + 2*2*8, around it 4*8 + 2*8; linear 80 + 10
    expected = 44 + 304 + (288 + 576 + 32 + 48) + 90
    assert count(residual_network((1, 1), 4, 1)) == expected
    assert count(residual_network((1, 1), 4, 1, act="prelu")) == expected + 4 + 2 * 4 + 2 * 8
    assert count(convolutional_network(8, 4, 2, has_norm=True)) == 36 + 8 + 288 + 16 + (8 * 4 * 10 + 10)


# Table 2 of Hassani et al. 2021 in millions; depth, convolutions, width, heads, ratio
@pytest.mark.parametrize(
    ("sizes", "millions"),
    [((2, 2, 128, 2, 1), 0.28), ((4, 2, 128, 2, 1), 0.48), ((6, 2, 256, 4, 2), 3.33), ((7, 1, 256, 4, 2), 3.76)],
)
def test_compact_transformers_have_as_many_parameters_as_published(sizes, millions):
    depth, convolutions, width, heads, ratio = sizes
    with torch.device("meta"):
        made = CompactTransformer(width=width, convolutions=convolutions, depth=depth, heads=heads, ratio=ratio)
    assert round(count(made) / 1e6, 2) == millions


def test_each_stage_halves_the_image_and_doubles_the_filters():
    network = residual_network((1, 2, 1), 4, 3, stem_stride=2)
    shapes = []
    for module in network:
        if isinstance(module, Block):
            module.register_forward_hook(lambda _, __, y: shapes.append(tuple(y.shape[1:])))
    network(torch.zeros(2, 3, 32, 32))
    assert shapes == [(4, 16, 16), (8, 8, 8), (8, 8, 8), (16, 4, 4)]


def test_a_block_adds_its_input():
    torch.manual_seed(0)
    block = Block(3, 3, 1, "relu").eval()
    x = torch.randn(2, 3, 5, 5)
    y = functional.conv2d(x, block.convolution1.weight, padding=1) / (1 + 1e-5) ** 0.5  # norm as it begins
    y = functional.conv2d(y.relu(), block.convolution2.weight, padding=1) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), (x + y).relu())
    narrower = Block(3, 4, 2, "relu").eval()
    through = functional.conv2d(x, narrower.shortcut[0].weight, stride=2) / (1 + 1e-5) ** 0.5
    for norm in (narrower.norm2,):
        torch.nn.init.zeros_(norm.weight)
    torch.testing.assert_close(narrower(x), through.relu())


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    ours, theirs = Attention(12, 3), torch.nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.inward.weight)
        theirs.out_proj.weight.copy_(ours.outward.weight)
        theirs.out_proj.bias.copy_(ours.outward.bias)
    x = torch.randn(4, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x, need_weights=False)[0])


def test_drop_path_leaves_out_whole_examples():
    torch.manual_seed(0)
    layer = DropPath(0.25)
    x = torch.randn(2000, 3, 4)
    scale = layer(x) / x
    torch.testing.assert_close(scale, scale[:, :1, :1].expand_as(scale))
    kept = scale[:, 0, 0]
    torch.testing.assert_close(kept[kept > 0], torch.full_like(kept[kept > 0], 4 / 3))
    assert abs(float((kept == 0).float().mean()) - 0.25) < 0.04
    assert torch.equal(layer.eval()(x), x)


def test_a_transformer_pools_its_tokens_by_their_weights():
    torch.manual_seed(0)
    network = CompactTransformer(16, 1, width=8, depth=1, heads=2).eval()
    tokens = {}
    network.norm.register_forward_hook(lambda _, __, y: tokens.update(all=y))
    logits = network(torch.randn(3, 1, 16, 16))
    x = tokens["all"]
    assert x.shape == (3, 16, 8)  # 4 x 4 places
    pooled = torch.stack([(torch.softmax(network.weigh(each)[:, 0], 0) @ each) for each in x])
    torch.testing.assert_close(logits, network.classify(pooled))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_every_activation(name):
    x = torch.randn(2, 3, 4, 4)
    assert activation(name, 3)(x).shape == x.shape


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: activation("rellu", 3), "activation='rellu'"),
        (lambda: residual_network(()), r"blocks=\(\)"),
        (lambda: residual_network(filters=0), "filters=0"),
        (lambda: convolutional_network(8, layers=4), "layers=4"),
        (lambda: CompactTransformer(width=10, heads=4), "width=10"),
        (lambda: CompactTransformer(drop_path=1.0), "drop_path=1.0"),
        (lambda: build({"family": "perceptron"}, DIGITS), "family='perceptron'"),
        (lambda: build({}, DIGITS), "family=None"),
        (lambda: build({"family": "residual", "filtres": 3}, DIGITS), "came filtres=3"),
    ],
)
def test_refuses_what_cannot_be_built(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_built_network_normalises_first():
    torch.manual_seed(0)
    network = build({"family": "convolutional", "filters": 4, "lr": 0.1, "n_train": 5}, DIGITS)
    x = torch.rand(2, 1, 8, 8) * 16
    torch.testing.assert_close(network(x), network[1]((x - DIGITS.means[0]) / DIGITS.stds[0]))


@pytest.mark.parametrize(
    "space", ["variations", "larger_space", "transformers", "small_convolutional", "small_residual"]
)
def test_every_candidate_can_be_built(space):
    candidates = getattr(images, space)()
    assert len({made.name for made in candidates}) == len(candidates)
    assert sum(made.is_base for made in candidates) == 1
    look = {"small_convolutional": DIGITS, "small_residual": FASHION_MNIST}.get(space, CIFAR10)
    architectures = {}
    for made in candidates:
        own = {key: made.params[key] for key in made.params if key not in ("lr", "batch_size", "weight_decay")}
        architectures[str(own)] = made
    with torch.device("meta"):
        for made in architectures.values():
            network = build(made.params, look)
            size = look.size
            assert network(torch.zeros(2, len(look.means), size, size)).shape == (2, 10)


def test_the_spaces_are_those_published():
    candidates = images.variations()
    values = {name: {made.params[name] for made in candidates} for name in ("batch_size", "lr", "weight_decay")}
    assert len(candidates) == 72
    assert values["lr"] == {0.1, 0.12, 0.15, 0.2}
    assert values["weight_decay"] == {1e-5, 1e-4, 1e-3}
    assert (min(values["batch_size"]), max(values["batch_size"]), len(values["batch_size"])) == (128, 1024, 6)
    larger = images.larger_space()
    assert {made.params["activation"] for made in larger} == {"relu", "leaky-relu", "prelu"}
    assert {made.params["filters"] for made in larger} == {32, 64, 128}
    assert {made.params["depth"] for made in images.transformers()} == {6, 7}
    assert len(images.transformers()) == 64
    base = next(made for made in larger if made.is_base)
    assert isinstance(base, Candidate)
    with torch.device("meta"):
        assert count(build(base.params, CIFAR10)) == 11_173_962
