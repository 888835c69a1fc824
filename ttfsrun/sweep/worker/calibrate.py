"""Measurement of the cost of training on this machine: a few batches of each size of network, in a separate process.

python -m ttfsrun.sweep.worker.calibrate < samples.json > costs.json
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
from ttfsrun.sweep.cost import Cost, network_memory
from ttfsrun.training.trainer import Trainer

BATCHES = 6
EVALUATED_SAMPLES = 500
ROUNDS = 5


def main() -> None:
    """Read samples of points, grouped by size, from standard input; write the cost of each size to standard output.

    Where a cost cannot be measured, the error message takes its place.
    """
    samples = msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[SweepPoint]])
    use_threads(1)
    costs = [measure_cost([point_config(point) for point in points]) for points in samples]
    sys.stdout.buffer.write(msgspec.json.encode(costs))


def measure_cost(configs: Sequence[Config]) -> Cost | str:
    """Return the cost of a size, measured on the networks that can be trained; if none can, the error message."""
    try:
        return population_cost(configs)
    except Exception as error:  # noqa: BLE001  # the record of the point that causes it will contain it
        trainable = [config for config in configs if _is_trainable(config)]
        message = str(as_user_error(error) or f"{type(error).__name__}: {error}")
        return population_cost(trainable) if trainable else message


def _is_trainable(config: Config) -> bool:
    try:
        population_cost([config])
    except Exception:  # noqa: BLE001
        return False
    return True


def population_cost(configs: Sequence[Config]) -> Cost:
    """Return the cost of one size, from the times of a population of these networks and of its last network alone.

    Data and batch size are those of the first configuration.
    """
    samples, _ = load_samples(configs[0].data, any(is_augmented(config.data) for config in configs))
    _evaluation_seconds(configs[:1], samples)  # compiles
    size = BATCHES * configs[0].training.batch_size
    train, valid = samples["train"], samples["valid"]
    fraction = min(1.0, size / len(train.labels))
    few = [split.first(max(1, round(fraction * len(split.labels)))) for split in (train, valid)]
    # Alternate, so that the load of other processes affects both alike.
    rounds = [(_epoch_seconds(configs[-1:], few), _epoch_seconds(configs, few)) for _ in range(ROUNDS)]
    alone, together = (min(seconds) for seconds in zip(*rounds[1:], strict=True))  # the first round compiles
    network = max((together - alone) / max(1, len(configs) - 1), 0.1 * alone)
    return Cost(
        epoch=max(alone - network, 0.0) / fraction,
        network=network / fraction,
        point=_evaluation_seconds(configs, samples),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0,
        network_memory=max(map(network_memory, configs)),
    )


def _epoch_seconds(configs: Sequence[Config], samples: Sequence[Samples]) -> float:
    """Return the time that one epoch takes."""
    trainer = Trainer(configs, samples[0], samples[1])
    start = time.perf_counter()
    trainer.run_epoch()
    return time.perf_counter() - start


def _evaluation_seconds(configs: Sequence[Config], samples: Mapping[str, Samples]) -> float:
    """Return a network's share of the time to evaluate all of them under all conditions, from a few samples."""
    few = samples["valid"].first(EVALUATED_SAMPLES)
    networks = [TrainedNetwork(build([config]).weights, conditions_of(config)) for config in configs]
    seconds = 0.0
    for deployment in deploy(networks, samples, "cpu"):
        start = time.perf_counter()
        for trials in deployment.networks.run_trials("valid", few):
            trial_metrics(trials)
        n_samples = sum(len(samples[split].labels) for split in deployment.splits)
        seconds += (time.perf_counter() - start) * n_samples / len(few.labels)
    return seconds / len(configs)
