"""Messages about mistakes in a configuration: one line for each, with the key, the value, what is allowed, and a fix.

msgspec decides what is allowed; this module finds the settings that msgspec refuses, and describes them as they are
written on the command line. It does not depend on Hydra: settings are plain dictionaries.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ttfsrun.config import introspection
from ttfsrun.config.dotted_keys import ancestors
from ttfsrun.config.schema import Config
from ttfsrun.errors import SIMILAR, did_you_mean

TYPO_SIMILARITY = 0.85  # least similarity of a name that is certainly a typing error
MAX_QUOTED = 80  # characters of a value in a message
SWEEP = re.compile(r"sweep\b")
NOT_TEXT = re.compile(r"[-+.\d][-+._\de]*|nan|inf|null|true|false", re.IGNORECASE)  # unless quoted


@dataclass(frozen=True)
class Mistake:
    """A mistake in a configuration: the key at fault, and the whole line about it."""

    key: str
    line: str


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of mistakes in settings.

    groups: the choices of each group in `conf/`. root: the schema.
    """

    groups: Mapping[str, Sequence[str]]
    root: type[msgspec.Struct] = Config

    def mistakes(self, settings: dict[str, Any]) -> list[Mistake]:
        """Return the mistakes in resolved settings: all that the schema does not allow."""
        return list(self._in_group("", settings, [self.root]))

    def unknown_key(self, key: str, value: Any = None) -> Mistake:
        """Return the mistake of a key that is not in the schema."""
        subject = key if value is None else f"{key}={show(value)}"
        schema_keys = set(introspection.all_keys(self.root))
        if SWEEP.match(key) and "sweep" not in schema_keys:
            return Mistake(key, f"{subject}: describes a grid of points, for the verb sweep: ttfsrun sweep {subject}")
        near = self._nearest_key(key)
        if near is not None:
            return Mistake(key, f"{subject}: unknown key; did you mean {near}?")
        parent = "the top level"
        siblings = [*introspection.fields(self.root), *(group for group in self.groups if "/" not in group)]
        for prefix in ancestors(key.replace("/", ".")):
            if prefix in schema_keys:
                parent = prefix
                siblings = [name[len(prefix) + 1 :] for name in schema_keys if name.rpartition(".")[0] == prefix]
        if not siblings:
            return Mistake(key, f"{subject}: unknown key; {parent} is one value and has no keys")
        return Mistake(key, f"{subject}: unknown key; the keys of {parent} are {', '.join(sorted(set(siblings)))}")

    def knows(self, key: str) -> bool:
        """Return whether a dotted key is in the schema, or names an entry of a list (`network.hidden.0`)."""
        in_schema = re.sub(r"(\.\d+)+$", "", key) in introspection.all_keys(self.root)
        return in_schema or any(parent in introspection.USER_NAMED for parent in ancestors(key))

    def wrong_choice(self, group: str, choice: Any) -> str:
        """Return the message for a choice that its group does not offer."""
        offered = self.groups[group]
        return f"{group}={show(choice)}: unknown choice; it must be {one_of(offered)}{did_you_mean(choice, offered)}"

    def unknown_group(self, group: str, value: Any) -> str:
        """Return the message for a key with slashes that is no folder of `conf/`."""
        subject = group if value is None else f"{group}={show(value)}"
        near = self._nearest_key(group)
        hint = "" if near is None else f"; did you mean {near}?"
        return f"{subject}: unknown group; the groups are {', '.join(sorted(self.groups))}{hint}"

    def unreadable(self, override: str, reason: str) -> str:
        """Return the message for an override that does not follow the grammar; reason: where no better one is found."""
        if "=" not in override:
            matches = [group for group, offered in self.groups.items() if override in offered]
            best = "experiment" if "experiment" in matches else next(iter(matches), None)
            hint = f"; did you mean {best}={override}?" if best else ", for example seed.init=3"
            return f"{show(override)}: an override has the form key=value{hint}"
        key, _, value = override.partition("=")
        if not key.strip("+~"):
            reason = "there is no key before the ="
        elif value.startswith("="):
            reason = "extra ="
        elif any(value.count(left) != value.count(right) for left, right in ("[]", "{}", "()")):
            reason = "unbalanced bracket"
        elif any(value.count(quote) % 2 for quote in "'\""):
            reason = "unbalanced quotation mark"
        elif value.endswith(","):
            reason = "the last comma has no value after it"
        return f"{show(key)}={value}: cannot be read as key=value: {reason}"

    def _in_group(self, key: str, settings: dict[str, Any], structs: list[type[msgspec.Struct]]) -> Iterator[Mistake]:
        """Yield the mistakes in a group of settings, which is one of the alternatives `structs`."""
        struct = structs[0]
        tagged = introspection.tags(structs)
        if tagged:
            tag_field = introspection.tag_field(struct)
            tag = settings.get(tag_field)
            if not isinstance(tag, str) or tag not in tagged:
                yield _wrong_tag(_join(key, tag_field), tag, tag_field in settings, list(tagged))
                return
            struct = tagged[tag]
            foreign = [name for name in settings if name not in introspection.fields(struct) and _owners(name, tagged)]
            if foreign:
                yield self._not_in_group(_join(key, foreign[0]), settings[foreign[0]], struct, structs)
                return
        mistakes = [mistake for part in self._in_keys(key, settings, struct, structs) for mistake in part]
        yield from mistakes or _in_combination(key, settings, struct)

    def _in_keys(
        self, key: str, settings: dict[str, Any], struct: type[msgspec.Struct], structs: list[type[msgspec.Struct]]
    ) -> Iterator[Iterable[Mistake]]:
        """Yield the mistakes of unknown keys, of missing keys, and of the values of the others."""
        kinds, optional = introspection.fields(struct), introspection.optional(struct)
        unknown = [name for name in settings if name not in kinds]
        for name in unknown:
            yield [self._not_in_group(_join(key, name), settings[name], struct, structs)]
        for name, kind in kinds.items():
            if name in settings:
                yield self._in_value(_join(key, name), settings[name], kind)
            elif name not in optional and not unknown:  # an unknown key may be a wrong name of it
                yield [self._missing(_join(key, name), kind)]

    def _in_value(self, key: str, value: Any, kind: Any) -> Iterator[Mistake]:
        """Yield the mistakes in a value, or in the parts of it."""
        structs = introspection.structs_of(kind)
        if structs and isinstance(value, dict):
            yield from self._in_group(key, value, structs)
        elif not introspection.accepts(kind, value):
            entry = introspection.entry_kind(kind)
            entries = enumerate(value) if entry is not None and isinstance(value, list) else ()
            mistakes = [m for index, item in entries for m in self._in_value(f"{key}[{index}]", item, entry)]
            named = introspection.named_kind(kind)
            if named is not None and isinstance(value, dict):
                mistakes += [m for name, item in value.items() for m in self._in_value(f"{key}.{name}", item, named)]
            yield from mistakes or [self._wrong_value(key, value, kind)]

    def _wrong_value(self, key: str, value: Any, kind: Any) -> Mistake:
        """Return the mistake of a value that its kind does not allow."""
        entry, group = introspection.entry_kind(kind), key.replace(".", "/")
        if introspection.structs_of(kind) and group in self.groups:
            return Mistake(key, self._choose_with_slash(key, value, group))
        hint = did_you_mean(value, introspection.choices(kind))
        if entry is not None and introspection.accepts(entry, value):
            hint = f"; write {key}=[{show(value)}]"
        missing = "a value is missing; it " if value == "" else ""
        subject = f"{key}=" if value == "" else f"{key}={show(value)}"
        return Mistake(key, f"{subject}: {missing}must be {introspection.expected(kind, value)}{hint}")

    def _choose_with_slash(self, key: str, value: Any, group: str) -> str:
        """Return the message for a group of settings set to a value: a choice needs a slash instead of the dot."""
        offered = self.groups[group]
        if key == group:
            return self.wrong_choice(group, value)
        near = did_you_mean(value, offered, before=f"{group}=")
        return f"{key}={show(value)}: is a group of settings, chosen by {group}= {one_of(offered)}{near}"

    def _not_in_group(
        self, key: str, value: Any, struct: type[msgspec.Struct], structs: list[type[msgspec.Struct]]
    ) -> Mistake:
        """Return the mistake of a key that is unknown, or that belongs to another alternative than the chosen one."""
        parent, _, name = key.rpartition(".")
        owners = _owners(name, introspection.tags(structs))
        near = difflib.get_close_matches(name, introspection.fields(struct), n=1, cutoff=TYPO_SIMILARITY)
        if not owners and near:
            return Mistake(key, f"{key}={show(value)}: unknown key; did you mean {_join(parent, near[0])}?")
        if not owners:
            while isinstance(value, dict) and len(value) == 1:  # for +hydra.job.name=x, quote the whole key
                ((child, value),) = value.items()
                key = f"{key}.{child}"
            return self.unknown_key(key, value)
        chosen = f"{parent}.{introspection.tag_field(struct)}={struct.__struct_config__.tag}"
        chosen_keys = [field for field in introspection.fields(struct) if field != introspection.tag_field(struct)]
        group = parent.replace(".", "/")
        if group in self.groups:
            remedy = f"choose all of {parent} at once with {group}= {one_of(self.groups[group])}"
        else:
            remedy = f"to replace all of {parent}, write ~{parent} and '+{parent}={{name: ..., ...}}'"
        belongs = f"belongs to {' and '.join(owners)}, but {chosen} has {', '.join(chosen_keys)}"
        return Mistake(key, f"{key}={show(value)}: {belongs}; {remedy}")

    def _missing(self, key: str, kind: Any) -> Mistake:
        """Return the mistake of a required key that is missing."""
        group = key.replace(".", "/")
        if group in self.groups:
            return Mistake(key, f"{key}: missing; choose it with {group}= {one_of(self.groups[group])}")
        return Mistake(key, f"{key}: missing; it must be {introspection.expected(kind)}")

    def _nearest_key(self, key: str) -> str | None:
        """Return the key or group that resembles the given key most; None where none resembles it enough."""
        given = key.replace("/", ".").lower()
        names = [*introspection.all_keys(self.root), *(group for group in self.groups if "/" not in group)]
        scored = [(_similarity(given, name), -name.count("."), name) for name in names]
        score, _, best = max(scored)
        if score < SIMILAR:
            return None
        group = best.replace(".", "/")
        return group if "/" in key and group in self.groups and group != key else best


