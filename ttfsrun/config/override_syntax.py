"""Conversion of plain values to the text of overrides."""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from ttfsrun.config.diagnostics import show
from ttfsrun.errors import ConfigError

UNQUOTED = re.compile(
    r"(?!(?:null|true|false|nan|inf)\Z)[a-z_][\w./-]*", re.IGNORECASE | re.ASCII
)  # text that needs no quotes


def literal(value: Any) -> str:
    """Return the text after `key=` that Hydra reads as this value.

    Raises ConfigError for anything but null, a truth value, a number, text, a list, or a dictionary of these.
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value if UNQUOTED.fullmatch(value) else QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_name(name)}:{literal(item)}' for name, item in value.items())}}}"
    raise ConfigError(f"{show(value)}: must be null, true or false, a number, text, a list or a group of settings")


def _name(name: Any) -> str:
    if not isinstance(name, str) or not UNQUOTED.fullmatch(name):
        raise ConfigError(f"{show(name)}: the name of a setting consists of letters, digits, and the signs _ - . /")
    return name
