"""What verbs print: configurations, metrics and chips, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from ttfsrun.config.compose import Point
from ttfsrun.config.dotted_keys import Tree
from ttfsrun.config.ids import point_id

if TYPE_CHECKING:
    import pandas as pd

MAX_ALIGNED = 60  # characters; after a longer line the origin follows without alignment


def config_as_yaml(point: Point, sources: Mapping[str, str]) -> str:
    """Return a YAML document that parses back to the same values, with the origin of each as a comment."""
    lines = list(_lines(msgspec.to_builtins(point.config), sources))
    column = max(len(text) for text, _ in lines if len(text) <= MAX_ALIGNED)
    heading = f"# {point_id(point.config)}" + (f"  {_comment(point.label)}" if point.label else "")
    body = [f"{text:<{column}}  # {_comment(origin)}" if origin else text for text, origin in lines]
    return "\n".join([heading, *body]) + "\n"


def config_as_json(point: Point, sources: Mapping[str, str]) -> str:
    """Return one line: the point's id, its label, its configuration, and the origin of each dotted key."""
    settings = msgspec.to_builtins(point.config)
    return json.dumps({"id": point_id(point.config), "label": point.label, "config": settings, "source": dict(sources)})


def _lines(tree: Tree, sources: Mapping[str, str], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    indent = "  " * prefix.count(".")
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{_scalar_or_list(name)}:", None
            yield from _lines(value, sources, f"{prefix}{name}.")
        else:
            yield f"{indent}{_scalar_or_list(name)}: {_scalar_or_list(value)}", sources[prefix + name]


def _scalar_or_list(value: Any) -> str:
    """Return a value in YAML on one line."""
    if isinstance(value, str) and not value.isprintable():
        return json.dumps(value)  # YAML's own quoting would break the line
    text = yaml.safe_dump([value], default_flow_style=True, width=float("inf"))
    return text.strip()[1:-1]


def _comment(text: str) -> str:
    return " ".join(text.split())


def metrics_as_text(metrics: Mapping[str, Any]) -> str:
    """Return the metrics of a run for reading: a line per split, and per condition."""
    settings = f"  {metrics['settings']}" if metrics["settings"] else ""
    lines = [f"{metrics['run']}{settings}  ({metrics['network']} network, {metrics['id']})"]
    for split in ("train", "valid", "test"):
        values = metrics[split]
        silent = " ".join(f"{share:.1%}" for share in values["silent_fraction"])
        time = values["decision_time"]["mean"]
        loss = "too large" if values["loss"] is None else f"{values['loss']:.4f}"
        decision = "none" if time is None else f"at {time:.3f} tau_syn ({values['decision_time_us']['mean']:.1f} us)"
        lines.append(
            f"  {split:<5}  accuracy {_accuracy(values)}  loss {loss}  silent {silent}  "
            f"decision {decision}  {values['samples_per_second']:.0f} samples/s"
        )
    for record in metrics["conditions"]:
        chip = [] if record["chip"] is None else [f"chip {record['chip']}"]
        varied = [f"{key}={value}" for key, value in record["settings"].items()]
        name = ", ".join([record["condition"], *chip, *varied])
        lines.append(f"  {name}: test accuracy {_accuracy(record['test'])}")
    return "\n".join(lines)


def _accuracy(values: Mapping[str, Any]) -> str:
    spread = values["accuracy_std"]
    return f"{values['accuracy']:.2%}" + ("" if spread is None else f" +- {spread:.2%} ({values['trials']} trials)")


def summary_as_text(summary: pd.DataFrame) -> str:
    """Return the summary of a chip for reading: a line for each quantity and layer."""
    if summary.empty:
        return "the substrate samples nothing per chip: all chips are the same"
    return summary.to_string(index=False, na_rep="-", float_format="{:.4g}".format)


def summary_as_json(summary: pd.DataFrame) -> str:
    """Return the summary as one line: a list of objects, with null where there is no value."""
    rows = summary.astype(object).where(summary.notna(), None)
    return json.dumps(rows.to_dict("records"))
