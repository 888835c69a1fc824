"""Inspection of the schema: which keys it has, and which values each allows.

A kind is a type annotation of the schema: `Annotated[float, Meta(gt=0)]`, `list[int]`, `Adam | None`.
Only mistakes are diagnosed with this module, so it costs a correct configuration no time.
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

USER_NAMED = {"cluster.sbatch", "evaluation.conditions"}  # groups whose keys the user names
BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@functools.cache
def fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the kind of each key of a group of settings, its tag included."""
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    tag = struct.__struct_config__.tag
    return kinds if tag is None else {tag_field(struct): Literal[str(tag)], **kinds}


@functools.cache
def optional(struct: type[msgspec.Struct]) -> set[str]:
    """Return the keys of a group that may be left out."""
    return {field.encode_name for field in msgspec.structs.fields(struct) if not field.required}


def tag_field(struct: type[msgspec.Struct]) -> str:
    """Return the key that distinguishes the alternatives of a group (`name`); "" for a group without alternatives."""
    return struct.__struct_config__.tag_field or ""


def tags(structs: list[type[msgspec.Struct]]) -> dict[str, type[msgspec.Struct]]:
    """Return the alternatives of a group by their tag; none for a group without alternatives."""
    return {str(struct.__struct_config__.tag): struct for struct in structs if tag_field(struct)}


def alternatives(kind: Any) -> list[Any]:
    """Return the kinds of a union, or the kind itself, without annotations that only describe it."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) in (Union, types.UnionType):
        return [part for option in get_args(plain) for part in alternatives(option)]
    return [plain if get_origin(plain) in (list, dict, Literal) or is_struct(plain) else kind]


def is_struct(kind: Any) -> bool:
    """Return whether a kind is a group of settings."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def structs_of(kind: Any) -> list[type[msgspec.Struct]]:
    """Return the groups of settings that a kind allows."""
    return [option for option in alternatives(kind) if is_struct(option)]


def entry_kind(kind: Any) -> Any | None:
    """Return the kind of the entries of a list; None where a kind allows no list."""
    lists = [option for option in alternatives(kind) if get_origin(option) is list]
    return get_args(lists[0])[0] if lists else None


def named_kind(kind: Any) -> Any | None:
    """Return the kind of the values of a group whose keys the user names; None where a kind allows no such group."""
    groups = [option for option in alternatives(kind) if get_origin(option) is dict]
    return get_args(groups[0])[1] if groups else None


def choices(kind: Any) -> list[Any]:
    """Return the listed values that a kind allows."""
    return [value for option in alternatives(kind) if get_origin(option) is Literal for value in get_args(option)]


@functools.cache
def all_keys(root: type[msgspec.Struct] = Config) -> list[str]:
    """Return every dotted key of the schema, a group before its keys."""
    return list(dict.fromkeys(_keys_below(root, "")))


def _keys_below(struct: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    for name, kind in fields(struct).items():
        yield prefix + name
        for child in structs_of(kind):
            yield from _keys_below(child, f"{prefix}{name}.")


def accepts(kind: Any, value: Any) -> bool:
    """Return whether a kind allows a value."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def expected(kind: Any, value: Any = None) -> str:
    """Return a description of the values that a kind allows: `a finite number > 0 or null`.

    value: the one that was refused. The limits of all numbers, LARGEST and -LARGEST, are named only where it is
    beyond them.
    """
    beyond_largest = isinstance(value, int | float) and abs(value) > LARGEST
    listed = choices(kind)
    parts = [_describe(option, beyond_largest) for option in alternatives(kind) if get_origin(option) is not Literal]
    if listed:
        parts.insert(0, ("one of " if len(listed) > 1 else "") + ", ".join(map(str, listed)))
    return " or ".join(dict.fromkeys(parts))


def _describe(kind: Any, with_largest: bool) -> str:
    if is_struct(kind):
        return f"settings with the keys {', '.join(fields(kind))}"
    if get_origin(kind) is dict and get_origin(get_args(kind)[1]) is not dict:
        return f"settings by key: {{key: value, ...}}, each {expected(get_args(kind)[1])}"
    if get_origin(kind) is dict:
        return "groups of settings, each under a name that you choose: {name: {key: value, ...}, ...}"
    if get_origin(kind) is list:
        entry = get_args(kind)[0]
        return "a list" if entry is Any else f"a list, each entry {expected(entry)}"
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    if isinstance(info, IntType | FloatType):
        return " ".join(
            ["an integer" if isinstance(info, IntType) else "a finite number", _range(info, with_largest)]
        ).strip()
    names = {"StrType": "text", "BoolType": "true or false", "NoneType": "null", "AnyType": "any value"}
    return names.get(type(info).__name__, str(kind))


def _range(info: IntType | FloatType, with_largest: bool) -> str:
    """Return the limits of a number, `>= 0 and < 1`; those of all numbers only with_largest."""
    limits = [(sign, getattr(info, name)) for name, sign in BOUNDS.items()]
    return " and ".join(
        f"{sign} {limit}" for sign, limit in limits if limit is not None and (with_largest or abs(limit) < LARGEST)
    )
