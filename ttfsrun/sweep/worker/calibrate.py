"""Measurement of the cost of training on this machine: a few batches of each size of network, in a separate process.

python -m ttfsrun.sweep.worker.calibrate [cuda] < samples.json > costs.json
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.schema import Config
from ttfsrun.data.augmentation import is_augmented
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.errors import as_user_error
from ttfsrun.evaluation.metrics import trial_metrics
from ttfsrun.evaluation.trained_network import TrainedNetwork, deploy
from ttfsrun.network import build
from ttfsrun.neuron import use_threads
from ttfsrun.results.sweep_folder import SweepPoint, point_config
from ttfsrun.sweep.cost import MAX_NETWORKS, MAX_ON_GPU, Cost, network_memory
from ttfsrun.training.trainer import Trainer

BATCHES = 6
EVALUATED_SAMPLES = 500
ROUNDS = 5
COPIES_ON_GPU = 64  # of each network: a few would take no longer than one alone


def main() -> None:
    """Read samples of points, grouped by size, from standard input; write the cost of each size to standard output.

    Where a cost cannot be measured, the error message takes its place.
    """
    samples = msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[SweepPoint]])
    use_threads(1)
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    costs = [measure_cost([point_config(point) for point in points], device) for points in samples]
    sys.stdout.buffer.write(msgspec.json.encode(costs))


def measure_cost(configs: Sequence[Config], device: str = "cpu") -> Cost | str:
    """Return the cost of a size, measured on the networks that can be trained; if none can, the error message."""
    try:
        return population_cost(configs, device)
    except Exception as error:  # noqa: BLE001  # the record of the point that causes it will contain it
        trainable = [config for config in configs if _is_trainable(config, device)]
        message = str(as_user_error(error) or f"{type(error).__name__}: {error}")
        return population_cost(trainable, device) if trainable else message


def _is_trainable(config: Config, device: str) -> bool:
    try:
        population_cost([config], device)
    except Exception:  # noqa: BLE001
        return False
    return True


def population_cost(configs: Sequence[Config], device: str) -> Cost:
    """Return the cost of one size, from the times of a population of these networks and of its last network alone.

    Data and batch size are those of the first configuration. On a GPU, the population has copies of the networks.
    """
    most, least = (MAX_NETWORKS, 0.1) if device == "cpu" else (MAX_ON_GPU, 1 / MAX_ON_GPU)
    configs = list(configs) * (1 if device == "cpu" else COPIES_ON_GPU)
    samples, _ = load_samples(configs[0].data, any(is_augmented(config.data) for config in configs))
    _evaluation_seconds(configs[:1], samples, device)  # compiles
    size = BATCHES * configs[0].training.batch_size
    train, valid = samples["train"], samples["valid"]
    fraction = min(1.0, size / len(train.labels))
    few = [split.first(max(1, round(fraction * len(split.labels)))) for split in (train, valid)]
    # Alternate, so that the load of other processes affects both alike.
    sizes = configs[-1:], configs
    rounds = [[_epoch_seconds(networks, few, device) for networks in sizes] for _ in range(ROUNDS)]
    alone, together = (min(seconds) for seconds in zip(*rounds[1:], strict=True))  # the first round compiles
    network = max((together - alone) / max(1, len(configs) - 1), least * alone)
    return Cost(
        epoch=max(alone - network, 0.0) / fraction,
        network=network / fraction,
        point=_evaluation_seconds(configs, samples, device),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0,
        network_memory=max(map(network_memory, configs)),
        most=most,
    )


def _epoch_seconds(configs: Sequence[Config], samples: Sequence[Samples], device: str) -> float:
    """Return the time that one epoch takes."""
    trainer = Trainer([*map(_with_an_epoch, configs)], samples[0], samples[1], device=device)
    start = time.perf_counter()
    trainer.run_epoch()
    trainer.state.curves.cpu()  # waits for a GPU
    return time.perf_counter() - start


def _with_an_epoch(config: Config) -> Config:
    """Return the configuration with an epoch to measure where it has none."""
    training = msgspec.structs.replace(config.training, epochs=max(1, config.training.epochs))
    return msgspec.structs.replace(config, training=training)


def _evaluation_seconds(configs: Sequence[Config], samples: Mapping[str, Samples], device: str) -> float:
    """Return a network's share of the time to evaluate all of them under all conditions, from a few samples."""
    few = samples["valid"].first(EVALUATED_SAMPLES)
    networks = [TrainedNetwork(build([config]).learned, conditions_of(config)) for config in configs]
    seconds = 0.0
    for deployment in deploy(networks, samples, device):
        start = time.perf_counter()
        for trials in deployment.networks.run_trials("valid", few):
            trial_metrics(trials)
        n_samples = sum(len(samples[split].labels) for split in deployment.splits)
        seconds += (time.perf_counter() - start) * n_samples / len(few.labels)
    return seconds / len(configs)
