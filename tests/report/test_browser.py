"""The page in a real browser: it opens from disk without errors, and sorts, filters and saves the table."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_up
import pytest

from ttfsrun.report.write import write_report

ODD = "</script><script>document.title='broken'</script><!-- & \"quoted\" 'x' \u2028 ünï <b> ${x}"
TRACEBACK = 'Traceback (most recent call last):\n  File "worker.py", line 8\nDiverged: <b>the loss</b> is nan'
PHONE, DESKTOP = 390, 1280  # pixels

Browser = Callable[..., Any]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a sweep over strengths and seeds: 30 points done, 6 failed, 4 missing."""
    path = tmp_path_factory.mktemp("sweeps") / "bits"
    grid = [{"substrate.weight.bits": bits, "seed.init": seed} for bits in (1, 2, 10, None) for seed in range(10)]
    folder, points = made_up.sweep(path, grid, ["experiment=yin_yang"], command=["ttfsrun", "sweep", "sweep=bits"])
    done = [made_up.done(point, conditions=[{"condition": "ideal"}]) for point in points[:30]]
    made_up.write(folder, [*done, *(made_up.failed(point, traceback=TRACEBACK) for point in points[30:36])])
    write_report(folder, None)
    return path / "report.html"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with odd characters in everything that a user can name, and in messages."""
    path = tmp_path_factory.mktemp("sweeps") / "odd"
    values = [ODD, "x" * 300, "a,b\nc", None]
    folder, points = made_up.sweep(path, [{"data.folder": value} for value in values], name=ODD, command=["x", ODD])
    made_up.write(folder, [made_up.done(points[0]), made_up.failed(points[1], message=ODD, traceback=ODD + "\x1b[31m")])
    write_report(folder, None)
    return path / "report.html"


def numbers(texts: list[str]) -> list[float]:
    return [float(text) for text in texts if text not in ("", "null")]


def test_the_browser_tells_a_mistake_of_a_script(browser: Browser, page: Path) -> None:
    assert "no_such_thing" in "".join(browser(page, script="no_such_thing()").console)


def test_the_page_complains_of_nothing_and_shows_every_point(browser: Browser, page: Path) -> None:
    seen = browser(page)
    assert seen.console == []
    assert seen.head[:4] == ["point", "status", "substrate.weight.bits", "seed.init"]
    assert len(seen.rows) == 50
    assert seen.texts["count"] == "70 rows, 1 to 50 shown"


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_numbers_are_sorted_as_numbers_and_nothing_comes_last(browser: Browser, page: Path, order: str) -> None:
    seen = browser(page, sort="substrate.weight.bits", order=order, rows="100")
    bits = seen.column("substrate.weight.bits")
    assert bits[-10:] == ["null"] * 10
    assert numbers(bits) == sorted(numbers(bits), reverse=order == "descending")
    assert f'aria-sort="{order}"' in seen.dom


def test_a_filter_leaves_the_rows_that_it_describes(browser: Browser, page: Path) -> None:
    seen = browser(page, filter="bits>=2 condition=own test_accuracy>0.5 done")
    assert {*seen.column("substrate.weight.bits")} == {"2", "10"}
    assert {*seen.column("condition")} == {"own"}
    assert min(numbers(seen.column("test_accuracy"))) > 0.5
    expected = [made_up.result(f"{number:012x}")["test"]["accuracy"] for number in range(10, 30)]
    assert len(seen.rows) == sum(accuracy > 0.5 for accuracy in expected)


def test_a_failure_leads_to_its_points(browser: Browser, page: Path) -> None:
    seen = browser(page, filter='status=failed reason=error message:"the loss is nan"')
    assert seen.column("status") == ["failed"] * 6
    assert "Diverged: <b>the loss</b> is nan" in seen.texts["failures"]


def test_a_filter_that_names_no_column_says_so_and_hides_nothing(browser: Browser, page: Path) -> None:
    seen = browser(page, filter="accurcy>0.5")
    assert seen.texts["filter-error"] == "accurcy: no such column"
    assert seen.texts["count"].startswith("70 rows")
    assert browser(page, filter="accuracy>0.5").texts["filter-error"].startswith("accuracy: matches several columns")


def test_columns_and_pages_are_those_of_the_address(browser: Browser, page: Path) -> None:
    seen = browser(page, columns="point,host,test_spikes_per_sample_2", rows="25", page="3")
    assert seen.head == ["point", "test_spikes_per_sample_2", "host"]
    assert seen.texts["count"] == "70 rows, 51 to 70 shown"


def test_a_click_sorts_and_the_address_keeps_it(browser: Browser, page: Path) -> None:
    script = """
        const click = (name) => document.querySelector(`[data-sort="${name}"]`).click();
        click("test_accuracy"); click("test_accuracy");
        const box = document.getElementById("filter");
        box.value = "seed.init=3"; box.dispatchEvent(new Event("input"));
        document.body.dataset.result = JSON.stringify([location.hash, document.activeElement.tagName]);
    """
    seen = browser(page, script=script)
    assert seen.result[0] == "#filter=seed.init%3D3&sort=test_accuracy&order=descending"
    accuracies = numbers(seen.column("test_accuracy"))
    assert len(accuracies) == 6
    assert accuracies == sorted(accuracies, reverse=True)


def test_odd_characters_survive_and_run_nothing(browser: Browser, odd: Path) -> None:
    seen = browser(odd)
    assert seen.console == []
    assert "<title>broken" not in seen.dom
    assert ODD in seen.column("data.folder")
    assert ODD in seen.column("message")[1].replace("' ü", "' \u2028 ü")  # blanks of a message are one blank
    assert len(browser(odd, filter='folder:"<script>"').rows) == 1


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("which", ["page", "odd"])
def test_nothing_is_wider_than_the_window(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path, which: str, width: int
) -> None:
    widths = "innerWidth, document.documentElement.clientWidth, document.documentElement.scrollWidth"
    tell = f"<script>parent.postMessage([{widths}], '*')</script></body>"
    page: Path = request.getfixturevalue(which)
    inner = tmp_path / "inner.html"
    inner.write_text(re.sub("<meta http-equiv[^>]*>", "", page.read_text()).replace("</body>", tell))
    frame = tmp_path / "frame.html"  # a window of the browser cannot be as narrow as a phone
    listen = "addEventListener('message', (event) => { document.body.dataset.result = JSON.stringify(event.data); })"
    style = f"width: {width}px; height: 900px; border: 0"
    frame.write_text(f"<body><script>{listen}</script><iframe style='{style}' src='inner.html'></iframe></body>")
    inside, client, scroll = browser(frame).result
    assert inside == width
    assert scroll <= client


def test_it_is_dark_where_the_reader_wants_it_so(browser: Browser, page: Path) -> None:
    script = "document.body.dataset.result = JSON.stringify(getComputedStyle(document.body).backgroundColor)"
    assert browser(page, script=script, theme="light").result == "rgb(255, 255, 255)"
    assert browser(page, script=script, theme="dark").result == "rgb(20, 24, 29)"


def test_arrow_keys_and_the_pointer_tell_the_values_of_a_figure(browser: Browser, page: Path) -> None:
    script = """
        const drawing = document.querySelector(".drawing[tabindex]"), tip = document.getElementById("tip");
        const press = (key) => drawing.dispatchEvent(new KeyboardEvent("keydown", { key }));
        press("ArrowRight"); const first = tip.textContent;
        press("End"); const last = tip.textContent;
        press("Escape"); const isHidden = tip.hidden;
        const box = drawing.querySelector('[data-mark="0"]').getBoundingClientRect();
        const at = { clientX: box.x + box.width / 2 + 2, clientY: box.y + box.height / 2, bubbles: true };
        drawing.dispatchEvent(new PointerEvent("pointermove", at));
        document.body.dataset.result = JSON.stringify([first, last, isHidden, tip.hidden, tip.textContent]);
    """
    first, last, was_hidden, is_hidden, pointed = browser(page, script=script).result
    assert first
    assert last not in ("", first)
    assert (was_hidden, is_hidden) == (True, False)
    assert pointed


def test_what_is_saved_is_what_is_filtered(browser: Browser, page: Path) -> None:
    script = """
        const blobs = []; URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
        document.getElementById("save").click();
        blobs[0].text().then((text) => { document.body.dataset.result = JSON.stringify(text); });
    """
    head, *lines = browser(page, script=script, filter="seed.init=3 status=failed").result.splitlines()
    assert head.split(",")[:4] == ["point", "status", "substrate.weight.bits", "seed.init"]
    assert [line.split(",")[:4] for line in lines] == [["000000000021", "failed", "", "3"]]


@pytest.mark.slow
def test_ten_thousand_points_are_sorted_and_filtered(browser: Browser, tmp_path: Path) -> None:
    chance = random.Random(0)
    few = [round(chance.random(), 6) for _ in range(50)]
    strengths = few * 200
    grid = [
        {"substrate.spike_time.jitter": strength, "seed.init": number // 50}
        for number, strength in enumerate(strengths)
    ]
    folder, points = made_up.sweep(tmp_path / "many", grid, ["experiment=yin_yang"])
    made_up.write(folder, [made_up.done(point) for point in points])
    write_report(folder, None)
    seen = browser(tmp_path / "many" / "report.html", sort="substrate.spike_time.jitter", filter="jitter>=0.5")
    chosen = sorted(strength for strength in strengths if strength >= 0.5)
    assert seen.console == []
    assert seen.texts["count"] == f"{len(chosen):,} of 10,000 rows, 1 to 50 shown"
    assert numbers(seen.column("substrate.spike_time.jitter")) == chosen[:50]
