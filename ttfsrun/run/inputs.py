"""What a run depends on besides its settings: the data, and the files that settings name.

A run keeps the checksums of both, and copies of the chip files, so that whatever is computed later from its folder
uses the same data and the same chips, from whichever folder, or an error says what has changed. Runs of older versions
have the checksums in metrics.json, and no copies.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ttfsrun.config.dotted_keys import Tree
from ttfsrun.config.paths import named_files, with_named_files
from ttfsrun.config.schema import Config, Mnist
from ttfsrun.data.dataset import DataOrigin
from ttfsrun.data.origin import known_folder, require_same
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.errors import UserError
from ttfsrun.files import has_checksum, read_file, require_unchanged, write_atomic
from ttfsrun.results.provenance import package_checksum, provenance
from ttfsrun.run.folder import RunFolder

log = logging.getLogger(__name__)

NAME_LENGTH = 12  # hexadecimal digits of the checksum that name the folder of a copy


class RunInputs(msgspec.Struct, frozen=True, kw_only=True):
    """The content of inputs.json.

    chips: the SHA-256 checksum of each file that settings name, by absolute path. made_by: the versions of what
    computes, the processor and the checksum of the package, when the training started.
    """

    data: DataOrigin | None
    chips: dict[str, str] = {}
    made_by: dict[str, str] = {}


def write_inputs(run: RunFolder, data: DataOrigin, chips: Mapping[str, str]) -> None:
    """Write what a run depends on, and copy its chip files. chips: checksum of each file.

    Raises UserError where a file is not what its checksum says, CannotWrite where a file cannot be written.
    """
    for file, checksum in chips.items():
        copy = _copy(run, file, checksum)
        write_atomic(copy, read_file(Path(file)))
    require_unchanged(chips, "the command started")
    inputs = RunInputs(data=data, chips=dict(chips), made_by=_made_by())
    write_atomic(run.inputs, msgspec.json.format(msgspec.json.encode(inputs)) + b"\n")


def read_inputs(run: RunFolder) -> RunInputs:
    """Return what a run depends on. Raises UserError where inputs.json is damaged."""
    try:
        return msgspec.json.decode(read_file(run.inputs), type=RunInputs)
    except FileNotFoundError:
        return _older_inputs(run)
    except msgspec.DecodeError as error:
        raise UserError(f"{run.inputs} cannot be read: {error}") from None


def _older_inputs(run: RunFolder) -> RunInputs:
    """Return the inputs that the metrics of an older run name, if it is finished."""
    if not run.metrics.exists():
        return RunInputs(data=None)
    metrics = run.read_metrics()
    source, chips = metrics.get("data"), metrics.get("chips", {})
    return RunInputs(data=DataOrigin(source=source) if isinstance(source, dict) else None, chips=chips)


def warn_of_other_code(run: RunFolder) -> None:
    """Log a warning where the training of a run was started by other code, other versions or another processor."""
    before, now = read_inputs(run).made_by, _made_by()
    changes = [f"{name} {now.get(name)} instead of {value}" for name, value in before.items() if now.get(name) != value]
    if changes:
        log.warning("%s was started with another environment; resumed with %s", run.path, ", ".join(changes))


def _made_by() -> dict[str, str]:
    versions = {name: str(value) for name, value in provenance().items() if not name.startswith("git_")}
    return versions | {"package": package_checksum()}


def stored_settings(run: RunFolder) -> Tree:
    """Return the settings of a run, with its copy of each chip file that has changed or is missing.

    Raises UserError where config.yaml or inputs.json is missing or damaged.
    """
    chips = read_inputs(run).chips

    def unchanged(file: str) -> str:
        if file not in chips or has_checksum(Path(file), chips[file]):
            return file
        copy = _copy(run, file, chips[file])
        return str(copy) if copy.exists() else file

    return with_named_files(run.read_settings(), unchanged)


def require_stored_chips(run: RunFolder, config: Config) -> None:
    """Raise UserError where a chip file of the run has changed or is missing, and so has its copy.

    config: of the run, possibly under other settings. A file that the run has a copy of counts as another chip where
    it has changed: `stored_settings` does not name it.
    """
    checksums = {}
    for file, checksum in read_inputs(run).chips.items():
        copy = _copy(run, file, checksum)
        checksums[str(copy) if copy.exists() else file] = checksum
    used = named_files(msgspec.to_builtins(config))
    require_unchanged({file: checksums[file] for file in used if file in checksums}, f"{run.path} was trained")


def stored_samples(run: RunFolder, config: Config, originals: bool = False) -> tuple[dict[str, Samples], DataOrigin]:
    """Return the encoded data of a run, and their origin; see `load_samples`.

    config: of the run, possibly under other settings. Raises DataError where the files are not those of its training,
    unless the configuration names another folder.
    """
    expected, settings = read_inputs(run).data, config.data
    if isinstance(settings, Mnist):
        settings = msgspec.structs.replace(settings, folder=known_folder(settings.folder, expected))
    samples, found = load_samples(settings, originals)
    trained_on = run.read_settings()["data"]
    if isinstance(config.data, Mnist) and config.data.folder == trained_on.get("folder"):
        require_same(found, expected, str(run.path))
    return samples, found


def _copy(run: RunFolder, file: str, checksum: str) -> Path:
    return run.chips / checksum[:NAME_LENGTH] / Path(file).name
