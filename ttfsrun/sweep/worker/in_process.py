"""Computation in the leader's own process instead of a crew of workers, for a debugger."""

from __future__ import annotations

from collections.abc import Sequence

from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.messages import Greeting, Observer
from ttfsrun.sweep.worker.site import Site


class InProcess:
    """Substitute for a crew that computes in this process. `run` imports torch."""

    def __init__(self, threads: int, greeting: Greeting, observer: Observer) -> None:
        self._threads, self._greeting, self._observer = threads, greeting, observer

    def run(self, populations: Sequence[Sequence[SweepPoint]]) -> None:
        """Compute all populations, in their order."""
        from ttfsrun.neuron import use_threads
        from ttfsrun.sweep.worker.execute import execute

        use_threads(self._threads)
        site = Site.of(self._greeting, self._threads)
        for population in populations:
            execute(population, site, self._observer)

    def stop(self) -> None:
        """Raise KeyboardInterrupt, from a signal handler; the training saves its state."""
        raise KeyboardInterrupt
