"""Files of trained weights and of the state of a training: safetensors, so plain arrays and no code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ttfsrun.errors import UserError
from ttfsrun.files import write_atomic
from ttfsrun.training.bumping import Bumping
from ttfsrun.training.optimizer import Moments
from ttfsrun.training.state import TrainingState


def named_tensors(state: TrainingState) -> dict[str, Tensor]:
    """Return everything that a training leaves and that is needed to resume it, by name."""
    layers = {
        "weight": state.weights,
        "best": state.best_weights,
        "first": state.moments.first,
        "second": state.moments.second,
    }
    tensors = {f"{kind}.{layer}": tensor for kind, group in layers.items() for layer, tensor in enumerate(group)}
    return tensors | {
        "epoch": torch.tensor(state.epoch),
        "steps": state.moments.steps,
        "bumping.layer": state.bumping.layer,
        "bumping.value": state.bumping.value,
        "best_score": state.best_score,
        "best_epoch": state.best_epoch,
        "curves": state.curves,
        "seconds": torch.tensor(state.seconds, dtype=torch.float64),
    }


def save_state(path: Path, state: TrainingState, members: Mapping[str, str]) -> None:
    """Write everything that a resumed training needs. Raises CannotWrite where that fails.

    members: for each run folder its name, in order, and what identifies its training.
    """
    write_atomic(path, save(named_tensors(state), metadata={"members": json.dumps(dict(members))}))


def load_state(path: Path) -> tuple[TrainingState, dict[str, str]]:
    """Return the state of a training, and its members as they were saved.

    Raises UserError where the file is missing, damaged or of another version.
    """
    tensors, metadata = _read(path)

    def layers(kind: str) -> list[Tensor]:
        return [tensors[f"{kind}.{layer}"] for layer in range(sum(key.startswith("weight.") for key in tensors))]

    try:
        state = TrainingState(
            epoch=int(tensors["epoch"]),
            weights=layers("weight"),
            moments=Moments(layers("first"), layers("second"), tensors["steps"]),
            bumping=Bumping(tensors["bumping.layer"], tensors["bumping.value"]),
            best_weights=layers("best"),
            best_score=tensors["best_score"],
            best_epoch=tensors["best_epoch"],
            curves=tensors["curves"],
            seconds=float(tensors["seconds"]),
        )
        return state, json.loads(metadata["members"])
    except KeyError as error:
        raise UserError(f"{path} lacks {error}: it is not a checkpoint of this version; train again") from None


def save_network(path: Path, networks: dict[str, Sequence[Tensor]]) -> None:
    """Write one network's weights [N, M] per layer, in several versions (best, last).

    Raises CannotWrite where that fails.
    """
    tensors = {
        f"{version}.layer_{layer}": weight.contiguous()
        for version, weights in networks.items()
        for layer, weight in enumerate(weights, 1)
    }
    write_atomic(path, save(tensors))


def load_network(path: Path, version: str) -> list[Tensor]:
    """Return the weights [N, M] per layer of one version.

    Raises UserError where the file is missing or damaged, or does not hold that version.
    """
    tensors, _ = _read(path)
    n_layers = sum(key.startswith(f"{version}.layer_") for key in tensors)
    keys = [f"{version}.layer_{layer}" for layer in range(1, n_layers + 1)]
    if not keys or not tensors.keys() >= set(keys):
        raise UserError(f"{path} holds no network called {version!r}; it has {sorted(tensors)}")
    for key in keys:
        if tensors[key].dtype != torch.float32 or not bool(tensors[key].isfinite().all()):
            raise UserError(f"{path}: {key} is not made of finite float32 numbers: it is not a trained network")
    return [tensors[key] for key in keys]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key).clone() for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the run is not finished; resume it with train --resume") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
