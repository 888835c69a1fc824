"""Training of a population: each network with its own data, noise and seeds, all of them in one step.

The remedies of Goeltz et al. 2021 (methods) are in `bumping` (silent neurons), in `batches` (noise on the input times),
and in the kernels of the derivatives by the weights (the limit on them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.errors import RunFailed
from ttfsrun.files import expand_user
from ttfsrun.network import Network, build, emulate
from ttfsrun.neuron.draws import StepNumber
from ttfsrun.substrate.emulation import IDEAL, Operation
from ttfsrun.training.batches import Batches, tensors_of
from ttfsrun.training.checkpoint import load_network
from ttfsrun.training.network_file import START_VERSION, require_fitting_start
from ttfsrun.training.optimizer import schedule
from ttfsrun.training.recording import Repetition
from ttfsrun.training.responses import OperationOfBatch, score
from ttfsrun.training.state import TrainingState
from ttfsrun.training.step import Step
from ttfsrun.training.sums import means


class Diverged(RunFailed):
    """A loss, a gradient, a weight or a delay of one network of the population is no longer finite."""

    def __init__(self, text: str, network: int) -> None:
        super().__init__(text)
        self.network = network


def _beginning(configs: Sequence[Config]) -> Network:
    """Return the networks before the first epoch. Raises UserError where a stored one does not fit."""
    network = build(configs)
    for p, file in enumerate(config.training.start for config in configs):
        if file is None:
            continue
        require_fitting_start(configs[p])
        stored = load_network(expand_user(file), START_VERSION)
        for tensor, values in zip(network.learned.tensors, stored.tensors, strict=True):
            tensor[p] = values[0]
    return network


class Trainer:
    """Training of networks whose configurations differ only in settings that each network may have of its own."""

    def __init__(
        self,
        configs: Sequence[Config],
        train: Samples,
        valid: Samples,
        state: TrainingState | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """device: that computes, and holds the state. It makes no difference to a result."""
        self.configs, self.device = list(configs), torch.device(device)
        self.settings = configs[0].training
        self.batches = Batches(configs, train, self.settings.batch_size, self.device)
        self.n_samples, self._valid = len(train.labels), tensors_of(valid, self.device)
        self.network = _beginning(configs).to(self.device)
        self.substrates = emulate(configs, [config.training.perturbed for config in configs], self.device)
        if state is None:
            self.substrates.project(self.network.weights)
            state = TrainingState.initial(self.network, self.settings.epochs)
        self.state = state.to(self.device)
        self._step = self._new_step()
        self._epoch = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.on_gpu = self._new_repetition()

    def run_epoch(self, after_batch: Callable[[int], None] = lambda batch: None) -> None:
        """Train for one epoch and validate.

        after_batch is called with the number of batches done. Raises Diverged where a loss, a gradient or a weight is
        no longer finite. After any exception the state is undefined: continue from a copy made before the epoch.
        """
        epoch = self.state.epoch
        if self._step.state is not self.state:
            self._step, self.on_gpu = self._new_step(), self._new_repetition()
        self._step.begin(self._rates(epoch), self._on_bumps(epoch))
        if self.device.type == "cpu":
            for batch in self._work(epoch):
                after_batch(batch)
        else:
            self._epoch.fill_(epoch)
            self.on_gpu.do(lambda: self._work(self._epoch), after_batch)
            self._require_finite()
        trained = means(self._step.sums.totals, self.n_samples, self._sizes)
        self.state.curves[epoch] = torch.stack((trained, self._validated), dim=1)
        self._update_best(self._validated)
        self.state.epoch += 1

    def _work(self, epoch: StepNumber) -> Iterator[int]:
        """Train for one epoch and validate; yields the number of batches done.

        A GPU is not waited for. Only the age of the chips depends on the epoch otherwise than through the argument.
        """
        network, first, age = self.last(), epoch * self.n_batches, self.state.epoch
        for batch, received in enumerate(self.batches.of_epoch(epoch)):
            step = first + batch
            operation = self.substrates.during("training", step, writing=step, age=age)
            self._step.take(network, operation, received)
            if self.device.type == "cpu":  # to look at a GPU's numbers is to wait for it
                self._require_finite()
            self.substrates.project(network.weights)
            network.constrain_delays()
            yield batch + 1
        self._validated = score(network, self._valid, self.settings.loss, *self._validation(epoch))

    def _rates(self, epoch: int) -> Tensor:
        """Return each network's learning rates in an epoch, of weights and delays, [P, 2], float64."""
        rates = []
        for config, factor in zip(self.configs, self._factors(epoch), strict=True):
            rate, delay_rate = config.training.optimizer.learning_rate, config.training.optimizer.delay_learning_rate
            rates.append([rate * factor, (rate if delay_rate is None else delay_rate) * factor])
        return torch.tensor(rates, dtype=torch.float64).to(self.device)

    def _on_bumps(self, epoch: int) -> Tensor:
        """Return the factor on what bumping adds to each network in an epoch, [P], float64."""
        scheduled = [config.training.bumping.scheduled for config in self.configs]
        factors = [f if follows else 1.0 for follows, f in zip(scheduled, self._factors(epoch), strict=True)]
        return torch.tensor(factors, dtype=torch.float64).to(self.device)

    def _factors(self, epoch: int) -> list[float]:
        """Return the factor of each network's schedule in an epoch."""
        return [schedule(config.training.schedule, epoch, self.settings.epochs) for config in self.configs]

    def _new_repetition(self) -> Repetition:
        """Return how a GPU does an epoch. Where chips age, or networks are of several kinds, the host takes part."""
        return Repetition(self.device, not self.substrates.ageing and len(self.substrates.kinds) <= 1)

    def _new_step(self) -> Step:
        return Step(self.settings, self.state, self.settings.epochs * self.n_batches)

    @property
    def _sizes(self) -> list[int]:
        return [weight.shape[-1] for weight in self.state.learned.weights]

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        return len(self.batches)

    def best(self) -> Network:
        """Return the networks as of their best validation accuracy."""
        return self.network.with_learned(self.state.best)

    def last(self) -> Network:
        """Return the networks after the last epoch."""
        return self.network.with_learned(self.state.learned)

    def _validation(self, epoch: StepNumber) -> tuple[OperationOfBatch, int | None]:
        """Return the substrates during each batch of the validation after an epoch, and the size of these batches."""
        if self.substrates.ideal:
            return lambda batch: IDEAL, None
        size = self.settings.batch_size
        first = epoch * math.ceil(len(self._valid.labels) / size)

        def during(batch: int) -> Operation:
            return self.substrates.during("validation", first + batch, writing=epoch, age=self.state.epoch + 1)

        return during, size

    def _require_finite(self) -> None:
        failure = self._step.failure()
        if failure is not None:
            seed = self.configs[failure.network].seed.init
            raise Diverged(
                f"the {failure.what} is not finite in epoch {self.state.epoch + 1}, batch {failure.batch} "
                f"(network with seed.init={seed}): lower training.optimizer.learning_rate or "
                "training.gradient_limit, or training.bumping.value if neurons stay silent in spite of bumping",
                failure.network,
            )

    def _update_best(self, scores: Tensor) -> None:
        """Keep the networks with a better validation accuracy than before, or with the same and a lower loss."""
        state, accuracy, gain = self.state, scores[:, 1], -scores[:, 0]
        best, best_gain = state.best_score.unbind(1)
        better = (accuracy > best) | ((accuracy == best) & (gain > best_gain))
        state.best_score = torch.stack((accuracy, gain), 1).where(better[:, None], state.best_score)
        state.best_epoch.masked_fill_(better, state.epoch + 1)
        for kept, value in zip(state.best.tensors, state.learned.tensors, strict=True):
            torch.where(better[:, None, None], value, kept, out=kept)