def _in_combination(key: str, settings: dict[str, Any], struct: type[msgspec.Struct]) -> Iterator[Mistake]:
    """Yield the mistake of settings that are right one by one but not together: the schema's text with the full key."""
    try:
        msgspec.convert(settings, struct)
    except msgspec.ValidationError as error:
        text = _join(key, str(error).rpartition(" - at `$")[0] or str(error))
        yield Mistake(text.partition("=")[0], text)


def _owners(name: str, tagged: Mapping[str, type[msgspec.Struct]]) -> list[str]:
    """Return the alternatives of a group that have a key of this name."""
    return [tag for tag, struct in tagged.items() if name in introspection.fields(struct)]


def _wrong_tag(key: str, tag: Any, given: bool, allowed: list[str]) -> Mistake:
    """Return the mistake of a group that does not choose one of its alternatives."""
    if not given:
        return Mistake(key, f"{key}: missing; it must be {one_of(allowed)}")
    return Mistake(key, f"{key}={show(tag)}: must be {one_of(allowed)}{did_you_mean(tag, allowed)}")


def one_of(allowed: Sequence[Any]) -> str:
    """Return `one of A, B`, or the only allowed value."""
    return ("one of " if len(allowed) > 1 else "") + ", ".join(map(str, allowed))


def show(value: Any) -> str:
    """Return a value as it is written on the command line, on one line and cut to MAX_QUOTED characters."""
    text = _written(value)
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."


def _written(value: Any) -> str:
    """Return a value as it is written on the command line; text in quotes where it could be misread."""
    if isinstance(value, str):
        plain = value and value.isprintable() and value == value.strip() and not NOT_TEXT.fullmatch(value)
        return value if plain else repr(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(key)}: {_written(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, default=str)


def _similarity(given: str, key: str) -> float:
    """Return how similar a given key is to one of the schema; the last name counts most, `lr` means learning_rate."""
    last, name = given.rpartition(".")[2], key.rpartition(".")[2]
    initials = "".join(word[0] for word in name.split("_"))
    same_name = 1.0 if last in (name, initials) and len(last) > 1 else difflib.SequenceMatcher(None, last, name).ratio()
    return 0.7 * same_name + 0.3 * difflib.SequenceMatcher(None, given, key).ratio()


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
