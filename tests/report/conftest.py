"""A headless Chromium that opens pages from disk, and returns their contents."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root cannot use the sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
    "--window-size=1280,900",
)
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


class _Table(HTMLParser):
    """The cells of the table of points, and the text of elements with an id."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.texts: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("input", "meta", "br", "wbr", "link"):
            return
        key = dict(attrs).get("id")
        self._open.append((tag, key))
        if key:
            self.texts[key] = ""
        if tag == "tr" and self._inside("table"):
            self.rows.append([])
        if tag in ("td", "th") and self._inside("table"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, key in self._open:
            if key:
                self.texts[key] += data
        if self._inside("table") and any(tag in ("td", "th") for tag, _ in self._open):
            self.rows[-1][-1] += data

    def _inside(self, key: str) -> bool:
        return any(open_key == key for _, open_key in self._open)


@dataclass(frozen=True)
class Seen:
    """A page after its scripts ran."""

    dom: str
    console: list[str]  # messages in the console
    head: list[str]  # of the table of points
    rows: list[list[str]]
    texts: dict[str, str]  # of elements with an id

    def column(self, name: str) -> list[str]:
        return [row[self.head.index(name)] for row in self.rows]

    @property
    def result(self) -> Any:
        """The value that a script of the test assigned to `document.body.dataset.result`, as JSON."""
        match = re.search(r'<body[^>]* data-result="([^"]*)"', self.dom)
        assert match is not None, "the test's script assigned no result"
        return json.loads(html.unescape(match[1]))


Browser = Callable[..., Seen]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of the program; skip the test where there is none."""
    path = next((path for path in map(shutil.which, NAMES) if path), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return path


@pytest.fixture
def browser(chromium: str, tmp_path: Path) -> Browser:
    """Return a function that opens a page; address: its parameters after #.

    script: run in a copy of the page without its security policy.
    """

    def open_page(page: Path, /, width: int = 1280, script: str | None = None, **address: str) -> Seen:
        if script is not None:
            content = POLICY.sub("", page.read_text()).replace("</body>", f"<script>{script}</script></body>")
            page = tmp_path / "with_script.html"
            page.write_text(content)
        size, profile = f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}"
        url = page.resolve().as_uri() + ("#" + urlencode(address) if address else "")
        command = [chromium, *FLAGS, size, profile, "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        dom = done.stdout.decode()
        parser = _Table()
        parser.feed(re.sub(r"<(script|style)\b.*?</\1>", "", dom, flags=re.DOTALL))
        console = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
        head, *rows = parser.rows or [[]]
        return Seen(dom, console, [name.rstrip("▲▼") for name in head], rows, parser.texts)

    return open_page
