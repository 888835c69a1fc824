"""Every mistake in a sweep is a line with its file, key and remedy, and all are reported together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.request import read_request

COMPOSER = Composer(conf_dir())
RATE = "training.optimizer.learning_rate"


def complaints(*words: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_request(words, COMPOSER)
    assert all("\n" not in line for line in caught.value.lines)
    return caught.value.lines


MISTAKES: list[tuple[str, str]] = [
    # keys
    ("grd: {training.epochs: [1]}", "sweep.grd={training.epochs: [1]}: unknown key; did you mean sweep.grid?"),
    ("seed: 3", "sweep.seed=3: unknown key; did you mean sweep.seeds?"),
    ("grid: {training.epoch: [1]}", "sweep.grid: training.epoch: unknown key; did you mean training.epochs?"),
    ("grid: {trainin/loss: [x]}", "sweep.grid: trainin/loss: unknown key; did you mean training/loss?"),
    ("grid: {'a=b': [1]}", "sweep.grid: a=b=0: cannot be read as key=value"),
    ("grid: {+seed.init: [1]}", "sweep.grid: +seed.init: cannot be read as the key of a setting"),
    ("grid: {a b: [1]}", "sweep.grid: a b=0: cannot be read as key=value"),
    ("zip: {seed.intit: [1]}", "sweep.zip: seed.intit: unknown key; did you mean seed.init?"),
    ("exclude: [{seed.intit: 1}]", "sweep.exclude[0]: seed.intit=1: unknown key; did you mean seed.init?"),
    ("exclude: [{}]", "sweep.exclude[0]: {}: must name at least one key"),
    # values
    ("grid: 3", "sweep.grid=3: must be settings by key: {key: value, ...}, each a list or text"),
    ("grid: {training.epochs: 3}", "sweep.grid.training.epochs=3: must be a list or text; write"),
    ("grid: {training.epochs: []}", "sweep.grid: training.epochs=[]: sweeps over no value at all"),
    ("grid: {training.keep: best}", "training.keep=best: must be a list of values, or text such as range(0,10)"),
    ("grid: {seed.init: 'range(0,'}", "sweep.grid: seed.init=range(0,: cannot be read as key=value"),
    ("grid: {training.loss: [{a b: 1}]}", "sweep.grid: a b: the name of a setting consists of letters, digits"),
    ("seeds: 0", "sweep.seeds=0: must be an integer >= 1 and <= 1000000 or a list"),
    ("seeds: [1, -1]", "sweep.seeds[1]=-1: must be an integer >= 0"),
    ("base: experiment=yin_yang", "sweep.base=experiment=yin_yang: must be a list, each entry text; write"),
    ("base: ['seed.init=3,']", "sweep.base[0]: seed.init=3,: cannot be read as key=value: the last comma"),
    (
        "base: ['seed.init=3,4']",
        "sweep.base[0]: seed.init=3,4: base is common to all points; settings that vary belong in",
    ),
    ("base: [sweep=bits]", "sweep.base[0]: sweep=bits: describes a grid of points"),
    (
        "zip: {seed.init: [1, 2], seed.chip: [1]}",
        "sweep.zip: keys that move together must have the same number of values: seed.init has 2, seed.chip has 1",
    ),
    ("random: {values: {seed.init: {integer: [0, 9]}}}", "sweep.random.count: missing; it must be an integer >= 1"),
    ("random: {count: 3, values: {seed.init: {integr: [0, 9]}}}", "sweep.random.values: seed.init: integr: the dist"),
    ("random: {count: 3, values: {seed.init: [0, 9]}}", "sweep.random.values.seed.init=[0, 9]: must be settings"),
    ("sobol: [{count: 3, values: {sed.init: {integer: [0, 9]}}}]", "sweep.sobol[0].values: sed.init: unknown key"),
    # what cannot vary
    ("grid: {cluster.threads: [1, 2]}", "cluster.threads: cluster says where the points run; it cannot vary"),
    ("grid: {cluster: [local]}", "cluster: cluster says where the points run; it cannot vary"),
    ("grid: {data.folder: [a, b]}", "data.folder says where the data are; it cannot vary"),
    # keys given twice
    ("{grid: {seed.init: [1]}, seeds: 3}", "sweep: seed.init: is in several of base, grid, each, zip,"),
    (
        "{base: [seed.chip=1], grid: {seed.chip: [1, 2]}}",
        "sweep: seed.chip: is in several of base, grid, each, zip,",
    ),
    ("zip: [{seed.chip: [1]}, {seed.chip: [2]}]", "sweep: seed.chip: is in several of"),
]


@pytest.mark.parametrize(("text", "complaint"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_a_mistake_in_a_file_names_file_key_and_remedy(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    (line,) = complaints(f"sweep={file}")
    assert complaint in line
    assert line.endswith(f" (from {file})") == ("is in several" not in line)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "base: [seed.init=3, 'seed.chip=1,2']\n"
        "grid: {training.epoch: [1, 2], training.keep: best}\n"
        "zip: [{seed.data: [1, 2], seed.trial: [1]}, {cluster.threads: [1, 2]}]\n"
        "random: {count: 0, values: {}}\n"
        "exclude: [{seed.intit: 1}]\n"
        "seeds: 3\n"
    )
    lines = complaints(f"sweep={file}")
    assert [line.split(":")[0].split("=")[0] for line in lines] == [
        "sweep.random.count",
        "sweep.base[1]",
        "sweep.grid",
        "sweep.grid",
        "sweep.zip[0]",
        "sweep.zip[1]",
        "sweep",
        "sweep.exclude[0]",
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["sweep=weight_resolutoin"],
            "sweep=weight_resolutoin: unknown choice; it must be one of accuracy_mnist_16x16, ",
        ),
        (["sweep=weight_resolutoin"], "did you mean weight_resolution?"),
        (["sweep=robustness,spike_jitter"], "sweep=robustness,spike_jitter: unknown choice"),
        (["sweep=robustness", "sweep=spike_jitter"], "sweep=spike_jitter: extra sweep besides robustness; choose one"),
        (["sweep=no/such.yaml"], "sweep=no/such.yaml: there is no such file"),
        (["weight_resolution"], "weight_resolution: an override has the form key=value; did you mean sweep=weight_"),
        (["sweep.seds=3"], "sweep.seds=3: unknown key; did you mean sweep.seeds?"),
        (["sweep.seeds=foo"], "sweep.seeds=foo: must be an integer >= 1 and <= 1000000 or a list"),
        (["sweep.seeds=interval(0,1)"], "an interval has no countable values"),
        (["sweep.seeds=3", "seed.init=4"], "seed.init: sweep.seeds is given as well; give only one of them"),
        (["~sweep.seeds"], "~sweep.seeds: cannot be read; write sweep=NAME, or sweep.seeds=null for none"),
        (["sweep.zip=[{seed.chip:[1,2]}]", "sweep.zip.seed.chip=[3]"], "the file has several groups in a list"),
        (["cluster.threads=1,2"], "cluster.threads=1,2: cluster says where the points run; it cannot vary"),
        (["cluster=local,local"], "cluster=local,local: cluster says where the points run"),
        (["data.folder=a,b"], "data.folder=a,b: data.folder says where the data are; it cannot vary"),
        (["seed.init=range(5000)", "seed.chip=range(5000)"], "5000 x 5000 points: a grid has at most 1000000"),
        (["sweep.random.count=10000000", "sweep.random.values={}"], "must be an integer >= 1 and <= 1000000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_on_the_command_line_is_one_line(words: list[str], complaint: str) -> None:
    (line,) = complaints(*words)
    assert complaint in line


@pytest.mark.parametrize("text", ["a: [1\n", "- 1\n", "3\n", "grid: {a: [1], a: [2]}\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    (line,) = complaints(f"sweep={file}")
    assert line.startswith(f"{file}: ")


def test_an_empty_file_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("grid:\nseeds:\n")
    assert read_request([f"sweep={tmp_path}/mine.yaml"], COMPOSER).points == [()]


def test_the_mistake_of_the_command_line_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("seeds: 3\n")
    (line,) = complaints(f"sweep={tmp_path}/mine.yaml", "sweep.seeds=0")
    assert "(from" not in line
