"""Giving up what is lost: tasks that neither the queue nor the accounting knows any more.

A task is given up only if the queue of its own cluster, asked by a user who sees it, answers and does not list it.
A process on another host cannot be checked from here: the user says that it has ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ttfsrun.errors import SchedulerRefused
from ttfsrun.results.processes import is_here
from ttfsrun.results.sweep_folder import Ended, GivenUp, SweepFolder
from ttfsrun.results.wording import count
from ttfsrun.sweep.monitor.scheduler import Queue, Scheduler
from ttfsrun.sweep.monitor.slurm_scheduler import SlurmScheduler
from ttfsrun.sweep.monitor.status import SweepStatus, sweep_status
from ttfsrun.sweep.monitor.submissions import Submission


@dataclass(frozen=True)
class Lost:
    """Units of a submission whose state is unknown. kept: why they cannot be given up; None: they can."""

    submission: Submission
    units: list[int]
    points: int
    kept: str | None = None

    @property
    def description(self) -> str:
        """What it is, in words."""
        intent, points = self.submission.intent, count(self.points, "unfinished point")
        if not self.submission.on_slurm:
            return f"process {intent.pid} on {intent.host}, which cannot be checked from here: {points}"
        jobs = ", ".join(self.submission.jobs.values()) or intent.job_name
        return f"{count(len(self.units), 'task')} of Slurm job {jobs}, unknown to the queue: {points}"


def lost_units(status: SweepStatus, scheduler: Scheduler | None = None) -> list[Lost]:
    """Return all units of a sweep whose state is unknown, by submission."""
    scheduler = scheduler or SlurmScheduler()
    asked = [submission for submission in status.submissions if submission.token in status.unit_states.units]
    return [lost for submission in asked for lost in _lost_of(status, submission, scheduler)]


def planned_losses(status: SweepStatus) -> list[str]:
    """Return what `give_up` would give up, in words."""
    return [lost.description for lost in lost_units(status) if lost.kept is None]


def give_up(folder: SweepFolder, scheduler: Scheduler | None = None) -> Iterator[str]:
    """Give up the lost units, whose points may then be submitted again; yield a message for each submission.

    Raises SchedulerRefused at the end where some cannot be given up, since they may still run.
    """
    found = lost_units(sweep_status(folder, scheduler), scheduler)
    for lost in (lost for lost in found if lost.kept is None):
        token, now = lost.submission.token, time.time()
        if lost.submission.on_slurm:
            folder.note(GivenUp(submission=token, time=now, units=lost.units))
        else:
            folder.note(Ended(submission=token, time=now, why="cancelled"))
        yield f"given up: {lost.description}"
    if not found:
        yield "nothing is lost"
    refuse_kept(found)


def refuse_kept(found: list[Lost]) -> None:
    """Raise SchedulerRefused where some of the units cannot be given up."""
    kept = [f"{count(lost.points, 'point')} may still run ({lost.kept})" for lost in found if lost.kept is not None]
    if kept:
        raise SchedulerRefused(f"not given up: {'; '.join(kept)}")


def _lost_of(status: SweepStatus, submission: Submission, scheduler: Scheduler) -> Iterator[Lost]:
    """Yield the lost units of a submission: those to give up, and those to keep."""
    units = status.unit_states.units[submission.token]
    unknown = [number for number, unit in enumerate(units) if unit.kind == "unknown"]
    unfinished = set(status.of("unknown"))  # others have a task that computes them, or a record
    points = {number: len(unfinished.intersection(submission.units[number])) for number in unknown}
    chosen = [number for number in unknown if points[number]]
    if not chosen:
        return
    if not submission.on_slurm:
        yield Lost(submission, chosen, sum(points.values()))
        return
    try:
        queue = _queue(status.folder, submission, scheduler)
    except SchedulerRefused as error:
        yield Lost(submission, chosen, sum(points.values()), kept=str(error))
        return
    listed = [number for number in chosen if _lists(queue, submission, number)]
    gone = [number for number in chosen if number not in listed]
    if gone:
        yield Lost(submission, gone, sum(points[number] for number in gone))
    if listed:
        yield Lost(submission, listed, sum(points[number] for number in listed), kept="squeue lists their tasks")


def _queue(folder: SweepFolder, submission: Submission, scheduler: Scheduler) -> Queue:
    """Return the queue of the submission's own cluster. Raises SchedulerRefused where another one answers, or none."""
    intent, user = submission.intent, os.getuid()
    owner = folder.jobs_file.stat().st_uid if intent.uid is None else intent.uid
    if user not in (0, owner):
        raise SchedulerRefused(f"they are tasks of the user with id {owner}, which the queue may hide from others")
    cluster = submission.slurm_cluster
    queue = (scheduler if cluster is None else scheduler.on(cluster)).queue(
        [submission.name(array) for array in range(len(intent.arrays))]
    )
    if intent.slurm is None and not is_here(intent.host):
        raise SchedulerRefused(f"they were submitted on {intent.host}, perhaps to another cluster: run this there")
    if intent.slurm is not None and intent.slurm != queue.cluster:
        raise SchedulerRefused(f"they were submitted to the cluster {intent.slurm}, and {queue.cluster} answers")
    return queue


def _lists(queue: Queue, submission: Submission, number: int) -> bool:
    """Return whether the queue lists a task of a submission."""
    first = 0
    for array, size in enumerate(submission.intent.arrays):
        if number < first + size:
            job = submission.jobs.get(array)
            return job is None or f"{job}_{number - first}" in queue.tasks or (size == 1 and job in queue.tasks)
        first += size
    return True
