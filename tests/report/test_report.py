"""`ttfsrun report`: one page for a sweep in any state, with all text escaped and nothing left out."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import made_up
import pytest

from ttfsrun.cli.main import main
from ttfsrun.report import snapshot
from ttfsrun.report.charts import svg_figures
from ttfsrun.report.columns import columns, embedded
from ttfsrun.report.descriptions import descriptions
from ttfsrun.report.failures import failure_groups
from ttfsrun.report.plot import find_source
from ttfsrun.report.provenance import commands, facts
from ttfsrun.report.selection import select_figures
from ttfsrun.report.snapshot import status_from_results, take_snapshot
from ttfsrun.report.svg import svg_figure
from ttfsrun.report.write import write_report
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import read_table

ODD = "</script><script>alert(1)</script><!-- & \"quoted\" 'x' \u2028 ünï <b> ${x}"
TRACEBACK = 'Traceback (most recent call last):\n  File "worker.py", line 8\nDiverged: the loss is nan'


def page_of(folder: SweepFolder) -> str:
    write_report(folder, None)
    return (folder.path / "report.html").read_text()


def data_of(page: str) -> dict[str, Any]:
    """Return the data that the page's scripts read."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    data: dict[str, Any] = json.loads(match[1])
    return data


def column(data: dict[str, Any], name: str) -> list[Any]:
    """Return the cells of a column, in whichever form it is packed."""
    (packed,) = (packed for packed in data["columns"] if packed["name"] == name)
    if "codes" in packed:
        return [packed["kinds"][code] for code in packed["codes"]]
    values: list[Any] = packed["values"] if "values" in packed else [packed["same"]] * data["rows"]
    return values


# The state of the sweep


def test_a_sweep_of_which_nothing_was_run_has_a_page(tmp_path: Path) -> None:
    folder, _ = made_up.seeds(tmp_path / "none", 3)
    lines, code = write_report(folder, None)
    assert code == 4
    assert lines[-1] == "3 points: 3 missing"
    assert "nothing to plot: no point is done" in page_of(folder)


def test_a_sweep_of_which_all_failed_says_why_and_draws_nothing(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "failed", 5)
    made_up.write(folder, [made_up.failed(point, traceback=TRACEBACK) for point in points])
    assert write_report(folder, None)[1] == 3
    page = page_of(folder)
    assert "nothing to plot: no point is done" in page
    assert page.count(html.escape(TRACEBACK)) == 1
    assert column(data_of(page), "status") == ["failed"] * 5


def test_a_single_point_has_a_page(tmp_path: Path) -> None:
    folder, (point,) = made_up.sweep(tmp_path / "one", [{}], ["experiment=yin_yang"])
    made_up.write(folder, [made_up.done(point)])
    assert write_report(folder, None)[1] == 0
    assert column(data_of(page_of(folder)), "point") == [point]
    assert "1 point. It has a result." in page_of(folder)


def test_its_figures_are_those_that_plot_has(tmp_path: Path) -> None:
    folder, points = made_up.sweep(tmp_path / "bits", [{"substrate.weight.bits": bits} for bits in (2, 4, 8)])
    made_up.write(folder, [made_up.done(point) for point in points])
    source = find_source(folder.path)
    figures = select_figures(source.table, source.varying, supplement=source.supplement())
    assert len(figures) > 1
    on_page, _ = svg_figures(folder, read_table(folder, every_setting=True))
    assert on_page == [svg_figure(figure, number) for number, figure in enumerate(figures, 1)]


def test_the_same_sweep_gives_the_same_bytes(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "seeds", 6)
    made_up.write(folder, [made_up.done(point) for point in points])
    assert page_of(folder) == page_of(folder)


def test_points_that_run_are_told_from_those_that_are_missing(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "running", 3)
    made_up.write(folder, [made_up.done(points[0])])
    made_up.submit(folder, made_up.intent([[points[1]]], cluster=made_up.LOCAL))
    now = take_snapshot(folder)
    page_columns, _ = columns(now.table, now.states.points)
    assert column({"columns": page_columns, "rows": 3}, "status") == ["done", "running", "missing"]


