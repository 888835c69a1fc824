"""Descriptions of settings, with their units, from the schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

import msgspec

from ttfsrun.config.introspection import fields, structs_of
from ttfsrun.config.schema import Config


def descriptions(keys: Iterable[str]) -> dict[str, str]:
    """Return the descriptions of settings by dotted key, without the keys that the schema does not describe."""
    return {key: text for key in keys for text in list(_texts(Config, key.split(".")))[:1]}


def _texts(struct: type[msgspec.Struct], names: list[str]) -> Iterator[str]:
    """Yield the description of a key from each alternative group that has it. names: the key, cut at its dots."""
    kind = fields(struct).get(names[0])
    if kind is None:
        return
    if len(names) > 1:
        for child in structs_of(kind):
            yield from _texts(child, names[1:])
    elif text := _description(kind):
        yield text


def _description(kind: Any) -> str | None:
    """Return the description in an annotated type, or in the first annotated part of a union."""
    if get_origin(kind) is Annotated:
        return next((meta.description for meta in kind.__metadata__ if getattr(meta, "description", None)), None)
    return next((text for part in get_args(kind) if (text := _description(part))), None)
