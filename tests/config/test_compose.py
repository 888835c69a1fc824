"""A configuration is the one that Hydra composes, and every mistake is one helpful line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import hydra
import msgspec
import pytest
import yaml
from omegaconf import OmegaConf

from ttfsrun.config.compose import Composer, ConfigError, compose, conf_dir, expand, sources
from ttfsrun.config.dotted_keys import leaves, lookup
from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


def composed_by_hydra(overrides: Sequence[str]) -> Config:
    """Return the configuration that Hydra's public interface composes."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        node = hydra.compose("config", list(overrides))
    return msgspec.convert(OmegaConf.to_container(node, resolve=True), Config)


def complaint(*overrides: str, conf: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        expand(overrides, conf)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """Copy of `conf/` that a test adds files to."""
    copy = tmp_path / "conf"
    for path in conf_dir().rglob("*.yaml"):
        target = copy / path.relative_to(conf_dir())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    return copy


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes(name: str) -> None:
    assert isinstance(compose([f"experiment={name}"]), Config)


def test_there_are_experiments() -> None:
    assert {"yin_yang", "mnist_16x16", "mnist_28x28"} <= set(EXPERIMENTS)


def test_without_an_experiment_it_is_yin_yang() -> None:
    assert compose([]) == compose(["experiment=yin_yang"])


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["experiment=mnist_16x16", "seed.init=3"],
        ["seed.init=3", "experiment=mnist_28x28", "data=mnist_28x28"],
        ["data=mnist_16x16"],
        ["training/loss=squared_error", "training.loss.delta=0.7"],
        ["seed.init=1", "seed.init=2"],
        ["seed.data=5", "seed.init=7"],
        ["seed.chip=${seed.data}", "seed.init=4"],
        ["seed.chip=${.init}", "seed.init=4"],
        ["training.gradient_limit=null", "network.t_max=4"],
        [
            "network.hidden=[30,20]",
            "network.init={mean:[1,1,1],std:[1,1,1]}",
            "training.bumping.silent_fraction=[0,0,0]",
        ],
        ["network.hidden.0=60"],
        ["training.loss={xi:0.1}", "training.loss={alpha:0.2}", "training.loss={}"],
        ["training={loss:{xi:0.1},epochs:3}", "seed={init:4,chip:'${seed.init}'}"],
        ["training.optimizer={learning_rate:0.1}"],
        ["++training.epochs=3"],
        ["~training.epochs", "+training.epochs=4"],
        ["~training.schedule", "+training.schedule={name:cosine,final:0}"],
        ["experiment=mnist_16x16", "data.folder='/tmp/a folder, with a comma'"],
        ["experiment=mnist_16x16", r"data.folder='\${not_a_key}'"],
        ["experiment=mnist_16x16", "data.folder=${training.keep}/images"],
    ],
    ids=" ".join,
)
def test_the_configuration_is_the_one_that_hydra_composes(overrides: list[str]) -> None:
    assert compose(overrides) == composed_by_hydra(overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed.init=range(3)", "training.optimizer.learning_rate=0.003,5e-3"],
        ["experiment=yin_yang,mnist_16x16", "seed.init=choice(1,2)", "training/loss=squared_error,cross_entropy"],
        ["seed.chip=${seed.init}", "seed.init=1,2", "network.neuron.v_th=range(1,2,0.25)"],
        ["++training.epochs=1,2", "training.epochs=7", "network.init.std=[1,2],[3,4]"],
        ["training.loss={xi:1},{alpha:2}", "network.hidden.0=60,70"],
        ["network.t_max=null,4", "training.keep=best,last", "data.encoding.silent_at_one=true,false"],
    ],
    ids=" ".join,
)
def test_each_point_of_a_sweep_is_what_it_would_be_alone(overrides: list[str]) -> None:
    points = expand(overrides)
    assert len(points) > 1
    assert len(set(map(str, points))) == len(points)
    for point in points:
        assert point.config == compose(point.overrides) == composed_by_hydra(point.overrides)


