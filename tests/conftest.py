"""Networks small enough that a test trains them in a moment."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ttfsrun.cli import main
from ttfsrun.config.compose import compose
from ttfsrun.config.schema import Config
from ttfsrun.data import mnist
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.files import user_cache
from ttfsrun.neuron import get_threads, set_threads
from ttfsrun.run import write

TINY = (
    "data.samples={train:110,valid:40,test:50}",
    "network.hidden=[20]",
    "training.batch_size=25",
    "training.epochs=3",
    "cluster.threads=1",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one process for each core, and with Slurm one more: its tests run one at a time, and mostly wait."""
    return len(os.sched_getaffinity(0)) + (shutil.which("sbatch") is not None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that at the end no process works on a long one while the others are idle."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where pytest-xdist would spread a group of tests over processes: it finds the group at the end of an id."""
    if getattr(session.config.option, "loadgroup", False):
        spread = [
            item.nodeid for item in session.items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid
        ]
        if spread:
            raise pytest.UsageError(f"{spread[0]}: this version of pytest-xdist loses the groups of tests")


@pytest.fixture(scope="session")
def tiny_overrides() -> tuple[str, ...]:
    """Yin-yang with few samples and neurons; the last batch of an epoch is smaller than the others."""
    return TINY


@pytest.fixture
def tiny() -> Callable[..., Config]:
    """The configuration of a tiny network with further overrides."""
    return lambda *overrides: compose([*TINY, *overrides])


@pytest.fixture(scope="session")
def samples() -> dict[str, Samples]:
    """The encoded splits of the tiny configuration."""
    return load_samples(compose(TINY).data)[0]


@pytest.fixture
def pack() -> Callable[[np.ndarray], bytes]:
    """The gzipped IDX file of an array of uint8."""
    return _pack


@pytest.fixture
def digits() -> Callable[..., Path]:
    """Writes a dataset in MNIST's format into a new folder; each `shift` of the labels is another dataset."""

    def write(folder: Path, shift: int = 0) -> Path:
        folder.mkdir()
        for name, content in _digits(shift).items():
            (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture(scope="session")
def cache_of_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of prepared images, which knows only the datasets of these tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def two_datasets(
    digits: Callable[..., Path], cache_of_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Two folders, each with another dataset in MNIST's format, the first named by TTFSRUN_DATA."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", os.environ.get("NUMBA_CACHE_DIR") or str(user_cache() / "kernels"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_of_digits))
    one, other = digits(tmp_path / "one"), digits(tmp_path / "other", shift=1)
    monkeypatch.setenv("TTFSRUN_DATA", str(one))
    return one, other


@pytest.fixture
def tiny_images() -> tuple[str, ...]:
    """A tiny network for images, and a short training."""
    return ("data=mnist_16x16", "network.hidden=[3]", "training.batch_size=10000", "training.epochs=1")


def _pack(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes(), compresslevel=1)


@cache
def _digits(shift: int) -> dict[str, bytes]:
    """Pixel k of every image is its number modulo 251, labels count 0 to 9."""
    files = {}
    for images, labels in ((mnist.TRAIN_IMAGES, mnist.TRAIN_LABELS), (mnist.TEST_IMAGES, mnist.TEST_LABELS)):
        number = np.arange(images.shape[0])
        pixels = np.broadcast_to((number % 251).astype(np.uint8)[:, None, None], images.shape)
        files[f"{images.name}.gz"] = _pack(pixels)
        files[f"{labels.name}.gz"] = _pack(((number + shift) % 10).astype(np.uint8))
    return files


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads until the test ends."""
    before = get_threads()
    yield set_threads
    set_threads(before)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without pictures, whose drawing takes longer than a tiny training."""
    monkeypatch.setattr(write, "plot_runs", lambda *args, **kwargs: None)


@pytest.fixture
def ttfsrun(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, threads: Callable[[int], None]
) -> Callable[..., tuple[int, str, str]]:
    """A command line: exit code, standard output, and messages."""

    def call(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        caplog.clear()
        try:
            code = main.main([str(word) for word in argv])
        except SystemExit as left:
            code = int(left.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, "".join(f"{line}\n" for line in caplog.messages) + printed.err

    return call
