"""Readable names of settings, values and metrics, with the units that the schema's descriptions state."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from msgspec import Meta

from ttfsrun.config import introspection
from ttfsrun.config.schema import Config
from ttfsrun.figures import style
from ttfsrun.results.table import CONDITION

TITLES = {  # by dotted key; the title of any other setting is its key
    "data.augmentation.rotation": "rotation in training",
    "data.augmentation.scale": "change of size in training",
    "data.augmentation.shear": "shear in training",
    "data.augmentation.shift": "shift in training",
    "network.bias_time": "bias time",
    "network.hidden": "hidden neurons",
    "network.input_repeats": "lines per input",
    "network.neuron.tau_mem": "membrane time constant",
    "network.neuron.tau_syn": "synaptic time constant",
    "network.neuron.v_th": "threshold",
    "network.t_max": "end of the observation",
    "substrate.dead_neurons.p": "dead neurons",
    "substrate.drift.std": "drift",
    "substrate.drift.tau": "correlation time of the drift",
    "substrate.input_time.jitter": "input jitter",
    "substrate.spike_time.jitter": "spike jitter",
    "substrate.spike_time.loss": "lost spikes",
    "substrate.stuck_synapses.p_max": "synapses stuck at the largest weight",
    "substrate.stuck_synapses.p_zero": "synapses stuck at 0",
    "substrate.tau_mem.chip_cv": "mismatch of tau_mem",
    "substrate.tau_ratio_bias": "error of tau_mem / tau_syn",
    "substrate.tau_syn.chip_cv": "mismatch of tau_syn",
    "substrate.time_resolution.step": "clock step",
    "substrate.v_leak.chip_std": "leak mismatch",
    "substrate.v_leak.sample_std": "leak noise",
    "substrate.v_th.batch_std": "threshold noise, by batch",
    "substrate.v_th.chip_mean": "threshold shift",
    "substrate.v_th.chip_std": "threshold mismatch",
    "substrate.v_th.sample_std": "threshold noise, by sample",
    "substrate.weight.bits": "weight bits",
    "substrate.weight.chip_cv": "weight gain mismatch",
    "substrate.weight.chip_std": "weight offset mismatch",
    "substrate.weight.clip": "largest weight",
    "substrate.weight.lsb": "weight step",
    "substrate.weight.read_std": "weight read noise",
    "substrate.weight.write_std": "weight write noise",
    "training.backward": "backward pass",
    "training.batch_size": "batch size",
    "training.bumping.scheduled": "scheduled bumps",
    "training.bumping.value": "first bump",
    "training.epochs": "epochs",
    "training.input_noise": "input noise in training",
    "training.loss.xi": "xi of the loss",
    "training.optimizer.learning_rate": "learning rate",
    "training.perturbed": "trained on the substrate",
}
# Kinds of strengths, by the last word of the key
KINDS = {"std": "std", "cv": "cv", "jitter": "std", "p": "probability", "loss": "probability"}
# Units as shown in figures; any other is shown as it is
UNITS = {"tau_syn": style.TAU_SYN, "v_th - v_leak": r"$v_\mathrm{th} - v_\mathrm{leak}$"}
RELATIVE = re.compile(r"(?:relative to|in units of) (v_th - v_leak|the largest weight)")
ABSOLUTE = re.compile(r"\bin (tau_syn|epochs|degrees|pixels)\b")
METRICS = {
    "decision_time": f"decision time ({style.TAU_SYN})",
    "decision_us": "decision time (µs)",
    "silent_fraction": "silent fraction",
    "spikes_per_sample": "spikes per sample",
}
ENERGIES = {  # by model; any other model is shown by its name
    "brainscales2_window": "BrainScaleS-2 for the window",
    "brainscales2_decision": "BrainScaleS-2 to the decision",
    "loihi_events": "events on Loihi",
    "odin_events": "events on ODIN",
}
CHARACTER = 0.062  # width of a character in a label or a heading, in inches
STATISTICS = {"mean": "mean", "median": "median", "p95": "95th percentile of the"}


def title(key: str) -> str:
    """Return the title of a column without its unit; a setting of a condition has the title of the setting."""
    key = key.removeprefix(f"{CONDITION}.")
    return TITLES.get(key, key.removeprefix("substrate."))


@cache
def label(key: str) -> str:
    """Return the title of a column with kind and unit of its strength, if any: `spike jitter (std, tau_syn)`."""
    plain = key.removeprefix(f"{CONDITION}.")
    if plain not in TITLES:
        return title(key)
    details = [text for text in (_kind(plain), unit(plain)) if text]
    return f"{title(key)} ({', '.join(details)})" if details else title(key)


def _kind(key: str) -> str | None:
    word = re.split(r"[._]", key)[-1]
    return KINDS.get(word) if key.startswith("substrate.") else None


def unit(key: str) -> str | None:
    """Return the unit that the schema states for a setting or its group; None: a plain number."""
    setting, group = _descriptions(key)
    absolute, relative = ABSOLUTE.search(setting), RELATIVE.search(setting) or RELATIVE.search(group)
    if absolute:
        return UNITS.get(absolute[1], absolute[1])
    if relative is None or key.rpartition(".")[2] in ("bits", "lsb", "clip", "chip_cv", "tau"):
        return None
    return f"of {UNITS.get(relative[1], relative[1])}"


def _descriptions(key: str) -> tuple[str, str]:
    """Return the descriptions of a setting and of its group; "" where there are none."""
    groups: list[Any] = [Config]
    *parents, last = key.split(".")
    for name in parents:
        groups = [
            subgroup for group in groups for subgroup in introspection.structs_of(introspection.fields(group).get(name))
        ]
    for group in groups:
        kind = introspection.fields(group).get(last)
        if kind is not None:
            return _description(kind), group.__doc__ or ""
    return "", ""


def _description(kind: Any) -> str:
    notes = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((note.description for note in notes if isinstance(note, Meta) and note.description), "")


def text(value: object) -> str:
    """Return a short text for the value of a setting."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value).replace("_", " ")
    short = f"{value:g}"
    return short if float(short) == value else f"{value:.12g}"  # a value that was written has all of its digits


