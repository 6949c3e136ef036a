"""Stack, Alone and make_stacks: what they accept, refuse and give back; the count of floating-point operations."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from robust_select.core.errors import InputError
from robust_select.train.nn.stacking import Alone, NotStackableError, Stack, flops_of, make_stacks
from robust_select.train.nn.stacking.layers import LAYERS
from robust_select.train.nn.stacking.rewriting import simplify
from robust_select.train.nn.stacking.tracing import trace


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return self.linear(x) if x.mean() > 0 else self.linear(-x)


class Tied(nn.Module):
    """One weight used twice, a frozen layer, a buffer that differs, a plain tensor that differs."""

    def __init__(self, number):
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.register_buffer("shift", torch.full((4,), float(number)))
        self.scale = torch.full((4,), 1.0 + number)

    def forward(self, x):
        return self.second(F.relu(self.frozen(self.first(x)))) * self.scale + self.shift


def mlp(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))


def parameters_of(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters())


def test_values_are_the_parameters_in_their_order():
    modules = [nn.Sequential(nn.Conv2d(2, 3, 3), nn.PReLU(3), nn.Flatten(), nn.Linear(12, 2)) for _ in range(3)]
    stack = Stack(modules)
    assert stack.values.shape == (3, 54 + 3 + 3 + 24 + 2)
    assert not stack.values.requires_grad
    assert stack.values.is_contiguous()
    assert stack.gradients.is_contiguous()
    for k, module in enumerate(modules):
        assert torch.equal(stack.values[k], parameters_of(module))


def test_the_modules_given_never_change_and_the_ones_given_back_are_copies():
    modules = [mlp(), mlp()]
    before = [parameters_of(module).clone() for module in modules]
    stack = Stack(modules)
    stack.values.add_(1)
    copied = stack.module(1)
    assert torch.equal(parameters_of(copied), stack.values[1])
    with torch.no_grad():
        copied[0].weight.zero_()
    assert bool((stack.values[1] != 0).all())
    assert all(torch.equal(old, parameters_of(module)) for old, module in zip(before, modules, strict=True))
    assert all(parameter.grad is None for parameter in copied.parameters())


def test_gradients_add_up_until_they_are_set_to_zero():
    stack = Stack([mlp(), mlp()])
    x = torch.rand(2, 5, 3)
    stack(x).sum().backward()
    once = stack.gradients.clone()
    stack(x).sum().backward()
    torch.testing.assert_close(stack.gradients, 2 * once)
    stack.zero_gradients()
    assert not stack.gradients.any()


def test_a_stack_trains_on_values_changed_in_place():
    stack = Stack([mlp(), mlp()])
    stack.values[0] = 0
    y = stack(torch.rand(2, 5, 3))
    assert not y[0].any()
    assert y[1].any()


def test_shared_frozen_and_different_constants():
    modules = [Tied(number).double() for number in range(3)]
    for module in modules:
        module.scale = module.scale.double()
    stack = Stack(modules)
    assert stack.values.shape == (3, 16 + 4)
    x = torch.rand(3, 5, 4, dtype=torch.float64)
    y = stack(x)
    y.square().sum().backward()
    for k, module in enumerate(modules):
        alone = module(x[k])
        alone.square().sum().backward()
        torch.testing.assert_close(y[k], alone)
        expected = torch.cat([module.first.weight.grad.flatten(), module.second.bias.grad])
        torch.testing.assert_close(stack.gradients[k], expected)
    stack.keep([2])
    torch.testing.assert_close(stack(x[2:])[0], modules[2](x[2]))
    assert torch.equal(stack.state_dict(0)["shift"], modules[2].shift)


def test_the_mode_is_that_of_the_modules_until_it_is_changed():
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    x = torch.rand(1, 50, 3)
    stack = Stack([module.eval()])
    torch.testing.assert_close(stack(x)[0], module(x[0]))
    assert not stack.module(0).training
    stack.train()
    assert bool((stack(x) == 0).any())
    assert stack.module(0).training


def test_a_forward_that_asks_for_the_mode():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(x) * 2 if self.training else self.linear(x)

    stack = Stack([Scaled(), Scaled()])
    x = torch.rand(2, 5, 3)
    trained = stack(x)
    stack.train(False)
    torch.testing.assert_close(trained, 2 * stack(x))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([mlp(5)], r"module 1 with 0.weight \(5, 3\) float32 where module 0 has 0.weight \(4, 3\) float32"),
        ([mlp(), mlp().double()], r"module 2 with 0.weight \(4, 3\) float64"),
        ([nn.Sequential(nn.Linear(3, 4), nn.ReLU())], r"module 1 with nothing more where module 0 has 2.weight"),
        (
            [nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))],
            r"Tanh\(\) of .* where module 0 has 1: ReLU\(\)",
        ),
    ],
)
def test_modules_of_different_structure_are_refused(others: list[nn.Module], message: str):
    with pytest.raises(InputError, match=message):
        Stack([mlp(), *others])


def test_settings_that_differ_are_refused():
    with pytest.raises(InputError, match=r"Dropout\(p=0.2.*Dropout\(p=0.1"):
        Stack([nn.Sequential(nn.Linear(3, 2), nn.Dropout(p)) for p in (0.1, 0.2)])


def test_no_modules_wrong_inputs_seeds_and_positions_are_refused():
    with pytest.raises(InputError, match="expected at least one module"):
        Stack([])
    stack = Stack([mlp(), mlp()])
    with pytest.raises(InputError, match=r"with K=2, came shape \(3, 5, 3\)"):
        stack(torch.rand(3, 5, 3))
    with pytest.raises(InputError, match="n_instances=2, came 1 seeds"):
        stack.seed_noise([1])
    for positions in ([], [0, 0], [2], [-1]):
        with pytest.raises(InputError, match="expected different positions from 0 to 1"):
            stack.keep(positions)


def test_a_shape_that_does_not_fit_says_where():
    stack = Stack([nn.Sequential(nn.Flatten(), mlp()) for _ in range(2)])
    with pytest.raises(RuntimeError) as caught:
        stack(torch.rand(2, 5, 4))
    (note,) = caught.value.__notes__
    assert note == "in 1.0, when 2 instances ran as one on inputs of shape (K, B, *features) = (2, 5, 4)"


def test_what_cannot_be_stacked_names_the_part_and_the_reason():
    inner = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.TransformerEncoderLayer(3, 1)))
    with pytest.raises(NotStackableError) as caught:
        Stack([inner])
    error = caught.value
    assert (error.module, error.kind) == ("1.1", "TransformerEncoderLayer")
    assert "came TransformerEncoderLayer in '1.1': no rule is known for this kind of layer" in str(error)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.module, again.reason) == (str(error), error.module, error.reason)


def hooked() -> nn.Module:
    module = mlp()
    module[0].register_forward_hook(lambda *_: None)
    return module


def hooked_itself() -> nn.Module:
    module = mlp()
    module.register_full_backward_pre_hook(lambda *_: None)
    return module


def hooked_backwards() -> nn.Module:
    module = mlp()
    module[0].register_full_backward_hook(lambda *_: None)
    return module


def zero_the_gradient(parameter):
    parameter.grad.zero_()


def masked() -> nn.Module:
    module = mlp()
    module[0].weight.register_hook(lambda gradients: gradients * 0)
    module[0].bias.register_post_accumulate_grad_hook(zero_the_gradient)
    return module


def of_two_types() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2).double())


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool1d(2, return_indices=True)

    def forward(self, x):
        return self.pool(x)[0]


@pytest.mark.parametrize(
    ("build", "module", "reason"),
    [
        (hooked, "0", "forward hooks"),
        (hooked_itself, "", "backward hooks"),
        (hooked_backwards, "0", "backward hooks"),
        (masked, "0", "hooks of its parameters"),
        (of_two_types, "", "several types or devices"),
        (TwoInputs, "", "a further one, 'y'"),
        (Twice, "pool", "returns indices"),
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.Softmax()), "1", "has no dim"),
        (lambda: nn.Sequential(nn.Linear(3, 3), Branching()), "1", "cannot be written down without data"),
    ],
)
def test_reasons_not_to_stack(build, module: str, reason: str):
    with pytest.raises(NotStackableError, match=reason) as caught:
        Stack([build(), build()])
    assert caught.value.module == module


class Keeping(nn.Module):
    """A forward that changes in training what the module keeps, in one of several ways."""

    def __init__(self, change):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("count", torch.full((2,), torch.nan))
        self.n_calls = 0
        self.change = change

    def forward(self, x):
        if self.training:
            self.change(self, x)
        return self.linear(x)


def replace_the_buffer(module, x):
    module.count = module.count + 1


def count_calls(module, x):
    module.n_calls += 1


def remember_the_input(module, x):
    module.n_calls = x


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda module, x: module.count.fill_(1), "changes 'count'"),
        (lambda module, x: module.count.add_(x.detach().mean()), "changes in place"),
        (replace_the_buffer, "changes 'count'"),
        (count_calls, "changes 'n_calls'"),
    ],
)
def test_a_forward_that_changes_what_the_module_keeps_is_not_stacked(change, reason: str):
    modules = [nn.Sequential(Keeping(change)) for _ in range(2)]
    with pytest.raises(NotStackableError, match=reason) as caught:
        Stack(modules)
    assert caught.value.module == "0"
    assert [bool(module[0].count.isnan().all()) for module in modules] == [True, True], "the user's is as it was"
    assert modules[0][0].n_calls == 0


def test_a_forward_that_keeps_what_it_never_reads_is_stacked():
    assert make_stacks([Keeping(remember_the_input) for _ in range(2)], torch.rand(4, 3)).reason is None
    assert make_stacks([Keeping(lambda module, x: None) for _ in range(2)], torch.rand(4, 3)).reason is None


def test_a_trial_that_only_the_stack_fails_is_a_reason(monkeypatch):
    def fails(*_):
        raise RuntimeError("no such kernel")

    monkeypatch.setitem(LAYERS, nn.Linear, fails)
    packed = make_stacks([mlp(), mlp()], torch.rand(4, 3))
    assert "raised RuntimeError: no such kernel" in packed.reason
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        make_stacks([mlp(), mlp()], torch.rand(4, 4))  # the module's own fault


def test_what_cannot_be_stacked_trains_alone_with_the_same_numbers():
    torch.manual_seed(0)
    modules = [nn.Sequential(Branching(), nn.Dropout(0.3)) for _ in range(3)]
    packed = make_stacks(modules)
    assert "came Branching in '0'" in packed.reason
    assert [positions for _, positions in packed.parts] == [(0,), (1,), (2,)]
    x = torch.rand(3, 4, 8, 3)
    for k, (alone, _) in enumerate(packed.parts):
        assert isinstance(alone, Alone)
        alone.seed_noise([k])
        torch.manual_seed(k)
        optimiser = torch.optim.SGD(modules[k].parameters(), lr=0.1)
        drawn = torch.random.get_rng_state()
        for batch in x[k]:
            alone.zero_gradients()
            y = alone(batch.unsqueeze(0))
            y.square().sum().backward()
            assert torch.equal(torch.random.get_rng_state(), drawn), "a module alone draws from its own stream"
            alone.values.sub_(0.1 * alone.gradients)
            optimiser.zero_grad()
            z = modules[k](batch)
            drawn = torch.random.get_rng_state()
            z.square().sum().backward()
            optimiser.step()
            torch.testing.assert_close(y[0], z)
            assert torch.equal(y[0] == 0, z == 0), "the same draws"
        torch.testing.assert_close(alone.values[0], parameters_of(modules[k]))
        torch.testing.assert_close(alone.state_dict(0), dict(modules[k].state_dict()))
        alone.keep([0])
        alone.train(False)
        torch.testing.assert_close(alone(x[k, :1])[0], modules[k].eval()(x[k, 0]))
        given = alone.module(0)
        alone.values.zero_()
        assert bool(given[0].linear.weight.any())


def test_a_module_alone_keeps_the_hooks_of_its_parameters():
    module = masked()
    ((alone, _),) = make_stacks([module]).parts
    x = torch.rand(4, 3)
    module(x).square().sum().backward()
    alone(x.unsqueeze(0)).square().sum().backward()
    assert not module[0].weight.grad.any()
    assert not module[0].bias.grad.any()
    expected = torch.cat([parameter.grad.flatten() for parameter in module.parameters()])
    torch.testing.assert_close(alone.gradients[0], expected)


def test_alone_refuses_what_a_stack_of_one_refuses():
    alone = Alone(mlp())
    with pytest.raises(InputError, match=r"came shape \(2, 5, 3\)"):
        alone(torch.rand(2, 5, 3))
    with pytest.raises(InputError, match="expected one seed"):
        alone.seed_noise([1, 2])
    with pytest.raises(InputError, match=r"positions=\[1\]"):
        alone.keep([1])


def test_modules_that_can_be_stacked_are_one_stack():
    packed = make_stacks([mlp() for _ in range(4)], example=torch.rand(6, 3))
    ((stack, positions),) = packed.parts
    assert isinstance(stack, Stack)
    assert positions == (0, 1, 2, 3)
    assert packed.reason is None
    assert stack.module(0).training


def test_a_trial_finds_a_stack_that_gives_something_else():
    class Aliased(nn.Module):
        """Changes x through a view of it, which the tracer does not see."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            y = self.linear(x)
            view = y.view(-1)
            view.relu_()
            return y

    modules = [Aliased() for _ in range(2)]
    assert make_stacks(modules).reason is None
    packed = make_stacks(modules, example=torch.rand(6, 3))
    assert "a trial of the stack gave other outputs" in packed.reason
    assert len(packed.parts) == 2


