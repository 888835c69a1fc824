"""Settings that the user has for other programs change no number and no picture, and end no run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TINY = "data.samples={train:110,valid:40,test:50} network.hidden=[20] training.batch_size=25 training.epochs=2"
COMMANDS = (
    f"train {TINY} substrate=brainscales2 cluster.threads=1 --out run",
    "chip substrate=brainscales2 --out chip",
    f"sweep {TINY} substrate.v_th.chip_std=0.0,0.1 seed.init=0,1 cluster.processes=1 --out sweep",
    "gather sweep --bare --out table.csv",
    "plot sweep",
)
VARIABLES = {
    "MPLBACKEND": "module://of_a_notebook.backend",
    "NUMBA_BOUNDSCHECK": "1",
    "NUMBA_CACHE_LOCATOR_CLASSES": "Nonsense",
    "NUMBA_DEBUG_CACHE": "1",
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_NUM_THREADS": "0",
    "NUMBA_OPT": "banana",
    "NUMBA_TRACE": "1",
    "NPY_ENABLE_CPU_FEATURES": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "SOURCE_DATE_EPOCH": "yesterday",
    "TORCHINDUCTOR_CACHE_DIR": "/proc/nowhere",
    "TORCH_LOGS": "banana",
    "PYTHONHASHSEED": "1",
    "PYTHONWARNINGS": "error",
    "OMP_NUM_THREADS": "3",
    "HYDRA_FULL_ERROR": "1",
    "COLUMNS": "x",
    "FORCE_COLOR": "1",
    "TZ": "Nonsense/Zone",
}
if sys.prefix.isascii():  # else Python cannot read the files of its own environment
    VARIABLES["LC_ALL"] = "C"
MATPLOTLIBRC = (
    b"""
backend: banana
text.usetex: True
path.sketch: 1, 100, 2
path.effects: []
savefig.bbox: tight
savefig.transparent: True
image.cmap: jet
image.origin: lower
axes.grid: True
axes.formatter.use_locale: True
lines.linestyle: --
patch.linewidth: 4
xtick.minor.visible: True
"""
    + b"font.family: \xff\xfe\n"
)  # not in UTF-8
FILES = {
    "matplotlibrc": MATPLOTLIBRC,
    ".numba_config.yaml": b"disable_jit: 1\n{{{",
    **{f"{module}.py": b"raise SystemExit('of the user')\n" for module in ("random", "logging", "config", "numpy")},
}


def called(words: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ttfsrun", *words.split()]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def made(folder: Path) -> dict[str, bytes]:
    """Return the files that all commands wrote, without those that name a time or a process."""
    kinds = (".png", ".pdf", ".csv", ".safetensors", ".yaml")
    files = [path for path in folder.rglob("*") if path.suffix in kinds and path.name not in {*FILES, "sweep.yaml"}]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_settings_for_other_programs_change_no_number_and_no_picture(
    ttfsrun: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    plain.mkdir()
    other.mkdir()
    for name, content in FILES.items():
        (other / name).write_bytes(content)
    monkeypatch.chdir(plain)
    for words in COMMANDS:
        assert ttfsrun(*words.split())[0] == 0
        done = called(words, other, VARIABLES)
        messages = [line for line in done.stderr.splitlines() if not line.startswith("ttfsrun: ")]
        assert (done.returncode, messages) == (0, []), (words, done.stderr)
    expected, result = made(plain), made(other)
    assert len(expected) > 30
    assert result.keys() == expected.keys()
    assert [name for name in expected if result[name] != expected[name]] == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PYTHONOPTIMIZE", "1", "unset PYTHONOPTIMIZE, or omit -O"),
        ("NUMBA_CPU_FEATURES", "avx2", "NUMBA_CPU_FEATURES=avx2: must be a list such as +avx2,-fma; or unset it"),
    ],
)
def test_a_setting_that_cannot_be_ignored_is_one_line(variable: str, value: str, message: str, tmp_path: Path) -> None:
    done = called("config experiment=yin_yang", tmp_path, {variable: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ttfsrun: ")
    assert done.stderr.endswith(f"{message}\n")
    assert done.stderr.count("\n") == 1


def test_a_program_that_imports_the_package_keeps_its_settings(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 22\nbackend: svg\n")
    code = (
        "import os, ttfsrun.run.train, matplotlib, numba\n"
        "from ttfsrun.figures import style\n"
        "before = dict(matplotlib.rcParams)\n"
        "with style.figure_style(): assert matplotlib.rcParams['font.size'] == 7\n"
        "assert dict(matplotlib.rcParams) == before\n"
        "assert matplotlib.rcParams['font.size'] == 22 and matplotlib.rcParams['backend'] == 'svg'\n"
        "assert numba.config.DISABLE_JIT == 1 and os.environ['NUMBA_DISABLE_JIT'] == '1'\n"
        "import torch; neuron = ttfsrun.Neuron(tau_mem=1.0, tau_syn=1.0, v_th=1.0, v_leak=0.0)\n"
        "assert ttfsrun.first_spike(torch.tensor([[0.1]]), torch.tensor([[4.0]]), neuron).isfinite().all()\n"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
