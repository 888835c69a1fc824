"""The verb `report`: what is known of a sweep becomes one file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import yaml

from ttfsrun import __version__
from ttfsrun.files import write_atomic
from ttfsrun.report import page, provenance
from ttfsrun.report.charts import svg_figures
from ttfsrun.report.columns import columns, embedded, json_value
from ttfsrun.report.descriptions import descriptions
from ttfsrun.report.failures import failure_groups
from ttfsrun.report.snapshot import Snapshot, take_snapshot
from ttfsrun.report.svg import SvgFigure
from ttfsrun.results.sweep_folder import SweepFolder

NAME = "report.html"


def write_report(folder: SweepFolder, out: Path | None) -> tuple[list[str], int]:
    """Write the page; returns what to say of it and the exit code, which is that of `gather`."""
    now = take_snapshot(folder)
    drawn, note = svg_figures(folder, now.table)
    path = out or folder.path / NAME
    content = render(folder, now, drawn, note).encode(errors="replace")
    write_atomic(path, content, remedy="name another file with --out")
    counts = now.states.counts()
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    figures = f"{len(drawn)} figures" if drawn else note
    return [
        f"{path}: {len(content) / 1e6:.1f} MB, {figures}",
        f"{len(now.states.points)} points: {told}",
    ], now.states.exit_code


def render(folder: SweepFolder, now: Snapshot, drawn: list[SvgFigure], note: str) -> str:
    """The page. note: why there are no figures."""
    data, same = columns(now.table, now.states.points)
    failed, varying = failure_groups(now.states), _values(now)
    parts = {
        "varying": page.varying_table(varying, descriptions(varying)),
        "figures": page.figures_section(drawn, note),
        "failures": page.failures_section(failed),
    }
    present = {"varies": "varying", "figures": "figures", "failures": "failures"}
    titles = {"varies": "Settings", "figures": "Figures", "points": "Points", "failures": "Failures"}
    titles |= {"again": "Commands", "about": "Provenance"}
    title = str(folder.about.get("name") or folder.path.resolve().name)
    request = {"command": folder.about.get("command"), "grid": folder.about.get("grid")}
    asked = yaml.safe_dump(request, sort_keys=False, allow_unicode=True)
    example = next((f"{key}={page.word(values[0])}" for key, values in varying.items() if values), "status=done")
    return page.fill_page(
        parts
        | {
            "version": escape(__version__),
            "title": escape(title),
            "lead": escape(_lead(now, varying)),
            "navigation": page.navigation({k: t for k, t in titles.items() if k not in present or parts[present[k]]}),
            "status": page.status_bar(now.states.counts()),
            "warnings": page.warnings_box(now.warnings),
            "example": escape(f"{example} test_accuracy>0.9"),
            "example_condition": escape("test_accuracy>0.9"),
            "about": page.about_section(
                provenance.facts(folder, now.states), provenance.commands(folder), asked, list(same.items())
            ),
            "data": embedded(
                {
                    "name": title,
                    "folder": str(folder.path),
                    "rows": len(now.table.rows),
                    "columns": data,
                    "figures": {each.key: {"name": each.name, "csv": each.csv, "hover": each.hover} for each in drawn},
                }
            ),
        }
    )


def _values(now: Snapshot) -> dict[str, list[Any]]:
    """The values of each setting that varies, in order."""
    table = now.table
    found = {}
    for key in table.varying:
        place = table.columns.index(key)
        unlike = {(type(row[place]), row[place]): json_value(row[place]) for row in table.rows}
        found[key] = sorted(unlike.values(), key=_order)
    return found


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers, then words, then nothing."""
    if isinstance(value, bool | int | float):
        return 0, float(value), ""
    return (2, 0.0, "") if value is None else (1, 0.0, str(value))


def _lead(now: Snapshot, varying: dict[str, list[Any]]) -> str:
    """One sentence on what it is."""
    points, rows = len(now.states.points), len(now.table.rows)
    parts = [f"{points:,} point{'s' * (points != 1)}"]
    if varying:
        parts.append("over " + ", ".join(f"{len(values):,} of {key}" for key, values in varying.items()))
    if rows > points:
        parts.append(f"in {rows:,} rows, one for each condition of a point")
    return " ".join(parts) + ". " + _so_far(now.states.counts()["done"], points)


def _so_far(done: int, points: int) -> str:
    if done in (0, points):
        return "None has a result." if not done else "It has a result." if points == 1 else "All have a result."
    return f"{done:,} have a result." if done > 1 else "One has a result."
