"""The learning curves of a sweep as one long table; it can be far larger than the table of results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ttfsrun.files import atomic_writer
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import Table


def write_curves(folder: SweepFolder, table: Table, path: Path) -> int:
    """Those of all points that are done, in the order of the table; returns the number of rows."""
    known = {curves.point: curves.curves for curves in folder.learning_curves_as(StoredCurves)}
    place = {name: number for number, name in enumerate(table.columns)}
    head = [name for name in ("sweep", "point", *table.varying) if name in place]
    done = {row[place["point"]]: row for row in table.rows if row[place["status"]] == "done"}
    rows = 0
    with atomic_writer(path) as stream:
        stream.write(_lines([[*head, "split", "metric", "epoch", "value"]]))
        for point, row in done.items():
            if point in known:
                told = list(curve_rows([row[place[name]] for name in head], known[point]))
                stream.write(_lines(told))
                rows += len(told)
    return rows


class StoredCurves(msgspec.Struct, frozen=True):
    """See `record.Curves`; decoded when they are written."""

    point: str
    curves: msgspec.Raw


def curve_rows(head: list[object], stored: msgspec.Raw) -> Iterator[list[object]]:
    """A row for each value of a point's curves: its head, `split`, `metric`, `epoch`, `value`."""
    curves: dict[str, dict[str, list[float | None]]] = msgspec.json.decode(stored)
    for split, metrics in curves.items():
        for metric, values in metrics.items():
            for epoch, value in enumerate(values, start=1):
                yield [*head, split, metric, epoch, value]


def _lines(rows: list[list[object]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()
