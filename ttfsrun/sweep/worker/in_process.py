"""Computation in the leader's own process instead of a crew of workers, for a debugger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ttfsrun.results.record import CPU
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.messages import Greeting, Observer
from ttfsrun.sweep.worker.site import Site


@dataclass(frozen=True)
class ThisProcess:
    """Resources of a computation in the leader's own process."""

    threads: int
    device: str = CPU  # that trains: CPU, or the name of a GPU


class InProcess:
    """Substitute for a crew that computes in this process. `run` imports torch."""

    def __init__(self, resources: ThisProcess, greeting: Greeting, observer: Observer) -> None:
        self._resources, self._greeting, self._observer = resources, greeting, observer

    def run(self, populations: Sequence[Sequence[SweepPoint]]) -> None:
        """Compute all populations, in their order."""
        from ttfsrun.neuron import use_threads
        from ttfsrun.sweep.worker.execute import execute

        use_threads(self._resources.threads)
        greeting = msgspec.structs.replace(self._greeting, device=self._resources.device)
        site = Site.of(greeting, self._resources.threads)
        for population in populations:
            execute(population, site, self._observer)

    def stop(self) -> None:
        """Raise KeyboardInterrupt, from a signal handler; the training saves its state."""
        raise KeyboardInterrupt
