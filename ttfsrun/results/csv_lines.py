"""Rows as lines of CSV, the same to the byte as `csv.writer` writes them, in a third of the time for many numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec


class _Texts(list[str]):
    """The rows that a `csv.writer` writes, each a text."""

    write = list.append


def csv_lines(rows: Sequence[Sequence[Any]], numbers: slice = slice(0, 0)) -> Iterator[bytes]:
    """Yield a line for each row: floats to the last digit, empty where there is no value.

    numbers: columns that hold nothing but finite numbers and None, with at least two columns before and two after them.
    """
    if numbers.start == numbers.stop:
        yield from (text.encode() for text in _texts(rows))
        return
    heads = _texts(row[: numbers.start] for row in rows)
    tails = _texts(row[numbers.stop :] for row in rows)
    for head, row, tail in zip(heads, rows, tails, strict=True):
        yield b"%s,%s,%s" % (head[:-1].encode(), _number_cells(row[numbers]), tail.encode())


def _texts(rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return the lines of rows; which cells are quoted depends on the end of a line, so the lines include it."""
    texts = _Texts()
    csv.writer(texts, lineterminator="\n").writerows(rows)
    return texts


def _number_cells(values: Sequence[float | None]) -> bytes:
    """Return numbers with commas between. JSON has them as Python does, apart from those with an exponent."""
    text = msgspec.json.encode(values)[1:-1]
    if b"e" in text or b"0.0000" in text:
        return ",".join("" if value is None else repr(value) for value in values).encode()
    return text.replace(b"null", b"")
