"""What the schema says of a setting: its description, with its unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

import msgspec

from ttfsrun.config.introspection import fields, structs_of
from ttfsrun.config.schema import Config


def descriptions(keys: Iterable[str]) -> dict[str, str]:
    """By dotted key; a key that the schema does not describe is left out."""
    return {key: text for key in keys for text in list(_texts(Config, key.split(".")))[:1]}


def _texts(struct: type[msgspec.Struct], names: list[str]) -> Iterator[str]:
    """Of the alternatives that have such a key."""
    kind = fields(struct).get(names[0])
    if kind is None:
        return
    if len(names) > 1:
        for child in structs_of(kind):
            yield from _texts(child, names[1:])
    elif text := _description(kind):
        yield text


def _description(kind: Any) -> str | None:
    """Of a kind or, where it may be nothing too, of what else it may be."""
    if get_origin(kind) is Annotated:
        return next((meta.description for meta in kind.__metadata__ if getattr(meta, "description", None)), None)
    return next((text for part in get_args(kind) if (text := _description(part))), None)
