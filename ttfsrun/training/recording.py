"""Work on a GPU that is recorded once, as CUDA graphs, and then done again and again without Python.

Launching the kernels of a training step takes longer than the kernels of a small population. What a recording does is
fixed: the kernels, their memory, and all numbers that are not read from memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

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
                done: int | None = 0
                while done is not None:
                    done = self._record(work)
            torch.cuda.current_stream().wait_stream(stream)

    def _record(self, work: Iterator[int]) -> int | None:
        """Record the next parts. Returns what is done then; None at the end."""
        graph = torch.cuda.CUDAGraph()
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        done: int | None = None
        try:
            for _ in range(PARTS_OF_A_GRAPH):
                done = next(work, None)
                if done is None:
                    break
        except BaseException:
            with contextlib.suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
        self._graphs.append(graph)
        if done is not None:
            self._done.append(done)
        return done

    def repeat(self, after: Callable[[int], None]) -> None:
        """Start the work once more; after: called with what is done once some parts have been started."""
        for number, graph in enumerate(self._graphs):
            graph.replay()
            if number < len(self._done):
                after(self._done[number])
