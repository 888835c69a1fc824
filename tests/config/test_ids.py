"""Which settings make another point, another training, another population."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ttfsrun.config.compose import compose
from ttfsrun.config.ids import point_id, shape_id, training_id
from ttfsrun.config.paths import named_files
from ttfsrun.config.schema import Config

CHIP = ["substrate=brainscales2"]
EVALUATED = [
    "evaluation.trials=3",
    "evaluation.chips=[5,6]",
    "evaluation.age=7",
    "evaluation.perturbed=false",
    "+evaluation.conditions.noisy={substrate.spike_time.jitter: 0.1}",
    "training.keep=last",
]
SUBSTRATE = ["substrate.v_th.chip_std=0.2", "seed.chip=3", "seed.trial=3", "training.backward=ideal"]
NUMBERS = [
    "seed.init=5",
    "seed.data=5",
    "training.optimizer.learning_rate=0.1",
    "training.input_noise=0.1",
    "training.bumping.scheduled=false",
    "network.neuron.tau_mem=1.5",
    "network.init.mean=[1.0,1.0]",
]
SHAPES = ["network.hidden=[30]", "training.epochs=7", "training.batch_size=33", "data.samples.train=100"]


@pytest.mark.parametrize("protocol", ["in_the_loop", "clean_to_perturbed"])
@pytest.mark.parametrize("word", [*EVALUATED, *SUBSTRATE, *NUMBERS, *SHAPES])
def test_every_setting_that_can_change_a_number_makes_another_point(word: str, protocol: str) -> None:
    common = [*CHIP, f"protocol={protocol}"]
    assert point_id(compose(common)) != point_id(compose([*common, word]))


@pytest.mark.parametrize("word", ["cluster.threads=3", "cluster=slurm", "data.folder=elsewhere"])
def test_where_it_runs_makes_no_other_point(word: str) -> None:
    words = ["experiment=mnist_16x16"]
    assert point_id(compose(words)) == point_id(compose([*words, word]))


@pytest.mark.parametrize("protocol", ["in_the_loop", "clean_to_perturbed"])
@pytest.mark.parametrize("word", EVALUATED)
def test_what_a_network_is_evaluated_under_does_not_change_its_training(word: str, protocol: str) -> None:
    common = [*CHIP, f"protocol={protocol}"]
    assert training_id(compose(common)) == training_id(compose([*common, word]))


@pytest.mark.parametrize("word", SUBSTRATE)
def test_a_substrate_changes_a_training_that_happens_on_it_and_no_other(word: str) -> None:
    for protocol, same in (("in_the_loop", False), ("clean_to_perturbed", True)):
        common = [*CHIP, f"protocol={protocol}"]
        assert (training_id(compose(common)) == training_id(compose([*common, word]))) is same


@pytest.mark.parametrize("protocol", ["in_the_loop", "clean_to_perturbed"])
@pytest.mark.parametrize("word", [*NUMBERS, *SHAPES])
def test_everything_else_changes_the_training(word: str, protocol: str) -> None:
    common = [*CHIP, f"protocol={protocol}"]
    assert training_id(compose(common)) != training_id(compose([*common, word]))


@pytest.mark.parametrize("word", [*NUMBERS, *SUBSTRATE, *EVALUATED[:-1]])
def test_numbers_ride_along_in_one_population(word: str) -> None:
    assert shape_id(compose(CHIP)) == shape_id(compose([*CHIP, word]))


@pytest.mark.parametrize("word", SHAPES)
def test_shapes_do_not(word: str) -> None:
    assert shape_id(compose(CHIP)) != shape_id(compose([*CHIP, word]))


@pytest.mark.parametrize("strength", ["rotation=5", "shear=0.1", "scale=0.1", "shift=1"])
def test_augmentation_is_another_training_in_the_same_population(strength: str) -> None:
    plain, augmented = (compose(["data=mnist_16x16", *words]) for words in ([], [f"data.augmentation.{strength}"]))
    assert point_id(plain) != point_id(augmented)
    assert training_id(plain) != training_id(augmented)
    assert shape_id(plain) == shape_id(augmented)


def test_a_chip_file_counts_by_its_content(tmp_path: Path) -> None:
    def configured(own: str, *others: str) -> Config:
        for content, name in enumerate((own, *others)):
            (tmp_path / name).write_text(str(content))
        listed = ",".join(str(tmp_path / name) for name in others)
        elsewhere = f"+evaluation.conditions.elsewhere={{substrate.chip.file: [{listed}]}}"
        return compose([elsewhere, f"substrate.chip.file={tmp_path / own}"])

    config, moved = configured("a", "b", "c"), configured("moved", "b", "c")
    assert set(named_files(msgspec.to_builtins(config))) == {str(tmp_path / name) for name in "abc"}
    assert msgspec.to_builtins(config) != msgspec.to_builtins(moved)
    point, training = point_id(config), training_id(config)
    assert point_id(moved) == point
    (tmp_path / "c").write_text("another")
    assert point_id(config) != point
    assert training_id(config) == training
    (tmp_path / "a").write_text("another")
    assert training_id(config) != training


@pytest.mark.parametrize(
    ("key", "spellings"),
    [
        ("network.neuron.v_leak", ["0.0", "0", "-0", "-0.0", "+0.0", "0e3", "-0e-3", "-.0"]),
        ("network.neuron.v_th", ["1", "1.0", "1.", "+1", "1e0", "10e-1"]),
        ("training.optimizer.learning_rate", ["0.001", ".001", "1e-3", "1E-3", "1.0e-3", "0.10e-2", "1_0e-4"]),
        ("network.init.std", ["[0.0,0.5]", "[-0.0,.5]", "[0,5e-1]", "[ 0, 0.50 ]"]),
        ("network.init", ["{mean:[0,1],std:[1,1]}", "{std:[1.0,1],mean:[-0.0,1.]}"]),
        ("data.samples", ["{train:10,valid:4,test:5}", "{test:5,train:10,valid:4}"]),
        ("training.perturbed", ["true", "True", "TRUE"]),
        ("cluster.threads", ["1", "2", "null"]),
    ],
)
def test_ids_depend_on_values_not_on_how_they_are_written(key: str, spellings: list[str]) -> None:
    configs = [compose([f"{key}={spelling}"]) for spelling in spellings]
    assert len({point_id(config) for config in configs}) == 1
    assert len({training_id(config) for config in configs}) == 1
    assert len({shape_id(config) for config in configs}) == 1
    written = {msgspec.json.encode(config) for config in configs}
    assert len(written) == 1 or key == "cluster.threads"
