"""Claims: one process of several gets a folder or a file, and what a killed process left is free again."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ttfsrun.results import claim
from ttfsrun.results.claim import Claimed, Holder, claimed_file, claimed_folder, is_occupied

PROCESSES, ROUNDS = 8, 10
FORK = multiprocessing.get_context("fork")

Claim = Callable[[Path], AbstractContextManager[object]]


def ended_process() -> int:
    process = FORK.Process(target=os.getpid)
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


def leave_claim(file: Path, **changed: Any) -> None:
    """Leave the claim of a process that was killed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    holder = msgspec.structs.replace(Holder.this_process(), **({"pid": ended_process()} | changed))
    file.write_bytes(msgspec.json.encode(holder))


def compete(claimed: Claim, target: Path, barriers: tuple[Barrier, Barrier], rounds: int) -> None:
    """Try to claim numbered targets at the same time as the others; write there who succeeded."""
    for number in range(rounds):
        place = target / str(number) / "place"
        barriers[0].wait()
        try:
            with claimed(place):
                (target / str(number) / f"winner-{os.getpid()}").touch()
                barriers[1].wait()  # until all others have been refused
        except Claimed:
            barriers[1].wait()


@pytest.mark.parametrize("left", [(), (1,), (2, 3)], ids=["new", "after one killed", "after two killed"])
@pytest.mark.parametrize("claimed", [claimed_folder, claimed_file], ids=["folder", "file"])
def test_of_many_processes_exactly_one_gets_a_place(claimed: Claim, left: tuple[int, ...], tmp_path: Path) -> None:
    for number in range(ROUNDS):
        place = tmp_path / str(number) / "place"
        place.parent.mkdir()
        for n in left:
            leave_claim(place / f".claim.{n}" if claimed is claimed_folder else place.with_name(f".place.claim.{n}"))
    barriers = FORK.Barrier(PROCESSES), FORK.Barrier(PROCESSES)
    processes = [FORK.Process(target=compete, args=(claimed, tmp_path, barriers, ROUNDS)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    winners = [[path.name for path in (tmp_path / str(n)).glob("winner-*")] for n in range(ROUNDS)]
    assert [len(names) for names in winners] == [1] * ROUNDS
    assert list(tmp_path.rglob(".*")) == [], "no claim is left"


def test_who_succeeds_a_claim_that_was_released_meanwhile_withdraws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    leave_claim(tmp_path / ".claim.1")
    create = claim._create

    def late(file: Path, content: bytes) -> None:
        monkeypatch.undo()
        leave_claim(tmp_path / ".claim.1", pid=os.getpid())  # its successor has ended, and another process came first
        create(file, content)

    monkeypatch.setattr(claim, "_create", late)
    with pytest.raises(Claimed, match=f"process {os.getpid()}"):
        claimed_folder(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [".claim.1"]


def test_the_message_names_the_process_and_the_way_out(tmp_path: Path) -> None:
    with claimed_folder(tmp_path / "run"), pytest.raises(Claimed) as caught, claimed_folder(tmp_path / "run"):
        pass
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'run'} is taken: process {os.getpid()} on {socket.gethostname()} writes ")
    assert message.endswith("; wait for it, or name another folder with --out")


def test_a_claim_from_another_machine_holds_until_it_is_removed(tmp_path: Path) -> None:
    claim = tmp_path / "run" / ".claim.1"
    leave_claim(claim, host="node17", job="4711")
    with pytest.raises(Claimed, match=r"on node17, job 4711, writes there .*; if it has ended, remove .*\.claim\.1"):
        claimed_folder(tmp_path / "run").__enter__()
    claim.unlink()
    with claimed_folder(tmp_path / "run"):
        pass


def test_a_job_that_slurm_starts_again_on_another_node_succeeds_its_own_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that dies cannot remove the claim of its job, and nobody is there at night to do so."""
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    before = msgspec.structs.replace(Holder.this_process(), host="node7")
    (tmp_path / ".claim.1").write_bytes(msgspec.json.encode(before))
    with pytest.raises(Claimed, match="job 17"), claimed_folder(tmp_path):  # a second step of the same start
        pass
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with claimed_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_an_id_that_another_process_uses_now_holds_nothing(tmp_path: Path) -> None:
    leave_claim(tmp_path / "run" / ".claim.1", pid=os.getpid(), started=1)
    with claimed_folder(tmp_path / "run"):
        pass


def test_a_claim_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".claim.1").write_bytes(b"")
    with pytest.raises(Claimed, match=r"if it has ended, remove .*\.claim\.1"):
        claimed_folder(tmp_path).__enter__()


def test_a_claimed_folder_is_empty_and_one_that_stays_empty_goes_again(tmp_path: Path) -> None:
    with claimed_folder(tmp_path / "a" / "b"):
        assert not is_occupied(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with claimed_folder(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_new_folder_gets_a_number_where_its_name_is_in_use(tmp_path: Path) -> None:
    for name in ("run", "run-2", "run-3"):
        with claimed_folder(tmp_path / "run", new=True) as folder:
            assert folder == tmp_path / name
            (folder / "results").touch()
