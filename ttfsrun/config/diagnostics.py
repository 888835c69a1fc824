"""What is wrong with a configuration: for each mistake a line with key, value, what is allowed and the way out.

msgspec stays the judge of what is allowed; this file only finds the settings that it turns down and says so in
the words of the command line. Nothing here knows Hydra: settings are plain dictionaries.
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

TYPO_SIMILARITY = 0.85  # that of a name that can only have been mistyped
MAX_QUOTED = 80  # characters of a value that a message quotes
SWEEP = re.compile(r"sweep\b")
NOT_TEXT = re.compile(r"[-+.\d][-+._\de]*|nan|inf|null|true|false", re.IGNORECASE)  # unless it is quoted


@dataclass(frozen=True)
class Mistake:
    """The key at fault and the whole line about it."""

    key: str
    line: str


@dataclass(frozen=True)
class Diagnostics:
    """Finds words for mistakes; `groups` are the groups in `conf/`, each with its choices, `root` is the schema."""

    groups: Mapping[str, Sequence[str]]
    root: type[msgspec.Struct] = Config

    def mistakes(self, settings: dict[str, Any]) -> list[Mistake]:
        """What the schema does not allow in resolved settings."""
        return list(self._in_group("", settings, [self.root]))

    def unknown_key(self, key: str, value: Any = None) -> Mistake:
        """A key that stands nowhere in the schema."""
        subject = key if value is None else f"{key}={show(value)}"
        known = set(introspection.all_keys(self.root))
        if SWEEP.match(key) and not known & {"sweep"}:
            return Mistake(key, f"{subject}: describes a grid of points, for the verb sweep: ttfsrun sweep {subject}")
        near = self._nearest_key(key)
        if near is not None:
            return Mistake(key, f"{subject}: unknown key; did you mean {near}?")
        siblings, parent = (
            list(introspection.fields(self.root)) + [g for g in self.groups if "/" not in g],
            "the top level",
        )
        for prefix in ancestors(key.replace("/", ".")):
            if prefix in known:
                siblings, parent = [k[len(prefix) + 1 :] for k in known if k.rpartition(".")[0] == prefix], prefix
        if not siblings:
            return Mistake(key, f"{subject}: unknown key; {parent} is one value, without keys of its own")
        return Mistake(key, f"{subject}: unknown key; the keys of {parent} are {_sorted_words(siblings)}")

    def knows(self, key: str) -> bool:
        """Whether a dotted key stands in the schema; `network.hidden.0` is an entry of one that does."""
        known = introspection.all_keys(self.root)
        return re.sub(r"(\.\d+)+$", "", key) in known or any(parent in introspection.NAMED for parent in ancestors(key))

    def wrong_choice(self, group: str, choice: Any) -> str:
        """A choice that its group does not offer."""
        offers = self.groups[group]
        return f"{group}={show(choice)}: unknown choice; it has to be {one_of(offers)}{did_you_mean(choice, offers)}"

    def unknown_group(self, group: str, value: Any) -> str:
        """A key with slashes that is no folder of `conf/`."""
        subject = group if value is None else f"{group}={show(value)}"
        near = self._nearest_key(group)
        hint = "" if near is None else f"; did you mean {near}?"
        return f"{subject}: unknown group; the groups are {', '.join(sorted(self.groups))}{hint}"

    def unreadable(self, word: str, reason: str) -> str:
        """A word of the command line that does not follow the grammar of overrides."""
        if "=" not in word:
            homes = [group for group, offers in self.groups.items() if word in offers]
            best = "experiment" if "experiment" in homes else next(iter(homes), None)
            hint = f"; did you mean {best}={word}?" if best else ", for example seed.init=3"
            return f"{show(word)}: an override has the form key=value{hint}"
        key, _, value = word.partition("=")
        if not key.strip("+~"):
            reason = "there is no key before the ="
        elif value.startswith("="):
            reason = "there is one = too many"
        elif any(value.count(left) != value.count(right) for left, right in ("[]", "{}", "()")):
            reason = "a bracket has no partner"
        elif any(value.count(quote) % 2 for quote in "'\""):
            reason = "a quotation mark has no partner"
        elif value.endswith(","):
            reason = "the last comma has no value after it"
        return f"{show(key)}={value}: cannot be read as key=value: {reason}"

    def _in_group(self, key: str, settings: dict[str, Any], structs: list[type[msgspec.Struct]]) -> Iterator[Mistake]:
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
        found = [mistake for part in self._of_keys(key, settings, struct, structs) for mistake in part]
        yield from found or _in_combination(key, settings, struct)

    def _of_keys(
        self, key: str, settings: dict[str, Any], struct: type[msgspec.Struct], structs: list[type[msgspec.Struct]]
    ) -> Iterator[Iterable[Mistake]]:
        """Of keys that are unknown, that are missing, and of what stands at the others."""
        kinds, optional = introspection.fields(struct), introspection.optional(struct)
        unknown = [name for name in settings if name not in kinds]
        for name in unknown:
            yield [self._not_in_group(_join(key, name), settings[name], struct, structs)]
        for name, kind in kinds.items():
            if name in settings:
                yield self._in_value(_join(key, name), settings[name], kind)
            elif name not in optional and not unknown:  # it may be there under a wrong name
                yield [self._missing(_join(key, name), kind)]

    def _in_value(self, key: str, value: Any, kind: Any) -> Iterator[Mistake]:
        structs = introspection.structs_of(kind)
        if structs and isinstance(value, dict):
            yield from self._in_group(key, value, structs)
        elif not introspection.accepts(kind, value):
            entry = introspection.entry_kind(kind)
            entries = enumerate(value) if entry is not None and isinstance(value, list) else ()
            found = [m for index, item in entries for m in self._in_value(f"{key}[{index}]", item, entry)]
            named = introspection.named_kind(kind)
            if named is not None and isinstance(value, dict):
                found += [m for name, item in value.items() for m in self._in_value(f"{key}.{name}", item, named)]
            yield from found or [self._wrong_value(key, value, kind)]

    def _wrong_value(self, key: str, value: Any, kind: Any) -> Mistake:
        entry, group = introspection.entry_kind(kind), key.replace(".", "/")
        if introspection.structs_of(kind) and group in self.groups:
            return Mistake(key, self._choose_with_slash(key, value, group))
        hint = did_you_mean(value, introspection.choices(kind))
        if entry is not None and introspection.accepts(entry, value):
            hint = f"; write {key}=[{show(value)}]"
        missing = "a value is missing; it " if value == "" else ""
        subject = f"{key}=" if value == "" else f"{key}={show(value)}"
        return Mistake(key, f"{subject}: {missing}has to be {introspection.expected(kind)}{hint}")

    def _choose_with_slash(self, key: str, value: Any, group: str) -> str:
        offers = self.groups[group]
        if key == group:
            return self.wrong_choice(group, value)
        near = did_you_mean(value, offers, before=f"{group}=")
        return f"{key}={show(value)}: is a group of settings, chosen by {group}= {one_of(offers)}{near}"

    def _not_in_group(
        self, key: str, value: Any, struct: type[msgspec.Struct], structs: list[type[msgspec.Struct]]
    ) -> Mistake:
        """An unknown key, or one that belongs to another alternative than the one that is chosen."""
        parent, _, name = key.rpartition(".")
        owners = _owners(name, introspection.tags(structs))
        near = difflib.get_close_matches(name, introspection.fields(struct), n=1, cutoff=TYPO_SIMILARITY)
        if not owners and near:
            return Mistake(key, f"{key}={show(value)}: unknown key; did you mean {_join(parent, near[0])}?")
        if not owners:
            while isinstance(value, dict) and len(value) == 1:  # +hydra.job.name=x: name all of it
                ((child, value),) = value.items()
                key = f"{key}.{child}"
            return self.unknown_key(key, value)
        chosen = f"{parent}.{introspection.tag_field(struct)}={struct.__struct_config__.tag}"
        own = [field for field in introspection.fields(struct) if field != introspection.tag_field(struct)]
        group = parent.replace(".", "/")
        if group in self.groups:
            remedy = f"choose all of {parent} at once with {group}= {one_of(self.groups[group])}"
        else:
            remedy = f"to replace all of {parent}, write ~{parent} and '+{parent}={{name: ..., ...}}'"
        belongs = f"belongs to {' and '.join(owners)}, but {chosen} has {', '.join(own)}"
        return Mistake(key, f"{key}={show(value)}: {belongs}; {remedy}")

    def _missing(self, key: str, kind: Any) -> Mistake:
        group = key.replace(".", "/")
        if group in self.groups:
            return Mistake(key, f"{key}: missing; choose it with {group}= {one_of(self.groups[group])}")
        return Mistake(key, f"{key}: missing; it has to be {introspection.expected(kind)}")

    def _nearest_key(self, key: str) -> str | None:
        wanted = key.replace("/", ".").lower()
        names = [*introspection.all_keys(self.root), *(group for group in self.groups if "/" not in group)]
        scored = [(_similarity(wanted, known), -known.count("."), known) for known in names]
        score, _, best = max(scored)
        if score < SIMILAR:
            return None
        group = best.replace(".", "/")
        return group if "/" in key and group in self.groups and group != key else best


def _in_combination(key: str, settings: dict[str, Any], struct: type[msgspec.Struct]) -> Iterator[Mistake]:
    """Settings that are fine one by one but not together: the schema's own words, under the full key."""
    try:
        msgspec.convert(settings, struct)
    except msgspec.ValidationError as error:
        text = _join(key, str(error).rpartition(" - at `$")[0] or str(error))
        yield Mistake(text.partition("=")[0], text)


