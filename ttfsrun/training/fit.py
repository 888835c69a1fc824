"""A training from where it stands to its end, with checkpoints on the way: whatever stops it, little is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ttfsrun.training import checkpoint
from ttfsrun.training.trainer import State, Trainer

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 30.0  # an unforeseen end loses no more than this, and the running epoch ...
SAVING_SECONDS = 1.0  # ... unless saving takes longer than this: then it happens less often by as much


class Audience(Protocol):
    """Is told how a training goes."""

    def after_batch(self, batch: int) -> None:
        """`batch` batches of the running epoch are done."""

    def after_epoch(self) -> None:
        """The state of the trainer holds one more epoch."""


def fit(trainer: Trainer, path: Path, members: Mapping[str, str], audience: Audience) -> None:
    """Train to the end. Whatever stops it, the state after the last whole epoch is in the trainer, and on disk.

    members: as `checkpoint.save_state` has them.
    """
    saved, pause = time.monotonic(), CHECKPOINT_SECONDS
    whole = trainer.state.copy()
    try:
        while trainer.state.epoch < trainer.settings.epochs:
            start = time.perf_counter()
            trainer.run_epoch(audience.after_batch)
            trainer.state.seconds += time.perf_counter() - start
            whole = trainer.state.copy()
            audience.after_epoch()
            now = time.monotonic()
            if now - saved > pause:
                _save(path, whole, members)
                saved = time.monotonic()
                pause = CHECKPOINT_SECONDS * max(1.0, (saved - now) / SAVING_SECONDS)
    finally:
        trainer.state = whole
        _save(path, whole, members)


def _save(path: Path, state: State, members: Mapping[str, str]) -> None:
    """A disk that is full costs the checkpoint, not the training: there may be room again for its result."""
    try:
        checkpoint.save_state(path, state, members)
    except OSError as error:
        log.warning("%s: %s; the training goes on without a checkpoint", path, error.strerror)
