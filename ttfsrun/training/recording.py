"""Work on a GPU that is recorded once, as CUDA graphs, and then done again and again without Python.

Launching the kernels of a training step takes longer than the kernels of a small population. What a recording does is
fixed: the kernels, their memory, and all numbers that are not read from memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import islice

import torch

PARTS_OF_A_GRAPH = 64  # more make no difference to the speed, but to how often a caller hears of the progress


Work = Iterator[int]  # a generator that yields what it has done so far after each part of the work


class Repetition:
    """Work that is the same each time, but for numbers in the memory of a GPU. The second time it is recorded.

    records: whether it is.
    """

    def __init__(self, device: torch.device, records: bool) -> None:
        self._device, self.records = device, records
        self._known = False  # whether it has been done
        self._recording: Recording | None = None

    def do(self, begin: Callable[[], Work], after: Callable[[int], None]) -> None:
        """Do the work once more. begin: returns it from its start; for after, see `Recording.repeat`."""
        if self._known and self.records and self._recording is None:
            self._record(begin())
        if self._recording is not None:
            self._recording.repeat(after)
            return
        for done in begin():
            after(done)
        self._known = True

    def _record(self, work: Work) -> None:
        try:
            self._recording = Recording(work, self._device)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError:  # something of it cannot be recorded, so Python does it as before
            self.records = False


class Recording:
    """Work of a GPU."""

    def __init__(self, work: Work, device: torch.device) -> None:
        """Record the work to its end; nothing is computed.

        All of it must have been done once before, so that no kernel is compiled now, and nothing is copied from the
        host. Raises torch.cuda.OutOfMemoryError.
        """
        self._graphs: list[torch.cuda.CUDAGraph] = []
        self._done: list[int] = []
        with torch.cuda.device(device):
            torch.cuda.empty_cache()  # the memory of what was not recorded
            self._pool, stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                while self._record(work):
                    pass
            torch.cuda.current_stream().wait_stream(stream)

    def _record(self, work: Work) -> bool:
        """Record the next parts. Returns whether there may be more."""
        graph = torch.cuda.CUDAGraph()
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        parts: list[int] = []
        try:
            parts.extend(islice(work, PARTS_OF_A_GRAPH))
        except BaseException:
            with contextlib.suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
        self._graphs.append(graph)
        self._done.extend(parts[-1:] or self._done[-1:])
        return len(parts) == PARTS_OF_A_GRAPH

    def repeat(self, after: Callable[[int], None]) -> None:
        """Start the work once more; after: called with what is done once some parts have been started."""
        for graph, done in zip(self._graphs, self._done, strict=True):
            graph.replay()
            after(done)
