"""The verb `gather`: the shards of a sweep become a table and other files, each of which appears whole."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ttfsrun.errors import CannotWrite, UserError, sweep_exit_code
from ttfsrun.files import atomic_writer, has_checksum, sha256, write_atomic, writing
from ttfsrun.results.claim import claimed_file
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import Table, read_table
from ttfsrun.results.table_files import TableFiles
from ttfsrun.results.wording import count, status_line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GatherOptions:
    """What to write of a sweep, and where.

    out: the table; None: `table.csv` in the sweep's folder. Other files are named after it, see `TableFiles`.
    """

    every_setting: bool = False
    bare: bool = False
    over: Sequence[str] = ()  # settings to aggregate over
    parquet: bool = False
    curves: bool = False
    out: Path | None = None


def gather(folder: SweepFolder, options: GatherOptions) -> tuple[list[str], int]:
    """Write the files; return the lines that describe them, and the exit code.

    Warns of files of an earlier gathering that no longer belong to the table. Raises UserError where a file of another
    kind would be replaced, a setting to aggregate over does not vary, pyarrow is missing, or another process writes to
    the same table, and CannotWrite.
    """
    if options.parquet and find_spec("pyarrow") is None:
        raise UserError("--parquet needs pyarrow, which is not installed: pip install 'ttfsrun[parquet]'")
    folder.require()
    files = TableFiles(options.out or folder.table)
    files.check()
    with claimed_file(files.table):  # and with it the files that are named after it
        table = read_table(folder, every_setting=options.every_setting, bare=options.bare)
        try:
            lines = _write_files(folder, table, files, options)
        except CannotWrite as error:
            raise CannotWrite(f"{error}; name another file with --out") from None
    return [*lines, status_line(table.counts())], sweep_exit_code(table.counts())


def _write_files(folder: SweepFolder, table: Table, files: TableFiles, options: GatherOptions) -> list[str]:
    statistics = None
    if options.over:  # before anything is written: it refuses settings that do not vary
        from ttfsrun.results.aggregate import aggregate

        statistics = aggregate(table, options.over)
    changed = _write_table(table, files.table)
    lines = [f"{files.table}: {count(len(table.rows), 'row')}"]
    if options.parquet:
        lines.append(_write_parquet(table, files.parquet))
    if statistics is not None:
        write_atomic(files.aggregate, statistics.to_csv(index=False, lineterminator="\n").encode())
        lines.append(f"{files.aggregate}: {count(len(statistics), 'row')}, over {', '.join(options.over)}")
    if options.curves:
        from ttfsrun.results.curves import write_curves

        lines.append(f"{files.curves}: {count(write_curves(folder, table, files.curves), 'row')}")
    if changed:
        _warn_of_earlier_files(files, options)
    return lines


def _write_table(table: Table, path: Path) -> bool:
    """Write the table as CSV; return whether its content has changed."""
    before = sha256(path) if path.exists() else ""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as stream:
        stream.writelines(table.csv())
    return not has_checksum(path, before)


def _warn_of_earlier_files(files: TableFiles, options: GatherOptions) -> None:
    """Warn of files that belong to the table that was replaced."""
    written = {
        files.parquet: ("--parquet", options.parquet),
        files.aggregate: ("--agg", bool(options.over)),
        files.curves: ("--curves", options.curves),
    }
    for path, (flag, is_new) in written.items():
        if not is_new and path.exists():
            log.warning("%s: is of an earlier table; gather with %s to renew it", path, flag)


def _write_parquet(table: Table, path: Path) -> str:
    frame = table.frame()
    with atomic_writer(path) as stream:
        frame.to_parquet(stream, engine="pyarrow", index=False)
    return f"{path}: {count(len(frame), 'row')}"
