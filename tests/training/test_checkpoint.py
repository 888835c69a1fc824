"""What is on disk continues a training to the same bits, and is never code."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import ttfsrun
from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.errors import UserError
from ttfsrun.network import Learned
from ttfsrun.training import checkpoint
from ttfsrun.training.state import TrainingState
from ttfsrun.training.trainer import Trainer

Tiny = Callable[..., Config]
PACKAGE = Path(ttfsrun.__file__).parent


def contents(state: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a state, by its path."""
    for field in dataclasses.fields(state):  # type: ignore[arg-type]
        value = getattr(state, field.name)
        if dataclasses.is_dataclass(value):
            yield from contents(value, f"{prefix}{field.name}.")
        elif isinstance(value, list | tuple):
            yield from ((f"{prefix}{field.name}.{i}", entry) for i, entry in enumerate(value))
        elif isinstance(value, dict):
            yield from ((f"{prefix}{field.name}.{key}", entry) for key, entry in value.items())
        else:
            yield prefix + field.name, value


def as_bits(state: TrainingState) -> dict[str, object]:
    return {
        name: (value.dtype, value.shape, value.numpy().tobytes()) if isinstance(value, Tensor) else value
        for name, value in contents(state)
    }


@pytest.fixture
def configs(tiny: Tiny) -> list[Config]:
    remedies = (
        "training.gradient_limit=0.005",
        "training.bumping={silent_fraction:[0.25,0.05],value:0.01}",
        "training.input_noise=0.1",
    )
    means = ("[0.5,0.4]", "[0.7,0.4]", "[3,2]")  # the first two have to be bumped
    return [tiny(*remedies, f"network.init.mean={mean}", "training.epochs=4") for mean in means]


@pytest.fixture
def trainer(configs: list[Config], samples: dict[str, Samples]) -> Trainer:
    """In the middle of a training."""
    trainer = Trainer(configs, samples["train"], samples["valid"])
    trainer.run_epoch()
    trainer.run_epoch()
    trainer.state.seconds = 12.75
    return trainer


def test_a_state_comes_back_bit_for_bit(trainer: Trainer, tmp_path: Path) -> None:
    members = {"seed.init=0": "b", "seed.init=10": "c", "seed.init=9": "a"}
    checkpoint.save_state(tmp_path / "c.safetensors", trainer.state, members)
    state, read = checkpoint.load_state(tmp_path / "c.safetensors")
    assert as_bits(state) == as_bits(trainer.state)
    assert list(read.items()) == list(members.items())
    assert {"epoch", "learned.weights.0", "moments.steps", "bumping.value", "curves", "seconds"} <= as_bits(
        state
    ).keys()


def test_a_state_before_the_first_epoch_comes_back_with_its_infinite_scores(trainer: Trainer, tmp_path: Path) -> None:
    initial = TrainingState.initial(trainer.network, 4)
    checkpoint.save_state(tmp_path / "c", initial, {"": "id"})
    assert as_bits(checkpoint.load_state(tmp_path / "c")[0]) == as_bits(initial)


@pytest.mark.parametrize("epochs", range(4))
def test_a_training_that_was_resumed_ends_like_one_that_was_not_interrupted(
    epochs: int, configs: list[Config], samples: dict[str, Samples], tmp_path: Path
) -> None:
    whole = Trainer(configs, samples["train"], samples["valid"])
    for _ in range(4):
        whole.run_epoch()
    steps = whole.state.moments.steps.tolist()
    assert 0 < min(steps) < max(steps) == 4 * 5
    first = Trainer(configs, samples["train"], samples["valid"])
    for _ in range(epochs):
        first.run_epoch()
    checkpoint.save_state(tmp_path / "c", first.state, {"a": "1", "b": "2", "c": "3"})
    del first
    second = Trainer(configs, samples["train"], samples["valid"], checkpoint.load_state(tmp_path / "c")[0])
    assert second.state.epoch == epochs
    while second.state.epoch < 4:
        second.run_epoch()
    assert as_bits(second.state) == as_bits(whole.state)


@pytest.mark.parametrize("keep", ["none of it", "half of it", "all but a byte", "something else"])
def test_a_file_that_is_not_whole_is_one_clear_line(keep: str, trainer: Trainer, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save_state(path, trainer.state, {"": "id"})
    content = path.read_bytes()
    kept = {"none of it": b"", "half of it": content[: len(content) // 2], "all but a byte": content[:-1]}
    path.write_bytes(kept.get(keep, b"these are no numbers"))
    for load in (checkpoint.load_state, lambda path: checkpoint.load_network(path, "best")):
        with pytest.raises(UserError, match=r"c\.safetensors cannot be read: ") as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(UserError, match="it is not a checkpoint of this version; train again"):
        checkpoint.load_state(tmp_path / "foreign")
    with pytest.raises(UserError, match=r"holds no network called 'best'; it has \['x'\]"):
        checkpoint.load_network(tmp_path / "foreign", "best")


@pytest.mark.parametrize(
    "weight", [torch.zeros(2, 2).double(), torch.zeros(2, 2).int(), torch.full((2, 2), torch.nan)], ids=str
)
def test_weights_of_another_kind_are_refused(weight: Tensor, tmp_path: Path) -> None:
    save_file({"best.layer_1": weight}, tmp_path / "n")
    with pytest.raises(UserError, match=r"best\.layer_1 is not made of finite float32 numbers"):
        checkpoint.load_network(tmp_path / "n", "best")


def test_a_missing_layer_is_noticed(tmp_path: Path) -> None:
    save_file({"best.layer_1": torch.zeros(2, 2), "best.layer_3": torch.zeros(2, 2)}, tmp_path / "n")
    with pytest.raises(UserError, match="holds no network called 'best'"):
        checkpoint.load_network(tmp_path / "n", "best")


def test_a_network_that_is_not_there_is_that_of_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the run is not finished"):
        checkpoint.load_network(tmp_path / "n", "best")


def test_layers_keep_their_order_however_many_there_are(tmp_path: Path) -> None:
    networks = {
        name: Learned(
            tuple(torch.full((1, 2, 3), float(sign * i)) for i in range(12)),
            {i: torch.full((1, 2, 1), float(sign * i)) for i in (0, 9, 10)},
        )
        for name, sign in (("best", 1), ("last", -1))
    }
    checkpoint.save_network(tmp_path / "n", networks)
    for name, expected in networks.items():
        found = checkpoint.load_network(tmp_path / "n", name)
        assert list(found.thetas) == [0, 9, 10]
        assert all(map(torch.equal, found.tensors, expected.tensors))
    assert load_file(tmp_path / "n")["last.layer_12"][0, 0] == -11


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    checkpoint.save_state(path, trainer.state, {"": "id"})
    before = path.read_bytes()

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    trainer.run_epoch()
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save_state(path, trainer.state, {"": "id"})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_in_the_package_reads_or_writes_pickles() -> None:
    forbidden = re.compile(r"torch\.(save|load)\b|import pickle|pickle\.|joblib|\.pkl\b|\.pt\b|allow_pickle=True")
    sources = sorted(PACKAGE.rglob("*.py"))
    assert PACKAGE / "training" / "checkpoint.py" in sources
    assert [path for path in sources if forbidden.search(path.read_text())] == []
