"""What `gather` makes of a sweep's shards: files, each whole, and what to say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ttfsrun.errors import CannotWrite, UserError, sweep_exit_code
from ttfsrun.files import atomic_writer, write_atomic
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import Table, read_table


@dataclass(frozen=True)
class GatherOptions:
    """What is wanted of a sweep, and where: beside its table, which is `table.csv` in its folder unless `out` is."""

    every_setting: bool = False
    bare: bool = False
    over: Sequence[str] = ()  # settings to aggregate over
    parquet: bool = False
    curves: bool = False
    out: Path | None = None


def gather(folder: SweepFolder, request: GatherOptions) -> tuple[list[str], int]:
    """Write the files; returns what to say of them and the exit code."""
    if request.parquet and find_spec("pyarrow") is None:
        raise UserError("--parquet needs pyarrow, which is not installed: pip install 'ttfsrun[parquet]'")
    table = read_table(folder, every_setting=request.every_setting, bare=request.bare)
    path = request.out or folder.table
    try:
        return _written(folder, table, path, request), sweep_exit_code(table.counts())
    except CannotWrite as error:
        raise CannotWrite(f"{error}; name another file with --out") from None


def _written(folder: SweepFolder, table: Table, path: Path, request: GatherOptions) -> list[str]:
    write_atomic(path, table.csv())
    lines = [f"{path}: {_count(len(table.rows), 'row')}"]
    if request.parquet:
        lines.append(_parquet(table, path.with_suffix(".parquet")))
    if request.over:
        from ttfsrun.results.aggregate import aggregate

        beside, statistics = path.with_name("aggregate.csv"), aggregate(table, request.over)
        write_atomic(beside, statistics.to_csv(index=False, lineterminator="\n").encode())
        lines.append(f"{beside}: {_count(len(statistics), 'row')}, over {', '.join(request.over)}")
    if request.curves:
        from ttfsrun.results.curves import write_curves

        beside = path.with_name(folder.curves.name)
        lines.append(f"{beside}: {_count(write_curves(folder, table, beside), 'row')}")
    counts = table.counts()
    told = ", ".join(f"{counts[status]} {status}" for status in ("done", "failed", "missing") if counts[status])
    return [*lines, f"{_count(counts.total(), 'point')}: {told}"]


def _parquet(table: Table, path: Path) -> str:
    frame = table.frame()
    with atomic_writer(path) as stream:
        frame.to_parquet(stream, engine="pyarrow", index=False)
    return f"{path}: {_count(len(frame), 'row')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)
