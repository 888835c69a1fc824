"""The system around a simulated Slurm: processes, clocks, the disk, and Slurm's commands as the product calls them.

All that the product asks of the system is replaced here; everything else in it is real.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from simulated_commands import Commands
from simulated_processes import Selector, WorkerProcess, popen
from simulated_slurm import SimulatedSlurm, Start

from ttfsrun.files import writing
from ttfsrun.results import lines
from ttfsrun.sweep.monitor import slurm_scheduler, submissions
from ttfsrun.sweep.submit import dispatch, slurm
from ttfsrun.sweep.worker import array_task, crew, site
from ttfsrun.training import checkpoint, fit

START = 1_700_000_000.0
SKEW = 600.0  # seconds between the clocks of the nodes
ERRORS = ("CompletedProcess", "TimeoutExpired", "SubprocessError", "CalledProcessError")


class SubmitterDied(BaseException):
    """SIGKILL of the command that submits."""


class Machine:
    """What the product sees of the system."""

    def __init__(self, slurm: SimulatedSlurm) -> None:
        self.slurm, self.commands = slurm, Commands(slurm)
        self.disk_is_full = False
        self.submitter_dies: str | None = None  # before or after sbatch
        self._last_pid = 10**8

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Replace the system for the product."""
        run = SimpleNamespace(run=self.commands.run, **{name: getattr(subprocess, name) for name in ERRORS})
        patch.setattr(crew, "selectors", SimpleNamespace(DefaultSelector=self._selector, EVENT_READ=1))
        patch.setattr(crew, "subprocess", popen(self._new_worker))
        patch.setattr(array_task, "on_signals", self._on_signals)
        patch.setattr(array_task, "subprocess", run)
        patch.setattr(slurm, "subprocess", run)
        patch.setattr(slurm.submitit.core.utils, "CommandFunction", self._submission)
        patch.setattr(
            slurm_scheduler.SlurmScheduler, "_run", lambda _, *commands: [self._answer(each) for each in commands]
        )
        patch.setattr(site, "time", SimpleNamespace(time=self._clock))
        patch.setattr(lines, "_write", self._write)
        patch.setattr(checkpoint, "write_atomic", self._write_atomic)
        patch.setattr(fit, "CHECKPOINT_SECONDS", -1.0)  # after each epoch
        patch.setattr(dispatch, "started", lambda pid: 1)
        patch.setattr(submissions, "lives", lambda *process: False)  # a command ends before time passes

    @property
    def _current(self) -> Start:
        assert self.slurm.current is not None
        return self.slurm.current

    # ---- processes

    def _selector(self) -> Selector:
        leader = self._current.leader
        return Selector(lambda: leader)

    def _new_worker(self) -> WorkerProcess:
        self._last_pid += 1
        self._current.workers.append(WorkerProcess(self._last_pid))
        return self._current.workers[-1]

    @contextmanager
    def _on_signals(self, handler: Any, *signals: int) -> Iterator[None]:
        self._current.handler = handler
        yield

    # ---- commands

    def _answer(self, command: Sequence[str]) -> slurm_scheduler.CommandAnswer:
        done = self.commands.run(command)
        problem = f"{command[0]}: {done.stderr}" if done.returncode else None
        return slurm_scheduler.CommandAnswer(done.stdout.splitlines(), problem)

    def _submission(self, command: list[str], **_: Any) -> Any:
        def call() -> str:
            death, self.submitter_dies = self.submitter_dies, None
            if death == "before":
                raise SubmitterDied
            done = self.commands.run(command)
            if done.returncode:
                raise slurm.submitit.core.utils.FailedJobError(done.stderr)
            if death == "after":
                raise SubmitterDied
            return done.stdout

        return call

    # ---- clocks and the disk

    def _clock(self) -> float:
        """The time on the node of the current task: the clocks of the nodes do not agree."""
        ahead = 0 if self.slurm.current is None else self.slurm.nodes.index(self.slurm.current.node) - 1
        return START + self.slurm.now + SKEW * ahead

    def _write(self, handle: int, content: bytes) -> None:
        start = self.slurm.current
        torn = None if start is None else start.torn_write
        share = self.slurm.chance.random() if self.disk_is_full else 1.0
        os.write(handle, content[: int((share if torn is None else torn) * len(content))])
        if start is not None and torn is not None:
            start.leader.kill()
            start.leader.pause()
        if self.disk_is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write_atomic(self, path: Path, content: bytes) -> None:
        if self.disk_is_full:
            with writing(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(content)
