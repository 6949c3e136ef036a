"""Trains networks of PyTorch: one instance, or a stack of them as one.

Called by executors and by users. Knows nothing of rules, studies or ledgers, and of torch nothing until it trains.
"""

import copy
import functools
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust_select.core.candidates import params_json
from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.instances import Instance, Outcome, State, seeds_for
from robust_select.train.nn.checkpoints import save_instance
from robust_select.train.nn.data import Data
from robust_select.train.nn.settings import NAMES, STACKED, Settings, settings_from

if TYPE_CHECKING:
    from torch import nn

    from robust_select.train.nn.examples import Examples
    from robust_select.train.nn.fitting import Augment, Fitted, Objective
    from robust_select.train.nn.losses import Loss, Score
    from robust_select.train.nn.stacking import Alone, Stack

_logger = logging.getLogger("robust_select")
_ONE_AT_A_TIME = threading.RLock()  # torch's generator and its tracing of modules belong to all threads of a process
_ENDLESS = 1_000_000  # epochs of a training that is only timed
_HELD = ("_found", "_tensors", "_said", "_shapes", "_reasons", "_keys")  # what a trainer finds out for itself
_MOST_KEYS = 100_000  # remembered stack keys
_PLAIN = (int, float, str, bool, type(None))  # equal values of one of these types give equal keys


