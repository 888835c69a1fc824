"""The folder of a run: one network's configuration, numbers, weights and pictures; or several such folders in one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
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
from ttfsrun.files import write_atomic, writing

DEFAULT = Path("results/runs")
FIGURES = (  # a run's pictures, and their tables
    "chip",
    "conditions",
    "confusion",
    "curves",
    "decision_map",
    "membrane",
    "raster",
    "weights",
)
CURVES = {"epoch": "int64", "split": "str", "metric": "str", "value": "float64"}  # columns of the learning curves
PLAIN_NAME = re.compile(r"[\w.=,+-]{1,100}")


@dataclass(frozen=True)
class RunFolder:
    """All paths of one network's run, and how its files are written and read."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def curves(self) -> Path:
        return self.path / "curves.csv"

    @property
    def network(self) -> Path:
        return self.path / "network.safetensors"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def write_config(self, config: Config) -> None:
        write_atomic(self.config, yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False).encode())

    def read_settings(self) -> dict[str, Any]:
        """The configuration as plain values."""
        try:
            settings = yaml.safe_load(self.config.read_text())
        except FileNotFoundError:
            raise UserError(f"{self.path} is not the folder of a run: it has no {self.config.name}") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{self.config} cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(settings, dict):
            raise UserError(f"{self.config} cannot be read: it holds no settings")
        return settings

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        write_atomic(self.metrics, (json.dumps(metrics, indent=2) + "\n").encode())

    def read_metrics(self) -> dict[str, Any]:
        """What `write_metrics` wrote; a UserError where that is not there, or no metrics."""
        try:
            metrics = json.loads(self.metrics.read_text())
        except FileNotFoundError:
            raise _unfinished(self.metrics) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{self.metrics} cannot be read: {error}") from None
        if not isinstance(metrics, dict):
            raise UserError(f"{self.metrics} cannot be read: it holds no metrics")
        return metrics

    def write_curves(self, curves: pd.DataFrame) -> None:
        """curves: epoch, split, metric, value."""
        write_atomic(self.curves, curves.to_csv(index=False, lineterminator="\n").encode())

    def read_curves(self) -> pd.DataFrame:
        """What `write_curves` wrote; a UserError where that is not there, or no learning curves."""
        try:
            curves = pd.read_csv(self.curves, dtype={"value": str})  # not every pandas reads numbers to the last digit
            return curves[list(CURVES)].astype(CURVES)
        except FileNotFoundError:
            raise _unfinished(self.curves) from None
        except KeyError:
            columns = ", ".join(map(str, curves.columns))
            raise UserError(
                f"{self.curves} has the columns {columns}; learning curves have {', '.join(CURVES)}"
            ) from None
        except (OSError, ValueError) as error:  # what pandas cannot parse is a ValueError, too
            raise UserError(f"{self.curves} cannot be read: {' '.join(str(error).split())}") from None

    @property
    def conditions(self) -> Path:
        """One row per condition, where there is more than the network's own."""
        return self.path / "conditions.csv"

    def write_conditions(self, table: pd.DataFrame) -> None:
        write_atomic(self.conditions, table.to_csv(index=False, lineterminator="\n").encode())


@dataclass(frozen=True)
class PopulationFolder:
    """The folder of networks that were trained together; that of a single network is its run folder itself."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """State of an unfinished training."""
        return self.path / "checkpoint.safetensors"

    @property
    def table(self) -> Path:
        """One row per network, where there are several."""
        return self.path / "table.csv"

    def run(self, name: str) -> RunFolder:
        """The folder of the network called `name`; "" for the only one."""
        return RunFolder(self.path / name)

    def names(self) -> list[str]:
        """Of the runs that lie here, in natural order."""
        if (self.path / "config.yaml").exists():
            return [""]
        found = [path.parent.name for path in self.path.glob("*/config.yaml")]
        if not found:
            raise UserError(f"{self.path} is not the folder of a run: it has no config.yaml")
        return sorted(found, key=_natural)

    @property
    def conditions(self) -> Path:
        """One row per network and condition, where there are several of both."""
        return self.path / "conditions.csv"

    def write_conditions(self, table: pd.DataFrame) -> None:
        write_atomic(self.conditions, table.to_csv(index=False, lineterminator="\n").encode())

    def write_table(self, table: pd.DataFrame) -> None:
        write_atomic(self.table, table.to_csv(index=False, lineterminator="\n").encode())

    def check(self, overwrite: bool) -> None:
        """Refuse a folder that cannot take new runs: one with something in it, unless these are runs to overwrite."""
        if not is_occupied(self.path):
            return
        if not overwrite:
            raise UserError(
                f"{self.path} is not empty: choose another folder with --out, go on with an interrupted run "
                "with --resume, or replace it with --overwrite"
            )
        self.names()  # refuses a folder that never held a run

    def prepare(self) -> None:
        """Make the folder, without the files of earlier runs."""
        make_folder(self.path)
        if any(self.path.iterdir()):
            self._remove_runs()

    def _remove_runs(self) -> None:
        """Remove the files of earlier runs, and nothing else."""
        runs = [self.run(name) for name in self.names()]
        for run in runs:  # all of them before the first file goes
            if not run.read_settings().keys() >= {"data", "network", "training"}:
                raise UserError(f"{run.config} is not of a run: nothing is replaced; choose another folder with --out")
        for run in runs:
            figures = [path for path in run.figures.glob("*") if path.stem in FIGURES]
            for path in (run.config, run.metrics, run.curves, run.network, run.conditions, *figures):
                path.unlink(missing_ok=True)
            for folder in (run.figures, run.path):
                if folder.is_dir() and folder != self.path and not any(folder.iterdir()):
                    folder.rmdir()
        for path in (self.checkpoint, self.table, self.conditions):
            path.unlink(missing_ok=True)


def _unfinished(path: Path) -> UserError:
    return UserError(f"{path} is not there: the run is not finished; resume it with train --resume")


def is_occupied(folder: Path) -> bool:
    """Whether there is anything in a folder for results, which need not be there; a UserError where it is a file."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder with --out")
    return folder.exists() and any(folder.iterdir())


def make_folder(folder: Path) -> None:
    """Create a folder for results, with its parents. Raises CannotWrite where that fails."""
    with writing(folder, "name another folder with --out"):
        folder.mkdir(parents=True, exist_ok=True)


def default_folder(configs: Sequence[Config]) -> Path:
    """results/runs/<date and time>-<data>-<id of the first point>: a new one each time."""
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return DEFAULT / f"{now}-{configs[0].data.__struct_config__.tag}-{point_id(configs[0])}"


def folder_names(labels: Sequence[str]) -> list[str]:
    """A folder for each point: its label where that makes a plain file name, else its number."""
    return [label if PLAIN_NAME.fullmatch(label) or label == "" else f"{i:04d}" for i, label in enumerate(labels)]


def _natural(name: str) -> list[Any]:
    """Sorts seed.init=2 before seed.init=10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]
