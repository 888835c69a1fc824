"""Values that a configuration may have, and the settings that its id depends on."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from ttfsrun.config.compose import ConfigError, compose
from ttfsrun.config.dotted_keys import leaves
from ttfsrun.config.ids import point_id
from ttfsrun.config.schema import Config

Tiny = Callable[..., Config]


@pytest.mark.parametrize(
    "override", ["cluster.threads=7", "cluster.threads=null", "data.folder=/elsewhere", "data.folder='/another one'"]
)
def test_where_and_with_how_many_threads_it_runs_is_no_part_of_a_points_id(override: str) -> None:
    base = ["experiment=mnist_16x16"]
    assert point_id(compose([*base, override])) == point_id(compose(base))


def test_every_other_setting_is_part_of_the_id() -> None:
    config = msgspec.to_builtins(compose([]))
    base = point_id(msgspec.convert(config, Config))
    changed = 0
    for key, value in leaves(config):
        if key.startswith("cluster.") or isinstance(value, str | dict):
            continue
        other = json.loads(json.dumps(config))
        *groups, name = key.split(".")
        group = other
        for word in groups:
            group = group[word]
        group[name] = _another(value)
        try:
            revised = msgspec.convert(other, Config)
        except msgspec.ValidationError:
            continue
        assert point_id(revised) != base, key
        changed += 1
    assert changed > 30


def _another(value: object) -> object:
    if value is None:
        return 1.0
    if isinstance(value, bool):
        return not value
    if isinstance(value, list) and not value:
        return [1]
    if isinstance(value, list):
        return [entry / 2 if isinstance(entry, float) else entry + 1 for entry in value]
    return value / 2 if isinstance(value, float) and value > 0 else value + 1


@pytest.mark.parametrize(
    "override", ["seed.init=1", "seed.trial=1", "training.optimizer.learning_rate=0.004", "training/loss=squared_error"]
)
def test_a_seed_a_rate_or_a_loss_makes_another_point(override: str) -> None:
    assert point_id(compose([override])) != point_id(compose([]))


def test_the_id_does_not_depend_on_how_a_value_was_written() -> None:
    ids = {point_id(compose([f"training.optimizer.learning_rate={text}"])) for text in ("0.005", "5e-3", "0.0050")}
    assert ids == {point_id(compose(["training.optimizer.learning_rate=0.005"]))}


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("network.init.mean=[1]", "has 1 values for 2 layers with weights"),
        ("network.init.std=[1,1,1]", "has 3 values for 2 layers with weights"),
        ("training.bumping.silent_fraction=[]", "has 0 values for 2 layers with weights"),
        ("network.delays=[axonal]", "has 1 values for 2 layers with weights"),
        ("network.delays=axon", "must be one of none, axonal, dendritic, synaptic or a list"),
        ("network.delays=[none,axon]", "network.delays[1]=axon: must be one of none, axonal, dendritic, synaptic"),
        ("network.delay_function.scale=-1", "must be a finite number >= 0"),
        ("network.delay_function.largest=1", "belongs to clipped"),
        ("network.init.delay.std=-1", "must be a finite number >= 0"),
        ("training.optimizer.delay_learning_rate=0", "must be a finite number > 0 or null"),
        ("network.hidden=[20,10]", "has 2 values for 3 layers with weights"),
        ("network.hidden=[]", "has 2 values for 1 layers with weights"),
        ("data.encoding.t_early=2.0", "must be below"),
        ("data.r_small=0.3", "must be below"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(override: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([override])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_longest_delay_is_not_below_the_shortest() -> None:
    clipped = "network/delay_function=clipped"
    with pytest.raises(ConfigError, match=r"largest=1\.0 must not be below smallest=2\.0"):
        compose([clipped, "network.delay_function={smallest:2,largest:1}"])
    assert compose([clipped, "network.delay_function={smallest:2,largest:2}"]).network.delay_function.largest == 2


@pytest.mark.parametrize(
    "override",
    [
        "network.neuron.tau_mem=0",
        "network.neuron.v_th=1e31",
        "network.t_max=0",
        "network.hidden=[0]",
        "training.epochs=-1",
        "training.epochs=1.5",
        "training.loss.xi=0",
        "training.loss.alpha=-0.1",
        "training.optimizer.learning_rate=0",
        "training.optimizer.beta2=1",
        "training.schedule.factor=0",
        "training.gradient_limit=0",
        "training.input_noise=-0.1",
        "training.keep=first",
        "training.bumping.silent_fraction=[1.1,0]",
        "data.samples.train=0",
        "seed.init=-1",
        "seed.init=9223372036854775808",
    ],
)
def test_what_has_no_meaning_is_refused_by_its_key(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([override])
    assert str(caught.value).startswith(override.partition("=")[0])


def test_the_sizes_of_the_outer_layers_come_from_the_data() -> None:
    assert compose(["network.hidden=[20]"]).layer_sizes == [4, 20, 3]
    assert compose(["experiment=mnist_16x16", "network.hidden=[20]"]).layer_sizes == [256, 20, 10]
    assert compose(["experiment=mnist_28x28", "network.hidden=[20]"]).layer_sizes == [784, 20, 10]


def test_a_configuration_cannot_be_changed() -> None:
    config = compose([])
    with pytest.raises(AttributeError):
        config.training.epochs = 3  # type: ignore[misc]


def test_a_configuration_survives_its_stored_form() -> None:
    config = compose(["training.optimizer.learning_rate=0.1", "network.neuron.v_leak=-0.3"])
    assert msgspec.convert(msgspec.to_builtins(config), Config) == config
