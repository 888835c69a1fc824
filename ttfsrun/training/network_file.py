"""What the file of a network holds, by its header alone and without torch: whether a training can begin with it."""

from __future__ import annotations

from safetensors import SafetensorError, safe_open

from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.files import expand_user

WEIGHTS, THETAS = "layer_", "theta_"  # followed by the number of a layer, from 1: names of tensors, below a version's
START_VERSION = "best"  # of a stored network, with which a training begins

Shape = tuple[int, ...]


def require_fitting_start(config: Config) -> None:
    """Raise UserError where a training cannot begin with the file that its configuration names."""
    start = config.training.start
    if start is None:
        return
    prefix = f"{START_VERSION}."
    try:
        with safe_open(expand_user(start), framework="numpy") as file:
            keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118
            found = {key.removeprefix(prefix): tuple(file.get_slice(key).get_shape()) for key in keys}
    except (OSError, SafetensorError) as error:
        raise UserError(f"training.start={start}: is not the file of a network ({error})") from None
    needed = _shapes(config)
    if found != needed:
        raise UserError(
            f"training.start={start}: its shapes {found} do not fit the network of the settings, which needs {needed}"
        )


def _shapes(config: Config) -> dict[str, Shape]:
    """Return the shapes of what training changes, by the names in the file of a network."""
    sizes = zip(config.layer_inputs, config.layer_sizes[1:], strict=True)
    delays = zip(config.network.delay_kinds, config.delay_shapes, strict=True)
    weights: dict[str, Shape] = {f"{WEIGHTS}{layer}": shape for layer, shape in enumerate(sizes, 1)}
    return weights | {f"{THETAS}{layer}": shape for layer, (kind, shape) in enumerate(delays, 1) if kind != "none"}
