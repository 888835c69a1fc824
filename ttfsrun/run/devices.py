"""The processors on which a training can run: the cores, and the GPUs that torch sees."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from ttfsrun.config.cluster import Processor
from ttfsrun.errors import RunFailed, UserError
from ttfsrun.results.record import CPU

if TYPE_CHECKING:
    import torch

GPU_SHORTAGE = "the GPU ran out of memory"  # how the message of such a failure begins
VISIBLE = "CUDA_VISIBLE_DEVICES"  # the variable that limits a process to some GPUs, by number or identifier


class Gpu(msgspec.Struct, frozen=True):
    """A GPU that torch sees."""

    name: str
    memory: int  # bytes
    visible_as: str  # value of CUDA_VISIBLE_DEVICES for a process that is to see this GPU alone


class Seen(msgspec.Struct, frozen=True):
    """What torch sees. torch: its version, and why it sees no GPU."""

    gpus: list[Gpu]
    torch: str

    def chosen(self, wanted: Processor) -> list[Gpu]:
        """Return the GPUs to use; none: compute on the cores. Raises UserError where one is wanted and none is seen."""
        if wanted == "cuda" and not self.gpus:
            raise UserError(
                f"cluster.device=cuda: {self.torch}; nvidia-smi shows the GPUs, pytorch.org the builds of torch for "
                "them; cluster.device=cpu computes on the cores"
            )
        return [] if wanted == "cpu" else self.gpus


def ask_torch() -> Seen:
    """Return the GPUs that torch sees in this process and that the kernels run on, in its order."""
    import torch

    from ttfsrun.neuron.kernels.cuda.ptx import TARGETS

    why = "sees no GPU" if torch.version.cuda else "is built without CUDA"
    listed = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    found = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    gpus = []
    for number, seen in enumerate(map(torch.cuda.get_device_properties, found)):
        if 10 * seen.major + seen.minor >= TARGETS[0]:
            gpus.append(Gpu(seen.name, seen.total_memory, listed[number] if listed else str(number)))
        else:
            why = f"sees {seen.name}, of compute capability {seen.major}.{seen.minor}, but {TARGETS[0] / 10} is needed"
    return Seen(gpus, f"torch {torch.__version__} {why}")


def training_device(wanted: Processor) -> tuple[torch.device, str]:
    """Return the device of torch on which this process trains, and its name. Raises what `Seen.chosen` raises."""
    import torch

    gpus = [] if wanted == CPU else ask_torch().chosen(wanted)
    return (torch.device("cuda"), gpus[0].name) if gpus else (torch.device("cpu"), CPU)


@contextmanager
def explained_shortage(networks: int) -> Iterator[None]:
    """Raise RunFailed, instead of torch's error, where a GPU runs out of memory for so many networks in the block."""
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        many = f"{networks} networks: train fewer at once, or" if networks > 1 else "one network:"
        text = f"{GPU_SHORTAGE} with {many} set cluster.device=cpu ({str(error).partition('. ')[0]})"
        raise RunFailed(text) from error


def gpu_works() -> bool:
    """Tell whether this process can still use its GPU; after some errors of CUDA, only another process can."""
    import torch

    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def free_memory() -> None:
    """Return memory that nothing refers to any more, also that of a GPU where one is used, to the system."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
