"""In place of a crew: the leader computes itself, so that a debugger sees everything."""

from __future__ import annotations

from collections.abc import Sequence

from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.messages import Greeting, Observer
from ttfsrun.sweep.worker.site import Site


class InProcess:
    """Computes one population after the other in this process. Imports torch when it runs."""

    def __init__(self, threads: int, greeting: Greeting, observer: Observer) -> None:
        self._threads, self._greeting, self._observer = threads, greeting, observer

    def run(self, populations: Sequence[Sequence[SweepPoint]]) -> None:
        """Compute all populations, the first ones first."""
        from ttfsrun.neuron import use_threads
        from ttfsrun.sweep.worker.execute import execute

        use_threads(self._threads)
        site = Site.of(self._greeting, self._threads)
        for population in populations:
            execute(population, site, self._observer)

    def stop(self) -> None:
        """Leave at once, from a signal handler: raises KeyboardInterrupt, and the training saves its state."""
        raise KeyboardInterrupt
