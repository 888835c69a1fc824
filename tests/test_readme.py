"""What the README says is so: its commands run, its code computes what it says, its numbers are those of the tables."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import ttfsrun as package
from ttfsrun.config.compose import expand
from ttfsrun.config.ids import point_id

Call = Callable[..., tuple[int, str, str]]

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text()
REFERENCE = TOP / "results" / "reference"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str, program: str) -> list[list[str]]:
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith(f"{program} ")]


def commands_of_results(verb: str) -> list[list[str]]:
    """Return the commands that made the published results."""
    return [words for words in commands((REFERENCE / "README.md").read_text(), "ttfsrun") if words[0] == verb]


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (TOP / "Makefile").read_text()
    targets = [words[0] for words in commands(README, "make")]
    assert targets == ["train", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.slow
def test_the_tour_s_commands_run_one_after_the_other_in_an_empty_folder(
    ttfsrun: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tour = [words for words in commands(README, "ttfsrun") if "slurm" not in " ".join(words)]
    assert len(tour) >= 10
    for words in tour:
        code, _, messages = ttfsrun(*words)
        assert code == 0, f"ttfsrun {shlex.join(words)}: {messages}"
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    promised = re.findall(r"`(\w+\.(?:yaml|json|csv|safetensors))`", README.partition("`first` now holds")[2][:400])
    assert len(promised) == 4
    assert {f"first/{name}" for name in promised} <= names
    assert {"seeds/table.csv", "seeds/seed.init=2/metrics.json"} <= names
    written = ("table.csv", "aggregate.csv", "report.html")
    assert {f"results/sweeps/bits/{name}" for name in written} <= names
    assert len(pd.read_csv(tmp_path / "results/sweeps/bits/table.csv")) == 12
    assert {"results/sweeps/bits/figures/strength.png", "decision_times/strength.pdf"} <= names


def test_the_python_example_computes_what_its_comments_say() -> None:
    example, _ = blocks(README, "python")
    scope: dict[str, object] = {}
    exec(example, scope)  # noqa: S102
    spikes = scope["spikes"].tolist()  # type: ignore[attr-defined]
    (said,) = re.findall(r"the first neuron spikes at ([\d.]+)", example)
    assert f"{spikes[0][0]:.2f}" == said
    assert spikes[0][1] == float("inf")


def test_the_names_that_the_readme_offers_are_those_of_the_package() -> None:
    text = README.partition("`import ttfsrun` offers")[2].partition("\n\n")[0]
    names = set(re.findall(r"`ttfsrun\.(\w+)", text))
    assert names == set(package.__all__) - {"__version__"}
    for name, arguments in re.findall(r"`ttfsrun\.(\w+)\(([^)]*)\)`", text):
        described = [argument.partition("=")[0] for argument in arguments.split(", ")]
        parameters = list(inspect.signature(getattr(package, name)).parameters)
        assert len(described) <= len(parameters)
        assert described[1:] == parameters[1 : len(described)], name


def test_every_package_is_in_the_map_of_the_readme() -> None:
    (block,) = re.findall(r"^```\n(ttfsrun/\n.*?)^```", README, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"^  (\w+)/", block, re.MULTILINE))
    assert named == {path.parent.name for path in (TOP / "ttfsrun").glob("*/__init__.py")}
    top = re.findall(r"^(\S+)/ ", block, re.MULTILINE)
    assert [folder for folder in top if not (TOP / folder).is_dir()] == []


@pytest.mark.slow
def test_the_new_imperfection_of_the_readme_takes_its_file_and_its_yaml(tmp_path: Path) -> None:
    for folder in ("ttfsrun", "conf"):
        shutil.copytree(TOP / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (code, settings) = (blocks(README, "python")[1], blocks(README, "yaml")[0])
    (python, yaml) = re.findall(r"as `((?:ttfsrun|conf)/[\w/.]+)`", README)
    (tmp_path / python).write_text(code)
    (tmp_path / yaml).write_text(settings)

    def accuracy(*words: str) -> str:
        argv = [sys.executable, "-m", "ttfsrun", "train", "experiment=in_the_loop", "training.epochs=2", *words]
        done = subprocess.run(
            [*argv, "data.samples.train=500", "--out", "run", "--overwrite"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else done.stderr

    cold, warm = accuracy(), accuracy("substrate=warm")
    assert cold.startswith("test ")
    assert warm.startswith("test ")
    assert accuracy("substrate=warm", "substrate.temperature.std=0") == cold
    assert warm != cold
    refusal = accuracy("substrate=warm", "substrate.temperature.std=-1")
    assert "substrate.temperature.std=-1: must be a finite number >= 0" in refusal


def test_every_file_that_the_readme_links_exists() -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", README) if not target.startswith("http")]
    assert links
    assert [target for target in links if not (TOP / target.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("words", commands_of_results("train"), ids=" ".join)
def test_every_reference_result_is_of_the_command_beside_it(words: list[str]) -> None:
    verb, *overrides, flag, folder = words
    assert (verb, flag) == ("train", "--out")
    points = expand(overrides)
    table = pd.read_csv(TOP / folder / "table.csv")
    assert list(table["run"]) == [point.label for point in points]
    for point in points:
        metrics = pd.read_json(TOP / folder / point.label / "metrics.json", typ="series")
        assert metrics["id"] == point_id(point.config)
        assert metrics["made_by"]["git_dirty"] is False


def test_the_speed_of_sweeps_is_the_one_that_was_measured() -> None:
    measured = (REFERENCE / "sweeps" / "throughput.txt").read_text()
    (rate,) = re.findall(r"(\d+) points per hour\n", measured.splitlines(keepends=True)[0])
    ratios = re.findall(r"the sweep: ([\d.]+) times as many", measured)
    text = " ".join(README.split())
    assert f"computes {rate} points of yin-yang" in text
    assert f"{ratios[0]} times as many as a process for each" in text
    assert f"{ratios[1]} times as many as these two at a time" in text