def test_pools_and_flattens_come_before_what_feeds_them_alone():
    class Net(nn.Module):
        def __init__(self, keep):
            super().__init__()
            self.conv, self.act, self.pool = nn.Conv2d(1, 2, 3), nn.LeakyReLU(), nn.MaxPool2d(2)
            self.keep = keep

        def forward(self, x):
            y = self.act(self.conv(x))
            z = torch.flatten(F.relu(self.pool(torch.tanh(y))), 1)
            return z + y.sum() if self.keep else z

    def order(net):
        graph = trace(net, training=True)
        simplify(graph, net)
        graph.lint()
        return [node.name for node in graph.nodes if node.op.startswith("call")]

    assert order(Net(keep=False)) == ["conv", "pool", "flatten", "act", "tanh", "relu"]
    assert order(Net(keep=True))[:4] == ["conv", "act", "pool", "flatten"]


@pytest.mark.parametrize("slope", [-0.1, 0.1])
def test_a_falling_activation_stays_before_its_pool(slope: float):
    net = nn.Sequential(nn.Conv1d(1, 1, 2), nn.LeakyReLU(slope), nn.MaxPool1d(2))
    graph = trace(net, training=True)
    simplify(graph, net)
    order = [node.target for node in graph.nodes if node.op == "call_module"]
    assert order == (["0", "1", "2"] if slope < 0 else ["0", "2", "1"])


def test_the_count_of_operations_by_hand():
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(576, 9), nn.ReLU(), nn.Linear(9, 1),
    )  # fmt: skip
    first, second, linear = 13 * 13 * 32 * 9, 6 * 6 * 64 * 32 * 9, 576 * 9 + 9
    assert flops_of(net, [1, 15, 15]) == 2 * (2 * first + 3 * second + 3 * linear)
    depthwise = nn.Sequential(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, groups=8))
    assert flops_of(depthwise, [4, 5, 5]) == 2 * (2 * 25 * 32 + 3 * 9 * 8 * 9)
    assert all(parameter.grad is None for parameter in net.parameters())
