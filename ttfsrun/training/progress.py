"""Progress of the training of a population: the one event that displays, workers and logs receive."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """Complete epochs, and batches done of the running one."""

    epoch: int
    epochs: int  # in all
    batch: int = 0
    batches: int  # of an epoch
    networks: int

    @property
    def is_whole_epoch(self) -> bool:
        """Whether an epoch has just been completed; the trainer's state includes it."""
        return self.batch == 0

    @property
    def epochs_done(self) -> float:
        """Epochs done, with the fraction of the running one."""
        return self.epoch + self.batch / self.batches
