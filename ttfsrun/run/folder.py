"""The folder of a run: one network's configuration, metrics, weights and figures; or several such folders in one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import yaml

from ttfsrun.config.ids import point_id
from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.files import read_file, unfinished_files, write_atomic
from ttfsrun.results.claim import claimed_folder, is_occupied

DEFAULT = Path("results/runs")
FIGURES = (  # stems of the names of a run's figures and their tables
    "augmentation",
    "chip",
    "conditions",
    "confusion",
    "curves",
    "decision_map",
    "delays",
    "membrane",
    "raster",
    "weights",
)
CURVES = {"epoch": "int64", "split": "str", "metric": "str", "value": "float64"}  # columns of the learning curves
PLAIN_NAME = re.compile(r"[\w.=,+-]{1,100}")


@dataclass(frozen=True)
class RunFolder:
    """The paths of one network's run, whose files it writes and reads."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.path / "config.yaml"

    @property
    def inputs(self) -> Path:
        """What the run depends on besides its settings; see `run.inputs`."""
        return self.path / "inputs.json"

    @property
    def chips(self) -> Path:
        """The folder of the copies of chip files."""
        return self.path / "chips"

    @property
    def metrics(self) -> Path:
        """Metrics and provenance."""
        return self.path / "metrics.json"

    @property
    def curves(self) -> Path:
        """The learning curves."""
        return self.path / "curves.csv"

    @property
    def network(self) -> Path:
        """The trained weights."""
        return self.path / "network.safetensors"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.path / "figures"

    def write_config(self, config: Config) -> None:
        """Write the configuration. Raises CannotWrite where that fails."""
        write_atomic(self.config, yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False).encode())

    def read_settings(self) -> dict[str, Any]:
        """Return the configuration as plain values. Raises UserError where it is missing or damaged."""
        try:
            settings = yaml.safe_load(read_file(self.config))
        except FileNotFoundError:
            raise UserError(f"{self.path} is not the folder of a run: it has no {self.config.name}") from None
        except yaml.YAMLError as error:
            raise UserError(f"{self.config} cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(settings, dict):
            raise UserError(f"{self.config} cannot be read: it holds no settings")
        return settings

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write the metrics. Raises CannotWrite where that fails."""
        write_atomic(self.metrics, (json.dumps(metrics, indent=2) + "\n").encode())

    def read_metrics(self) -> dict[str, Any]:
        """Return what `write_metrics` wrote. Raises UserError where it is missing or damaged."""
        try:
            metrics = json.loads(read_file(self.metrics))
        except FileNotFoundError:
            raise _unfinished(self.metrics) from None
        except ValueError as error:
            raise UserError(f"{self.metrics} cannot be read: {error}") from None
        if not isinstance(metrics, dict):
            raise UserError(f"{self.metrics} cannot be read: it holds no metrics")
        return metrics

    def write_curves(self, curves: pd.DataFrame) -> None:
        """Write learning curves: epoch, split, metric, value. Raises CannotWrite where that fails."""
        write_atomic(self.curves, curves.to_csv(index=False, lineterminator="\n").encode())

    def read_curves(self) -> pd.DataFrame:
        """Return what `write_curves` wrote. Raises UserError where it is missing or damaged."""
        try:
            content = io.BytesIO(read_file(self.curves))
            curves = pd.read_csv(content, dtype={"value": str})  # not every pandas reads numbers to the last digit
            return curves[list(CURVES)].astype(CURVES)
        except FileNotFoundError:
            raise _unfinished(self.curves) from None
        except KeyError:
            columns = ", ".join(map(str, curves.columns))
            raise UserError(
                f"{self.curves} has the columns {columns}; learning curves have {', '.join(CURVES)}"
            ) from None
        except ValueError as error:  # pandas raises ValueError for what it cannot parse
            raise UserError(f"{self.curves} cannot be read: {' '.join(str(error).split())}") from None

    @property
    def conditions(self) -> Path:
        """One row per condition, where there are others than the network's own."""
        return self.path / "conditions.csv"

    def write_conditions(self, table: pd.DataFrame) -> None:
        """Write the table of the conditions. Raises CannotWrite where that fails."""
        write_atomic(self.conditions, table.to_csv(index=False, lineterminator="\n").encode())


@dataclass(frozen=True)
class PopulationFolder:
    """The folder of networks that were trained together; that of a single network is its run folder itself."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The state of an unfinished training."""
        return self.path / "checkpoint.safetensors"

    @property
    def table(self) -> Path:
        """One row per network, where there are several."""
        return self.path / "table.csv"

    def run(self, name: str) -> RunFolder:
        """Return the folder of the network called `name`; "" for the only one."""
        return RunFolder(self.path / name)

    def names(self) -> list[str]:
        """Return the names of the runs in this folder, in natural order. Raises UserError where there are none."""
        names = self.being_made() or self._found()
        if not names:
            raise UserError(f"{self.path} is not the folder of a run: it has no config.yaml")
        return sorted(names, key=_natural_order)

    def _found(self) -> list[str]:
        if (self.path / "config.yaml").exists():
            return [""]
        return [path.parent.name for path in self.path.glob("*/config.yaml")]

    @property
    def population(self) -> Path:
        """The configurations of all networks, while their folders are made: a kill meanwhile loses none."""
        return self.path / "population.json"

    @contextmanager
    def made(self, configs: Mapping[str, Config]) -> Iterator[None]:
        """Replace earlier runs by a folder for each network, with its configuration; the block may write further files.

        If the process is killed meanwhile, `being_made` returns all networks. configs: by name. Raises UserError where
        the folder holds something else than runs, CannotWrite where a file cannot be written.
        """
        self._require_runs()
        write_atomic(self.population, msgspec.json.encode(configs))
        self._remove_runs()
        for name, config in configs.items():
            self.run(name).write_config(config)
        yield
        self.population.unlink()

    def being_made(self) -> dict[str, Config]:
        """Return the networks whose folders were being made when the process was killed; none in any other case."""
        try:
            return msgspec.json.decode(read_file(self.population), type=dict[str, Config])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise UserError(f"{self.population} cannot be read: {error}; remove it, and train again") from None

    @property
    def conditions(self) -> Path:
        """One row per network and condition, where there are several of both."""
        return self.path / "conditions.csv"

    def write_conditions(self, table: pd.DataFrame) -> None:
        """Write the table of the conditions. Raises CannotWrite where that fails."""
        write_atomic(self.conditions, table.to_csv(index=False, lineterminator="\n").encode())

    def write_table(self, table: pd.DataFrame) -> None:
        """Write the table of the networks. Raises CannotWrite where that fails."""
        write_atomic(self.table, table.to_csv(index=False, lineterminator="\n").encode())

    def check(self, overwrite: bool) -> None:
        """Raise UserError where the folder is not empty, unless it holds runs to overwrite."""
        if not is_occupied(self.path):
            return
        if not overwrite:
            raise UserError(
                f"{self.path} is not empty: choose another folder with --out, resume an interrupted run with "
                "--resume, or replace it with --overwrite"
            )
        self.names()  # raises where the folder never held a run

    def _require_runs(self) -> None:
        """Raise UserError where the folder holds something else than runs."""
        for run in map(self.run, self._found()):
            if not run.read_settings().keys() >= {"data", "network", "training"}:
                raise UserError(f"{run.config} is not of a run: nothing is replaced; choose another folder with --out")

    def _remove_runs(self) -> None:
        """Remove the files of earlier runs, and nothing else. config.yaml, by which a run is found, is the last."""
        for path in (self.checkpoint, self.table, self.conditions, *unfinished_files(self.path)):
            path.unlink(missing_ok=True)
        for run in map(self.run, self._found()):
            figures = [path for path in run.figures.glob("*") if path.stem in FIGURES]
            copies = list(run.chips.glob("*/*"))
            for path in (run.inputs, run.metrics, run.curves, run.network, run.conditions, *figures, *copies):
                path.unlink(missing_ok=True)
            for path in unfinished_files(run.path):
                path.unlink(missing_ok=True)
            for folder in (run.figures, *{copy.parent for copy in copies}, run.chips):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
            run.config.unlink()
            if run.path != self.path and not any(run.path.iterdir()):
                run.path.rmdir()


def _unfinished(path: Path) -> UserError:
    return UserError(f"{path} is missing: the run is not finished; resume it with train --resume")


@contextmanager
def claimed_for_runs(out: Path | None, configs: Sequence[Config], overwrite: bool) -> Iterator[PopulationFolder]:
    """Claim a folder for new runs during the block. out: by default a new folder. overwrite: of earlier runs.

    Raises Claimed where another process writes to it, UserError where it is a file, or is not empty and holds no runs
    to overwrite, and CannotWrite.
    """
    if out is not None:
        require_no_file(out)
    with claimed_folder(out or default_folder(configs), new=out is None) as path:
        folder = PopulationFolder(path)
        folder.check(overwrite)
        yield folder


def require_no_file(folder: Path) -> None:
    """Raise UserError where a folder for results is a file."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder with --out")


def default_folder(configs: Sequence[Config]) -> Path:
    """Return the name of a new folder: results/runs/<date and time>-<data>-<id of the first point>."""
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return DEFAULT / f"{now}-{configs[0].data.__struct_config__.tag}-{point_id(configs[0])}"


def folder_names(labels: Sequence[str]) -> list[str]:
    """Return the name of each point's folder: its label where that is a plain file name, else its number."""
    return [label if PLAIN_NAME.fullmatch(label) or label == "" else f"{i:04d}" for i, label in enumerate(labels)]


def _natural_order(name: str) -> list[Any]:
    """Return a key that sorts seed.init=2 before seed.init=10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]
