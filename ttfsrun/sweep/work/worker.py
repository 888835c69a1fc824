"""Entry point of array tasks that version 0.1 queued before modules moved; they must still start."""

from ttfsrun.sweep.worker.array_task import main

__all__ = ["main"]
