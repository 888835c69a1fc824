"""The verb `gather`: the shards of a sweep become a table and other files, each of which appears whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ttfsrun.errors import CannotWrite, UserError, sweep_exit_code
from ttfsrun.files import atomic_writer, write_atomic
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import Table, read_table
from ttfsrun.results.wording import count, status_line


@dataclass(frozen=True)
class GatherOptions:
    """What to write of a sweep, and where.

    out: the table; None: `table.csv` in the sweep's folder. Other files go beside it.
    """

    every_setting: bool = False
    bare: bool = False
    over: Sequence[str] = ()  # settings to aggregate over
    parquet: bool = False
    curves: bool = False
    out: Path | None = None


def gather(folder: SweepFolder, options: GatherOptions) -> tuple[list[str], int]:
    """Write the files; return the lines that describe them, and the exit code.

    Raises UserError where a setting to aggregate over does not vary, or pyarrow is missing, and CannotWrite.
    """
    if options.parquet and find_spec("pyarrow") is None:
        raise UserError("--parquet needs pyarrow, which is not installed: pip install 'ttfsrun[parquet]'")
    table = read_table(folder, every_setting=options.every_setting, bare=options.bare)
    try:
        lines = _write_files(folder, table, options)
    except CannotWrite as error:
        raise CannotWrite(f"{error}; name another file with --out") from None
    return [*lines, status_line(table.counts())], sweep_exit_code(table.counts())


def _write_files(folder: SweepFolder, table: Table, options: GatherOptions) -> list[str]:
    path = options.out or folder.table
    write_atomic(path, table.csv())
    lines = [f"{path}: {count(len(table.rows), 'row')}"]
    if options.parquet:
        lines.append(_write_parquet(table, path.with_suffix(".parquet")))
    if options.over:
        from ttfsrun.results.aggregate import aggregate

        file, statistics = path.with_name("aggregate.csv"), aggregate(table, options.over)
        write_atomic(file, statistics.to_csv(index=False, lineterminator="\n").encode())
        lines.append(f"{file}: {count(len(statistics), 'row')}, over {', '.join(options.over)}")
    if options.curves:
        from ttfsrun.results.curves import write_curves

        file = path.with_name(folder.curves.name)
        lines.append(f"{file}: {count(write_curves(folder, table, file), 'row')}")
    return lines


def _write_parquet(table: Table, path: Path) -> str:
    frame = table.frame()
    with atomic_writer(path) as stream:
        frame.to_parquet(stream, engine="pyarrow", index=False)
    return f"{path}: {count(len(frame), 'row')}"
