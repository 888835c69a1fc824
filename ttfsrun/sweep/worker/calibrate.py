"""What training costs on this machine: a few batches of each size of network, in a process of their own.

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
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.errors import UserError
from ttfsrun.evaluation.trained_network import CONDITION_SPLITS, TrainedNetwork
from ttfsrun.network import build
from ttfsrun.neuron import use_threads
from ttfsrun.results.sweep_folder import SweepPoint, point_config
from ttfsrun.sweep.cost import Cost
from ttfsrun.training.trainer import Trainer

BATCHES = 6
EVALUATED = 500  # samples
ROUNDS = 5
COPIES = 12  # of a float32 weight: itself, moments, gradient, best, the last whole state, the next one
ACTIVATIONS = 100  # bytes for each sample of a batch and each line or neuron


def main() -> None:
    """Costs, or why there are none, on standard output; samples of points of one size on standard input."""
    samples = msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[SweepPoint]])
    use_threads(1)
    costs = [measure_cost([point_config(point) for point in points]) for points in samples]
    sys.stdout.buffer.write(msgspec.json.encode(costs))


def measure_cost(configs: Sequence[Config]) -> Cost | str:
    """The cost of a size, by those of the networks that can be trained; where none can, why."""
    try:
        return population_cost(configs)
    except Exception as error:  # noqa: BLE001  # it will be in the record of whatever point it concerns
        sound = [config for config in configs if _runs(config)]
        told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return population_cost(sound) if sound else told


def _runs(config: Config) -> bool:
    try:
        population_cost([config])
    except Exception:  # noqa: BLE001
        return False
    return True


def population_cost(configs: Sequence[Config]) -> Cost:
    """Of one size, from a population of these networks, by the rules of the first, and from its last alone."""
    samples, _ = load_samples(configs[0].data)
    _evaluation(configs[:1], samples)  # compiles
    size = BATCHES * configs[0].training.batch_size
    train, valid = samples["train"], samples["valid"]
    part = min(1.0, size / len(train.labels))
    few = [_first(split, max(1, round(part * len(split.labels)))) for split in (train, valid)]
    rounds = [(_seconds(configs[-1:], few), _seconds(configs, few)) for _ in range(ROUNDS)]  # in turns: others compute
    alone, together = (min(seconds) for seconds in zip(*rounds[1:], strict=True))  # the first one compiles
    network = max((together - alone) / max(1, len(configs) - 1), 0.1 * alone)
    return Cost(
        epoch=max(alone - network, 0.0) / part,
        network=network / part,
        point=_evaluation(configs, samples),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0,
        network_memory=_network_memory(configs[0]),
    )


def _first(samples: Samples, count: int) -> Samples:
    return Samples(samples.times[:count], samples.labels[:count])


def _seconds(configs: Sequence[Config], samples: Sequence[Samples]) -> float:
    """Of an epoch."""
    trainer = Trainer(configs, samples[0], samples[1])
    start = time.perf_counter()
    trainer.run_epoch()
    return time.perf_counter() - start


def _evaluation(configs: Sequence[Config], samples: Mapping[str, Samples]) -> float:
    """Mean seconds of evaluating one network under all conditions, from a few samples of each."""
    few = _first(samples["valid"], EVALUATED)
    seconds = 0.0
    for config in configs:
        own, *others = conditions_of(config)
        sizes = [sum(len(split.labels) for split in samples.values())]
        sizes += [sum(len(samples[split].labels) for split in CONDITION_SPLITS)] * len(others)
        weights = build([config]).weights
        for condition, size in zip((own, *others), sizes, strict=True):
            subject = TrainedNetwork(condition.config, weights)
            start = time.perf_counter()
            subject.measure("valid", few)
            seconds += (time.perf_counter() - start) * size / len(few.labels)
    return seconds / len(configs)


def _network_memory(config: Config) -> float:
    weights = sum(n * m for n, m in zip(config.layer_inputs, config.layer_sizes[1:], strict=True))
    lines = sum(config.layer_inputs) + sum(config.layer_sizes[1:])
    return 4.0 * COPIES * weights + ACTIVATIONS * config.training.batch_size * lines
