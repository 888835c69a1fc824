"""Speed of `first_spike` next to other solvers, and correctness of the spikes of each.

    pip install -r benchmarks/requirements.txt
    python benchmarks/solver.py                       # all; the slow peers take most of the time
    python benchmarks/solver.py a b --without exact-snn-nn
    python benchmarks/solver.py heterogeneous images --repeats 15 --json solver.json

a b c d         workloads: B 150, N 5, M 120; B 50, 256 -> 128, 35 % of the inputs spike; B 80, 784 -> 350; B 1000,
                256 -> 246, 35 % of the inputs spike; every method on one and on two threads, its spikes judged
jit             the first calls of a process, with an empty and with a filled cache of kernels
memory          how far the resident memory rises during one forward and backward pass, each in a fresh process
threads         one against two threads on (c) and (d)
heterogeneous   every neuron with its own tau_mem, tau_syn, v_th and v_leak against all alike
delays          axonal and synaptic delays, uniform in [0, 1], with their gradients, against none
images          10,000 images through a 256-246-10 network, decisions out

float32, tau_mem = tau_syn = v_th = 1, inputs at times uniform in [0.15, 2]. The peers are described in peers.py.
Times are medians: the methods take turns, short calls are repeated within a turn, kernels are compiled before. fwd:
without a gradient. fwd+bwd: with the gradient of the sum of the finite spike times / B by the weights and by the input
times (snntorch: by the weights alone). "x slower" compares fwd+bwd with ttfsrun on as many threads; a peer that two
threads slow down counts with its time on one. torch has one thread while ttfsrun runs, as torch's waiting threads take
the cores. Freed memory waits for reuse (`keep_freed_memory`), for all.
Spikes are judged by first_spike in float64, which is itself compared with `ttfsrun.neuron.reference`. Nothing is left
out of the counts; "grazing" says how many of the wrong ones are grazing contacts: a threshold changed by 1e-5 makes
or unmakes such a spike, or moves it by more than the tolerance of "off", 1e-4 max(1, T).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import torch
from cases import WORKLOADS, build, delayed, heterogeneous
from child import measure
from comparison import Options, Outcome, about, compare
from peers import METHODS, OURS
from report import Goal, duration, machine, memory, on, ratio, table
from timing import THREADS, Runner, middle, race

from ttfsrun.neuron import Neuron, first_spike, keep_freed_memory, set_threads

IMAGES = 10_000


def jit(options: Options) -> Outcome:
    """Time the first calls of a process; peers have nothing to compile."""
    with tempfile.TemporaryDirectory() as folder:
        passes = {state: measure("first", "b", OURS, NUMBA_CACHE_DIR=folder) for state in ("empty", "filled")}
    table(
        ["cache of kernels", "first fwd", "first bwd", "second fwd", "second bwd"],
        [[state, *map(duration, seconds)] for state, seconds in passes.items()],
    )
    return Outcome(passes)


def memory_part(options: Options) -> Outcome:
    names = [each for each in options.methods if METHODS[each].backward]
    peaks = {each: {name: measure("memory", name, each)[0] for name in WORKLOADS} for each in names}
    table(
        ["resident memory rises by", *(f"({name})" for name in WORKLOADS)],
        [[each, *(memory(peaks[each][name]) for name in WORKLOADS)] for each in names],
    )
    return Outcome(peaks)


def threads(options: Options) -> Outcome:
    numbers, rows, goals = {}, [], []
    for name in ("c", "d"):
        times = race({OURS: Runner(METHODS[OURS], build(name))}, 3 * options.repeats)
        numbers[name] = {count: asdict(times[OURS, count]) for count in THREADS}
        for direction, label in (("forward", "fwd"), ("both", "fwd+bwd")):
            one, two = (middle(getattr(times[OURS, count], direction)) for count in THREADS)
            rows.append([f"({name}) {label}", duration(one), duration(two), ratio(one / two)])
            goals.append(Goal(f"({name}) {label}, one thread / two threads", one / two, 1.7, at_least=True))
    table(["ttfsrun", "1 thread", "2 threads", "faster"], rows)
    return Outcome(numbers, goals)


def heterogeneous_part(options: Options) -> Outcome:
    numbers, rows, goals = {}, [], []
    for name in WORKLOADS:
        alike = build(name)
        own = heterogeneous(alike)
        about(own)
        runners = {kind: Runner(METHODS[OURS], case) for kind, case in (("alike", alike), ("own", own))}
        times = race(runners, 3 * options.repeats, threads=(1,))
        verdict = runners["own"].verdict
        wrong = f"{verdict.missed}, {verdict.invented}, {verdict.off}, {verdict.largest:.0e}"
        numbers[name] = {kind: asdict(times[kind, 1]) for kind in runners} | {"verdict": asdict(verdict)}
        for direction, label in (("forward", "fwd"), ("both", "fwd+bwd")):
            first, second = (middle(getattr(times[kind, 1], direction)) for kind in runners)
            rows.append([f"({name}) {label}", duration(first), duration(second), ratio(second / first), wrong])
            goals.append(Goal(f"({name}) {label}, neurons of their own / alike", second / first, 2.5))
    table(["ttfsrun, 1 thread", "alike", "of their own", "x slower", "missed, invented, off, |dT|"], rows)
    return Outcome(numbers, goals)


def delays_part(options: Options) -> Outcome:
    numbers, rows, goals = {}, [], []
    for name in WORKLOADS:
        plain = build(name)
        cases = {"none": plain, **delayed(plain)}
        runners = {kind: Runner(METHODS[OURS], case) for kind, case in cases.items()}
        times = race(runners, 3 * options.repeats, threads=(1,))
        numbers[name] = {kind: asdict(times[kind, 1]) | {"verdict": asdict(runners[kind].verdict)} for kind in cases}
        for direction, label in (("forward", "fwd"), ("both", "fwd+bwd")):
            none, axonal, synaptic = (middle(getattr(times[kind, 1], direction)) for kind in cases)
            ratios = ratio(axonal / none), ratio(synaptic / none)
            rows.append([f"({name}) {label}", duration(none), duration(axonal), duration(synaptic), *ratios])
            if direction == "both":
                goals.append(Goal(f"({name}) {label}, axonal delays / none", axonal / none, 1.1))
                goals.append(Goal(f"({name}) {label}, synaptic delays / none", synaptic / none, 4))
    table(["ttfsrun, 1 thread", "no delays", "axonal", "synaptic", "axonal, x slower", "synaptic, x slower"], rows)
    return Outcome(numbers, goals)


def images(options: Options) -> Outcome:
    """Time random images, 35 % of whose inputs spike, with random weights."""
    random = torch.Generator().manual_seed(0)
    times = 0.15 + 1.85 * torch.rand(IMAGES, 256, generator=random)
    times[torch.rand(times.shape, generator=random) >= WORKLOADS["d"].spiking] = math.inf
    hidden, label = (
        WORKLOADS["d"].mean + WORKLOADS["d"].std * torch.randn(*shape, generator=random)
        for shape in ((256, 246), (246, 10))
    )

    def decide() -> torch.Tensor:
        spikes = first_spike(first_spike(times, hidden, Neuron()), label, Neuron())
        return spikes.argmin(1).where(spikes.isfinite().any(1), -1)

    torch.set_num_threads(1)
    decided = float((decide() >= 0).float().mean())
    seconds: dict[int, list[float]] = {count: [] for count in THREADS}
    for _ in range(options.repeats):
        for count, taken in seconds.items():
            set_threads(count)
            start = time.perf_counter()
            decide()
            taken.append(time.perf_counter() - start)
    table(
        [f"{IMAGES} images, 256-246-10, {decided:.0%} decided", "median", "fastest", "images / s"],
        [
            [on(count), duration(median(taken)), duration(min(taken)), f"{IMAGES / median(taken):.0f}"]
            for count, taken in seconds.items()
        ],
    )
    return Outcome(
        seconds, [Goal(f"{IMAGES} images in s, {on(count)}", median(taken), 1) for count, taken in seconds.items()]
    )


PARTS: dict[str, Callable[[Options], Outcome]] = {
    **{name: lambda options, name=name: compare(name, options) for name in WORKLOADS},
    "jit": jit,
    "memory": memory_part,
    "threads": threads,
    "heterogeneous": heterogeneous_part,
    "delays": delays_part,
    "images": images,
}


def chosen(without: Sequence[str]) -> list[str]:
    """Return the names of the methods to run; print those that are not installed."""
    others = {name: method for name, method in METHODS.items() if method.is_peer}
    known = {*others, *(method.package[1] for method in others.values() if method.package)}
    for name in without:
        if name not in known:
            sys.exit(f"--without {name}: choose from {'; '.join(sorted(known))}")
    names = []
    for name, method in METHODS.items():
        if name in without or (method.package and method.package[1] in without):
            continue
        if method.installed:
            names.append(name)
        else:
            print(f"{name} is left out: pip install -r benchmarks/requirements.txt", file=sys.stderr)
    return names


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--repeats", type=int, default=9, help="turns (default: 9); the slow peers take fewer")
    parser.add_argument("--without", action="append", default=[], metavar="METHOD", help="leave a method out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    arguments = parser.parse_args(words)
    if unknown := [name for name in arguments.parts if name not in PARTS]:
        parser.error(f"{unknown[0]}: choose from {', '.join(PARTS)}")
    options = Options(arguments.repeats, chosen(arguments.without))
    keep_freed_memory()
    about_machine = machine()
    print("  ".join(f"{key}: {value}" for key, value in about_machine.items()), end="\n\n", flush=True)
    outcomes = {name: PARTS[name](options) for name in arguments.parts or PARTS}
    goals = [goal for outcome in outcomes.values() for goal in outcome.goals]
    for goal in goals:
        print(goal)
    if arguments.json:
        numbers = {name: outcome.numbers for name, outcome in outcomes.items()}
        kept = [asdict(goal) | {"met": goal.met} for goal in goals]
        arguments.json.write_text(json.dumps({"machine": about_machine, "parts": numbers, "goals": kept}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
