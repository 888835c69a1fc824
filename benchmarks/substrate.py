"""Cost of perturbations: each of them alone, and a whole chip, relative to the ideal substrate, on one thread.

    python benchmarks/substrate.py                     # all shapes, some minutes
    python benchmarks/substrate.py yin_yang population --repeats 15 --json substrate.json
    python benchmarks/substrate.py --only brainscales2 --only weight.read_std

yin_yang        one network, batches of 150, 4 inputs and a bias, 120-3 neurons
lines           the same, each input on five lines
mnist_16x16     one network, batches of 50, 256-246-10
population      20 networks as in yin_yang

Columns: the forward and backward pass under each rule of `training.backward`, and a whole training step (batch, both
passes, loss, bumping, Adam, projection) under `observed`, as multiples of the same on the ideal substrate. All
random numbers are drawn in each pass, as in training. The rows take turns; each call is paired with one on the ideal
substrate, and a ratio is the median over the pairs. Times are processor times of this thread, so that other processes
matter little. Inputs are random, 35 % of the pixels spike; weights are the initial ones.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from report import Goal, duration, machine, ratio, table
from timing import BLOCK

from ttfsrun.config.compose import expand
from ttfsrun.data.samples import Samples
from ttfsrun.neuron import keep_freed_memory, set_threads
from ttfsrun.training.trainer import Trainer

BOUND = 3  # the whole chip, forward and backward pass, against the ideal substrate
RULES = ("observed", "ideal", "same_draw")
IDEAL = "on the ideal substrate"
BATCHES = 5  # of the epoch in which training steps are timed


@dataclass(frozen=True)
class Shape:
    """Overrides that choose the shape, and the share of its inputs that spike."""

    overrides: tuple[str, ...]
    spiking: float = 1.0


SHAPES = {
    "yin_yang": Shape(("experiment=yin_yang_paper",)),
    "lines": Shape(("experiment=yin_yang_paper", "network.input_repeats=5")),
    "mnist_16x16": Shape(("experiment=mnist_16x16_paper",), 0.35),
    "population": Shape(("experiment=yin_yang_paper", "seed.init=range(20)")),
}

#: Each imperfection at a typical strength; overrides of `substrate`.
STRENGTHS: dict[str, tuple[str, ...]] = {
    "input_time.jitter": ("input_time.jitter=0.01",),
    "spike_time.jitter": ("spike_time.jitter=0.01",),
    "spike_time.loss": ("spike_time.loss=0.01",),
    "time_resolution": ("time_resolution.step=0.00133",),
    "v_th.chip_mean": ("v_th.chip_mean=0.05",),
    "v_th.chip_std": ("v_th.chip_std=0.03",),
    "v_th.batch_std": ("v_th.batch_std=0.015",),
    "v_th.sample_std": ("v_th.sample_std=0.015",),
    "v_leak.chip_std": ("v_leak.chip_std=0.03",),
    "v_leak.sample_std": ("v_leak.sample_std=0.015",),
    "tau_mem.chip_cv": ("tau_mem.chip_cv=0.1",),
    "tau_syn.chip_cv": ("tau_syn.chip_cv=0.1",),
    "tau_ratio_bias": ("tau_ratio_bias=0.1",),
    "weight.bits": ("weight.bits=6",),
    "weight.bits, stochastic": ("weight.bits=6", "weight.rounding=stochastic"),
    "weight.lsb": ("weight.lsb=0.03",),
    "weight.clip": ("weight.clip=2.1",),
    "weight.chip_cv": ("weight.chip_cv=0.1",),
    "weight.chip_std": ("weight.chip_std=0.02",),
    "weight.write_std": ("weight.write_std=0.02",),
    "weight.read_std": ("weight.read_std=0.02",),
    "dead_neurons": ("dead_neurons.p=0.01",),
    "stuck_synapses": ("stuck_synapses.p_zero=0.01", "stuck_synapses.p_max=0.01"),
    "drift": ("drift.std=0.05",),
}
CHIP = "brainscales2"  # a whole substrate of conf/substrate


class Candidate:
    """A population on a substrate, ready to be timed."""

    def __init__(self, shape: Shape, substrate: Sequence[str] = (), rule: str = RULES[0]) -> None:
        words = [*shape.overrides, *substrate, f"training.backward={rule}", "training.perturbed=true"]
        configs = [point.config for point in expand(words)]
        samples = drawn(configs[0].layer_sizes, BATCHES * configs[0].training.batch_size, shape.spiking)
        self.trainer = Trainer(configs, samples, Samples(samples.times[:1], samples.labels[:1]))
        self.start = self.trainer.state.copy()
        batch = torch.from_numpy(samples.times[: configs[0].training.batch_size])
        self.times = batch.repeat(len(configs), 1, 1)  # in training, each has its own
        self.limit = configs[0].training.gradient_limit or math.inf
        self.step = 0

    def passes(self) -> float:
        """Return the seconds of a forward and backward pass."""
        network = self.trainer.last()
        self.step += 1
        start = time.thread_time()
        operation = self.trainer.substrates.during("training", self.step, writing=self.step)
        done = network.run(self.times, operation)
        between = time.thread_time()
        by_spikes = done.spikes[-1].isfinite().float() / self.times.shape[1]
        again = time.thread_time()
        done.gradients([*(None for _ in done.spikes[1:]), by_spikes], self.limit)
        return time.thread_time() - again + between - start

    def training(self) -> list[float]:
        """Return the seconds of some training steps; all turns take the same ones."""
        self.trainer.state = self.start.copy()
        ends: list[float] = []
        self.trainer.run_epoch(lambda batch: ends.append(time.thread_time()))
        return [end - start for start, end in pairwise(ends)]


def drawn(layer_sizes: Sequence[int], rows: int, spiking: float) -> Samples:
    """Return random samples, the same for all."""
    random = np.random.default_rng(0)
    times = 0.15 + 1.85 * random.random((rows, layer_sizes[0]))
    times[random.random(times.shape) >= spiking] = np.inf
    return Samples(times.astype(np.float32), random.integers(layer_sizes[-1], size=rows))


class Row:
    """One substrate: seconds of each call, on the ideal substrate and on this one under each rule."""

    def __init__(self, shape: Shape, substrate: Sequence[str], ideal: Candidate) -> None:
        self.turn = {IDEAL: ideal, **{rule: Candidate(shape, substrate, rule) for rule in RULES}}
        self.passes: dict[str, list[float]] = {name: [] for name in self.turn}
        self.training: dict[str, list[float]] = {name: [] for name in (IDEAL, RULES[0])}

    def take_turn(self) -> None:
        """Time each call once, in a fixed order, so that disturbances affect all alike. Short calls are repeated."""
        spent = 0.0
        while spent < BLOCK:
            for name, candidate in self.turn.items():
                self.passes[name].append(candidate.passes())
            spent += self.passes[IDEAL][-1]
        for name, seconds in self.training.items():
            seconds.extend(self.turn[name].training())

    def forget(self) -> None:
        for seconds in (*self.passes.values(), *self.training.values()):
            seconds.clear()

    def ratios(self) -> dict[str, float]:
        passes = {rule: _ratio(self.passes[rule], self.passes[IDEAL]) for rule in RULES}
        return passes | {"training step": _ratio(self.training[RULES[0]], self.training[IDEAL])}

    def medians(self) -> dict[str, dict[str, float]]:
        kinds = {"passes": self.passes, "training step": self.training}
        return {kind: {name: median(seconds) for name, seconds in of.items()} for kind, of in kinds.items()}


def _ratio(seconds: Sequence[float], ideal: Sequence[float]) -> float:
    return median(above / below for above, below in zip(seconds, ideal, strict=True))


def compare(name: str, substrates: Mapping[str, Sequence[str]], repeats: int) -> dict[str, Row]:
    """Time all substrates on one shape, in turns."""
    shape = SHAPES[name]
    ideal = Candidate(shape)
    rows = {each: Row(shape, overrides, ideal) for each, overrides in substrates.items()}
    for row in rows.values():
        row.take_turn()  # kernels, memory, chips
        row.forget()
    for _ in range(repeats):
        for row in rows.values():
            row.take_turn()
    return rows


def show(name: str, rows: Mapping[str, Row]) -> None:
    passes, training = (
        duration(median(row.medians()[kind][IDEAL] for row in rows.values())) for kind in ("passes", "training step")
    )
    print(f"{name}: on the ideal substrate {passes} forward and backward, {training} a training step")
    ratios = {each: row.ratios() for each, row in rows.items()}
    table(["x the ideal", *RULES, "training step"], [[each, *map(ratio, of.values())] for each, of in ratios.items()])


def main(words: Sequence[str]) -> None:
    substrates = {name: tuple(f"substrate.{word}" for word in words) for name, words in STRENGTHS.items()}
    substrates[CHIP] = (f"substrate={CHIP}",)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"of {', '.join(SHAPES)}; by default all")
    parser.add_argument("--only", action="append", metavar="NAME", choices=substrates, help="of the rows")
    parser.add_argument("--repeats", type=int, default=7, help="turns (default: 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    arguments = parser.parse_args(words)
    if unknown := [name for name in arguments.shapes if name not in SHAPES]:
        parser.error(f"{unknown[0]}: choose from {', '.join(SHAPES)}")
    set_threads(1)
    torch.set_num_threads(1)
    keep_freed_memory()
    about_machine = machine()
    print("  ".join(f"{key}: {value}" for key, value in about_machine.items()), end="\n\n", flush=True)
    chosen = {name: overrides for name, overrides in substrates.items() if name in (arguments.only or substrates)}
    numbers, goals = {}, []
    for name in arguments.shapes or SHAPES:
        rows = compare(name, chosen, arguments.repeats)
        show(name, rows)
        numbers[name] = {each: {"ratios": row.ratios(), "seconds": row.medians()} for each, row in rows.items()}
        if CHIP in rows:
            worst = max(rows[CHIP].ratios().values())
            goals.append(Goal(f"{name}: {CHIP} / ideal, the slowest rule", worst, BOUND))
    for goal in goals:
        print(goal)
    if arguments.json:
        kept = [asdict(goal) | {"met": goal.met} for goal in goals]
        arguments.json.write_text(json.dumps({"machine": about_machine, "shapes": numbers, "goals": kept}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
