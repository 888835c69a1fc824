"""The parts of the page as HTML. Whatever came from settings, messages or names is escaped here, and nowhere else."""

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
SHOWN_VALUES = 12  # of a setting
SHOWN_FAILURES = 30  # groups
OPEN_FAILURES = 3  # of them, whose traceback is shown from the start


def resource(name: str) -> str:
    """The text of a file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def fill_page(parts: Mapping[str, str]) -> str:
    """The whole page. parts: HTML, and `data`, by their names in page.html."""
    script = "\n".join(['"use strict";', *map(resource, SCRIPTS)])
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = Template(resource("page.html"))
    return page.substitute(parts, style=resource("report.css"), script=script, checksum=checksum)


def navigation(parts: Mapping[str, str]) -> str:
    """Links to the parts of the page by their ids."""
    links = "".join(f'<li><a href="#{key}">{escape(name)}</a></li>' for key, name in parts.items())
    return f"<ul>{links}</ul>"


def status_bar(counts: Mapping[PointStatus, int]) -> str:
    """A bar of all points, and a legend that filters the table."""
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
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<aside class="warnings" aria-label="Warnings"><ul>{items}</ul></aside>'


def varying_table(values: Mapping[str, Sequence[Any]], described: Mapping[str, str]) -> str:
    """The settings that vary, with their values in order."""
    if not values:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_breakable(key)}<small>{escape(described.get(key, ""))}</small></th>'
        f'<td class="number">{len(own):,}</td><td>{_listed(own)}</td></tr>'
        for key, own in values.items()
    )
    head = '<tr><th scope="col">setting</th><th scope="col" class="number">values</th><th scope="col"></th></tr>'
    table = f'<table class="plain"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return _section("varies", "Settings that vary", table)


def _listed(values: Sequence[Any]) -> str:
    """The values, or where there are many the first and the last."""
    texts = [escape(word(value)) for value in values]
    if len(texts) > SHOWN_VALUES:
        texts = [*texts[: SHOWN_VALUES - 2], "…", texts[-1]]
    return " ".join(text if text == "…" else f"<code>{text}</code>" for text in texts)


def word(value: Any) -> str:
    """A value as one could write it on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def figures_section(pictures: Sequence[SvgFigure], note: str) -> str:
    """note: instead of pictures, where there are none."""
    if not pictures:
        return _section("figures", "Figures", f'<p class="note">{escape(note)}</p>') if note else ""
    return _section("figures", "Figures", f'<div class="figures">{"".join(map(_figure, pictures))}</div>')


def _figure(picture: SvgFigure) -> str:
    kind = "drawing paper" if picture.is_paper else "drawing"
    wide = ' class="wide"' if picture.is_wide else ""
    keyboard = ' tabindex="0"' if picture.hover else ""
    label = (
        f' role="group" aria-label="{escape(picture.caption)}. Arrow keys tell the values."' if picture.hover else ""
    )
    button = f'<button type="button" class="numbers" data-figure="{picture.key}" hidden>Numbers as CSV</button>'
    return (
        f'<figure id="{picture.key}"{wide}><div class="{kind}"{keyboard}{label}>{picture.svg}</div>'
        f"<figcaption>{escape(picture.caption)} {button}</figcaption></figure>"
    )


def failures_section(groups: Sequence[FailureGroup]) -> str:
    """The largest groups; of the others how many there are."""
    if not groups:
        return ""
    items = "".join(_failure(group, number < OPEN_FAILURES) for number, group in enumerate(groups[:SHOWN_FAILURES]))
    more = ""
    if len(groups) > SHOWN_FAILURES:
        others = sum(group.points for group in groups[SHOWN_FAILURES:])
        kinds = len(groups) - SHOWN_FAILURES
        text = f"And {others:,} points that failed in {kinds:,} other ways"
        more = f'<p class="note">{text}: <a href="#filter=status%3Dfailed">all</a></p>'
    return _section("failures", "Failures", f'<ol class="failures">{items}</ol>{more}')


def _failure(group: FailureGroup, is_open: bool) -> str:
    example = group.example
    count = f"{group.points:,} point{'s' * (group.points != 1)}"
    link = f'<a href="#filter={quote(group.filter)}">{count}</a>'
    message = f'<p class="message">{escape(example.message) or "no message"}</p>'
    numbers = ", others with other numbers" if len(group.alike) > 1 else ""
    log = f", log <code>{escape(example.log)}</code>" if example.log else ""
    where = f'<p class="where">for example point <code>{escape(example.example)}</code>{numbers}{log}</p>'
    return f"<li><p><b>{escape(example.reason or 'failed')}</b> {link}</p>{message}{where}{_trace(group, is_open)}</li>"


def _trace(group: FailureGroup, is_open: bool) -> str:
    """The traceback; without one the whole message, where it is longer than what is shown already."""
    text = group.traceback or (group.message if group.message != group.example.message else "")
    if not text:
        return ""
    label = "Traceback" if group.traceback else "The whole message"
    opened = " open" if is_open else ""
    return f'<details{opened}><summary>{label}</summary><pre tabindex="0">{escape(text.rstrip())}</pre></details>'


def about_section(
    facts: Iterable[tuple[str, str]], commands: Sequence[str], request: str, settings: Sequence[tuple[str, Any]]
) -> str:
    """Provenance, the commands that make everything again, the request, and the settings of all points."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts)
    lines = "\n".join(commands)
    again = f'<div class="commands"><pre tabindex="0"><code>{escape(lines)}</code></pre>'
    again += '<button type="button" class="copy" hidden>Copy</button></div>'
    asked = "<details><summary>The request, as sweep.yaml has it</summary>"
    asked += f'<pre tabindex="0">{escape(request)}</pre></details>'
    same = "".join(f"<div><dt>{_breakable(key)}</dt><dd>{escape(word(value))}</dd></div>" for key, value in settings)
    of_all = f"<details><summary>{len(settings)} settings that are the same for all points</summary>"
    of_all += f'<dl class="facts small">{same}</dl></details>'
    return _section("again", "Commands that make it all again", again) + _section(
        "about", "Provenance", f'<dl class="facts">{rows}</dl>{asked}{of_all if settings else ""}'
    )


def _section(key: str, title: str, content: str) -> str:
    head = f'<h2 id="{key}-title">{title}</h2>'
    return f'<section id="{key}" tabindex="-1" aria-labelledby="{key}-title">{head}{content}</section>'


def _breakable(key: str) -> str:
    """A dotted key that may be broken after its dots."""
    return escape(key).replace(".", ".<wbr>").replace("_", "_<wbr>")
