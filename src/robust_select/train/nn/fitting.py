"""The fitting loop: a stack of instances, epoch by epoch, each with its own sample, order, noise and settings.

Called by the trainer beside this file. Knows nothing of candidates, executors or how a stack is made.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robust_select.core.errors import InputError
from robust_select.core.instances import Instance
from robust_select.core.protocols import Ints
from robust_select.train.nn.examples import Examples
from robust_select.train.nn.losses import Loss, Score
from robust_select.train.nn.optimisers import clip_gradients, optimiser
from robust_select.train.nn.parts import PartwiseOptimiser
from robust_select.train.nn.sampling import Batches, augmentation_seed, noise_seed, training_sample
from robust_select.train.nn.settings import Settings
from robust_select.train.nn.stacking import Alone, Stack

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""From a batch of inputs (B, *features) and the instance's generator to what is trained on instead."""

_NUMBERS_EVALUATED_AT_ONCE = 2**18  # of all instances' inputs: what they become has to fit the cache
_LEAST_EVALUATED, _MOST_EVALUATED = 16, 4096  # examples at once


@dataclass(frozen=True)
class Objective:
    """What is minimised, and what is reported.

    Attributes:
        loss: from predictions (N, *outputs) and targets (N, *) to a loss an example, (N,).
        score: from all held-out predictions and targets to the score.
        augment: changes training batches; None for no augmentation.
    """

    loss: Loss
    score: Score
    augment: Augment | None


@dataclass
class Fitted:
    """What became of an instance.

    Attributes:
        curve: (E,) score after each epoch; the last one is not finite where the score diverged.
        position: in the stack as it is at the end; None if it was given up.
        is_stopped: whether it was given up because the study asked for it, not because it diverged.
    """

    curve: list[float]
    position: int | None
    is_stopped: bool = False

    @property
    def score(self) -> float:
        """The last score; nan if it was given up."""
        return math.nan if self.position is None else self.curve[-1]


