"""The parts of the page as HTML. Text from settings, messages and names is escaped here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

from ttfsrun.report.failures import FailureGroup
from ttfsrun.report.svg import SvgFigure
from ttfsrun.sweep.monitor.status import STATUSES
from ttfsrun.sweep.monitor.submissions import PointStatus

SCRIPTS = ("filter.js", "table.js", "controls.js", "figures.js", "page.js")
MAX_VALUES = 12  # values of a setting that are listed
MAX_FAILURES = 30  # groups of failures that are listed
MAX_OPEN = 3  # groups of failures whose traceback is open from the start


def resource(name: str) -> str:
    """Return the text of a file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def fill_page(parts: Mapping[str, str]) -> str:
    """Return the page. parts: HTML, and `data`, by their names in page.html."""
    script = "\n".join(['"use strict";', *map(resource, SCRIPTS)])
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = Template(resource("page.html"))
    return page.substitute(parts, style=resource("report.css"), script=script, checksum=checksum)


def navigation(parts: Mapping[str, str]) -> str:
    """Return links to the sections of the page. parts: titles by id."""
    links = "".join(f'<li><a href="#{key}">{escape(name)}</a></li>' for key, name in parts.items())
    return f"<ul>{links}</ul>"


def status_bar(counts: Mapping[PointStatus, int]) -> str:
    """Return a bar of all points by state, and a legend that filters the table."""
    total = max(1, sum(counts.values()))
    kinds = [kind for kind in STATUSES if counts.get(kind)]
    bar = "".join(f'<span class="{kind}" style="flex-grow:{counts[kind]}"></span>' for kind in kinds)
    legend = "".join(
        f'<li><a href="#filter=status%3D{kind}"><i class="dot {kind}"></i><b>{counts[kind]:,}</b> {kind}'
        f" <small>{counts[kind] / total:.1%}</small></a></li>"
        for kind in kinds
    )
    return f'<div class="status"><div class="share" aria-hidden="true">{bar}</div><ul>{legend}</ul></div>'


def warnings_box(lines: Sequence[str]) -> str:
    """Return a list of warnings; empty without any."""
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<aside class="warnings" aria-label="Warnings"><ul>{items}</ul></aside>'


def varying_table(values: Mapping[str, Sequence[Any]], described: Mapping[str, str]) -> str:
    """Return the section of the settings that vary, with their sorted values."""
    if not values:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_breakable(key)}<small>{escape(described.get(key, ""))}</small></th>'
        f'<td class="number">{len(listed):,}</td><td>{_value_list(listed)}</td></tr>'
        for key, listed in values.items()
    )
    head = '<tr><th scope="col">setting</th><th scope="col" class="number">values</th><th scope="col"></th></tr>'
    table = f'<table class="plain"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return _section("settings", "Settings that vary", table)


def _value_list(values: Sequence[Any]) -> str:
    """Return the values; of more than MAX_VALUES, the first ones and the last."""
    texts = [escape(value_text(value)) for value in values]
    if len(texts) > MAX_VALUES:
        texts = [*texts[: MAX_VALUES - 2], "…", texts[-1]]
    return " ".join(text if text == "…" else f"<code>{text}</code>" for text in texts)


