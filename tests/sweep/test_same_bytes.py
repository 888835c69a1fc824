"""A table does not depend on how it was computed: on which machine, threads, or in which populations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., tuple[int, str, str]]

GRID = (
    "experiment=in_the_loop",
    "data.samples={train:200,valid:40,test:40}",
    "network.hidden=[20]",
    "training.batch_size=60",
    "training.epochs=2",
    "seed.init=range(5)",
    "substrate.v_th.chip_std=0.0,0.1",
    "substrate.weight.bits=3,null",
    "+evaluation.conditions.elsewhere={seed.chip: [7, 8]}",
)
WAYS = {
    "two processes": ["cluster=local", "cluster.processes=2"],
    "one process, two threads": ["cluster=local", "cluster.processes=1", "cluster.threads=2"],
    "two threads of this process": ["cluster=debug", "cluster.threads=2"],
}


@pytest.fixture
def table(ttfsrun: Call, tmp_path: Path) -> Callable[..., tuple[bytes, bytes]]:
    """Return the bytes of a sweep's table and of its learning curves."""

    def made(*words: str, times: int = 1) -> tuple[bytes, bytes]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "sweep"
        for extra in (*[("--limit", str(i * 7)) for i in range(1, times)], ()):
            ttfsrun("sweep", *GRID, *words, "--out", path, "--yes", *extra)
        code, _, messages = ttfsrun("gather", path, "--bare", "--curves")
        assert code == 0, messages
        return (path / "table.csv").read_bytes(), (path / "curves.csv").read_bytes()

    return made


@pytest.mark.slow
def test_the_same_sweep_gives_the_same_bytes_however_it_is_computed(table, monkeypatch):
    from ttfsrun.sweep import cost

    alone = ("cluster=debug", "cluster.threads=1")
    first = table(*alone)
    assert first[0].count(b"\n") == 1 + 20 * 4, "itself, in simulation, on two other chips"
    for name, words in WAYS.items():
        assert table(*words) == first, name
    assert table(*alone, times=3) == first, "piece by piece"
    for largest in (1, 3):  # packed in other ways
        monkeypatch.setattr(cost, "MAX_NETWORKS", largest)
        assert table(*alone) == first, f"populations of {largest}"
