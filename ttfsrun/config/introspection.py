"""Questions to the schema of `ttfsrun.config`: which keys there are, and what may stand at each.

A kind is a type annotation of the schema: `Annotated[float, Meta(gt=0)]`, `list[int]`, `Adam | None`.
Only mistakes are looked up here, so none of it costs a sound configuration any time.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec.inspect import FloatType, IntType

from ttfsrun.config.schema import Config
from ttfsrun.types import LARGEST

NAMED = {"cluster.sbatch", "evaluation.conditions"}  # groups whose keys are names that the user gives
BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@functools.cache
def fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The kind of each key of a group of settings, its tag included."""
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    tag = struct.__struct_config__.tag
    return kinds if tag is None else {tag_field(struct): Literal[str(tag)], **kinds}


@functools.cache
def optional(struct: type[msgspec.Struct]) -> set[str]:
    """The keys that need not be there."""
    return {field.encode_name for field in msgspec.structs.fields(struct) if not field.required}


def tag_field(struct: type[msgspec.Struct]) -> str:
    """The key that tells one alternative of a group from another (`name`), or nothing."""
    return struct.__struct_config__.tag_field or ""


def tags(structs: list[type[msgspec.Struct]]) -> dict[str, type[msgspec.Struct]]:
    """The alternatives of a group by their tag; none for a group without alternatives."""
    return {str(struct.__struct_config__.tag): struct for struct in structs if tag_field(struct)}


def alternatives(kind: Any) -> list[Any]:
    """The kinds of a union, or the kind itself; what only describes it is taken off."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) in (Union, types.UnionType):
        return [part for option in get_args(plain) for part in alternatives(option)]
    return [plain if get_origin(plain) in (list, dict, Literal) or is_struct(plain) else kind]


def is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def structs_of(kind: Any) -> list[type[msgspec.Struct]]:
    return [option for option in alternatives(kind) if is_struct(option)]


def entry_kind(kind: Any) -> Any | None:
    """What a list of this kind holds; None where no list may stand."""
    lists = [option for option in alternatives(kind) if get_origin(option) is list]
    return get_args(lists[0])[0] if lists else None


def named_kind(kind: Any) -> Any | None:
    """What a group of this kind holds under names that the user gives; None where there is no such group."""
    groups = [option for option in alternatives(kind) if get_origin(option) is dict]
    return get_args(groups[0])[1] if groups else None


def choices(kind: Any) -> list[Any]:
    """The values that may stand here where they can be counted."""
    return [value for option in alternatives(kind) if get_origin(option) is Literal for value in get_args(option)]


@functools.cache
def all_keys(root: type[msgspec.Struct] = Config) -> list[str]:
    """Every dotted key of the schema, groups before what they hold."""
    return list(dict.fromkeys(_keys_below(root, "")))


def _keys_below(struct: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    for name, kind in fields(struct).items():
        yield prefix + name
        for child in structs_of(kind):
            yield from _keys_below(child, f"{prefix}{name}.")


def accepts(kind: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def expected(kind: Any) -> str:
    """What may stand here, in words: `a finite number > 0 or null`."""
    countable = choices(kind)
    parts = [_in_words(option) for option in alternatives(kind) if get_origin(option) is not Literal]
    if countable:
        parts.insert(0, ("one of " if len(countable) > 1 else "") + ", ".join(map(str, countable)))
    return " or ".join(dict.fromkeys(parts))


def _in_words(kind: Any) -> str:
    if is_struct(kind):
        return f"settings with the keys {', '.join(fields(kind))}"
    if get_origin(kind) is dict and get_origin(get_args(kind)[1]) is not dict:
        return f"settings by key: {{key: value, ...}}, each {expected(get_args(kind)[1])}"
    if get_origin(kind) is dict:
        return "groups of settings, each under a name of your own: {name: {key: value, ...}, ...}"
    if get_origin(kind) is list:
        entry = get_args(kind)[0]
        return "a list" if entry is Any else f"a list, each entry {expected(entry)}"
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    if isinstance(info, IntType | FloatType):
        return " ".join(["an integer" if isinstance(info, IntType) else "a finite number", _range(info)]).strip()
    names = {"StrType": "text", "BoolType": "true or false", "NoneType": "null", "AnyType": "any value"}
    return names.get(type(info).__name__, str(kind))


def _range(info: IntType | FloatType) -> str:
    limits = [(sign, getattr(info, name)) for name, sign in BOUNDS.items()]
    return " and ".join(f"{sign} {limit}" for sign, limit in limits if limit is not None and abs(limit) < LARGEST)
