"""Times of several solvers, measured in turns, so that other load on the machine affects all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

import torch
from cases import Case, Verdict, judge
from peers import Method, Prepared
from torch import Tensor

THREADS = (1, 2)
BLOCK = 0.02  # s; calls shorter than this are repeated within a turn
SLOW = 2.0  # s; calls longer than this take the time of the forward pass from the call with both passes
ENOUGH = 6.0  # s for one solver and direction; fewer turns, but at least one, for the slow
REST = 0.005  # s for the last solver's waiting threads to go to sleep


@dataclass
class Times:
    """Seconds per call, one entry for each turn: the median of its calls."""

    forward: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)

    def record(self, direction: str, seconds: float) -> None:
        getattr(self, direction).append(seconds)


def middle(seconds: list[float]) -> float:
    """Return the median; nan for a direction that was not run."""
    return median(seconds) if seconds else float("nan")


class Runner:
    """A method on a case, ready to be called in either direction."""

    def __init__(self, method: Method, case: Case, gradient: Tensor | None = None) -> None:
        """gradient [B, M]: with respect to the spike times; by default that of the case."""
        self.method = method
        self.case = case
        self.verdict: Verdict | None = None
        self.without = method.prepare(case, False)
        self.with_gradient: Prepared = method.prepare(case, True)
        self.entry = self.with_gradient.entry(case.gradient if gradient is None else gradient)

    def forward(self) -> Tensor:
        with torch.no_grad():
            return self.without.run()

    def both(self) -> tuple[float, float]:
        """Return the seconds until the spikes, and until the gradients, are computed."""
        start = time.perf_counter()
        spikes = self.with_gradient.run()
        between = time.perf_counter()
        torch.autograd.grad(spikes, self.with_gradient.leaves, self.entry)
        return between - start, time.perf_counter() - start

    def judged(self) -> Verdict:
        prepared = self.with_gradient
        spikes = prepared.run()
        by_weight = torch.autograd.grad(spikes, prepared.leaves, self.entry)[0]
        return judge(self.case, prepared.spikes(spikes.detach()), prepared.weight_gradient(by_weight))


@dataclass(frozen=True)
class Turn:
    """One direction of one runner: `calls` calls in each of `turns` turns."""

    runner: Runner
    direction: str
    calls: int
    turns: int

    def take(self, threads: int, times: Times) -> None:
        self.runner.method.use_threads(threads)
        time.sleep(REST)
        if self.direction == "slow":
            forward, both = self.runner.both()
            times.record("forward", forward)
            times.record("both", both)
            return
        call: Callable[[], object] = getattr(self.runner, self.direction)
        seconds = []
        for _ in range(self.calls):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        times.record(self.direction, median(seconds))  # the first call starts from the memory that the others left


def plan(runner: Runner, repeats: int) -> list[Turn]:
    """Return the turns of a runner, by the duration of its calls. Judges its spikes and warms it up."""
    runner.method.use_threads(1)
    if runner.method.backward:
        start = time.perf_counter()
        runner.verdict = runner.judged()
        seconds = time.perf_counter() - start
        if seconds > SLOW:
            return [Turn(runner, "slow", 1, min(repeats, max(1, int(ENOUGH / seconds))))]
    turns = []
    for direction in ("both", "forward") if runner.method.backward else ("forward",):
        call: Callable[[], object] = getattr(runner, direction)
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        calls = max(1, int(BLOCK / seconds))
        turns.append(Turn(runner, direction, calls, min(repeats, max(2, int(ENOUGH / seconds)))))
    return turns


def fair(times: Mapping[tuple[str, int], Times], name: str, threads: int) -> float:
    """Return the seconds of a peer's call with both passes on up to so many threads; on fewer where more are slower."""
    return min(middle(times[name, count].both) for count in THREADS if count <= threads)


def race(
    runners: Mapping[str, Runner], repeats: int, threads: tuple[int, ...] = THREADS
) -> dict[tuple[str, int], Times]:
    """Measure the times of every runner for every number of threads."""
    times = {(name, count): Times() for name in runners for count in threads}
    plans = {name: plan(runner, repeats) for name, runner in runners.items()}
    for turn_number in range(repeats):
        for count in threads:
            for name, turns in plans.items():
                for turn in turns:
                    if turn_number < turn.turns:
                        turn.take(count, times[name, count])
    return times