def test_sweeps_are_multiplied_out_with_the_last_one_fastest() -> None:
    points = expand(["experiment=mnist_16x16", "seed.init=range(2)", "training.optimizer.learning_rate=0.003,0.005"])
    assert [(p.config.seed.init, p.config.training.optimizer.learning_rate) for p in points] == [
        (0, 0.003),
        (0, 0.005),
        (1, 0.003),
        (1, 0.005),
    ]
    assert points[2].label == "seed.init=1,training.optimizer.learning_rate=0.003"
    assert points[2].overrides[0] == "experiment=mnist_16x16"


def test_a_label_names_only_what_varies() -> None:
    assert expand(["seed.init=3"])[0].label == ""
    assert expand(["seed.init=choice(3)", "seed.chip=5"])[0].label == ""
    assert [p.label for p in expand(["seed.init=3", "experiment=glob(mnist*)"])] == [
        "experiment=mnist_16x16",
        "experiment=mnist_16x16_brainscales2",
        "experiment=mnist_16x16_paper",
        "experiment=mnist_28x28",
        "experiment=mnist_28x28_paper",
    ]


def test_a_sweep_that_is_overridden_later_is_none() -> None:
    assert [p.config.seed.init for p in expand(["seed.init=range(10)", "seed.init=4"])] == [4]


def test_the_seed_of_the_data_follows_the_seed_of_the_weights_until_it_is_set() -> None:
    assert [p.config.seed.data for p in expand(["seed.init=5,6"])] == [5, 6]
    assert [p.config.seed.data for p in expand(["seed.init=5,6", "seed.data=1"])] == [1, 1]


def test_points_share_nothing_that_could_change() -> None:
    first, second = expand(["seed.init=1,2"])
    assert first.config.network == second.config.network
    assert first.config.network.hidden is not second.config.network.hidden


def test_integers_do_where_floats_are_asked_for() -> None:
    assert compose(["training.optimizer.learning_rate=1"]) == compose(["training.optimizer.learning_rate=1.0"])
    assert compose(["training.optimizer.learning_rate=1e-3"]).training.optimizer.learning_rate == 0.001


def test_one_configuration_is_not_a_sweep() -> None:
    with pytest.raises(ConfigError, match=r"seed\.init=1, \.\.\.: 2 configurations, but only one is allowed"):
        compose(["seed.init=1,2"])


def test_a_configuration_error_is_a_mistake_of_the_user_and_of_usage() -> None:
    assert issubclass(ConfigError, UserError)
    assert ConfigError("").exit_code == 2


def test_a_mistake_in_a_file_names_the_file(conf: Path) -> None:
    (conf / "experiment" / "mine.yaml").write_text("# @package _global_\ntraining: {epochs: -1}\n")
    line = complaint("experiment=mine", conf=conf)
    assert line == "training.epochs=-1: must be an integer >= 0 (from conf/experiment/mine.yaml)"


def test_an_unknown_key_in_a_file_names_the_file(conf: Path) -> None:
    (conf / "experiment" / "mine.yaml").write_text("# @package _global_\ntraining: {epoch: 3}\n")
    line = complaint("experiment=mine", conf=conf)
    assert line == "training.epoch=3: unknown key; did you mean training.epochs? (from conf/experiment/mine.yaml)"


@pytest.mark.parametrize("text", ["a: [1\n", "a: b: c\n", "- 1\n", "# @package _global_\ndefaults:\n  - /nosuch: x\n"])
def test_a_broken_file_is_one_line(conf: Path, text: str) -> None:
    (conf / "experiment" / "mine.yaml").write_text(text)
    assert complaint("experiment=mine", conf=conf)


def test_every_key_has_a_source() -> None:
    for name in EXPERIMENTS:
        settings = msgspec.to_builtins(compose([f"experiment={name}"]))
        assert sources([f"experiment={name}"]).keys() == dict(leaves(settings)).keys()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_file_named_as_source_holds_the_value(name: str) -> None:
    settings = msgspec.to_builtins(compose([f"experiment={name}"]))
    for key, source in sources([f"experiment={name}"]).items():
        file = source.partition(":")[0]
        content = yaml.safe_load((conf_dir().parent / file).read_text())
        folder = Path(file).parent.relative_to("conf").parts
        depth = 0 if folder[:1] in (("experiment",), ("protocol",)) else len(folder)
        held = lookup(content, ".".join(key.split(".")[depth:]))
        assert held == lookup(settings, key) or "${" in source


