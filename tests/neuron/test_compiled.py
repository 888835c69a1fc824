"""Compiled code is cached on disk, and never used after its source has changed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numba
import pytest
from numba.core.caching import IndexDataCacheFile

from ttfsrun.neuron.kernels import compiled as installed

SOURCE = """
from ttfsrun.neuron.kernels.compiled import compiled

@compiled
def double(x):
    return x * 2
"""


def load(path: Path) -> ModuleType:
    """A module from a file, new at each call."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path


def folder(dispatcher) -> Path:
    """Return the cache folder of a compiled function; numba creates a folder below it for the function's file."""
    return Path(dispatcher.stats.cache_path).parent


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that NUMBA_CACHE_DIR names."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_code_is_kept_where_numba_is_told_to(cache, tmp_path):
    module = load(write(tmp_path / "one.py", SOURCE))
    assert module.double(21) == 42
    assert folder(module.double).parent == cache
    assert list(folder(module.double).rglob("*.nbc"))


def test_numba_keeps_its_own_cache_for_other_code(cache, tmp_path):
    load(write(tmp_path / "one.py", SOURCE))
    assert str(cache) == numba.config.CACHE_DIR


@pytest.mark.usefixtures("cache")
def test_one_byte_of_the_source_makes_another_folder(tmp_path):
    one, same, other = (
        folder(load(write(tmp_path / name / "kernel.py", source)).double)
        for name, source in (("a", SOURCE), ("b", SOURCE), ("c", SOURCE.replace("x * 2", "x * 3")))
    )
    assert one == same
    assert one != other


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("changed", ["simd.py", "walk.py", "compiled.py"])
def test_one_byte_of_any_module_that_the_kernels_use_makes_another_folder(changed, tmp_path):
    shutil.copytree(Path(installed.__file__).parent, tmp_path / "before" / "kernels")
    shutil.copytree(Path(installed.__file__).parent, tmp_path / "after" / "kernels")
    path = tmp_path / "after" / "kernels" / changed
    path.write_bytes(path.read_bytes() + b"\n")
    folders = []
    for copy in ("before", "after"):
        source = write(tmp_path / copy / "kernel.py", "def double(x):\n    return x * 2\n")
        function = load(source).double
        folders.append(folder(load(tmp_path / copy / "kernels" / "compiled.py").compiled(function)))
    assert folders[0] != folders[1]


def test_where_the_cache_cannot_be_written_code_is_kept_in_a_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    a_file = write(tmp_path / "file", "")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(a_file / "cache"))
    module = load(write(tmp_path / "one.py", SOURCE))
    assert module.double(21) == 42
    assert folder(module.double).is_relative_to(tmp_path / "temporary")
    assert list(folder(module.double).rglob("*.nbc"))


def test_without_a_word_to_numba_code_is_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    module = load(write(tmp_path / "one.py", SOURCE))
    assert folder(module.double).is_relative_to(tmp_path / "xdg" / "ttfsrun")


PROCESS = """
import json, torch
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.neuron.kernels import walk

spikes = first_spike(torch.rand(2, 3), torch.ones(3, 4), Neuron())
stats = walk.walk_rows.stats
print(json.dumps({"hits": sum(stats.cache_hits.values()), "misses": sum(stats.cache_misses.values())}))
"""


def test_the_second_process_compiles_nothing(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        json.loads(subprocess.run([sys.executable, "-c", PROCESS], env=environment, check=True, stdout=-1).stdout)
        for _ in range(2)
    )
    assert first == {"hits": 0, "misses": 1}
    assert second == {"hits": 1, "misses": 0}


LOSS = """
import json, torch
from ttfsrun.config.schema import SquaredError, TimeCrossEntropy
from ttfsrun.training import loss

times, labels = torch.rand(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64)
for settings in (TimeCrossEntropy(xi=0.2, alpha=0.0, beta=1.0, silent=100.0), SquaredError(delta=0.1, silent=100.0)):
    print(loss.judge(settings, times, labels).losses.sum().item())
kernels = [loss._judge_by(loss.cross_entropy), loss._judge_by(loss.squared_error)]
print([sum(kernel.stats.cache_misses.values()) for kernel in kernels])
"""


def test_a_kernel_that_uses_a_function_of_the_caller_is_compiled_once_for_each(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", f"import torch; torch.manual_seed(0)\n{LOSS}"],
            env=environment,
            check=True,
            stdout=-1,
        ).stdout
        for _ in range(2)
    )
    *losses, misses = first.decode().splitlines()
    assert (misses, len(set(losses))) == ("[1, 1]", 2)
    assert second.decode().splitlines() == [*losses, "[0, 0]"]


def called(path: Path, value: str) -> str:
    """A program that prints the double of a numpy value, and whether that had to be compiled."""
    return f"""
import sys
sys.path.insert(0, {str(path.parent)!r})
import numpy, {path.stem} as kernel
result = kernel.double({value})
print(repr(complex(result)), sum(kernel.double.stats.cache_misses.values()))
"""


VALUES = {"numpy.float32(1.5)": 3.0, "numpy.float64(0.1)": 0.2, "numpy.int64(7)": 14, "numpy.complex128(1j)": 2j}


def test_processes_that_compile_for_different_types_at_once_never_run_one_anothers_code(tmp_path):
    path = write(tmp_path / "kernel.py", SOURCE)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    first = [
        subprocess.Popen([sys.executable, "-c", called(path, value)], env=environment, stdout=-1, text=True)
        for value in [*VALUES] * 2
    ]
    results = [process.communicate(timeout=120)[0].split() for process in first]
    assert [complex(result) for result, _ in results] == [complex(expected) for expected in VALUES.values()] * 2
    for value, expected in VALUES.items():
        output = subprocess.run([sys.executable, "-c", called(path, value)], env=environment, check=True, stdout=-1)
        result, misses = output.stdout.split()
        assert complex(result.decode()) == expected
        assert misses == b"0"


def test_code_for_one_type_is_never_taken_for_anothers_whatever_lies_on_disk(cache, tmp_path):
    path = write(tmp_path / "kernel.py", SOURCE)
    module = load(path)
    assert module.double(21) == 42
    assert module.double(0.25) == 0.5
    one, other = sorted(cache.rglob("*.nbc"))
    swapped = one.read_bytes(), other.read_bytes()
    other.write_bytes(swapped[0])
    one.write_bytes(swapped[1])
    assert load(path).double(0.25) == 0.5
    assert load(path).double(21) == 42
    for damaged in (b"", b"torn", swapped[0][:300], b"\x80\x04I1\n."):
        one.write_bytes(damaged)
        other.write_bytes(damaged)
        assert load(path).double(21) == 42
        assert load(path).double(0.25) == 0.5


def test_code_that_cannot_be_kept_is_used_all_the_same(cache, tmp_path, monkeypatch):
    module = load(write(tmp_path / "one.py", SOURCE))

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "_save_data", full)
    assert module.double(21) == 42
    assert not list(cache.rglob("*.nbc"))
