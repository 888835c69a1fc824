"""The reference study: its tables are of the sweeps beside them, its pages and figures follow from these tables."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import study
import yaml

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.config.ids import point_id
from ttfsrun.sweep.grid.request import read_request

PAGE = (study.HERE / "README.md").read_text()


def test_every_entry_is_explained_with_the_command_of_its_sweep() -> None:
    assert study.published() == study.ENTRIES
    for name in study.published():
        assert f"\nttfsrun sweep sweep={name} --name {name}\n" in PAGE
    for chapter in study.CHAPTERS:
        assert f"\n<!-- {chapter} -->\n" in PAGE


def assert_is_of(table: pd.DataFrame, sweep: str) -> None:
    composer = Composer(conf_dir())
    configs = composer.compose_all(read_request([f"sweep={sweep}"], composer).points)
    assert list(table["point"].unique()) == list(dict.fromkeys(point_id(config) for config in configs))
    assert set(table["status"]) == {"done"}


@pytest.mark.parametrize("request_file", sorted((study.HERE / "recipes").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_search_for_a_recipe_has_the_table_of_its_request(request_file: Path) -> None:
    table = pd.read_csv(request_file.with_suffix(".csv"), dtype={"point": str})
    assert_is_of(table, str(request_file))
    assert table["seed.init"].min() >= 100 if "seed.init" in table else "seed.init=100" in request_file.read_text()


@pytest.mark.parametrize("name", study.published())
def test_every_table_is_of_the_sweep_beside_it(name: str) -> None:
    table = pd.read_csv(study.HERE / name / "table.csv", dtype={"point": str})
    assert_is_of(table, name)
    assert not table["git_dirty"].any()
    made_by = yaml.safe_load((study.HERE / name / "sweep.yaml").read_text())["made_by"]
    assert set(table["git_sha"]) == {made_by["git_sha"]}


@pytest.mark.parametrize("name", study.published())
def test_every_number_is_a_statistic_of_at_least_ten_networks(name: str) -> None:
    table = study.find_source(study.HERE / name).table.assign(entry=name)
    keys = ["entry", *(key for key in study.varying_of(name) if not key.startswith("seed."))]
    assert table.groupby(keys, dropna=False)["seed.init"].nunique().min() >= 10


def test_every_number_between_the_marks_follows_from_the_committed_tables() -> None:
    blocks = study.blocks()
    for page in study.PAGES:
        assert page.read_text() == study.renewed(page.read_text(), blocks), (
            "python results/reference/study.py renews it"
        )


def test_every_file_that_the_page_links_is_published() -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", PAGE) if not target.startswith(("http", "#"))]
    assert len(links) > 10
    assert [target for target in links if not (study.HERE / target).exists()] == []
    command = ["git", "check-ignore", *links]
    ignored = subprocess.run(command, cwd=study.HERE, capture_output=True, text=True, check=False)
    if ignored.returncode == 128:
        pytest.skip("not a checkout of git: nothing tells which files are published")
    assert ignored.stdout == ""


@pytest.mark.parametrize("name", study.published())
def test_every_figure_of_an_entry_is_drawn_from_its_table_alone(name: str, tmp_path: Path) -> None:
    shutil.copy(study.HERE / name / "table.csv", tmp_path)
    study.plot_sweep(tmp_path, study.PlotOptions(), out=None)
    drawn = {path.name for path in (tmp_path / "figures").glob("*.png")}
    kept = {path.name for path in (study.HERE / name / "figures").glob("*.png")}
    of_the_sweep = {file for file in kept if file.startswith(("curves", "confusion"))}  # no table has them
    assert drawn == kept - of_the_sweep
