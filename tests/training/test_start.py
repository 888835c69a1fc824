"""`training.start`: a training begins with stored weights, whose content counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ttfsrun.config.ids import point_id
from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.errors import UserError
from ttfsrun.network import Learned
from ttfsrun.training.checkpoint import save_network
from ttfsrun.training.trainer import Trainer

Tiny = Callable[..., Config]


@pytest.fixture
def stored(tiny: Tiny, tmp_path: Path) -> Path:
    """The weights of a network that nobody trained, with another seed."""
    torch.manual_seed(0)
    learned = Learned((torch.randn(1, 5, 20), torch.randn(1, 21, 3)))
    twice = learned.map(lambda weight: 2 * weight)
    save_network(tmp_path / "network.safetensors", {"best": learned, "last": twice})
    return tmp_path / "network.safetensors"


def test_each_network_of_a_population_begins_with_its_own_weights(
    tiny: Tiny, samples: dict[str, Samples], stored: Path
) -> None:
    configs = [tiny(f"training.start={stored}"), tiny("seed.init=3")]
    trainer = Trainer(configs, samples["train"], samples["valid"])
    alone = Trainer(configs[1:], samples["train"], samples["valid"])
    torch.manual_seed(0)
    assert torch.equal(trainer.state.learned.weights[0][0], torch.randn(1, 5, 20)[0])
    assert torch.equal(trainer.state.learned.weights[0][1], alone.state.learned.weights[0][0])


def test_the_content_of_the_file_counts_and_not_its_path(tiny: Tiny, stored: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy.safetensors"
    shutil.copy(stored, other)
    ids = [point_id(tiny(f"training.start={file}")) for file in (stored, other)]
    assert ids[0] == ids[1] != point_id(tiny())
    save_network(other, {"best": Learned((torch.zeros(1, 5, 20), torch.zeros(1, 21, 3)))})
    assert point_id(tiny(f"training.start={other}")) != ids[0]


def test_weights_that_do_not_fit_are_refused(tiny: Tiny, samples: dict[str, Samples], stored: Path) -> None:
    with pytest.raises(UserError, match="do not fit the network of the settings"):
        Trainer([tiny(f"training.start={stored}", "network.hidden=[7]")], samples["train"], samples["valid"])


def test_a_run_of_no_epoch_keeps_its_weights_and_is_evaluated(
    ttfsrun: Callable[..., tuple[int, str, str]],
    tiny_overrides: tuple[str, ...],
    no_figures: None,
    stored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [*tiny_overrides, f"training.start={stored}", "training.epochs=0"]
    code, out, messages = ttfsrun("train", *argv, "--out", "run")
    assert code == 0, messages
    stored.unlink()  # the run has a copy
    code, again, messages = ttfsrun("evaluate", "run")
    assert code == 0, messages
    assert out.split()[1] in again


def test_a_sweep_of_no_epoch_measures_its_cost(
    ttfsrun: Callable[..., tuple[int, str, str]],
    tiny_overrides: tuple[str, ...],
    stored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [*tiny_overrides, f"training.start={stored}", "training.epochs=0", "seed.chip=0,1", "--name", "two"]
    code, _, messages = ttfsrun("sweep", *argv, "--yes")
    assert code == 0, messages
