"""A live display of a training on a terminal; silence elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ttfsrun.neuron.compiled import compiled_before
from ttfsrun.training.trainer import State, Trainer, curve_metrics


class Display:
    """Epochs done, time left, and the last epoch's numbers: the mean over the population."""

    def __init__(self, progress: Progress, task: TaskID, trainer: Trainer) -> None:
        self._progress, self._task, self._trainer = progress, task, trainer

    def after_batch(self, batch: int) -> None:
        """`batch` batches of the running epoch are done."""
        self._progress.update(self._task, completed=self._trainer.state.epoch + batch / self._trainer.n_batches)

    def after_epoch(self) -> None:
        """The state holds one more epoch."""
        state = self._trainer.state
        self._progress.update(self._task, completed=state.epoch, epoch=state.epoch, numbers=_numbers(state))


@contextmanager
def display(trainer: Trainer) -> Iterator[Display]:
    """Shows how the training goes while the context lasts, on stderr if that is a terminal."""
    console = Console(stderr=True)
    is_terminal = console.is_terminal and console.file.isatty()  # FORCE_COLOR makes rich take any file for one
    networks = f"{trainer.network.size} networks, " if trainer.network.size > 1 else ""
    progress = Progress(
        TextColumn(networks + "epoch {task.fields[epoch]}/{task.total}"),
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        console=console,
        refresh_per_second=4,
        disable=not is_terminal,
    )
    epoch = trainer.state.epoch
    waiting = "" if compiled_before() else "compiling for this processor, once"
    task = progress.add_task("", total=trainer.settings.epochs, completed=epoch, epoch=epoch, numbers=waiting)
    with progress:
        yield Display(progress, task, trainer)


def _numbers(state: State) -> str:
    """Loss, validation accuracy and silent fractions after the last epoch."""
    train, valid = state.curves[state.epoch - 1].mean(dim=0)
    names = curve_metrics(len(state.weights))
    silent = " ".join(f"{100 * value:.0f}" for name, value in zip(names, valid, strict=True) if "silent" in name)
    accuracy = names.index("accuracy")
    return f"loss {train[names.index('loss')]:.3f}  valid {100 * valid[accuracy]:.2f} %  silent {silent} %"
