"""Runs in processes of their own: interrupted, terminated, killed, silent where nobody looks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ttfsrun.cli.main import main
from ttfsrun.run import write
from ttfsrun.training import checkpoint

WITHOUT_FIGURES = "write.plot_runs = lambda *args, **kwargs: None"
EVERY_EPOCH = "fit.CHECKPOINT_SECONDS = 0.0"
PATIENCE = 60.0  # seconds

#: Long enough that a signal meets it in the middle.
LONG = ("training.epochs=150", "training.input_noise=0.1", "seed.init=1,2")

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command line in a process of its own, without figures."""
    processes = []

    def run(*words: object, before: str = "pass") -> subprocess.Popen[str]:
        # What is started in the background inherits a deaf ear for interrupts.
        listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        imports = "import sys; from ttfsrun.cli import main as cli; from ttfsrun.run import train, write; "
        imports += "from ttfsrun.training import fit"
        code = f"{listen}; {imports}; {WITHOUT_FIGURES}; {before}; sys.exit(cli.main())"
        argv = [sys.executable, "-c", code, *map(str, words)]
        environment = os.environ | {"FORCE_COLOR": "1"}  # as many continuous-integration services have it
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"no {path.name} after {PATIENCE} s"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: tuple[str, ...]) -> dict[str, object]:
    """What the long training leaves when nothing disturbs it."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "plot_runs", lambda *args, **kwargs: None)
        assert main(["train", *tiny_overrides, *LONG, "--out", str(out)]) == 0
    return results(out)


def results(folder: Path) -> dict[str, object]:
    """Each file's bytes; of the metrics all but the time that the training took, and by what it was made."""
    files: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[str(path.relative_to(folder))] = path.read_bytes()
        if path.name == "metrics.json":
            metrics = json.loads(path.read_text())
            assert metrics.pop("seconds") > 0
            assert metrics.pop("made_by")  # the checkout may change while this runs
            files[str(path.relative_to(folder))] = metrics
    return files


def assert_stopped_in_the_middle(folder: Path) -> None:
    state, members = checkpoint.load_state(folder / "checkpoint.safetensors")
    assert 0 < state.epoch < 150
    assert list(members) == ["seed.init=1", "seed.init=2"]


@pytest.mark.slow
def test_a_successful_run_says_its_results_and_nothing_else(
    start: Start, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    process = start("train", *tiny_overrides, "--out", tmp_path / "run")
    output, messages = process.communicate(timeout=PATIENCE)
    assert (process.returncode, messages) == (0, "")
    assert output.splitlines()[-1] == f"results: {tmp_path / 'run'}"
    assert "\x1b" not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "reason"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")], ids=str
)
def test_an_interrupted_run_is_told_how_to_go_on_and_ends_the_same(
    number: signal.Signals,
    code: int,
    reason: str,
    start: Start,
    tiny_overrides: tuple[str, ...],
    whole: dict[str, object],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    process = start("train", *tiny_overrides, *LONG, "--out", run, before=EVERY_EPOCH)
    wait_for(run / "checkpoint.safetensors", process)
    process.send_signal(number)
    output, messages = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (code, "")
    advice, last = messages.splitlines()
    assert advice.startswith("ttfsrun: stopped after epoch ")
    assert advice.endswith(f"; resume with: ttfsrun train --resume {run}")
    assert last == f"ttfsrun: {reason}"
    assert_stopped_in_the_middle(run)
    process = start("train", "--resume", run)
    _, messages = process.communicate(timeout=PATIENCE)
    assert (process.returncode, messages) == (0, "")
    assert results(run) == whole


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_the_same(
    start: Start, tiny_overrides: tuple[str, ...], whole: dict[str, object], no_figures: None, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start("train", *tiny_overrides, *LONG, "--out", run, before=EVERY_EPOCH)
    wait_for(run / "checkpoint.safetensors", process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    for part in run.glob(".*.part"):  # it may have been writing
        part.unlink()
    assert_stopped_in_the_middle(run)
    assert main(["train", "--resume", str(run)]) == 0
    assert results(run) == whole


@pytest.mark.slow
def test_the_figures_of_many_networks_are_drawn_by_several_processes_to_the_same_bytes(
    tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    figures = []
    for threads in (1, 2):
        out = tmp_path / str(threads)
        words = ["train", *tiny_overrides, f"cluster.threads={threads}", "seed.init=range(5)", "--out", str(out)]
        done = subprocess.run([sys.executable, "-m", "ttfsrun", *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        figures.append({path.relative_to(out): path.read_bytes() for path in out.rglob("figures/*")})
    assert len(figures[0]) == 5 * 11
    assert figures[0] == figures[1]
