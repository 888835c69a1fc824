"""A run's folder: its files appear whole, its names sort naturally, and nobody else's files are lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ttfsrun.config.compose import compose, revise
from ttfsrun.errors import UserError
from ttfsrun.results.provenance import provenance
from ttfsrun.run.folder import PopulationFolder, RunFolder, claimed_for_runs, default_folder, folder_names

CONFIGS = [compose(["experiment=mnist_16x16"])]


def make_run(path: Path) -> RunFolder:
    run = RunFolder(path)
    run.write_config(compose([]))
    run.write_metrics({"accuracy": 0.5})
    run.write_curves(pd.DataFrame({"epoch": [1], "split": ["train"], "metric": ["loss"], "value": [0.1]}))
    return run


def test_a_configuration_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = compose(["training.optimizer.learning_rate=1e-05", "network.t_max=null", "seed.init=3"])
    run = RunFolder(tmp_path / "deep" / "run")
    run.write_config(config)
    assert revise(run.read_settings(), []) == config
    assert list(yaml.safe_load(run.config.read_text())) == list(run.read_settings())


def test_numbers_are_stored_to_the_last_bit(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    value = 0.1 + 0.2
    run.write_metrics({"loss": value})
    assert json.loads(run.metrics.read_text())["loss"] == value
    run.write_curves(pd.DataFrame({"epoch": [1], "split": ["train"], "metric": ["loss"], "value": [value]}))
    assert run.curves.read_bytes() == b"epoch,split,metric,value\n1,train,loss,0.30000000000000004\n"


def test_runs_are_found_in_natural_order(tmp_path: Path) -> None:
    for name in ("seed.init=10", "seed.init=9", "seed.init=1"):
        make_run(tmp_path / name)
    (tmp_path / "notes").mkdir()
    assert PopulationFolder(tmp_path).names() == ["seed.init=1", "seed.init=9", "seed.init=10"]
    assert PopulationFolder(tmp_path / "seed.init=9").names() == [""]


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"is not the folder of a run: it has no config\.yaml"):
            PopulationFolder(folder).names()


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([""], [""]),
        (["seed.init=1", "seed.init=2"], ["seed.init=1", "seed.init=2"]),
        (["data.folder=/a/b", "data.folder=/c"], ["0000", "0001"]),
        (["network.init={mean:[1,2],std:[1,1]}", "a" * 101], ["0000", "0001"]),
    ],
)
def test_a_label_is_a_folder_where_it_is_a_plain_name(labels: list[str], names: list[str]) -> None:
    assert folder_names(labels) == names


@pytest.mark.parametrize("content", ["a: [1", "3", "", "- 1\n", "\x00"])
def test_a_configuration_that_is_none_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match="cannot be read") as caught:
        RunFolder(tmp_path).read_settings()
    assert "\n" not in str(caught.value)


def test_a_folder_for_runs_is_made_or_an_empty_one_is_taken(tmp_path: Path) -> None:
    for overwrite in (False, True):
        with claimed_for_runs(tmp_path / "a" / "b", CONFIGS, overwrite) as folder:
            assert folder.path.is_dir()
            (tmp_path / "a" / "mine").touch()
        assert not folder.path.exists(), "nothing was written to it"


def test_a_folder_that_cannot_take_runs_is_left_as_it_is(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for name, overwrite, line in (("run", False, "is not empty"), ("file", True, "is a file")):
        with pytest.raises(UserError, match=line), claimed_for_runs(tmp_path / name, CONFIGS, overwrite):
            pass
    with claimed_for_runs(tmp_path / "run", CONFIGS, overwrite=True):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_overwriting_stops_before_the_first_file_if_one_run_is_none(tmp_path: Path) -> None:
    make_run(tmp_path / "seed.init=1")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text("theirs: true\n")
    before = sorted(tmp_path.rglob("*"))
    message = r"other/config\.yaml is not of a run: nothing is replaced"
    with pytest.raises(UserError, match=message), PopulationFolder(tmp_path).made({}):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def test_overwriting_leaves_an_empty_folder_where_only_a_run_was(tmp_path: Path) -> None:
    make_run(tmp_path / "run" / "seed.init=1")
    (tmp_path / "run" / "seed.init=1" / "figures").mkdir()
    (tmp_path / "run" / "seed.init=1" / "figures" / "raster.png").write_bytes(b"png")
    with PopulationFolder(tmp_path / "run").made({}):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_the_default_folder_tells_data_and_point() -> None:
    assert default_folder(CONFIGS).parent == Path("results/runs")
    assert "-mnist-" in default_folder(CONFIGS).name


def test_results_are_handled_without_torch() -> None:
    code = "import sys; import ttfsrun.run.folder, ttfsrun.results.provenance; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_provenance_names_what_computed() -> None:
    origin = provenance()
    assert {
        "ttfsrun",
        "python",
        "numpy",
        "torch",
        "numba",
        "processor",
        "git_sha",
        "git_dirty",
    } <= origin.keys()
    assert json.loads(json.dumps(origin)) == origin
    assert (origin["git_sha"] is None) == (origin["git_dirty"] is None)
    if origin["git_sha"] is not None:
        assert len(origin["git_sha"]) == 40
