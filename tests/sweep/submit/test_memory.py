"""Memory that tasks request: what is set counts, and a task that ran out of memory is followed by one with more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import made_up
import pytest
import torch
from made_up import Fake

from ttfsrun.config.cluster import Local, Slurm
from ttfsrun.config.compose import compose
from ttfsrun.errors import RunFailed
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.run.devices import explained_shortage
from ttfsrun.sweep.monitor.scheduler import ScheduledTask
from ttfsrun.sweep.monitor.status import sweep_status
from ttfsrun.sweep.submit.memory import MemoryHistory, MemoryPolicy, MemoryRequest

GB = 1e9


def policy(*words: str, **own: Any) -> MemoryPolicy:
    cluster = compose([*(["cluster=slurm"] if not words or "cluster=" not in words[0] else []), *words]).cluster
    assert isinstance(cluster, Local | Slurm)
    return MemoryPolicy(cluster, **own)


def history(folder: SweepFolder, scheduler: Fake | None = None) -> MemoryHistory:
    status = sweep_status(folder, scheduler or Fake())
    return MemoryHistory.of(list(folder.points.values()), folder.jobs(), status)


def request(folder: SweepFolder, chosen: MemoryPolicy, estimate: float = 1 * GB, **own: Any) -> MemoryRequest:
    return chosen.request(list(folder.points.values()), estimate, history(folder, **own))


@pytest.fixture
def short(tmp_path: Path) -> SweepFolder:
    """A sweep of two points, of which one ran out of the 3 GB of its task."""
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points], memory=3 * GB), made_up.submitted("12"))
    made_up.write(folder, [made_up.failed(points[0], "out of memory"), made_up.done(points[1])])
    return folder


def test_without_a_shortage_the_estimate_is_requested_with_a_margin(tmp_path: Path) -> None:
    folder, _ = made_up.seeds(tmp_path, 2)
    assert request(folder, policy()) == MemoryRequest(1.5 * GB, {}, [])


def test_a_shortage_of_a_gpus_memory_raises_no_request(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points], memory=3 * GB), made_up.submitted("12"))
    with pytest.raises(RunFailed) as caught, explained_shortage(1):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    made_up.write(folder, [made_up.failed(points[0], "out of memory", str(caught.value)), made_up.done(points[1])])
    assert request(folder, policy()) == MemoryRequest(1.5 * GB, {}, [])


def test_after_a_shortage_twice_the_memory_is_requested_and_both_are_named(short: SweepFolder) -> None:
    again = request(short, policy())
    assert (again.bytes, dict(again.raised)) == (6 * GB, {"shape": 6 * GB})
    assert list(again.lines) == ["1 point ran out of memory with 3 GB: tasks now request 6 GB"]


@pytest.mark.parametrize(
    "task",
    [
        ScheduledTask("ended", "OUT_OF_MEMORY", "SIGKILL"),
        ScheduledTask("ended", "FAILED", "SIGKILL"),
        ScheduledTask("ended", "FAILED", "exit code 137, SIGKILL"),
    ],
)
def test_a_task_that_the_scheduler_ended_counts_as_well(task: ScheduledTask, tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points], memory=3 * GB), made_up.submitted("12"))
    again = request(folder, policy(), scheduler=Fake({"12_0": task}))
    assert again.bytes == 6 * GB
    assert list(again.lines) == ["2 points ran out of memory with 3 GB: tasks now request 6 GB"]


def test_what_a_shape_needed_is_known_to_later_submissions(short: SweepFolder) -> None:
    (point, *_) = short.points
    made_up.submit(short, made_up.gone([[point]], submission="s2", memory=6 * GB, raised={"shape": 6 * GB}))
    made_up.write(short, [made_up.done(point, submission="s2")], shard="1")
    later = request(short, policy())
    assert later.bytes == 6 * GB
    assert list(later.lines) == ["earlier tasks of this sweep ran out of memory: tasks request 6 GB"]


@pytest.mark.parametrize(("own", "limit"), [([], 4.0), (["cluster.max_memory_gb=3.5"], 3.5)])
def test_the_request_has_a_limit(own: list[str], limit: float, short: SweepFolder) -> None:
    again = request(short, policy(*own, largest_node=4 * GB))
    assert again.bytes == limit * GB
    assert again.lines[0].endswith(f"tasks now request {limit:g} GB, the most that a task can have")


def test_a_point_that_ran_out_of_the_most_is_not_submitted_again(short: SweepFolder) -> None:
    points, (point, *_) = list(short.points.values()), short.points
    for words, node, hopeless in [
        ([], 3 * GB, {point}),
        ([], 4 * GB, set()),
        (["cluster.max_memory_gb=2"], None, {point}),
        (["cluster.cores=2"], 3 * GB, set()),  # fewer processes at once
        (["cluster.memory_gb=3"], 3 * GB, set()),  # as the user says
    ]:
        chosen = policy(*words, largest_node=node)
        assert chosen.hopeless(points, history(short)) == hopeless
    line = policy(largest_node=3 * GB).hopeless_line(1)
    assert line.startswith("1 point ran out of memory with 3 GB, the memory of the largest node: not submitted again")
    assert all(way in line for way in ("cluster.partition", "cluster.cores", "cluster.memory_gb"))


@pytest.mark.parametrize(
    ("words", "requested", "line"),
    [
        (
            ["cluster.memory_gb=3"],
            3.0,
            "1 point ran out of memory with 3 GB, and cluster.memory_gb=3 is kept: "
            "cluster.memory_gb=6 gives more, null raises it as necessary",
        ),
        (
            ["cluster.memory_gb=8"],
            8.0,
            "1 point ran out of memory with 3 GB: tasks now have 8 GB (cluster.memory_gb=8)",
        ),
        (
            ["cluster.sbatch={mem: 3G}"],
            None,
            "1 point ran out of memory with 3 GB, and cluster.sbatch={mem: 3G} is kept: "
            "cluster.memory_gb sets how much tasks request",
        ),
        (
            ["cluster=local", "cluster.memory_gb=3"],
            3.0,
            "1 point ran out of memory with 3 GB, and cluster.memory_gb=3 is kept: "
            "cluster.memory_gb=6 gives more, null sets no limit",
        ),
    ],
)
def test_a_memory_that_the_user_set_is_kept(
    words: list[str], requested: float | None, line: str, short: SweepFolder
) -> None:
    again = request(short, policy(*words))
    assert again.bytes == (requested and requested * GB)
    assert list(again.lines) == [line]


def test_a_memory_that_is_a_default_of_the_environment_is_raised(short: SweepFolder) -> None:
    assert request(short, policy("cluster.memory_gb=4", is_default=True)).bytes == 6 * GB
    assert request(short, policy("cluster.memory_gb=7", is_default=True)).bytes == 7 * GB


def test_a_shortage_of_an_older_version_counts_from_the_estimate(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    made_up.write(folder, [made_up.failed(points[0], "out of memory")])
    assert request(folder, policy()).bytes == 3 * GB
