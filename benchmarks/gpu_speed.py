"""Speed of trainings of benchmarks/gpu.py, and of each kernel of a step."""

from __future__ import annotations

import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any
from unittest import mock

import torch
from gpu_setup import Setup, population
from report import Goal, duration, table

from ttfsrun.config.schema import Config
from ttfsrun.neuron.device import DEVICES, Device

HOUR = 3600
TINY = ("data.samples={train:310,valid:50,test:10}",)
TINY_IMAGES = ("training.batch_size=100", "network.hidden=[12]")
SLEEP = 50_000_000  # cycles of a GPU, some 25 ms: the host launches a step meanwhile, so that no kernel waits for it
STEPS = 12  # in which kernels are timed


@dataclass(frozen=True)
class Pace:
    """Seconds of an epoch, and the number of epochs that were measured.

    epochs: 0 where the time did not suffice for one; then `seconds` is extrapolated from its first steps.
    """

    seconds: float
    epochs: int

    def __str__(self) -> str:
        count = f"{self.epochs} epochs" if self.epochs else "a part of the steps of one, without validation"
        return f"{duration(self.seconds)} an epoch ({count})"


class OutOfTime(Exception):
    """Raised within an epoch; its argument is the number of steps done."""


def pace(setup: Setup, configs: Sequence[Config], seconds: float) -> Pace:
    """Train whole epochs for so many seconds, at least a part of one, after some batches that do not count.

    Nor do the first two epochs if there are more: a GPU records the second one.
    """
    size = configs[0].training.batch_size
    trainer = setup.trainer(configs)
    odd = trainer.n_samples % size
    setup.trainer(configs, 2 * size + odd, 2 * size).run_epoch()
    setup.wait()
    start, whole = time.perf_counter(), []

    def after_batch(batch: int) -> None:
        if batch < trainer.n_batches and not whole and time.perf_counter() - start > seconds:
            raise OutOfTime(batch)

    while not whole or time.perf_counter() - start < seconds:
        began = time.perf_counter()
        try:
            trainer.run_epoch(after_batch)
        except OutOfTime as stop:
            setup.wait()
            whole_epoch = (time.perf_counter() - began) * trainer.n_batches / stop.args[0]
            return Pace(whole_epoch, 0)
        setup.wait()
        whole.append(time.perf_counter() - began)
        if trainer.state.epoch == trainer.settings.epochs:
            break
    counted = whole[2:] or whole
    return Pace(median(counted), len(counted))


def speed(setup: Setup) -> None:
    """Print how many networks a device trains in an hour, and what a chip costs."""
    yin_yang = ("experiment=yin_yang_paper", *(TINY if setup.tiny else ()))
    images = ("experiment=mnist_16x16_paper", "training.epochs=100", *(TINY_IMAGES if setup.tiny else ()))
    loop = ("experiment=in_the_loop", *(TINY if setup.tiny else ()))
    small, large = setup.size(128, 2), setup.size(1024, 3)
    _networks_an_hour(setup, yin_yang, large, 100, setup.left / 6)
    _networks_an_hour(setup, yin_yang, small, 60, setup.left / 5)
    for size in (small, large):
        paces = []
        for perturbed in ("true", "false"):
            configs = population(size, *loop, f"training.perturbed={perturbed}")
            paces.append(pace(setup, configs, setup.left / 8))
            print(f"{loop[0]}, training.perturbed={perturbed}, {size} at once: {paces[-1]}", flush=True)
        print(Goal(f"{loop[0]}, {size} at once, perturbed / not", paces[0].seconds / paces[1].seconds, 2), flush=True)
    for size, share in ((setup.size(64, 2), 3), (setup.size(256, 3), 1)):
        _networks_an_hour(setup, images, size, 2, setup.left / share)


def _networks_an_hour(setup: Setup, overrides: Sequence[str], size: int, thousands: int, seconds: float) -> None:
    configs = population(size, *overrides)
    measured, epochs = pace(setup, configs, seconds), configs[0].training.epochs
    an_hour = size * HOUR / (epochs * measured.seconds)
    print(f"{overrides[0]}, {size} at once: {measured}, {an_hour:,.0f} networks an hour", flush=True)
    what = f"thousands of networks of {epochs} epochs an hour, {size} at once"
    print(Goal(what, an_hour / 1000, thousands, at_least=True), flush=True)


