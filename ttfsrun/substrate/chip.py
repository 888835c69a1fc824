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

from ttfsrun.errors import UserError
from ttfsrun.files import write_atomic
from ttfsrun.random import stream
from ttfsrun.substrate.changes import scaled
from ttfsrun.substrate.perturbation import Perturbation, Shape, Where
from ttfsrun.substrate.schema import ChipSpec, NetworkSize, Substrate, all_perturbations

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
    def of(cls, spec: ChipSpec) -> Chip:
        """Return the chip that a file holds, completed by what the seed draws.

        Raises UserError where the file cannot be read or does not fit the network.
        """
        file = spec.substrate.chip.file
        drawn: dict[str, Layers] = dict(cls.load(Path(file), spec).drawn) if file is not None else {}
        for perturbation in all_perturbations(spec.substrate):
            if perturbation.when == "chip" and not perturbation.off and perturbation.name not in drawn:
                drawn[perturbation.name] = tuple(
                    _draw(perturbation, spec.seed, layer, shape)
                    for layer, shape in enumerate(_shapes(perturbation.where, spec.size))
                )
        return cls(drawn)

    def older(self, spec: ChipSpec, epoch: int) -> Chip:
        """Return the chip one epoch later; `epoch` is its age by then."""
        drawn = dict(self.drawn)
        for perturbation in all_perturbations(spec.substrate):
            if perturbation.age is not None and perturbation.name in drawn:
                drawn[perturbation.name] = tuple(
                    perturbation.age(stream(spec.seed, perturbation.name, layer=layer, step=epoch), before)
                    for layer, before in enumerate(drawn[perturbation.name])
                )
        return Chip(drawn)

    def save(self, path: Path) -> None:
        arrays = {
            f"{name}.layer_{layer}": np.ascontiguousarray(array[0] if len(array) == 1 else array)
            for name, layers in self.drawn.items()
            for layer, array in enumerate(layers, 1)
        }
        write_atomic(path, save(arrays))

    @classmethod
    def load(cls, path: Path, spec: ChipSpec) -> Chip:
        """Return a saved chip for a network. Raises UserError where the file does not fit it."""
        arrays = _read(path)
        known = {p.name: p for p in all_perturbations(spec.substrate) if p.when == "chip"}
        wanted = {
            f"{name}.layer_{layer}": (name, shape)
            for name in known
            for layer, shape in enumerate(_shapes(known[name].where, spec.size), 1)
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


def units(substrate: Substrate) -> dict[str, str]:
    """Return the unit, in words, of each quantity that may be fixed on a chip."""
    fixed = [perturbation for perturbation in all_perturbations(substrate) if perturbation.when == "chip"]
    return {each.name: "relative" if each.change is scaled else UNITS[each.where] for each in fixed}


def _shapes(where: Where, size: NetworkSize) -> list[Shape]:
    """Shape of a fixed pattern in each layer: [N, M] of synapses, [1, M] of neurons, [1, N] of input lines."""
    if where == "weight":
        return list(zip(size.inputs, size.neurons, strict=True))
    return [(1, count) for count in (size.inputs if where == "input_time" else size.neurons)]


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