def value_text(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def figures_section(figures: Sequence[SvgFigure], note: str) -> str:
    """Return the section of the figures. note: why there are none, or which points they show."""
    if not figures:
        return _section("figures", "Figures", f'<p class="note">{escape(note)}</p>') if note else ""
    shown = f'<p class="note">{escape(note[0].upper() + note[1:])}.</p>' if note else ""
    return _section("figures", "Figures", f'{shown}<div class="figures">{"".join(map(_figure, figures))}</div>')


def _figure(figure: SvgFigure) -> str:
    kind = "drawing paper" if figure.is_paper else "drawing"
    wide = ' class="wide"' if figure.is_wide else ""
    keyboard = ' tabindex="0"' if figure.hover else ""
    label = f' role="group" aria-label="{escape(figure.caption)}. Arrow keys show the values."' if figure.hover else ""
    button = f'<button type="button" class="numbers" data-figure="{figure.key}" hidden>Numbers as CSV</button>'
    return (
        f'<figure id="{figure.key}"{wide}><div class="{kind}"{keyboard}{label}>{figure.svg}</div>'
        f"<figcaption>{escape(figure.caption)} {button}</figcaption></figure>"
    )


def failures_section(groups: Sequence[FailureGroup]) -> str:
    """Return the section of the failures: the largest groups, and the number of the others."""
    if not groups:
        return ""
    items = "".join(_failure(group, number < MAX_OPEN) for number, group in enumerate(groups[:MAX_FAILURES]))
    more = ""
    if len(groups) > MAX_FAILURES:
        others = sum(group.points for group in groups[MAX_FAILURES:])
        kinds = len(groups) - MAX_FAILURES
        text = f"{others:,} more points failed in {kinds:,} other ways"
        more = f'<p class="note">{text}: <a href="#filter=status%3Dfailed">show all failures</a></p>'
    return _section("failures", "Failures", f'<ol class="failures">{items}</ol>{more}')


def _failure(group: FailureGroup, is_open: bool) -> str:
    example = group.example
    count = f"{group.points:,} point{'s' * (group.points != 1)}"
    link = f'<a href="#filter={quote(group.filter)}">{count}</a>'
    message = f'<p class="message">{escape(example.message) or "no message"}</p>'
    numbers = ", other messages differ in numbers" if len(group.alike) > 1 else ""
    log = f", log <code>{escape(example.log)}</code>" if example.log else ""
    where = f'<p class="where">Example: point <code>{escape(example.example)}</code>{numbers}{log}</p>'
    return f"<li><p><b>{escape(example.reason or 'failed')}</b> {link}</p>{message}{where}{_trace(group, is_open)}</li>"


def _trace(group: FailureGroup, is_open: bool) -> str:
    """Return the traceback; without one, the full message where the message shown is cut."""
    text = group.traceback or (group.message if group.message != group.example.message else "")
    if not text:
        return ""
    label = "Traceback" if group.traceback else "Full message"
    opened = " open" if is_open else ""
    return f'<details{opened}><summary>{label}</summary><pre tabindex="0">{escape(text.rstrip())}</pre></details>'


def commands_section(commands: Sequence[str]) -> str:
    """Return the section of the commands that reproduce the sweep, with a button that copies them."""
    text = escape("\n".join(commands))
    content = f'<div class="commands"><pre tabindex="0"><code>{text}</code></pre>'
    content += '<button type="button" class="copy" hidden>Copy</button></div>'
    return _section("commands", "Commands to reproduce this sweep", content)


def provenance_section(facts: Iterable[tuple[str, str]], request: str, settings: Sequence[tuple[str, Any]]) -> str:
    """Return the section of the provenance, the request, and the settings that are the same for all points."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts)
    content = f'<dl class="facts">{rows}</dl><details><summary>Request, from sweep.yaml</summary>'
    content += f'<pre tabindex="0">{escape(request)}</pre></details>'
    if settings:
        rows = "".join(
            f"<div><dt>{_breakable(key)}</dt><dd>{escape(value_text(value))}</dd></div>" for key, value in settings
        )
        content += f"<details><summary>{len(settings)} settings that are the same for all points</summary>"
        content += f'<dl class="facts small">{rows}</dl></details>'
    return _section("provenance", "Provenance", content)


def _section(key: str, title: str, content: str) -> str:
    head = f'<h2 id="{key}-title">{title}</h2>'
    return f'<section id="{key}" tabindex="-1" aria-labelledby="{key}-title">{head}{content}</section>'


def _breakable(key: str) -> str:
    """Return a dotted key that may be broken after its dots and underscores."""
    return escape(key).replace(".", ".<wbr>").replace("_", "_<wbr>")