def test_without_an_answer_from_the_scheduler_the_results_have_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, points = made_up.seeds(tmp_path / "seeds", 3)
    made_up.write(folder, [made_up.done(points[0]), made_up.failed(points[1], traceback=TRACEBACK)])

    def breaks(*_: object) -> None:
        raise OSError("the scheduler's host is\ngone")

    monkeypatch.setattr(snapshot, "sweep_status", breaks)
    now = take_snapshot(folder)
    assert [state.kind for state in now.states.points.values()] == ["done", "failed", "missing"]
    assert now.warnings == ["state unknown: cannot read the state of submissions: the scheduler's host is gone"]
    assert failure_groups(now.states)[0].traceback == TRACEBACK
    assert "the scheduler&#x27;s host is gone" in page_of(folder)


def test_what_gather_warns_of_stands_in_the_page(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "seeds", 2)
    made_up.write(folder, [made_up.done(point, package="0ther") for point in points])
    assert take_snapshot(folder).warnings == [
        "2 points were computed by other code (0ther) than the sweep was made with (c0de)"
    ]
    assert "2 points were computed by other code (0ther)" in page_of(folder)


def test_failures_are_grouped_by_reason_and_message_whatever_its_numbers_the_largest_first(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "seeds", 6)
    records = [made_up.failed(point, traceback=TRACEBACK) for point in points[:3]]
    records += [made_up.failed(points[i], "out of memory", f'it "held" {i}.5 GB of 12') for i in (3, 4)]
    made_up.write(folder, [*records, made_up.failed(points[5], message="")])
    groups = failure_groups(status_from_results(folder))
    assert [(group.example.reason, group.points) for group in groups] == [
        ("error", 3),
        ("out of memory", 2),
        ("error", 1),
    ]
    assert [group.traceback for group in groups] == [TRACEBACK, None, None]
    assert groups[1].filter == 'status=failed reason="out of memory" message:"it \\"held\\" "'
    assert groups[2].filter == 'status=failed reason="error"'


def test_of_many_ways_to_fail_the_rest_is_counted(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "seeds", 40)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
    made_up.write(
        folder, [made_up.failed(point, message=message) for point, message in zip(points, letters, strict=True)]
    )
    assert "10 more points failed in 10 other ways" in page_of(folder)


# The contents of the page


def test_odd_characters_end_no_element_and_come_back_whole(tmp_path: Path) -> None:
    folder, points = made_up.sweep(tmp_path / "odd", [{"data.folder": ODD}, {"data.folder": None}], name=ODD)
    made_up.write(folder, [made_up.done(points[0]), made_up.failed(points[1], message=ODD, traceback=ODD)])
    page = page_of(folder)
    assert page.count("<script") == page.count("</script>") == 2
    assert "alert(1)</script>" not in page
    assert "<b> ${x}" not in page
    assert column(data_of(page), "data.folder") == [ODD, None]
    assert data_of(page)["name"] == ODD


def test_nothing_in_the_data_can_end_its_element() -> None:
    text = embedded({ODD: [ODD]})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {ODD: [ODD]}


def test_the_page_refers_to_nothing_outside_and_may_not(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "seeds", 4)
    made_up.write(folder, [made_up.done(point) for point in points])
    page = page_of(folder)
    assert "default-src 'none'" in page
    assert re.findall(r"""(?:src|href)=["'](?!#)[^"']*""", page) == []
    assert re.findall(r"@import|url\((?!#)", page) == []


def test_columns_of_the_page_are_those_of_the_table_without_what_is_the_same_everywhere(tmp_path: Path) -> None:
    grid = [{"substrate.weight.bits": bits, "substrate.spike_time.jitter": 0.123456789} for bits in (2, None)]
    folder, points = made_up.sweep(tmp_path / "grid", grid, ["experiment=yin_yang"])
    made_up.write(folder, [made_up.done(points[0])])
    table = read_table(folder, every_setting=True)
    page_columns, same = columns(table, {})
    names = [packed["name"] for packed in page_columns]
    assert set(names) | set(same) == set(table.columns) - {"sweep"}
    assert same["network.neuron.tau_mem"] == 1.0
    assert [packed["name"] for packed in page_columns if packed["shown"]] == [
        *("point", "status", "substrate.weight.bits", "substrate.spike_time.jitter"),
        *("test_accuracy", "test_loss", "test_decision_time_median", "valid_accuracy"),
    ]
    data = {"columns": page_columns, "rows": 2}
    assert column(data, "substrate.spike_time.jitter") == [0.123456789] * 2  # settings to the last digit
    accuracy = made_up.result(points[0])["test"]["accuracy"]
    assert column(data, "test_accuracy") == [float(f"{accuracy:.6g}"), None]