def _owners(name: str, tagged: Mapping[str, type[msgspec.Struct]]) -> list[str]:
    """The alternatives of a group that have a key of this name."""
    return [tag for tag, struct in tagged.items() if name in introspection.fields(struct)]


def _wrong_tag(key: str, tag: Any, given: bool, allowed: list[str]) -> Mistake:
    if not given:
        return Mistake(key, f"{key}: missing; it has to be {one_of(allowed)}")
    return Mistake(key, f"{key}={show(tag)}: has to be {one_of(allowed)}{did_you_mean(tag, allowed)}")


def one_of(allowed: Sequence[Any]) -> str:
    return ("one of " if len(allowed) > 1 else "") + ", ".join(map(str, allowed))


def show(value: Any) -> str:
    """A value as the command line would write it, on one line."""
    text = _written(value)
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."


def _written(value: Any) -> str:
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


def _similarity(wanted: str, known: str) -> float:
    """How well a known key fits what was typed; the last name counts most, `lr` stands for learning_rate."""
    last, name = wanted.rpartition(".")[2], known.rpartition(".")[2]
    initials = "".join(word[0] for word in name.split("_"))
    same_name = 1.0 if last in (name, initials) and len(last) > 1 else difflib.SequenceMatcher(None, last, name).ratio()
    return 0.7 * same_name + 0.3 * difflib.SequenceMatcher(None, wanted, known).ratio()


def _sorted_words(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
