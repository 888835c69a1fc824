"""Training from the current state to the last epoch, with checkpoints: whatever stops it, little is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ttfsrun.errors import CannotWrite
from ttfsrun.training import checkpoint
from ttfsrun.training.progress import Progress
from ttfsrun.training.state import TrainingState
from ttfsrun.training.trainer import Trainer

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 30.0  # between checkpoints: a killed process loses no more than this and the running epoch ...
SAVING_SECONDS = 1.0  # ... unless saving takes longer than this: then the interval grows in proportion

OnProgress = Callable[[Progress], None]


def fit(trainer: Trainer, path: Path, members: Mapping[str, str], on_progress: OnProgress) -> None:
    """Train to the last epoch. Whatever stops it, the trainer and the checkpoint hold the state after a whole epoch.

    path: of the checkpoint; members: see `checkpoint.save_state`. on_progress is called after each batch and after
    each epoch. Raises Diverged where a loss or a gradient is no longer finite.
    """
    saved, interval = time.monotonic(), CHECKPOINT_SECONDS
    snapshot = trainer.state.copy()
    try:
        while trainer.state.epoch < trainer.settings.epochs:
            start = time.perf_counter()
            trainer.run_epoch(lambda batch: on_progress(_progress(trainer, batch)))
            trainer.state.seconds += time.perf_counter() - start
            snapshot = trainer.state.copy()
            on_progress(_progress(trainer))
            now = time.monotonic()
            if now - saved > interval:
                _save(path, snapshot, members)
                saved = time.monotonic()
                interval = CHECKPOINT_SECONDS * max(1.0, (saved - now) / SAVING_SECONDS)
    finally:
        trainer.state = snapshot.to("cpu")
        _save(path, snapshot, members)


def _progress(trainer: Trainer, batch: int = 0) -> Progress:
    return Progress(
        epoch=trainer.state.epoch,
        epochs=trainer.settings.epochs,
        batch=batch,
        batches=trainer.n_batches,
        networks=trainer.network.size,
    )


def _save(path: Path, state: TrainingState, members: Mapping[str, str]) -> None:
    """Save a checkpoint. Where that fails (a full disk) the training continues: its results may find room later."""
    try:
        checkpoint.save_state(path, state.to("cpu"), members)
    except CannotWrite as error:
        log.warning("%s; the training continues without a checkpoint", error)