def test_values_that_are_equal_and_not_the_same_stay_apart(tmp_path: Path) -> None:
    values = [1, True, 1.0, "1", None] * 20
    folder, _ = made_up.sweep(tmp_path / "mixed", [{"data.folder": value} for value in values])
    cells = column(data_of(page_of(folder)), "data.folder")
    assert [(type(value), value) for value in cells] == [(type(value), value) for value in values]


def test_provenance_tells_gpu_hours_apart_from_core_hours(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    gpu = made_up.done(points[0], seconds=720.0, threads=8, device="NVIDIA H100")
    made_up.write(folder, [gpu, made_up.done(points[1], seconds=1800.0, threads=2)])
    texts = dict(facts(folder, take_snapshot(folder).states))
    assert texts["computing time"] == "60 min on one core (1 core-hours), 12 min on one GPU (0.2 GPU-hours)"
    assert texts["devices"] == "NVIDIA H100, cpu"


def test_the_commands_are_quoted_for_a_shell_and_name_the_folder(tmp_path: Path) -> None:
    words = ["ttfsrun", "sweep", "sweep=bits", "data.folder=a b'c", "seed.init=range(3)"]
    folder, _ = made_up.sweep(tmp_path / "a sweep", [{}], command=words, made_by={"git_sha": "f" * 40})
    assert [shlex.split(line) for line in commands(folder)] == [
        ["git", "checkout", "f" * 40],
        [*words, "--out", str(folder.path)],
        *(["ttfsrun", verb, str(folder.path)] for verb in ("gather", "plot", "report")),
    ]
    folder.about["made_by"]["git_dirty"] = True
    assert commands(folder)[0] == f"git checkout {'f' * 40}  # plus uncommitted changes"
    beneath = SweepFolder(Path("results/sweeps/bits"))
    beneath.__dict__["about"] = {"command": words}
    assert commands(beneath)[0].endswith("--name bits")


def test_provenance_tells_the_commit_whether_it_was_clean_and_when(tmp_path: Path) -> None:
    made_by = {"git_sha": "f" * 40, "git_dirty": True, "torch": "2.5", "python": "3.11"}
    folder, (point, _) = made_up.sweep(tmp_path / "two", [{"seed.init": 0}, {"seed.init": 1}], made_by=made_by)
    made_up.submit(folder, made_up.gone([[point]], cluster=made_up.LOCAL), made_up.ended("done"))
    made_up.write(folder, [made_up.done(point, time=made_up.START + 120, seconds=1800.0, threads=2)])
    texts = dict(facts(folder, take_snapshot(folder).states))
    assert texts["git commit"] == "f" * 40 + ", with uncommitted changes"
    assert texts["versions"] == "python 3.11, torch 2.5"
    assert texts["submitted"] == "2023-11-14 22:13 UTC"
    assert texts["results"] == "2023-11-14 22:15 UTC"
    assert texts["computing time"] == "60 min on one core (1 core-hours)"


def test_settings_are_described_as_the_schema_does() -> None:
    texts = descriptions(["substrate.spike_time.jitter", "seed.init", "no.such.key"])
    assert texts["substrate.spike_time.jitter"].endswith("in tau_syn")
    assert "no.such.key" not in texts


# The verb


def test_the_verb_writes_beside_the_sweep_or_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, (point,) = made_up.seeds(tmp_path / "seeds", 1)
    made_up.write(folder, [made_up.done(point)])
    assert main(["report", str(folder.path)]) == 0
    assert main(["report", str(folder.path), "--out", str(tmp_path / "there" / "page.html")]) == 0
    assert (folder.path / "report.html").read_bytes() == (tmp_path / "there" / "page.html").read_bytes()
    assert f"{folder.path / 'report.html'}: " in capsys.readouterr().out
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "points.jsonl",
        "report.html",
        "shards",
        "sweep.yaml",
    ]


def test_a_page_that_cannot_be_written_and_a_folder_that_is_no_sweep_are_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = made_up.seeds(tmp_path / "seeds", 1)
    assert main(["report", str(folder.path), "--out", str(folder.sweep / "page.html")]) == 1
    assert "name another file with --out" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 2
    assert "is not the folder of a sweep" in capsys.readouterr().err


def test_a_report_needs_no_torch(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "seeds", 3)
    made_up.write(folder, [made_up.done(point) for point in points])
    code = "import sys; from ttfsrun.cli.main import main; left = main(); sys.exit(left or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "report", folder.path], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
