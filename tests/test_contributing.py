"""What CONTRIBUTING.md says is so: its files exist, and its recipes work as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("recipes")  # one process compiles the kernels of the copy

TOP = Path(__file__).parents[1]
PAGE = (TOP / "CONTRIBUTING.md").read_text()
RECIPES = dict(re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", PAGE.partition("## Recipes")[2], re.DOTALL | re.MULTILINE))
PATCHED = re.compile(r"`([\w/.]+)`:\n\n```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
MAX_CHANGED_LINES = 20  # of a recipe


def changes(recipe: str) -> list[tuple[str, str, str]]:
    """Return the file, the language (diff: of a patch, else of a new file) and the text of each change of a recipe."""
    return PATCHED.findall(recipe)


def patch(text: str, diff: str) -> str:
    """Replace the old lines of each hunk by the new ones. The old ones must occur exactly once."""
    for hunk in diff.split("@@\n"):
        lines = [line or " " for line in hunk.splitlines()]
        old, new = ("\n".join(line[1:] for line in lines if line[0] in (" ", sign)) + "\n" for sign in "-+")
        assert text.count(old) == 1, f"found {text.count(old)} times:\n{old}"
        text = text.replace(old, new)
    return text


def changed_lines(recipe: str) -> int:
    """Return the number of lines with content that a recipe adds or replaces."""
    return sum(
        bool(line.removeprefix("+").strip()) and (language != "diff" or line.startswith("+"))
        for _, language, text in changes(recipe)
        for line in text.splitlines()
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package to which all recipes were applied."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("ttfsrun", "conf"):
        shutil.copytree(TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for recipe in RECIPES.values():
        for name, language, text in changes(recipe):
            path = folder / name
            assert path.exists() == (language == "diff"), name
            path.write_text(patch(path.read_text(), text) if language == "diff" else text)
    return folder


@pytest.fixture
def slurm(tmp_path: Path) -> str:
    """Return a PATH with stand-ins for the commands of Slurm that a dry run looks for."""
    for command in ("srun", "sbatch"):
        (tmp_path / command).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / command).chmod(stat.S_IRWXU)
    return f"{os.environ['PATH']}{os.pathsep}{tmp_path}"


def run(copy: Path, path: str, recipe: str) -> str:
    """Run the commands of a recipe and return their standard output."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", RECIPES[recipe], re.DOTALL | re.MULTILINE)
    output = ""
    for line in block.splitlines():
        program, *words = shlex.split(line)
        assert program == "ttfsrun"
        env = os.environ | {"PYTHONPATH": str(copy), "PATH": path}
        argv = [sys.executable, "-m", "ttfsrun", *words]
        done = subprocess.run(argv, cwd=copy, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        output += done.stdout
    return output


def test_there_is_a_recipe_for_each_kind_of_addition() -> None:
    assert list(RECIPES) == [
        "An imperfection",
        "A loss",
        "A dataset",
        "A figure",
        "A verb",
        "A cluster profile",
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_short(recipe: str) -> None:
    assert 0 < changed_lines(RECIPES[recipe]) <= MAX_CHANGED_LINES


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_patch_of_a_recipe_fits_the_code(recipe: str) -> None:
    for name, language, text in changes(RECIPES[recipe]):
        if language == "diff":
            patch((TOP / name).read_text(), text)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["An imperfection", "A loss", "A dataset"])
def test_a_network_is_trained_with_what_is_new(recipe: str, copy: Path, slurm: str) -> None:
    assert "test " in run(copy, slurm, recipe)


@pytest.mark.slow
def test_a_new_figure_is_plotted_with_its_numbers(copy: Path, slurm: str) -> None:
    run(copy, slurm, "A figure")
    figures = copy / "run" / "figures"
    assert (figures / "recall.png").stat().st_size > 1000
    assert len((figures / "recall.csv").read_text().splitlines()) == 1 + 3


@pytest.mark.slow
def test_a_new_verb_prints_what_it_says(copy: Path, slurm: str) -> None:
    lines = run(copy, slurm, "A verb").splitlines()
    assert len([line for line in lines if re.fullmatch(r"[0-9a-f]{12}", line)]) == 2


@pytest.mark.slow
def test_a_new_cluster_profile_is_in_the_batch_script(copy: Path, slurm: str) -> None:
    script = run(copy, slurm, "A cluster profile")
    for line in ("--partition=short", "--cpus-per-task=8", "--time=60", "module load python/3.11", "--mail-type=END"):
        assert line in script


def test_every_file_that_the_page_names_exists() -> None:
    text = PAGE.partition("## Recipes")[0]
    named = re.findall(r"`((?:ttfsrun|conf|tests|benchmarks|docs|slurm|results)/[\w/]*(?:\.\w+)?)`", text)
    linked = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", PAGE)]
    assert len(named) > 30
    assert [path for path in [*named, *filter(None, linked)] if not (TOP / path).exists()] == []


def test_every_package_is_on_the_map() -> None:
    rows = re.findall(r"^\| (`ttfsrun/.*?) \|", PAGE, re.MULTILINE)
    described = {name.removeprefix("ttfsrun/").rstrip("/") for row in rows for name in re.findall(r"`([\w/.]+)`", row)}
    packages = {path.parent.name for path in (TOP / "ttfsrun").glob("*/__init__.py")}
    modules = {path.name for path in (TOP / "ttfsrun").glob("*.py")} - {"__init__.py", "__main__.py"}
    assert described == packages | modules


def test_every_function_that_answers_a_question_is_in_its_file() -> None:
    answers = PAGE.partition("## Where is")[2].partition("\n## ")[0]
    for name, file in re.findall(r"`([\w.]+)`(?: in) `(ttfsrun/[\w/]+\.py)`", answers):
        assert re.search(rf"^\s*(?:def|class) {name.rpartition('.')[2]}\b", (TOP / file).read_text(), re.MULTILINE), (
            name
        )


@pytest.mark.parametrize("target", ["setup", "test", "lint", "check"])
def test_every_make_target_exists(target: str) -> None:
    assert f"make {target} " in PAGE
    assert re.search(rf"^{target}:", (TOP / "Makefile").read_text(), re.MULTILINE)