class TorchTrainer:
    """Trains networks on a sample of the data and scores them on held-out examples after every epoch.

    A candidate's parameters go to ``build``; those with the name of a setting (``lr``, ``batch_size``, ... see
    ``Settings``) override the defaults, too. Everything random follows from the instance's seeds: initial weights,
    training sample, batch order, dropout and augmentation. Instances that differ in nothing but seeds, learning rate,
    weight decay and the like are trained as one; each ends as if it was trained alone, but for rounding.

    Args:
        build: ``build(params)`` gives an untrained ``torch.nn.Module`` for inputs (B, *features).
        data: the data, or an importable function that loads them; it is called once a process.
        loss: "mse", "mae", "huber", "relative-mse", "cross-entropy", "binary-cross-entropy" (both of logits), or a
            function from predictions (N, *outputs) and targets (N, *) to a loss an example, (N,).
        score: of the held-out examples: a loss by name (its mean), "rmse", "relative-rmse", "accuracy", "error", or a
            function from predictions and targets to a number; None for the mean loss.
        defaults: settings that hold where a candidate says nothing else.
        augment: changes a batch of an instance before a step: from inputs (B, *features) and a ``torch.Generator`` of
            the instance to inputs of the same shape.
        device: "cpu", or a device that torch knows, such as "cuda".
        checkpoints: a folder for the trained weights of every instance; None keeps none. See ``load_instance``.

    Raises:
        MissingExtraError: torch is not installed.
        InputError: an unknown loss, score or setting, a device that is not there, or no data.

    Example:
        >>> import numpy as np, torch
        >>> from robust_select.core.instances import seeds_for
        >>> inputs = np.random.default_rng(0).normal(size=(80, 2))
        >>> targets = inputs @ [1.0, -2.0]
        >>> data = Data(inputs[:64], targets[:64], inputs[64:], targets[64:])
        >>> trainer = TorchTrainer(lambda params: torch.nn.Linear(2, 1), data, defaults={"epochs": 60})
        >>> trainer({"lr": 0.1}, Instance("linear", 0, seeds_for(7, 0))).score < 0.01
        True
    """

    def __init__(
        self,
        build: "Callable[[Mapping[str, Any]], nn.Module]",
        data: Data | Callable[[], Data],
        *,
        loss: "str | Loss" = "mse",
        score: "str | Score | None" = None,
        defaults: Mapping[str, Any] | Settings | None = None,
        augment: "Augment | None" = None,
        device: str = "cpu",
        checkpoints: str | Path | None = None,
    ) -> None:
        if not callable(build):
            raise InputError(f"expected build(params) that gives a module, came build={build!r}")
        if not isinstance(data, Data) and not callable(data):
            raise InputError(f"expected Data, or a function that loads them, came data={data!r}")
        if augment is not None and not callable(augment):
            raise InputError(f"expected augment(inputs, generator) or None, came augment={augment!r}")
        self._build, self._data, self._augment = build, data, augment
        self._loss, self._score = loss, score
        self._defaults = settings_from(defaults)
        self._device = str(device)
        self._checkpoints = None if checkpoints is None else Path(checkpoints).absolute()
        self._found: Data | None = None
        self._is_rounded = False
        self._forget()
        _check_device(self._device)
        self._objective()  # an unknown loss or score is said now
        self.__qualname__ = self._name()  # what the ledger calls the trainer

    def __call__(self, params: Mapping[str, Any], instance: Instance) -> Outcome:
        """Train one instance.

        Raises:
            InputError: settings out of range, a module that does not fit the data.
        """
        return self.train_together([params], [instance])[0]

    def stack_key(self, params: Mapping[str, Any]) -> str:
        """Say what instances must have in common to be trained as one.

        These are the parameters that only ``build`` knows, and all settings but the learning rate and the like.
        """
        if any(type(value) not in _PLAIN for value in params.values()):
            return self._stack_key(params)
        known = tuple((name, type(value), value) for name, value in params.items())
        if known not in self._keys:
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            self._keys[known] = self._stack_key(params)
        return self._keys[known]

    def _stack_key(self, params: Mapping[str, Any]) -> str:
        own = {name: value for name, value in asdict(self._settings(params)).items() if name not in STACKED}
        return params_json({"settings": own, "params": {key: params[key] for key in params if key not in NAMES}})

    def train_together(self, params: Sequence[Mapping[str, Any]], instances: Sequence[Instance]) -> list[Outcome]:
        """Train several instances of one stack key as one.

        Args:
            params: (K,) of their candidates.
            instances: (K,).

        Returns:
            (K,) outcomes: the curve has the score after each epoch, the seconds are each one's share of the time.

        Raises:
            InputError: settings out of range, modules that do not fit the data or each other.
        """
        with _ONE_AT_A_TIME:
            return self._train(params, instances)

    def _train(self, params: Sequence[Mapping[str, Any]], instances: Sequence[Instance]) -> list[Outcome]:
        from robust_select.train.nn.building import check_module
        from robust_select.train.nn.fitting import Fit
        from robust_select.train.nn.stacking import Alone, NotStackableError

        began = time.perf_counter()
        settings = [self._settings(own) for own in params]
        examples = self._examples(settings[0].dtype)
        _check_sample(settings[0], len(examples.inputs))
        modules = [self._module(own, instance, examples) for own, instance in zip(params, instances, strict=True)]
        check_module(modules[0], examples, self._loss)
        outcomes: dict[int, Outcome] = {}

        def run(stack: "Stack | Alone", members: Sequence[int]) -> list[Outcome]:
            own = [instances[at] for at in members]
            fit = Fit(stack, examples, [settings[at] for at in members], own, self._objective())
            return [
                self._ended(stack, found, params[at], instances[at])
                for found, at in zip(fit.run(), members, strict=True)
            ]

        for stack, members in self._stacks(modules, settings, examples):
            try:
                outcomes.update(zip(members, run(stack, members), strict=True))
            except NotStackableError as error:  # seen only when the module runs
                self._warn(str(error), members)
                for at in members:
                    outcomes.update(zip([at], run(Alone(modules[at]), [at]), strict=True))
        share = (time.perf_counter() - began) / len(instances)
        return [replace(outcomes[at], seconds=share) for at in range(len(instances))]

    def _ended(
        self, stack: "Stack | Alone", fitted: "Fitted", params: Mapping[str, Any], instance: Instance
    ) -> Outcome:
        """Make an outcome, and keep the weights where that is wanted."""
        if fitted.is_stopped:
            return Outcome.pruned(fitted.curve)
        is_complete = fitted.position is not None
        if self._checkpoints is not None and fitted.position is not None:
            save_instance(self._checkpoints, params, instance, fitted.score, stack.state_dict(fitted.position))
        return Outcome(fitted.score, tuple(fitted.curve), state=State.COMPLETE if is_complete else State.DIVERGED)

    def stack_size(self, params: Mapping[str, Any]) -> int:
        """Measure how many instances of this key are best trained as one; measured once and remembered.

        Raises:
            InputError: settings out of range, or a module that does not fit the data.
        """
        with _ONE_AT_A_TIME:
            return self._stack_size(params)

    def _stack_size(self, params: Mapping[str, Any]) -> int:
        import torch

        from robust_select.train.nn.fitting import Fit
        from robust_select.train.nn.sizes import best_size
        from robust_select.train.nn.stacking import NotStackableError, make_stacks

        if self.why_alone(params):
            return 1
        settings = self._settings(params)
        if settings.stack_size is not None:
            return settings.stack_size
        examples = self._examples(settings.dtype)
        endless = replace(settings, epochs=_ENDLESS)

        def step_of(size: int) -> Callable[[], object]:
            instances = [Instance("measured", k, seeds_for(0, k)) for k in range(size)]
            modules = [self._module(params, instance, examples) for instance in instances]
            ((stack, _),) = make_stacks(modules).parts
            fit = Fit(stack, examples, [endless] * size, instances, self._objective())
            return lambda: fit.train_batch(rows.repeat(size), size).tolist()  # waits for a device that works ahead

        rows = examples.rows(min(settings.batch_size, settings.n_train or len(examples.inputs)))
        module = self._module(params, Instance("measured", 0, seeds_for(0, 0)), examples)
        shapes = [tuple(parameter.shape) for parameter in module.parameters()]
        loss = self._loss if isinstance(self._loss, str) else "own"
        described = (repr(module), shapes, settings.optimiser, settings.dtype, tuple(examples.inputs.shape[1:]), loss)
        is_alone = torch.get_num_threads() == 1 and torch.device(self._device).type == "cpu"
        clock = time.process_time if is_alone else time.perf_counter  # what other programs take does not count
        what = f"{described}, {len(rows)}, {self._device}, {self._augment is not None}"
        try:
            return best_size(what, step_of, clock)
        except NotStackableError as error:  # seen only when the module is trained
            self._reasons[self.stack_key(params)] = str(error)
            return 1

    def why_alone(self, params: Mapping[str, Any]) -> str:
        """Say which part of the module is the reason that instances are trained one by one; empty if they are not.

        Raises:
            InputError: settings out of range, or a module that does not fit the data.
        """
        key = self.stack_key(params)
        with _ONE_AT_A_TIME:
            if key not in self._reasons:
                self._reasons[key] = self._why_alone(params)
            return self._reasons[key]

    def _why_alone(self, params: Mapping[str, Any]) -> str:
        from robust_select.train.nn.building import check_module
        from robust_select.train.nn.stacking import make_stacks

        examples = self._examples(self._settings(params).dtype)
        instances = [Instance("tried", k, seeds_for(0, k)) for k in range(2)]
        modules = [self._module(params, instance, examples) for instance in instances]
        check_module(modules[0], examples, self._loss)
        try:
            return make_stacks(modules, examples.few()).reason or ""
        except InputError as error:  # modules that differ from seed to seed
            return str(error)

    def with_data_in(self, folder: Path) -> "TorchTrainer":
        """Write the data to files of a folder; give a trainer that maps them, so that all processes share them."""
        shared = copy.copy(self)
        data, dtype = self._found or self._load(), self._defaults.dtype
        shared._data, shared._is_rounded = data.saved(folder, dtype), data.is_rounded(dtype)
        return shared

    def _module(self, params: Mapping[str, Any], instance: Instance, examples: "Examples") -> "nn.Module":
        """Build an instance's module; the same parameters have to give the same shapes each time."""
        from robust_select.train.nn.building import build_module

        module = build_module(self._build, params, instance, examples)
        shapes = tuple((name, tuple(parameter.shape)) for name, parameter in module.named_parameters())
        known = self._shapes.setdefault(params_json(params), shapes)
        if known != shapes:
            now, before = next(pair for pair in zip_longest(shapes, known) if pair[0] != pair[1])
            raise InputError(
                f"expected build to give modules of the same shapes for the same parameters, came {now} where it "
                f"gave {before} before, for candidate {instance.candidate!r}, replicate {instance.replicate}: let "
                "shapes depend on nothing but params"
            )
        return module

    def _stacks(
        self, modules: "Sequence[nn.Module]", settings: Sequence[Settings], examples: "Examples"
    ) -> "list[tuple[Stack | Alone, list[int]]]":
        """Stack what can be stacked; give the stacks, and who is in each."""
        from robust_select.train.nn.stacking import make_stacks

        alike = defaultdict(list)  # build may look at a setting in which members differ: each kind by itself
        for at in sorted(range(len(modules)), key=lambda at: repr(settings[at].hyperparameters())):
            alike[repr(modules[at])].append(at)
        found = []
        for members in alike.values():
            packed = make_stacks([modules[at] for at in members], examples.few())
            self._warn(packed.reason, members)
            found += [(stack, [members[position] for position in positions]) for stack, positions in packed.parts]
        return found

    def _warn(self, reason: str | None, members: Sequence[int]) -> None:
        """Say once why instances are trained one by one that were to be trained together."""
        if reason and len(members) > 1 and reason not in self._said:
            self._said.add(reason)
            _logger.warning("trained one by one: %s", reason)

    def _settings(self, params: Mapping[str, Any]) -> Settings:
        return self._defaults.overridden(params)

    def _objective(self) -> "Objective":
        from robust_select.train.nn.fitting import Objective
        from robust_select.train.nn.losses import loss, mean_of, score

        reported = mean_of(self._loss) if self._score is None else score(self._score)
        return Objective(loss(self._loss), reported, self._augment)

    def _examples(self, dtype: str) -> "Examples":
        """Give the data as tensors, made once."""
        from robust_select.train.nn.examples import Examples

        if dtype not in self._tensors:
            if self._is_rounded and dtype != self._defaults.dtype:
                raise InputError(
                    f"expected dtype={dtype!r} among the trainer's defaults, came it from a candidate: the data, "
                    f"which are more precise, were written in {self._defaults.dtype} for all workers. Set it in "
                    "TorchTrainer(defaults=...), where candidates may ask for less, or train with workers=1"
                )
            has_labels = callable(self._loss) or self._loss == "cross-entropy"
            self._tensors[dtype] = Examples.of(self._loaded(), dtype, self._device, has_labels)
        return self._tensors[dtype]

    def _loaded(self) -> Data:
        """Give the data; a function that loads them is called once."""
        if self._found is None:
            self._found = self._load()
        return self._found

    def _load(self) -> Data:
        if isinstance(self._data, Data):
            return self._data
        found = self._data()
        if not isinstance(found, Data):
            raise InputError(f"expected the function that loads the data to give Data, came {found!r}")
        return found

    def _forget(self) -> None:
        """Hold nothing but what was given."""
        self._found = None
        self._tensors: dict[str, Examples] = {}
        self._said: set[str] = set()
        self._shapes: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = {}
        self._reasons: dict[str, str] = {}
        self._keys: dict[tuple[tuple[str, type, Any], ...], str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _HELD}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _name(self) -> str:
        """Name the trainer as the ledger knows it: what would be another study if it were different."""
        build: Any = self._build
        while isinstance(build, functools.partial):
            build = build.func
        changed = {
            name: value for name, value in asdict(self._defaults).items() if value != getattr(Settings(), name)
        }
        shown = [getattr(build, "__qualname__", type(build).__qualname__)]
        functions = (("loss", self._loss), ("score", self._score), ("augment", self._augment))
        shown += [f"{name}={_shown(function)}" for name, function in functions if function is not None]
        shown += [f"{name}={value}" for name, value in changed.items() if name != "stack_size"]
        return f"TorchTrainer({', '.join(shown)})"


def _shown(function: Any) -> str:
    return str(getattr(function, "__qualname__", function))


def _check_sample(settings: Settings, n_population: int) -> None:
    if settings.resample == "subset" and settings.n_train is not None and settings.n_train > n_population:
        raise InputError(
            f"expected a training sample of at most the {n_population} examples of the population, came "
            f"n_train={settings.n_train}: draw fewer, or resample='bootstrap'"
        )


def _check_device(device: str) -> None:
    """Make sure that a device is there.

    Raises:
        MissingExtraError: torch is not installed.
        InputError: torch does not know the device, or it is not there.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "torch") from error
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: torch without CUDA
        reason = str(error).splitlines()[0]
        raise InputError(
            f"expected a device that is there, came device={device!r} ({reason}): device='cpu' always is"
        ) from error
