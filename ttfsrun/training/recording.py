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


class Recording:
    """The work of a generator, which yields what it has done so far after each part of it."""

    def __init__(self, work: Iterator[int], device: torch.device) -> None:
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

    def _record(self, work: Iterator[int]) -> bool:
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
