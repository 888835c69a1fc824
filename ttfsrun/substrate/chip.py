"""The fixed pattern of one chip: an object that a seed makes, and that can be saved, loaded and looked at.

A chip depends on the substrate's settings, its seed and the shape of the network, on nothing else. In its file,
`<quantity>.layer_<number>` is an array: [M] for what neurons have, [N, M] for synapses, in the units of the
strengths; so a chip that was measured can be written down as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.files import write_whole
from ttfsrun.random import stream
from ttfsrun.substrate.changes import scaled
from ttfsrun.substrate.perturbation import Perturbation, Shape, Where
from ttfsrun.substrate.schema import perturbations

Array = NDArray[Any]
Layers = tuple[Array, ...]

UNITS: dict[Where, str] = {  # of what is drawn to be added
    "input_time": "tau_syn",
    "weight": "of the largest weight",
    "v_th": "of v_th - v_leak",
    "v_leak": "of v_th - v_leak",
    "tau_mem": "tau_syn",
    "tau_syn": "tau_syn",
    "spike_time": "tau_syn",
}


@dataclass(frozen=True)
class Chip:
    """What is fixed on one chip: of each quantity, an array for each layer ([1, M] or [N, M])."""

    drawn: Mapping[str, Layers]

    @classmethod
    def of(cls, config: Config) -> Chip:
        """The chip of a configuration: what its file holds, and what its seed makes of the rest."""
        file = config.substrate.chip.file
        drawn: dict[str, Layers] = dict(cls.load(Path(file), config).drawn) if file is not None else {}
        for perturbation in perturbations(config.substrate):
            if perturbation.when == "chip" and not perturbation.off and perturbation.name not in drawn:
                drawn[perturbation.name] = tuple(
                    _draw(perturbation, config.seed.chip, layer, shape)
                    for layer, shape in enumerate(_shapes(perturbation.where, config))
                )
        return cls(drawn)

    def older(self, config: Config, epoch: int) -> Chip:
        """The chip an epoch later; `epoch` is its age by then."""
        drawn = dict(self.drawn)
        for perturbation in perturbations(config.substrate):
            if perturbation.age is not None and perturbation.name in drawn:
                drawn[perturbation.name] = tuple(
                    perturbation.age(stream(config.seed.chip, perturbation.name, layer=layer, step=epoch), before)
                    for layer, before in enumerate(drawn[perturbation.name])
                )
        return Chip(drawn)

    def save(self, path: Path) -> None:
        arrays = {
            f"{name}.layer_{layer}": np.ascontiguousarray(array[0] if len(array) == 1 else array)
            for name, layers in self.drawn.items()
            for layer, array in enumerate(layers, 1)
        }
        write_whole(path, save(arrays))

    @classmethod
    def load(cls, path: Path, config: Config) -> Chip:
        """A saved chip for the network of a configuration; a UserError says what does not fit."""
        arrays = _read(path)
        known = {p.name: p for p in perturbations(config.substrate) if p.when == "chip"}
        wanted = {
            f"{name}.layer_{layer}": (name, shape)
            for name in known
            for layer, shape in enumerate(_shapes(known[name].where, config), 1)
        }
        unknown = sorted(arrays.keys() - wanted.keys())
        if unknown:
            raise UserError(
                f"substrate.chip.file={path}: holds {unknown[0]}; this network's chips have {', '.join(sorted(wanted))}"
            )
        drawn: dict[str, list[Array]] = {}
        for key, (name, shape) in wanted.items():
            if not any(held.startswith(f"{name}.layer_") for held in arrays):
                continue
            if key not in arrays:
                raise UserError(f"substrate.chip.file={path}: lacks {key}; it has {', '.join(sorted(arrays))}")
            subject = f"substrate.chip.file={path}: {key}"
            drawn.setdefault(name, []).append(_fitting(arrays[key], shape, known[name], subject))
        return cls({name: tuple(layers) for name, layers in drawn.items()})

    def summary(self) -> pd.DataFrame:
        """One row per quantity and layer: how many were drawn, mean, standard deviation, extremes."""
        rows = [
            {"quantity": name, "layer": layer, **_statistics(array)}
            for name, layers in self.drawn.items()
            for layer, array in enumerate(layers, 1)
        ]
        return pd.DataFrame(rows, columns=["quantity", "layer", "n", "mean", "std", "min", "max"])


def units(config: Config) -> dict[str, str]:
    """Of each quantity that may be fixed on a chip, the unit in words."""
    fixed = [perturbation for perturbation in perturbations(config.substrate) if perturbation.when == "chip"]
    return {each.name: "relative" if each.change is scaled else UNITS[each.where] for each in fixed}


def _shapes(where: Where, config: Config) -> list[Shape]:
    """Of what is fixed for each layer: of synapses [N, M], of neurons [1, M], of input lines [1, N]."""
    sources, neurons = config.layer_inputs, config.layer_sizes[1:]
    if where == "weight":
        return list(zip(sources, neurons, strict=True))
    return [(1, size) for size in (sources if where == "input_time" else neurons)]


def _draw(perturbation: Perturbation, seed: int, layer: int, shape: Shape) -> Array:
    assert perturbation.draw is not None
    return perturbation.draw(stream(seed, perturbation.stream or perturbation.name, layer=layer), shape)


def _read(path: Path) -> dict[str, Array]:
    subject = f"substrate.chip.file={path}"
    if path.is_dir():
        raise UserError(f"{subject}: is a folder; name the file in it, such as chip.safetensors")
    try:
        return load_file(path)
    except FileNotFoundError:
        raise UserError(f"{subject}: is not there; `ttfsrun chip` makes such a file") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{subject}: cannot be read: {error}") from None
    except (AttributeError, KeyError, TypeError):  # which of them depends on the type and the release
        raise UserError(f"{subject}: holds numbers of a type that numpy lacks; save float32 or float64") from None


def _fitting(array: Array, shape: Sequence[int], perturbation: Perturbation, subject: str) -> Array:
    """What a file holds for one layer; a UserError where it could not have been drawn."""
    wanted = list(shape if shape[0] > 1 else shape[1:])
    if list(array.shape) not in (wanted, list(shape)):
        raise UserError(f"{subject} has the shape {list(array.shape)}, the network needs {wanted}")
    array = array.reshape(shape)
    if _draw(perturbation, 0, 0, (0, 0)).dtype == bool:
        if array.dtype != bool:
            raise UserError(f"{subject} is of {array.dtype}, not of true and false (bool)")
        return array
    if not np.issubdtype(array.dtype, np.floating) or np.isinf(array).any():
        raise UserError(f"{subject} is not made of finite numbers (float32 or float64)")
    if np.isnan(array).any() and perturbation.stage != "held":  # NaN: a synapse that is not
        raise UserError(f"{subject} has a NaN; each value is a finite number")
    if perturbation.where in ("tau_mem", "tau_syn") and (array <= -1).any():
        raise UserError(f"{subject} has a {array.min():g}; a time constant's relative deviation is above -1")
    return array.astype(np.float64)


def _statistics(array: Array) -> dict[str, Any]:
    values = array[~np.isnan(array)] if array.dtype != bool else array
    numbers = values.astype(np.float64)
    if not len(numbers.ravel()):
        return {"n": 0}
    return {
        "n": numbers.size,
        "mean": float(numbers.mean()),
        "std": float(numbers.std()),
        "min": float(numbers.min()),
        "max": float(numbers.max()),
    }