def test_the_last_layer_is_the_source(conf: Path) -> None:
    (conf / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /training: mnist_16x16\ntraining: {epochs: 7}\n"
    )
    origins = sources(["experiment=mine", "training.batch_size=9"], conf)
    assert origins["training.epochs"] == "conf/experiment/mine.yaml"
    assert origins["training.batch_size"] == "command line"
    assert origins["training.input_noise"] == "conf/training/mnist_16x16.yaml"
    assert origins["training.optimizer.beta1"] == "conf/training/optimizer/adam.yaml"
    assert origins["training.optimizer.learning_rate"] == "conf/training/mnist_16x16.yaml"
    assert origins["seed.init"] == "conf/config.yaml"


def test_a_value_that_follows_another_says_so() -> None:
    assert sources([])["seed.data"] == "conf/config.yaml: ${seed.init}"
    assert sources(["seed.data=3"])["seed.data"] == "command line"
    assert sources(["seed.chip=${seed.trial}"])["seed.chip"] == "command line: ${seed.trial}"


def test_groups_and_entries_set_on_the_command_line_are_its_own() -> None:
    origins = sources(["training.loss={xi:1}", "network.hidden.0=60", "~training.keep", "+training.keep=last"])
    assert origins["training.loss.xi"] == origins["network.hidden"] == origins["training.keep"] == "command line"
    assert origins["training.loss.alpha"] == "conf/training/loss/cross_entropy_sharpest.yaml"


def test_points_of_one_composer_have_their_own_sources() -> None:
    composer = Composer(conf_dir())
    paper, digits = composer.expand(["experiment=yin_yang,mnist_16x16"])
    assert composer.sources(paper)["training.epochs"] == "conf/training/yin_yang.yaml"
    assert composer.sources(digits)["training.epochs"] == "conf/training/mnist_16x16.yaml"


def points_of(*overrides: str) -> list[tuple[str, ...]]:
    return [point for point, _ in Composer(conf_dir()).combinations(overrides)]


def complaints_about_all(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Composer(conf_dir()).compose_all(points_of(*overrides))
    return str(caught.value).split("\n  ")


def test_all_points_at_once_are_what_each_is_alone() -> None:
    points = points_of("experiment=yin_yang,mnist_16x16", "seed.init=range(3)", "training.loss={xi:0.1}")
    assert Composer(conf_dir()).compose_all(points) == [compose(point) for point in points]


def test_a_mistake_of_many_points_is_one_line_that_counts_them() -> None:
    assert complaints_about_all("training.epochs=-1,1,2", "seed.data=-1,1", "seed.init=1,2") == [
        "2 mistakes",
        "training.epochs=-1: must be an integer >= 0 (4 points, first training.epochs=-1,seed.data=-1,seed.init=1)",
        "seed.data=-1: must be an integer >= 0 and <= 9223372036854775807 "
        "(6 points, first training.epochs=-1,seed.data=-1,seed.init=1)",
    ]


def test_a_mistake_of_one_point_names_it_and_one_of_all_says_so() -> None:
    assert complaints_about_all("training.epochs=-1,1") == [
        "training.epochs=-1: must be an integer >= 0 (training.epochs=-1)"
    ]
    assert complaints_about_all("training.epochs=-1", "seed.init=1,2") == [
        "training.epochs=-1: must be an integer >= 0 (all 2 points)"
    ]
    assert complaints_about_all("training.epochs=-1") == ["training.epochs=-1: must be an integer >= 0"]


def test_unknown_keys_are_told_together() -> None:
    assert complaints_about_all("training.epoch=1", "seed.intit=1,2") == [
        "3 mistakes",
        "training.epoch=1: unknown key; did you mean training.epochs? (all 2 points)",
        "seed.intit=1: unknown key; did you mean seed.init? (seed.intit=1)",
        "seed.intit=2: unknown key; did you mean seed.init? (seed.intit=2)",
    ]


def test_a_long_list_of_mistakes_is_cut() -> None:
    lines = complaints_about_all("training.epochs=range(-25,0)")
    assert (len(lines), lines[0], lines[-1]) == (22, "25 mistakes", "and 5 more")


def test_after_a_thousand_wrong_points_no_more_are_looked_at() -> None:
    (line,) = complaints_about_all("training.epochs=-1", "seed.init=range(5000)")
    assert "(at least 1000 points, first seed.init=0)" in line