@dataclass(frozen=True)
class Span:
    """What the device did between two marks, and the seconds that the host needed to launch it."""

    name: str
    start: Any
    end: Any
    host: float

    @property
    def seconds(self) -> float:
        """Seconds of the device."""
        if isinstance(self.start, float):
            return float(self.end - self.start)
        return float(self.start.elapsed_time(self.end)) / 1000


class Timed:
    """A device that notes when each of its kernels starts and ends. mark: returns a mark in the device's time."""

    def __init__(self, device: Device, mark: Callable[[], Any]) -> None:
        self.device, self.mark = device, mark
        self.launches: list[Span] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def begin(self) -> tuple[Any, float]:
        return self.mark(), time.perf_counter()

    def end(self, name: str, start: Any, began: float) -> Span:
        host = time.perf_counter() - began
        return Span(name, start, self.mark(), host)

    def launch(self, kernel: Any, items: int, work: int, *args: Any) -> None:
        start = self.begin()
        self.device.launch(kernel, items, work, *args)
        self.launches.append(self.end(kernel.py_func.__name__, *start))


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def kernels(setup: Setup) -> None:
    """Print the time of each kernel of a training step, the longest first."""
    large, small = setup.size(1024, 3), setup.size(128, 2)
    cases = [(name, size, TINY) for name in ("yin_yang_paper", "in_the_loop") for size in (large, small)]
    for name, size, tiny in (*cases, ("mnist_16x16_paper", setup.size(64, 2), TINY_IMAGES)):
        print(f"experiment={name}, {size} at once{': not run' if setup.left < 0 else ''}", flush=True)
        if setup.left >= 0:
            configs = population(size, f"experiment={name}", *(tiny if setup.tiny else ()))
            with setup.computing():
                _show(*_measure(setup, configs))


def _measure(setup: Setup, configs: Sequence[Config]) -> tuple[list[Span], list[Span], list[str]]:
    """Return the launches of some steps, these steps, and the lines of Python that waited for the GPU in them."""
    on_gpu = setup.device == "cuda"
    timed = Timed(DEVICES[setup.device], _event if on_gpu else time.perf_counter)
    trainer = setup.trainer(configs, configs[0].training.batch_size * (STEPS + 2), 1)
    trainer.on_gpu.records = False
    trainer.run_epoch()
    setup.wait()
    steps: list[Span] = []
    launches: list[Span] = []

    def after_batch(batch: int) -> None:
        """Note a step that has ended, and begin the next. The first step does not count, nor the last: it waits."""
        if 1 < batch < trainer.n_batches:
            steps.append(timed.end("step", *began))
            launches.extend(timed.launches)
        timed.launches.clear()
        if on_gpu:
            torch.set_warn_always(True)
            torch.cuda.set_sync_debug_mode("warn" if batch < trainer.n_batches - 1 else "default")
            torch.cuda._sleep(SLEEP)
        began[:] = timed.begin()

    began: list[Any] = []
    with mock.patch.dict(DEVICES, {setup.device: timed}), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer.run_epoch(after_batch)
    setup.wait()
    waits = [f"{each.filename}:{each.lineno}" for each in warned if "synchronizing" in str(each.message)]
    return launches, steps, waits


def _show(launches: Sequence[Span], steps: Sequence[Span], waits: Sequence[str]) -> None:
    seconds, hosts = defaultdict(list), defaultdict(list)
    for launch in launches:
        seconds[launch.name].append(launch.seconds)
        hosts[launch.name].append(launch.host)
    count, step = len(steps), median(each.seconds for each in steps)
    in_kernels = sum(map(sum, seconds.values())) / count
    print(
        f"a step: {duration(step)}, {duration(in_kernels)} of it in {len(launches) / count:.4g} kernels of this "
        f"project; the host takes {duration(median(each.host for each in steps))} to launch all"
    )
    for line, times in Counter(waits).items():
        print(f"the host waits for the GPU {times / count:.3g} times a step at {line}")
    rows = []
    for name, each in sorted(seconds.items(), key=lambda item: -sum(item[1])):
        a_step = sum(each) / count
        cells = [f"{len(each) / count:.3g}", duration(a_step), f"{a_step / step:.0%}", duration(median(hosts[name]))]
        rows.append([name, *cells])
    table(["kernel", "launches a step", "time a step", "share", "host, a launch"], rows)
