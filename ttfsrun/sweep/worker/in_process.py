"""A crew of nobody: the process that asks does the work itself, so that a debugger sees all of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.messages import Greeting

if TYPE_CHECKING:
    from ttfsrun.sweep.worker.crew import Watcher


class InProcess:
    """One population after the other. Imports torch when it runs."""

    def __init__(self, threads: int, greeting: Greeting, watcher: Watcher) -> None:
        self._threads, self._greeting, self._watcher = threads, greeting, watcher

    def run(self, populations: Sequence[Sequence[SweepPoint]]) -> None:
        from ttfsrun.run.train import share_cores
        from ttfsrun.sweep.worker.execute import Site, execute

        share_cores(self._threads)
        site = Site.of(self._greeting, self._threads)
        for population in populations:
            execute(population, site, self)

    def stop(self) -> None:
        """What a signal asks for: leave at once; the training saves its state on the way."""
        raise KeyboardInterrupt

    def epoch(self, done: int, epochs: int, networks: int) -> None:
        self._watcher.epoch(os.getpid(), done, epochs, networks)

    def finished(self, record: Record, curves: Curves | None) -> None:
        self._watcher.finished(record, curves)
