"""The fixed pattern of one chip: drawn from a seed, saved, loaded and summarised.

A chip depends only on the substrate's settings, its seed and the shape of the network. In its file, the array
`<quantity>.layer_<number>` has the shape [M] for neurons, [N] for input lines and [N, M] for synapses, in the units
of the strengths. Delays are of sources [S], of neurons [M] or of both [S, M]; a layer without delays has no such array.
The values measured on a real chip can be saved in the same format.
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
from safetensors.numpy import load, save

from ttfsrun.errors import UserError, reason_of, ways_out
from ttfsrun.files import read_file, write_atomic
from ttfsrun.random import stream
from ttfsrun.substrate.perturbation import Perturbation, Shape, Where
from ttfsrun.substrate.schema import ChipSpec, NetworkSize, Substrate, all_perturbations

Array = NDArray[Any]
Layers = tuple[Array, ...]

UNITS: dict[Where, str] = {  # of drawn numbers that are added to a quantity
    "input_time": "tau_syn",
    "delay": "tau_syn",
    "weight": "of the largest weight",
    "v_th": "of v_th - v_leak",
    "v_leak": "of v_th - v_leak",
    "tau_mem": "tau_syn",
    "tau_syn": "tau_syn",
    "spike_time": "tau_syn",
}


@dataclass(frozen=True)
class Chip:
    """The fixed pattern of one chip.

    drawn: by the name of the perturbation, one array per layer: [1, M], [1, N] or [N, M].
    """

    drawn: Mapping[str, Layers]

    @classmethod
    def of(cls, spec: ChipSpec) -> Chip:
        """Return the chip of the file that the settings name, if any; draw whatever it lacks from the seed.

        Raises UserError if the file cannot be read or does not fit the network.
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

    def aged(self, spec: ChipSpec, epoch: int) -> Chip:
        """Return the chip one epoch later, at an age of `epoch` epochs."""
        drawn = dict(self.drawn)
        for perturbation in all_perturbations(spec.substrate):
            if perturbation.age is not None and perturbation.name in drawn:
                drawn[perturbation.name] = tuple(
                    perturbation.age(stream(spec.seed, perturbation.name, layer=layer, step=epoch), array)
                    for layer, array in enumerate(drawn[perturbation.name])
                )
        return Chip(drawn)

    def save(self, path: Path) -> None:
        """Write the chip to a safetensors file."""
        arrays = {
            f"{name}.layer_{layer}": np.ascontiguousarray(array[0] if len(array) == 1 else array)
            for name, layers in self.drawn.items()
            for layer, array in enumerate(layers, 1)
            if array.size
        }
        write_atomic(path, save(arrays))

    @classmethod
    def load(cls, path: Path, spec: ChipSpec) -> Chip:
        """Return the chip that a file holds; it may lack quantities.

        Raises UserError if the file cannot be read or does not fit the network.
        """
        arrays = _read(path)
        fixed = {p.name: p for p in all_perturbations(spec.substrate) if p.when == "chip"}
        shapes = {
            f"{name}.layer_{layer}": (name, shape)
            for name in fixed
            for layer, shape in enumerate(_shapes(fixed[name].where, spec.size), 1)
        }
        known = sorted(key for key, (_, shape) in shapes.items() if 0 not in shape)
        unknown = sorted(arrays.keys() - set(known))
        if unknown:
            raise UserError(
                f"substrate.chip.file={path}: holds {unknown[0]}; this network's chips have {', '.join(known)}"
            )
        drawn: dict[str, list[Array]] = {}
        for key, (name, shape) in shapes.items():
            if not any(stored.startswith(f"{name}.layer_") for stored in arrays):
                continue
            if key in known and key not in arrays:
                raise UserError(f"substrate.chip.file={path}: lacks {key}; it has {', '.join(sorted(arrays))}")
            subject = f"substrate.chip.file={path}: {key}"
            array = arrays[key] if key in known else np.empty(shape)
            drawn.setdefault(name, []).append(_checked(array, shape, fixed[name], subject))
        return cls({name: tuple(layers) for name, layers in drawn.items()})

    def summary(self) -> pd.DataFrame:
        """Return a table with one row per quantity and layer: number of values, mean, standard deviation, extremes."""
        rows = [
            {"quantity": name, "layer": layer, **_statistics(array)}
            for name, layers in self.drawn.items()
            for layer, array in enumerate(layers, 1)
            if array.size
        ]
        return pd.DataFrame(rows, columns=["quantity", "layer", "n", "mean", "std", "min", "max"])


def units(substrate: Substrate) -> dict[str, str]:
    """Return the unit of each quantity of a chip, as text."""
    fixed = [p for p in all_perturbations(substrate) if p.when == "chip"]
    return {p.name: "relative" if p.change.relative else UNITS[p.where] for p in fixed}


def _shapes(where: Where, size: NetworkSize) -> list[Shape]:
    """Return the shape of a fixed pattern in each layer: [N, M] for synapses, [1, M] neurons, [1, N] input lines.

    Those of delays are in `NetworkSize.delay_shape`.
    """
    if where == "delay":
        return [*map(size.delay_shape, range(len(size.neurons)))]
    if where == "weight":
        return list(zip(size.inputs, size.neurons, strict=True))
    return [(1, count) for count in (size.inputs if where == "input_time" else size.neurons)]


def _draw(perturbation: Perturbation, seed: int, layer: int, shape: Shape) -> Array:
    assert perturbation.draw is not None
    random = stream(seed, perturbation.stream or perturbation.name, layer=layer)
    return np.asarray(perturbation.draw(random, shape, *perturbation.strengths))


def _read(path: Path) -> dict[str, Array]:
    subject = f"substrate.chip.file={path}"
    try:
        return load(read_file(path))
    except FileNotFoundError:
        raise UserError(f"{subject}: does not exist; `ttfsrun chip` creates such a file") from None
    except IsADirectoryError:
        raise UserError(f"{subject}: is a folder; name the file in it, such as chip.safetensors") from None
    except OSError as error:
        raise UserError(f"{subject}: cannot be read ({reason_of(error)}){ways_out(error)}") from None
    except SafetensorError as error:
        raise UserError(f"{subject}: cannot be read: {error}") from None
    except (AttributeError, KeyError, TypeError):  # depends on the type and the release of safetensors
        raise UserError(f"{subject}: the numbers are of a type that numpy lacks; save float32 or float64") from None


def _checked(array: Array, shape: Sequence[int], perturbation: Perturbation, subject: str) -> Array:
    """Return the array of one layer as `Chip` stores it. Raises UserError for values that cannot be drawn."""
    expected = list(shape if shape[0] > 1 else shape[1:])
    if list(array.shape) not in (expected, list(shape)):
        raise UserError(f"{subject} has the shape {list(array.shape)}, the network needs {expected}")
    array = array.reshape(shape)
    if _draw(perturbation, 0, 0, (0, 0)).dtype == bool:
        if array.dtype != bool:
            raise UserError(f"{subject} is {array.dtype}; it must be true or false (bool)")
        return array
    if not np.issubdtype(array.dtype, np.floating) or np.isinf(array).any():
        raise UserError(f"{subject} must consist of finite numbers (float32 or float64)")
    if np.isnan(array).any() and perturbation.stage != "stuck":  # there, NaN means not stuck
        raise UserError(f"{subject} has a NaN; each value must be a finite number")
    if perturbation.where in ("tau_mem", "tau_syn") and (array <= -1).any():
        raise UserError(f"{subject} has a {array.min():g}; a time constant's relative deviation must be above -1")
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
