"""Every solver on one workload: times, correctness of the spikes, and goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from cases import Case, Verdict, build, check_truth
from peers import METHODS, OURS, rival_of
from report import Goal, duration, on, ratio, table
from timing import THREADS, Runner, Times, fair, middle, race
from torch import Tensor

SLOWER_PEERS = 100  # times, forward and backward
FORWARD_OVER_MATMUL, BOTH_OVER_MATMUL = 15, 40
LARGE = "d"  # the workload that is compared with a matrix product instead


@dataclass(frozen=True)
class Options:
    repeats: int
    methods: Sequence[str]


@dataclass(frozen=True)
class Outcome:
    """Numbers of a part, for the JSON file, and its goals."""

    numbers: object
    goals: list[Goal] = field(default_factory=list)


def about(case: Case) -> None:
    """Print what is computed, and check the exact spikes."""
    rows, inputs = case.times.shape
    tau_syn = "of their own" if isinstance(case.neuron.tau_syn, Tensor) else f"{case.neuron.tau_syn:g}"
    spiking, firing = float(case.times.isfinite().float().mean()), float(case.fires.float().mean())
    spikes = case.truth[case.fires]
    count, distance = check_truth(case)
    print(
        f"({case.name})  B {rows}, {inputs} -> {case.weight.shape[1]}, tau_syn {tau_syn}; {spiking:.0%} of inputs spike"
    )
    total = case.fires.numel()
    print(f"     {firing:.0%} of {total} neurons fire, median {spikes.median():.2f}, last {spikes.max():.2f}")
    print(f"     truth: {count} of them also by the plain reference, largest |dT| {distance:.0e}", flush=True)


def compare(name: str, options: Options) -> Outcome:
    cases = {tau_syn: build(name, tau_syn) for tau_syn in sorted({METHODS[each].tau_syn for each in options.methods})}
    for case in cases.values():
        about(case)
    runners = {each: Runner(METHODS[each], cases[METHODS[each].tau_syn]) for each in options.methods}
    times = race(runners, options.repeats)
    verdicts = {each: runner.verdict for each, runner in runners.items() if runner.verdict}
    print_times(times, options.methods)
    print_verdicts(verdicts)
    numbers = {
        each: {
            "threads": {count: asdict(times[each, count]) for count in THREADS},
            "verdict": asdict(verdicts[each]) if each in verdicts else None,
        }
        for each in options.methods
    }
    return Outcome(numbers, over_matmul(times) if name == LARGE else over_peers(name, times))


def print_times(times: Mapping[tuple[str, int], Times], methods: Sequence[str]) -> None:
    head = [title for count in THREADS for title in (f"{on(count)}: fwd", "fwd+bwd", "x slower")]
    rows = [[each] for each in methods]
    for row in rows:
        for count in THREADS:
            mine = times[row[0], count]
            row += [duration(middle(mine.forward)), duration(middle(mine.both)), ratio(slower(times, row[0], count))]
    table(["method", *head], rows)


def print_verdicts(verdicts: Mapping[str, Verdict]) -> None:
    head = ["method", "missed", "invented", "off", "of these grazing", "largest |dT|", "gradient error"]
    rows = []
    for each, found in verdicts.items():
        counts = map(str, (found.missed, found.invented, found.off, found.grazing))
        rows.append([each, *counts, f"{found.largest:.1e}", f"{found.gradient_error:.0e}"])
    table(head, rows)


def slower(times: Mapping[tuple[str, int], Times], name: str, threads: int) -> float:
    """Return the time of a call with both passes, as a multiple of that of ttfsrun."""
    ours = middle(times[rival_of(name), threads].both)
    return (fair(times, name, threads) if METHODS[name].is_peer else middle(times[name, threads].both)) / ours


def over_peers(name: str, times: Mapping[tuple[str, int], Times]) -> list[Goal]:
    return [
        Goal(
            f"({name}) {each} / ttfsrun, fwd+bwd, {on(count)}", slower(times, each, count), SLOWER_PEERS, at_least=True
        )
        for each, count in times
        if METHODS[each].is_peer
    ]


def over_matmul(times: Mapping[tuple[str, int], Times]) -> list[Goal]:
    """Return the times of both directions over that of the forward pass of torch.matmul, on one thread."""
    ours, floor = times[OURS, 1], middle(times["matmul", 1].forward)
    what = f"({LARGE}) ttfsrun {{}} / torch.matmul fwd, {on(1)}"
    return [
        Goal(what.format("fwd"), middle(ours.forward) / floor, FORWARD_OVER_MATMUL),
        Goal(what.format("fwd+bwd"), middle(ours.both) / floor, BOTH_OVER_MATMUL),
    ]