class Fit:
    """A stack in training: what is in memory between two steps.

    An instance whose training loss or score is not finite after an epoch, or misses a limit that its study has set
    there, is given up; the others do not notice.

    Args:
        stack: of K instances, with their initial weights.
        examples: the data.
        settings: (K,) that differ in nothing but what a stack allows.
        instances: (K,) their seeds are used.
        objective: loss, score, augmentation.
    """

    def __init__(
        self,
        stack: Stack | Alone,
        examples: Examples,
        settings: Sequence[Settings],
        instances: Sequence[Instance],
        objective: Objective,
    ) -> None:
        common = settings[0]
        self._stack, self._examples, self._objective = stack, examples, objective
        samples = np.stack([training_sample(instance, len(examples.inputs), common) for instance in instances])
        self._batches = Batches(instances, samples, common.batch_size)
        hyperparameters = [own.hyperparameters() for own in settings]
        self._optimiser = (
            PartwiseOptimiser(common.optimiser, stack, hyperparameters)
            if isinstance(stack, Alone)
            else optimiser(common.optimiser, stack.values, hyperparameters)
        )
        self._schedule = common.learning_rates(-(-samples.shape[1] // common.batch_size))
        self._n_epochs = common.epochs
        norms = [math.inf if own.clip_norm is None else own.clip_norm for own in settings]
        self._clip = torch.tensor(norms, dtype=examples.dtype, device=examples.inputs.device)
        self._is_clipped = min(norms) < math.inf
        self._generators = [torch.Generator().manual_seed(augmentation_seed(instance)) for instance in instances]
        stack.seed_noise([noise_seed(instance) for instance in instances])
        self._fitted = [Fitted([], position) for position in range(len(instances))]
        self._instances = instances
        self._step = 0

    def run(self) -> list[Fitted]:
        """Train to the end.

        Returns:
            (K,) what became of each.
        """
        for epoch in range(1, self._n_epochs + 1):
            losses = self.train_epoch()
            self._give_up([math.isfinite(loss) for loss in losses])
            if not self._alive():
                break
            scores = self.evaluate()
            for fitted, score in zip(self._alive(), scores, strict=True):
                fitted.curve.append(score)
            self._give_up([math.isfinite(score) for score in scores])
            if epoch < self._n_epochs:
                self._stop_where_asked()
            if not self._alive():
                break
        return self._fitted

    def train_epoch(self) -> list[float]:
        """Train one epoch.

        Returns:
            (K,) mean of the steps' losses; not finite where one of them was not.
        """
        whole, rest = self._batches.epoch()
        self._stack.train()
        total = torch.zeros(whole.shape[1], dtype=torch.float64, device=self._examples.inputs.device)
        n_steps = 0
        for rows in (whole, rest[None]):
            if rows.shape[2] == 0:
                continue
            for chosen in self._on_device(rows):
                try:
                    total += self.train_batch(chosen.view(-1), chosen.shape[0])
                except ValueError as error:
                    self._explain(error, chosen.shape[1])
                    raise
                n_steps += 1
        found: list[float] = (total / n_steps).tolist()
        return found

    def train_batch(self, rows: Tensor, n_instances: int) -> Tensor:
        """Take one step.

        Args:
            rows: (K*B,) positions in the population, instance by instance.
            n_instances: K.

        Returns:
            (K,) losses before the step.
        """
        examples, stack = self._examples, self._stack
        inputs = examples.ready(examples.inputs.index_select(0, rows))
        inputs = inputs.view(n_instances, -1, *inputs.shape[1:])
        if self._objective.augment is not None:
            augment = self._objective.augment
            inputs = torch.stack([augment(own, made) for own, made in zip(inputs, self._generators, strict=True)])
        stack.zero_gradients()
        predictions = stack(inputs).flatten(0, 1)
        by_example = self._objective.loss(predictions, examples.targets.index_select(0, rows))
        losses = by_example.view(n_instances, -1).mean(dim=1)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if self._is_clipped:
            clip_gradients(stack.gradients, self._clip)
        self._optimiser.step(stack.gradients, self._schedule.factor(self._step), self._schedule.momentum(self._step))
        self._step += 1
        return losses.detach()

    def evaluate(self) -> list[float]:
        """Score every instance on the held-out examples.

        Returns:
            (K,) scores.
        """
        examples, stack = self._examples, self._stack
        n_instances, n_held_out = stack.n_instances, len(examples.held_out_inputs)
        n_numbers = max(1, examples.held_out_inputs[0].numel()) * n_instances
        n_at_once = min(max(_NUMBERS_EVALUATED_AT_ONCE // n_numbers, _LEAST_EVALUATED), _MOST_EVALUATED)
        stack.train(False)
        found = []
        with torch.no_grad():
            for first in range(0, n_held_out, n_at_once):
                inputs = examples.ready(examples.held_out_inputs[first : first + n_at_once])
                found.append(stack(inputs.unsqueeze(0).expand(n_instances, *inputs.shape)))
            predictions = torch.cat(found, dim=1)
            return [self._objective.score(own, examples.held_out_targets) for own in predictions]

    def _explain(self, error: ValueError, n_examples: int) -> None:
        """Say what to do where a batch of one example meets a batch normalisation.

        Raises:
            InputError: if that is so.
        """
        if n_examples > 1 or "more than 1 value per channel" not in str(error):
            return
        n_train, batch_size = self._batches.n_train, self._batches.batch_size
        raise InputError(
            "expected batches of two examples or more, which batch normalisation needs, came a batch of one: "
            f"n_train={n_train} examples in batches of batch_size={batch_size} leave {n_train % batch_size or 1} for "
            "the last. Take another n_train or batch_size"
        ) from error

    def _on_device(self, rows: Ints) -> Tensor:
        return torch.from_numpy(rows).to(self._examples.inputs.device)

    def _alive(self) -> list[Fitted]:
        """The instances that go on, in the order in which they are in the stack."""
        return [fitted for fitted in self._fitted if fitted.position is not None]

    def _stop_where_asked(self) -> None:
        """Give up those who miss a limit of their study."""
        for fitted, instance in zip(self._fitted, self._instances, strict=True):
            if fitted.position is not None:
                fitted.is_stopped = instance.should_stop(fitted.curve)
        self._give_up([not fitted.is_stopped for fitted in self._alive()])

    def _give_up(self, keeps: list[bool]) -> None:
        """Go on with those instances of the stack that are to be kept."""
        if all(keeps):
            return
        positions = [position for position, is_kept in enumerate(keeps) if is_kept]
        for old, fitted in enumerate(self._alive()):
            fitted.position = positions.index(old) if keeps[old] else None
        if not positions:
            return
        self._stack.keep(positions)
        self._optimiser.keep(positions, self._stack.values)
        self._batches.keep(positions)
        self._clip = self._clip[positions]
        self._generators = [self._generators[position] for position in positions]