def named(keys: Iterable[str], values: Iterable[object]) -> list[str]:
    """Return the titles of settings with their values: `protocol in the loop`."""
    return [f"{title(key)} {text(value)}" for key, value in zip(keys, values, strict=False)]


def heading(parts: Iterable[str], width: int) -> str:
    """Return the heading of a panel in lines of about `width` characters; no part is split."""
    words = ", ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
    return textwrap.fill(words, width, break_long_words=False, break_on_hyphens=False).replace(
        "\N{NO-BREAK SPACE}", " "
    )


def metric(column: str) -> str:
    """Return the name of a column of metrics with its unit; an accuracy is shown as the error in per cent."""
    split, _, name = column.partition("_")
    if name == "accuracy":
        return f"{split} error (%)"
    energy = re.fullmatch(r"energy_(\w+)_uj", name)
    if energy:
        return f"energy, {ENERGIES.get(energy[1], energy[1].replace('_', ' '))} (µJ)"
    match = re.fullmatch(r"(\w+?)_(mean|median|p95|\d+)", name)
    if not match or match[1] not in METRICS:
        return column.replace("_", " ")
    quantity, suffix = METRICS[match[1]], match[2]
    return f"{STATISTICS[suffix]} {quantity}" if suffix in STATISTICS else f"{quantity}, layer {suffix}"


def wrapped(label_text: str, width: int, lines: int = 2) -> str:
    """Return a text in lines of about `width` characters, its unit on a separate line; a formula is a short word."""
    if len(re.sub(r"\$[^$]+\$", "xxxx", label_text)) > width and " (" in label_text and lines > 1:
        name, _, unit_text = label_text.rpartition(" (")
        return f"{wrapped(name, width, lines - 1)}\n({unit_text}"
    formulas = {f"\x00{number}": formula for number, formula in enumerate(re.findall(r"\$[^$]+\$", label_text))}
    for mark, formula in formulas.items():
        label_text = label_text.replace(formula, mark, 1)
    folded = "\n".join(textwrap.wrap(label_text, max(width, 6), max_lines=lines, placeholder=" ..."))
    for mark, formula in formulas.items():
        folded = folded.replace(mark, formula)
    return folded
