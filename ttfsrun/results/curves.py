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
from ttfsrun.results.views import RawCurves


def write_curves(folder: SweepFolder, table: Table, path: Path) -> int:
    """Write the learning curves of all points that are done, in the order of the table; return the number of rows.

    Raises CannotWrite where the file cannot be written.
    """
    curves = {stored.point: stored.curves for stored in folder.learning_curves_as(RawCurves)}
    column = {name: number for number, name in enumerate(table.columns)}
    head = [name for name in ("sweep", "point", *table.varying) if name in column]
    done = {row[column["point"]]: row for row in table.rows if row[column["status"]] == "done"}
    n_rows = 0
    with atomic_writer(path) as stream:
        stream.write(_csv_lines([[*head, "split", "metric", "epoch", "value"]]))
        for point, row in done.items():
            if point in curves:
                lines = list(curve_rows([row[column[name]] for name in head], curves[point]))
                stream.write(_csv_lines(lines))
                n_rows += len(lines)
    return n_rows


def curve_rows(head: list[object], stored: msgspec.Raw) -> Iterator[list[object]]:
    """Yield a row for each value of a point's curves: its head, `split`, `metric`, `epoch`, `value`."""
    curves: dict[str, dict[str, list[float | None]]] = msgspec.json.decode(stored)
    for split, metrics in curves.items():
        for metric, values in metrics.items():
            for epoch, value in enumerate(values, start=1):
                yield [*head, split, metric, epoch, value]


def _csv_lines(rows: list[list[object]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()
