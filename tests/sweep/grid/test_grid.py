"""A command line and a yaml file become points, in a predictable order."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from asked import BITS, COMPOSER, JITTER, RATE, Ask, point_values, values

from ttfsrun.config.compose import Composer, compose, conf_dir
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.request import SweepRequest, read_request

SWEEPS = sorted(path.stem for path in (conf_dir() / "sweep").glob("*.yaml"))

# The files that come with ttfsrun


@pytest.mark.parametrize("name", SWEEPS)
def test_every_point_of_every_sweep_composes(name: str) -> None:
    request = read_request([f"sweep={name}"], COMPOSER)
    configs = COMPOSER.compose_all(request.points)
    assert len({repr(config) for config in configs}) > 1
    assert request.name == name


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_says_what_it_is_for_and_can_be_made_small(name: str) -> None:
    assert (conf_dir() / "sweep" / f"{name}.yaml").read_text().startswith("# ")
    small = read_request([f"sweep={name}", "sweep.seeds=1", "training.epochs=1"], COMPOSER)
    assert all(config.training.epochs == 1 for config in COMPOSER.compose_all(small.points))


def test_there_are_sweeps() -> None:
    assert {"weight_resolution", "threshold_mismatch", "spike_jitter", "robustness", "learning_rate"} <= set(SWEEPS)


# The command line alone


def test_without_any_sweep_there_is_one_point() -> None:
    assert read_request([], COMPOSER) == SweepRequest([()], (), {}, None)
    assert read_request(["seed.init=3"], COMPOSER) == SweepRequest([("seed.init=3",)], (), {}, None)


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=yin_yang", f"{BITS}=2,3,4", "seed.init=range(3)"],
        ["experiment=glob(mnist*)", "substrate=ideal,brainscales2", "training/loss=squared_error"],
        ["seed.init=1,2", "seed.init=3", "training.keep=best,last"],
        ["training.loss={xi:1},{xi:2}", "network.hidden=[60],[120]"],
    ],
    ids=" ".join,
)
def test_the_command_line_alone_is_what_hydra_makes_of_it(words: list[str]) -> None:
    assert read_request(words, COMPOSER).points == [each for each, _ in COMPOSER.combinations(words)]


def test_keys_are_those_that_vary_in_order() -> None:
    request = read_request(["training/loss=squared_error,cross_entropy", "seed.chip=4", f"{BITS}=choice(3)"], COMPOSER)
    assert request.keys == ("training/loss", BITS)


def test_a_spec_needs_no_file() -> None:
    assert values(read_request(["sweep.seeds=3"], COMPOSER), "seed.init") == [(0,), (1,), (2,)]
    assert values(read_request(["sweep.seeds=3,5,8"], COMPOSER), "seed.init") == [(3,), (5,), (8,)]
    assert values(read_request(["sweep.seeds=range(2,4)"], COMPOSER), "seed.init") == [(2,), (3,)]
    request = read_request([f"sweep.grid.{BITS}=[2,3]", f"sweep.grid.{JITTER}=[0.1]"], COMPOSER)
    assert values(request, BITS, JITTER) == [(2, 0.1), (3, 0.1)]
    draws = ["sweep.random.count=3", f"sweep.random.values.{RATE}={{loguniform:[1e-4,1e-2]}}"]
    assert len(read_request(draws, COMPOSER).points) == 3


# What a yaml file says


def test_one_at_a_time_there_is_a_point_of_none_and_one_of_each_value(ask: Ask) -> None:
    request = ask(each={BITS: [2, 3], JITTER: [0.1]}, seeds=2)
    assert [point_values(words) for words in request.points[::2]] == [
        {"seed.init": 0},
        {BITS: 2, "seed.init": 0},
        {BITS: 3, "seed.init": 0},
        {JITTER: 0.1, "seed.init": 0},
    ]
    assert request.keys == (BITS, JITTER, "seed.init")
    assert len(ask(each=[{BITS: [2, 3]}, {JITTER: [0.1]}]).points) == 3 * 2


def test_a_setting_on_the_command_line_takes_its_values_out_of_those_one_at_a_time(ask: Ask) -> None:
    request = ask(f"{BITS}=5", each={BITS: [2, 3], JITTER: [0.1]})
    points = [point_values(words) for words in dict.fromkeys(request.points)]  # equal ones are computed once
    assert points == [{BITS: 5}, {BITS: 5, JITTER: 0.1}]


def test_a_mistake_in_a_value_that_is_one_at_a_time_is_told(ask: Ask) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.each: substrate\.weight\.bit"):
        ask(each={"substrate.weight.bit": [2]})


def test_the_product_goes_through_the_parts_in_order_with_the_last_fastest(ask: Ask) -> None:
    request = ask(
        "training.keep=best,last",
        base=["experiment=yin_yang", "seed.chip=5"],
        seeds=2,
        sobol={"count": 2, "values": {"network.neuron.v_th": {"uniform": [1, 2]}}},
        random={"count": 2, "values": {RATE: {"uniform": [0, 1]}}},
        zip={"training.batch_size": [100, 150], "training.epochs": [3, 4]},
        grid={BITS: [2, 3], JITTER: "0.0,0.1"},
    )
    zipped = ("training.batch_size", "training.epochs")
    assert request.keys == (BITS, JITTER, *zipped, RATE, "network.neuron.v_th", "training.keep", "seed.init")
    assert len(request.points) == 2**7
    rows = values(request, *request.keys)
    assert rows[0][:4] == (2, 0.0, 100, 3)
    firsts = [next(i for i, row in enumerate(rows) if row[column] != rows[0][column]) for column in range(8)]
    assert firsts == [64, 32, 16, 16, 8, 4, 2, 1]
    assert all(words[:2] == ("experiment=yin_yang", "seed.chip=5") for words in request.points)


def test_keys_that_are_zipped_move_together(ask: Ask) -> None:
    request = ask(
        zip=[
            {"network.hidden": [[60], [120]], "training.epochs": [3, 4]},
            {JITTER: "0.1,0.2", BITS: [5, None]},
        ]
    )
    rows = values(request, "network.hidden", "training.epochs", JITTER, BITS)
    assert rows == [([60], 3, 0.1, 5), ([60], 3, 0.2, None), ([120], 4, 0.1, 5), ([120], 4, 0.2, None)]


def test_keys_drawn_at_random_move_together_and_keep_their_values_in_company(ask: Ask) -> None:
    rate, v_th = {RATE: {"loguniform": [1e-4, 1e-2]}}, {"network.neuron.v_th": {"normal": [1, 0.01]}}
    alone = values(ask(random={"count": 5, "values": rate}), RATE)
    both = ask(random={"count": 20, "values": v_th | rate})
    assert len(both.points) == 20
    assert values(both, RATE)[:5] == alone
    other = values(ask(random=[{"count": 5, "values": rate, "seed": 1}]), RATE)
    assert not {*other} & {*alone}


def test_several_groups_of_draws_are_multiplied_out(ask: Ask) -> None:
    groups = [{"count": 2, "values": {key: {"integer": [1, 9]}}} for key in ("training.epochs", BITS)]
    assert len(ask(random=groups).points) == 4
    assert len(ask(sobol=groups).points) == 4


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("network.hidden", [[60], [120]]),
        ("training.gradient_limit", [None, 0.2, 1e-05]),
        ("evaluation.perturbed", [True, False]),
        ("data.encoding.t_early", [0, 0.15]),
        ("training.loss", [{"xi": 0.1}, {"xi": 0.2, "alpha": 0.0}]),
        ("substrate", ["ideal", "brainscales2"]),
        ("substrate.chip.file", ["a, 'b' {c}=\\d.safetensors", "ü"]),
    ],
)
def test_values_arrive_as_they_stand_in_the_file(ask: Ask, key: str, given: list[Any]) -> None:
    request = ask(grid={key: given})
    assert [value for (value,) in values(request, key)] == given
    assert COMPOSER.compose_all(request.points) == [compose(point) for point in request.points]


def test_small_numbers_need_no_decimal_point(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"grid: {{{RATE}: [1e-3, 5e-3]}}\n")
    request = read_request([f"sweep={tmp_path}/mine.yaml"], COMPOSER)
    assert values(request, RATE) == [(0.001,), (0.005,)]


def test_text_is_read_as_on_the_command_line(ask: Ask) -> None:
    assert len(ask(grid={"experiment": "glob(mnist*)"}).points) == 5
    assert values(ask(grid={"training.keep": "last,best"}), "training.keep") == [("last",), ("best",)]


def test_a_shuffled_axis_is_the_same_each_time_so_that_a_limit_chooses_the_same_points() -> None:
    words = [f"{BITS}=shuffle(range(1,9))", "seed.init=range(2)"]
    assert read_request(words, Composer(conf_dir())) == read_request(words, Composer(conf_dir()))


def test_the_spec_holds_what_was_asked_for(ask: Ask) -> None:
    request = ask("sweep.seeds=2", "sweep.grid.training.epochs=[3]", grid={BITS: [1, 2]}, seeds=20)
    assert request.spec == {"grid": {BITS: [1, 2], "training.epochs": [3]}, "seeds": 2}
    assert request.name == "mine"


def test_equal_points_stay(ask: Ask) -> None:
    assert len(ask(grid={BITS: [2, 2]}).points) == 2


# The command line over a yaml file


def test_a_key_of_the_command_line_replaces_the_one_of_the_file_wherever_it_stands(ask: Ask) -> None:
    spec: dict[str, Any] = {
        "base": ["experiment=yin_yang", "training.keep=last"],
        "grid": {BITS: [2, 3]},
        "zip": {"training.batch_size": [100, 150], "training.epochs": [3, 4]},
        "random": {"count": 3, "values": {RATE: {"uniform": [0, 1]}, "network.neuron.v_th": {"uniform": [1, 2]}}},
        "seeds": 2,
    }
    assert len(ask(**spec).points) == 2 * 2 * 3 * 2
    assert len(ask(f"{BITS}=5", **spec).points) == 2 * 3 * 2
    assert len(ask("seed.init=7", **spec).points) == 2 * 2 * 3
    assert len(ask(f"{BITS}=5,6,7", **spec).points) == 3 * 2 * 3 * 2
    assert {words[1] for words in ask("experiment=mnist_16x16", **spec).points} == {f"{BITS}=2", f"{BITS}=3"}
    less = ask("training.epochs=9", f"{RATE}=0.5", **spec)
    assert {*values(less, "training.batch_size", "training.epochs", RATE)} == {(100, 9, 0.5), (150, 9, 0.5)}
    assert [*dict.fromkeys(values(less, "network.neuron.v_th"))] == [
        *dict.fromkeys(values(ask(**spec), "network.neuron.v_th"))
    ]
    nothing_drawn = ask("network.neuron.v_th=1", f"{RATE}=0.5", **spec)
    assert len(nothing_drawn.points) == 2 * 2 * 2


def test_a_column_that_is_replaced_leaves_the_other_sobol_columns(ask: Ask) -> None:
    sobol = {"count": 4, "values": {RATE: {"uniform": [0, 1]}, "network.neuron.v_th": {"uniform": [1, 2]}}}
    assert values(ask(f"{RATE}=0.5", sobol=sobol), "network.neuron.v_th") == values(
        ask(sobol=sobol), "network.neuron.v_th"
    )


def test_parts_of_the_spec_can_be_replaced_or_left_out(ask: Ask) -> None:
    spec: dict[str, Any] = {"grid": {BITS: [2, 3]}, "random": {"count": 3, "values": {RATE: {"uniform": [0, 1]}}}}
    assert len(ask("sweep.random.count=10", **spec).points) == 20
    assert len(ask("sweep.random=null", **spec).points) == 2
    assert len(ask(f"sweep.grid.{BITS}=[7]", **spec).points) == 3
    assert values(ask("sweep.seeds=2", "sweep.random=null", seeds=9, **spec), BITS, "seed.init")[:2] == [(2, 0), (2, 1)]


def test_seeds_of_the_command_line_replace_a_grid_of_them(ask: Ask) -> None:
    assert values(ask("sweep.seeds=2", grid={"seed.init": [5, 6, 7]}), "seed.init") == [(0,), (1,)]


def test_points_are_found_without_torch_or_numpy() -> None:
    code = """if True:
        import sys
        from ttfsrun.config.compose import Composer, conf_dir
        from ttfsrun.sweep.grid.request import read_request
        composer = Composer(conf_dir())
        assert composer.compose_all(read_request(["sweep=weight_resolution"], composer).points)
        assert not {"torch", "numba", "numpy", "scipy", "pandas", "matplotlib", "submitit"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_ten_thousand_points_take_seconds() -> None:
    composer, started = Composer(conf_dir()), time.process_time()
    draws = ["sweep.random.count=2", f"sweep.random.values.{RATE}={{loguniform:[1e-4,1e-2]}}"]
    words = ["experiment=yin_yang,mnist_16x16", f"{BITS}=range(1,6)", "seed.init=range(500)", *draws]
    assert len(composer.compose_all(read_request(words, composer).points)) == 10_000
    assert time.process_time() - started < 10
