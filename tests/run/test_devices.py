"""The processors on which a training can run: what torch says of them, and what is chosen."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from ttfsrun.errors import RunFailed, UserError
from ttfsrun.run.devices import Gpu, Seen, ask_torch, explained_shortage, training_device

H100 = Gpu("NVIDIA H100", 80 * 2**30, "0")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let torch see GPUs with these names, all of one compute capability."""

    def seen(*names: str, capability: tuple[int, int] = (9, 0)) -> None:
        major, minor = capability
        properties = [SimpleNamespace(name=name, total_memory=2**30, major=major, minor=minor) for name in names]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: properties[number])

    return seen


def test_each_gpu_has_a_value_that_shows_it_alone(gpus, monkeypatch):
    gpus("A", "B")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert ask_torch().gpus == [Gpu("A", 2**30, "0"), Gpu("B", 2**30, "1")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8932f937")
    assert ask_torch().gpus == [Gpu("A", 2**30, "3"), Gpu("B", 2**30, "GPU-8932f937")]


def test_cores_are_chosen_without_asking_torch(monkeypatch):
    monkeypatch.setattr("ttfsrun.run.devices.ask_torch", None)
    assert training_device("cpu") == (torch.device("cpu"), "cpu")


def test_auto_takes_a_gpu_where_there_is_one(gpus):
    gpus()
    assert training_device("auto") == (torch.device("cpu"), "cpu")
    gpus("A", "B")
    assert training_device("auto") == training_device("cuda") == (torch.device("cuda"), "A")


@pytest.mark.parametrize(("cuda", "why"), [(None, "is built without CUDA"), ("12.8", "sees no GPU")])
def test_a_gpu_that_is_missing_is_an_error_that_says_why(gpus, monkeypatch, cuda, why):
    gpus()
    monkeypatch.setattr(torch.version, "cuda", cuda)
    with pytest.raises(
        UserError, match=f"cluster.device=cuda: torch {torch.__version__} {why}; nvidia-smi".replace("+", r"\+")
    ):
        training_device("cuda")


def test_a_gpu_that_is_too_old_is_not_taken(gpus):
    gpus("Tesla P100", capability=(6, 0))
    assert training_device("auto") == (torch.device("cpu"), "cpu")
    with pytest.raises(UserError, match=r"sees Tesla P100, of compute capability 6\.0, but 7\.0 is needed"):
        training_device("cuda")
    gpus("Tesla V100", capability=(7, 0))
    assert training_device("auto") == (torch.device("cuda"), "Tesla V100")


def test_what_torch_sees_is_chosen_from():
    assert Seen([H100], "torch 2").chosen("auto") == [H100]
    assert Seen([H100], "torch 2").chosen("cpu") == []


@pytest.mark.parametrize(("networks", "text"), [(3, "3 networks: train fewer at once, or"), (1, "one network:")])
def test_a_shortage_of_a_gpus_memory_is_one_line_with_the_way_out(networks, text):
    text = rf"the GPU ran out of memory with {text} set cluster.device=cpu \(CUDA out of memory\)"
    with pytest.raises(RunFailed, match=text), explained_shortage(networks):
        raise torch.cuda.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB.\nOf the allocated memory ..."
        )
