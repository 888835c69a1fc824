"""What docs/ says is so: its numbers are those of the committed measurements, its files exist, its figure is drawn."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec
import pandas as pd
import pytest
import yaml

from ttfsrun.cli.results import VERBS as VERBS_OF_RESULTS
from ttfsrun.cli.sweep import VERBS
from ttfsrun.config.cluster import Slurm
from ttfsrun.config.compose import Composer, compose, conf_dir
from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.dotted_keys import leaves
from ttfsrun.results.columns import ENERGY_MODELS, metric_names
from ttfsrun.sweep.grid.request import read_request

TOP = Path(__file__).parents[1]
PAGE = (TOP / "docs" / "solver.md").read_text()
SUBSTRATE = (TOP / "docs" / "substrate.md").read_text()
DELAYS = (TOP / "docs" / "delays.md").read_text()
METRICS = (TOP / "docs" / "metrics.md").read_text()
SWEEPS = (TOP / "docs" / "sweeps.md").read_text()
FIGURES = (TOP / "docs" / "figures.md").read_text()
INDEX = (TOP / "docs" / "index.md").read_text()
GLOSSARY = (TOP / "docs" / "glossary.md").read_text()
A_POINT = (TOP / "docs" / "a_point.md").read_text()
MEASURED = TOP / "results" / "reference" / "solver"


def test_every_file_that_the_page_names_exists() -> None:
    linked = [TOP / "docs" / target for target in re.findall(r"\]\(([^)]+)\)", PAGE)]
    named = [TOP / target for target in re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)`", PAGE)]
    assert len(named) > 6
    assert [path for path in linked + named if not path.exists()] == []


def test_the_errors_are_those_that_were_measured() -> None:
    measured = (MEASURED / "exactness.txt").read_text()
    assert f"```\n{measured}```" in PAGE
    rows = [line.split() for line in measured.splitlines()[1:]]
    assert f"measured on {sum(int(row[2]) for row in rows)} neurons" in PAGE
    assert f"at most {max(float(row[4]) for row in rows):.2f} roundings away" in PAGE


def rows_of(first: str) -> list[list[str]]:
    """Return the rows of the table whose head starts with a word."""
    lines = PAGE.partition(f"| {first} ")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in [f"| {first} {lines[0]}", *lines[2:]]]


@pytest.mark.parametrize("row", range(4))
def test_the_times_are_those_that_were_measured(row: int) -> None:
    head, *rows = rows_of("workload")
    name = "abcd"[row]
    measured = json.loads((MEASURED / "speed.json").read_text())["parts"][name]

    def seconds(method: str) -> float:
        return median(measured[method]["threads"]["1"]["both"])

    assert rows[row][0].startswith(f"({name})")
    assert rows[row][1] == f"{1e3 * seconds('ttfsrun'):.2f} ms"
    for method, cell in zip(head[2:], rows[row][2:], strict=True):
        assert cell == f"{seconds(method) / seconds('ttfsrun'):.0f}"


def test_the_goals_are_told_as_they_were_measured() -> None:
    goals = json.loads((MEASURED / "speed.json").read_text())["goals"]
    measured = {goal["what"]: f"{goal['value']:.3g}" for goal in goals}
    rows = rows_of("goal")[1:]
    assert len(rows) > 10
    assert {what: value for what, value, _ in rows} == {what: measured[what] for what, _, _ in rows}
    assert {goal["what"] for goal in goals if "/ ttfsrun" not in goal["what"]} == {what for what, _, _ in rows}


def test_the_picture_is_drawn_and_the_derivative_in_it_is_near_the_difference(tmp_path: Path) -> None:
    program = "import first_spike as picture; print(picture.draw().axes[1].get_title())"
    done = subprocess.run([sys.executable, "-c", program], cwd=TOP / "docs", capture_output=True, text=True, check=True)
    difference, derivative = map(float, re.findall(r"-\d\.\d+", done.stdout))
    assert difference == pytest.approx(derivative, rel=0.1)
    subprocess.run([sys.executable, TOP / "docs" / "first_spike.py", tmp_path / "picture.png"], check=True)
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_cost_of_the_preset_is_the_largest_that_was_measured() -> None:
    shapes = json.loads((MEASURED.parent / "substrate" / "cost.json").read_text())["shapes"]
    rules = ("observed", "ideal", "same_draw")
    worst = max(shape["brainscales2"]["ratios"][rule] for shape in shapes.values() for rule in rules)
    assert f"takes {worst:.2f} times as\nlong as an ideal one, or less" in SUBSTRATE


def test_every_setting_of_the_substrate_is_in_the_table() -> None:
    table = " ".join(line for line in SUBSTRATE.splitlines() if line.startswith("| `"))
    ideal = compose([]).substrate
    named = {f"{group}.{key}" for group, keys in re.findall(r"`(\w+)\.\{([^}]+)\}`", table) for key in keys.split(", ")}
    named |= set(re.findall(r"`(\w+(?:\.\w+)?)`", table))
    settings = [key for key, _ in leaves(msgspec.to_builtins(ideal)) if not key.startswith("chip.")]
    assert [key for key in settings if key not in named] == []


@pytest.mark.parametrize("page", [SUBSTRATE, DELAYS], ids=["substrate", "delays"])
def test_every_file_that_the_pages_on_substrates_and_delays_name_exists(page: str) -> None:
    linked = [TOP / "docs" / target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page)]
    named = [TOP / target for target in re.findall(r"`((?:conf|benchmarks)/[\w/]+\.\w+)`", page)]
    assert len(linked + named) >= 3
    assert [path for path in linked + named if not path.exists()] == []


@pytest.mark.parametrize("line", re.findall(r"^ttfsrun [^#\n]*", SUBSTRATE + DELAYS, re.MULTILINE))
def test_every_command_of_the_pages_on_substrates_and_delays_composes(line: str) -> None:
    _, verb, *overrides = line.partition(" --")[0].split()
    assert verb == "train"
    compose(overrides)


def test_every_setting_of_the_delays_is_in_the_table() -> None:
    rows = " ".join(re.findall(r"^\| `(?:network|training)\.[^|]*", DELAYS, re.MULTILINE))
    for function in ("sigmoid", "clipped"):
        config = compose([f"network/delay_function={function}"])
        names = [*msgspec.to_builtins(config.network.delay_function), *msgspec.to_builtins(config.network.init.delay)]
        for name in (*names, "delay_learning_rate"):
            assert name == "name" or f".{name}`" in rows


def test_the_conditions_of_the_page_are_conditions() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", SUBSTRATE, re.DOTALL | re.MULTILINE)
    conditions = yaml.safe_load(block)["evaluation"]["conditions"]
    config = compose([f"evaluation.conditions={json.dumps(conditions)}".replace('"', "")])
    assert len(conditions_of(config)) == 1 + 1 + 3 + 3 + 1


# Sweeps


def test_every_setting_of_a_cluster_is_explained() -> None:
    table = SWEEPS.partition("| `cluster.` | |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert explained == {field.name for field in msgspec.structs.fields(Slurm)}


def test_the_grid_of_the_page_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", SWEEPS, re.DOTALL | re.MULTILINE)
    file = tmp_path / "mine.yaml"
    file.write_text(block)
    composer = Composer(conf_dir())
    request = read_request([f"sweep={file}"], composer)
    bits, jitters, each, cvs, drawn, seeds = 4, 5, 1 + 3 + 2, 3, 16, 20
    assert len(request.points) == (bits * jitters - 1) * each * cvs * drawn * seeds
    assert len(composer.compose_all(request.points[:: len(request.points) // 50])) >= 50


def test_every_flag_of_the_page_exists_and_every_verb_is_explained() -> None:
    for name, verb in VERBS.items():
        parser = argparse.ArgumentParser()
        verb.arguments(parser)
        lines = [line for line in SWEEPS.splitlines() if f"ttfsrun {name} DIR" in line]
        own = [line.partition(f"ttfsrun {name}")[2].partition("ttfsrun")[0] for line in lines]
        flags = {flag for line in own for flag in re.findall(r"--[a-z-]+", line)}
        assert lines or f"`ttfsrun {name}" in SWEEPS
        assert flags <= set(parser._option_string_actions), name


def test_the_costs_of_the_bookkeeping_and_the_readers_are_those_that_were_measured() -> None:
    measured = (TOP / "results" / "reference" / "sweeps" / "bookkeeping.txt").read_text()
    assert f"```\n{measured}```" in SWEEPS
    readers = (TOP / "results" / "reference" / "exchange" / "readers.txt").read_text()
    assert f"```\n{readers}```" in (TOP / "docs" / "exchange.md").read_text()
    at_scale = (TOP / "results" / "reference" / "sweeps" / "scale.txt").read_text()
    assert f"```\n{at_scale}```" in (TOP / "docs" / "scale.md").read_text()


def test_every_metric_and_every_model_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", METRICS))
    for metric in (name.removeprefix("test_") for name in metric_names("test", 1)):
        model = re.fullmatch(r"energy_(\w+)_uj", metric)
        assert {model[1] if model else metric, f"_{metric.rpartition('_')[2]}"} & explained, metric
    assert {word for word in explained if word.endswith(("_window", "_decision", "_events"))} - {"synaptic_events"} <= {
        *ENERGY_MODELS,
        "synaptic_events_before_decision",
    }


# Figures


def test_every_flag_of_plot_is_explained() -> None:
    parser = argparse.ArgumentParser()
    VERBS_OF_RESULTS["plot"].arguments(parser)
    flags = set(re.findall(r"--[a-z-]+", FIGURES.partition("\n\n")[2].partition("\n\n")[0]))
    assert flags == set(parser._option_string_actions) - {"-h", "--help"}


# The pages about the code


def defines(file: Path, name: str) -> bool:
    """Tell whether a file defines a function, a class, an attribute or a constant of this name."""
    return re.search(rf"^\s*(?:def|class) {name}\b|^\s*{name}\b.* = |^\s*{name}: ", file.read_text(), re.M) is not None


def test_the_index_lists_every_page_once() -> None:
    linked = [(TOP / "docs" / target).resolve() for target in re.findall(r"^- \[.*?\]\(([^)]+)\)", INDEX, re.M)]
    assert [path for path in linked if not path.exists()] == []
    assert len(set(linked)) == len(linked)
    assert set((TOP / "docs").glob("*.md")) - {TOP / "docs" / "index.md"} <= set(linked)


def test_every_name_of_the_glossary_is_in_its_file() -> None:
    names = re.findall(r"\| `(\w+)` in `([\w/.]+)` \|$", GLOSSARY, re.M)
    assert len(names) > 40
    assert [(name, file) for name, file in names if not defines(TOP / "ttfsrun" / file, name)] == []
    folders = re.findall(r"\| `(conf/\w+/)` \|$", GLOSSARY, re.M)
    assert folders
    assert all((TOP / folder).is_dir() for folder in folders)


def test_every_word_of_the_glossary_is_explained_once() -> None:
    words = re.findall(r"^\| ([\w ]+) \|", GLOSSARY, re.M)
    words = [word for word in words if word != "word"]
    assert len(words) > 40
    assert len(set(words)) == len(words)


def test_a_point_is_followed_through_files_that_exist() -> None:
    text = " ".join(A_POINT.split())
    files = re.findall(r"`(ttfsrun/[\w/]+\.py)`", text)
    assert len(files) > 25
    assert [file for file in files if not (TOP / file).exists()] == []
    names = re.findall(r"`(\w+)` in `(ttfsrun/[\w/]+\.py)`", text)
    assert len(names) > 25
    assert [(name, file) for name, file in names if not defines(TOP / file, name)] == []


@pytest.mark.slow
def test_the_point_that_is_followed_is_in_the_table_and_in_the_figure(
    ttfsrun: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```sh\n(.*?)^```", A_POINT, re.DOTALL | re.M)
    for line in block.splitlines():
        code, _, messages = ttfsrun(*shlex.split(line)[1:])
        assert code == 0, messages
    folder = tmp_path / "results" / "sweeps" / "bits"
    table = pd.read_csv(folder / "table.csv")
    chosen = table[(table["substrate.weight.bits"] == 2) & (table["seed.init"] == 0)]
    assert len(table) == 12
    assert list(chosen["status"]) == ["done"]
    assert (folder / "figures" / "strength.png").exists()
