"""The verb `report`: write the page of a sweep."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import yaml

from ttfsrun import __version__
from ttfsrun.errors import UserError
from ttfsrun.files import write_atomic, writing
from ttfsrun.report import page, provenance
from ttfsrun.report.charts import svg_figures
from ttfsrun.report.columns import columns, embedded, json_value
from ttfsrun.report.descriptions import descriptions
from ttfsrun.report.failures import failure_groups
from ttfsrun.report.snapshot import Snapshot, take_snapshot
from ttfsrun.report.svg import SvgFigure
from ttfsrun.results.claim import claimed_file
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.wording import count, states

NAME = "report.html"
HEAD = 2000  # bytes of a report that say what it is
GENERATOR = b'<meta name="generator" content="ttfsrun '


def write_report(folder: SweepFolder, out: Path | None) -> tuple[list[str], int]:
    """Write the page; return the lines to print, and the exit code, which is that of `gather`.

    out: the file; None: `report.html` in the sweep's folder. Raises UserError where the folder is no sweep, a record
    cannot be read, a file that is no report would be replaced, or another process writes to the same file, and
    CannotWrite.
    """
    folder.require()
    path = out or folder.path / NAME
    _check_replaceable(path)
    with claimed_file(path):
        snapshot = take_snapshot(folder)
        figures, note = svg_figures(folder, snapshot.table)
        content = render(folder, snapshot, figures, note).encode(errors="replace")
        write_atomic(path, content, remedy="name another file with --out")
    counts = snapshot.states.counts()
    return [
        f"{path}: {len(content) / 1e6:.1f} MB, {count(len(figures), 'figure') if figures else note}",
        f"{count(len(snapshot.states.points), 'point')}: {states(counts, counts)}",
    ], snapshot.states.exit_code


def _check_replaceable(path: Path) -> None:
    """Raise UserError where a file exists that is no report."""
    with writing(path):
        if not path.is_file():
            return
        with path.open("rb") as stream:
            start = stream.read(HEAD)
    if start and GENERATOR not in start:
        raise UserError(f"{path}: exists and is not a report of a sweep; name another file with --out")


def render(folder: SweepFolder, snapshot: Snapshot, figures: list[SvgFigure], note: str) -> str:
    """Return the page. note: why there are no figures."""
    page_columns, same = columns(snapshot.table, snapshot.states.points, snapshot.is_large)
    varying = _values(snapshot)
    parts = {
        "settings": page.varying_table(varying, descriptions(varying)),
        "figures": page.figures_section(figures, note),
        "failures": page.failures_section(failure_groups(snapshot.states)),
    }
    names = ("settings", "figures", "points", "failures", "commands", "provenance")
    links = {name: name.capitalize() for name in names if name not in parts or parts[name]}
    title = str(folder.about.get("name") or folder.path.resolve().name)
    request = {"command": folder.about.get("command"), "grid": folder.about.get("grid")}
    request_text = yaml.safe_dump(request, sort_keys=False, allow_unicode=True)
    example = next((f"{key}={page.value_text(values[0])}" for key, values in varying.items() if values), "status=done")
    return page.fill_page(
        parts
        | {
            "version": escape(__version__),
            "title": escape(title),
            "lead": escape(_lead(snapshot, varying)),
            "navigation": page.navigation(links),
            "status": page.status_bar(snapshot.states.counts()),
            "warnings": page.warnings_box(snapshot.warnings),
            "example": escape(f"{example} test_accuracy>0.9"),
            "example_condition": escape("test_accuracy>0.9"),
            "commands": page.commands_section(provenance.commands(folder)),
            "provenance": page.provenance_section(
                provenance.facts(folder, snapshot.states), request_text, list(same.items())
            ),
            "data": embedded(
                {
                    "name": title,
                    "folder": str(folder.path),
                    "rows": len(snapshot.table.rows),
                    "columns": page_columns,
                    "figures": {
                        figure.key: {"name": figure.name, "csv": figure.csv, "hover": figure.hover}
                        for figure in figures
                    },
                }
            ),
        }
    )


def _values(snapshot: Snapshot) -> dict[str, list[Any]]:
    """Return the sorted values of each setting that varies."""
    table = snapshot.table
    values_by_key = {}
    for key in table.varying:
        column = table.columns.index(key)
        different = {(type(row[column]), row[column]): json_value(row[column]) for row in table.rows}
        values_by_key[key] = sorted(different.values(), key=_sort_key)
    return values_by_key


def _sort_key(value: Any) -> tuple[int, float, str]:
    """Return a key that sorts numbers first, then text, then null."""
    if isinstance(value, bool | int | float):
        return 0, float(value), ""
    return (2, 0.0, "") if value is None else (1, 0.0, str(value))


def _lead(snapshot: Snapshot, varying: dict[str, list[Any]]) -> str:
    """Return the first lines of the page: the size of the sweep, and how many points have a result."""
    points, rows = len(snapshot.states.points), len(snapshot.table.rows)
    parts = [f"{points:,} point{'s' * (points != 1)}"]
    if varying:
        numbers = (f"{key} ({len(values):,} value{'s' * (len(values) != 1)})" for key, values in varying.items())
        parts.append("over " + ", ".join(numbers))
    if rows > points:
        parts.append(f"in {rows:,} rows, one for each condition of a point")
    return " ".join(parts) + ". " + _progress(snapshot.states.counts()["done"], points)


def _progress(done: int, points: int) -> str:
    if done in (0, points):
        return "None has a result." if not done else "It has a result." if points == 1 else "All have a result."
    return f"{done:,} have a result." if done > 1 else "One has a result."
