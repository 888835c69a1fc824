"""Files of trained weights and of the state of a training: safetensors, so plain arrays and no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ttfsrun.errors import UserError
from ttfsrun.files import write_atomic
from ttfsrun.network import Learned
from ttfsrun.training.bumping import Bumping
from ttfsrun.training.network_file import THETAS, WEIGHTS
from ttfsrun.training.optimizer import Moments
from ttfsrun.training.state import TrainingState


def named_tensors(state: TrainingState) -> dict[str, Tensor]:
    """Return everything that a training leaves and that is needed to resume it, by name."""
    parts = {
        "weight": dict(enumerate(state.learned.weights)),
        "best": dict(enumerate(state.best.weights)),
        "theta": state.learned.thetas,
        "best_theta": state.best.thetas,
        "first": dict(enumerate(state.moments.first)),
        "second": dict(enumerate(state.moments.second)),
    }
    tensors = {f"{kind}.{number}": tensor for kind, group in parts.items() for number, tensor in group.items()}
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

    n_layers = sum(key.startswith("weight.") for key in tensors)

    def parts(kind: str, count: int) -> list[Tensor]:
        return [tensors[f"{kind}.{number}"] for number in range(count)]

    def thetas(kind: str) -> dict[int, Tensor]:
        names = {layer: f"{kind}.{layer}" for layer in range(n_layers)}
        return {layer: tensors[name] for layer, name in names.items() if name in tensors}

    try:
        learned = Learned(tuple(parts("weight", n_layers)), thetas("theta"))
        n_learned = len(learned.tensors)
        state = TrainingState(
            epoch=int(tensors["epoch"]),
            learned=learned,
            moments=Moments(parts("first", n_learned), parts("second", n_learned), tensors["steps"]),
            bumping=Bumping(tensors["bumping.layer"], tensors["bumping.value"]),
            best=Learned(tuple(parts("best", n_layers)), thetas("best_theta")),
            best_score=tensors["best_score"],
            best_epoch=tensors["best_epoch"],
            curves=tensors["curves"],
            seconds=float(tensors["seconds"]),
        )
        return state, json.loads(metadata["members"])
    except KeyError as error:
        raise UserError(f"{path} lacks {error}: it is not a checkpoint of this version; train again") from None


def save_network(path: Path, networks: Mapping[str, Learned]) -> None:
    """Write one network's weights [N, M] of each layer, and theta of its delays, in several versions (best, last).

    networks: as populations of one. Raises CannotWrite where that fails.
    """
    tensors = {
        f"{version}.{name}": tensor[0].contiguous()
        for version, learned in networks.items()
        for name, tensor in _by_name(learned).items()
    }
    write_atomic(path, save(tensors))


def load_network(path: Path, version: str) -> Learned:
    """Return the weights and theta of one version of a network, as a population of one.

    Raises UserError where the file is missing or damaged, or does not hold that version.
    """
    tensors, _ = _read(path)
    found = {key.removeprefix(f"{version}."): value for key, value in tensors.items() if key.startswith(f"{version}.")}
    for name, tensor in found.items():
        if tensor.dtype != torch.float32 or not bool(tensor.isfinite().all()):
            raise UserError(
                f"{path}: {version}.{name} is not made of finite float32 numbers: it is not a trained network"
            )
    layers = range(1, sum(name.startswith(WEIGHTS) for name in found) + 1)
    if not layers or not all(f"{WEIGHTS}{layer}" in found for layer in layers):
        raise UserError(f"{path} holds no network called {version!r}; it has {sorted(tensors)}")
    weights = tuple(found[f"{WEIGHTS}{layer}"][None] for layer in layers)
    delayed = [layer for layer in layers if f"{THETAS}{layer}" in found]
    return Learned(weights, {layer - 1: found[f"{THETAS}{layer}"][None] for layer in delayed})


def _by_name(learned: Learned) -> dict[str, Tensor]:
    """Return tensors by their names in the file of a network, with the layers from 1."""
    weights = {f"{WEIGHTS}{layer}": weight for layer, weight in enumerate(learned.weights, 1)}
    return weights | {f"{THETAS}{layer + 1}": theta for layer, theta in learned.thetas.items()}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key).clone() for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the run is not finished; resume it with train --resume") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
