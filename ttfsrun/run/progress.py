"""Live progress bars of trainings and sweeps, shown only on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from ttfsrun.training.progress import Progress as TrainingProgress

if TYPE_CHECKING:
    from ttfsrun.training.fit import OnProgress
    from ttfsrun.training.state import TrainingState
    from ttfsrun.training.trainer import Trainer


def terminal_progress(*heading: ProgressColumn) -> Progress:
    """Return a bar on stderr: the heading, the bar, the time left, and the task's field `text`.

    It is disabled where stderr is not a terminal.
    """
    console = Console(stderr=True)
    is_terminal = console.is_terminal and console.file.isatty()  # with FORCE_COLOR rich takes any file for a terminal
    return Progress(
        *heading,
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
        refresh_per_second=4,
        disable=not is_terminal,
    )


@contextmanager
def training_display(trainer: Trainer) -> Iterator[OnProgress]:
    """Show epochs done, time left and the last epoch's numbers (the mean over the population) while the block lasts."""
    from ttfsrun.neuron.kernels.compiled import compiled_before

    networks = f"{trainer.network.size} networks, " if trainer.network.size > 1 else ""
    bar = terminal_progress(TextColumn(networks + "epoch {task.fields[epoch]}/{task.total}"))
    epoch = trainer.state.epoch
    text = "" if compiled_before() else "compiling for this processor, once"
    task = bar.add_task("", total=trainer.settings.epochs, completed=epoch, epoch=epoch, text=text)

    def show(progress: TrainingProgress) -> None:
        if bar.disable:
            return
        bar.update(task, completed=progress.epochs_done)
        if progress.is_whole_epoch:
            bar.update(task, epoch=progress.epoch, text=_numbers(trainer.state))

    with bar:
        yield show


def _numbers(state: TrainingState) -> str:
    """Return loss, validation accuracy and silent fractions after the last epoch as a text."""
    from ttfsrun.training.state import curve_metrics

    train, valid = state.curves[state.epoch - 1].mean(dim=0)
    names = curve_metrics(len(state.learned.weights))
    silent = " ".join(f"{100 * value:.0f}" for name, value in zip(names, valid, strict=True) if "silent" in name)
    accuracy = names.index("accuracy")
    return f"loss {train[names.index('loss')]:.3f}  valid {100 * valid[accuracy]:.2f} %  silent {silent} %"
