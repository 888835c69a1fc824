"""Which settings make another point, another training, another population."""

from __future__ import annotations

import msgspec
import pytest

from ttfsrun.config.compose import compose
from ttfsrun.config.ids import chip_files, point_id, shape_id, training_id

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


def test_a_chip_file_counts_by_its_content() -> None:
    words = ["+evaluation.conditions.elsewhere={substrate.chip.file: [b, c]}", "substrate.chip.file=a"]
    config = compose(words)
    assert chip_files(msgspec.to_builtins(config)) == ["a", "b", "c"] or set(
        chip_files(msgspec.to_builtins(config))
    ) == {"a", "b", "c"}
    moved = compose([words[0], "substrate.chip.file=moved"])
    sums = {"a": "1", "b": "2", "c": "3", "moved": "1"}
    assert point_id(config, sums) == point_id(moved, sums)
    assert point_id(config) != point_id(moved)
    assert point_id(config, sums) != point_id(config, sums | {"c": "4"})
    assert training_id(config, sums) == training_id(config, sums | {"c": "4"})
    assert training_id(config, sums) != training_id(config, sums | {"a": "4"})
