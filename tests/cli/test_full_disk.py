"""A disk that fills in the middle: one line with the path and the way out, nothing half-written, only time is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_things import mounted

Call = Callable[..., tuple[int, str, str]]

SWEEP = Path(__file__).parent.parent / "fixtures" / "sweep_1c340df" / "sweep"
MEBIBYTES = 4
VERBS = {
    "chip": ("chip", "substrate=brainscales2", "--out"),
    "gather": ("gather", str(SWEEP), "--curves", "--out"),
    "report": ("report", str(SWEEP), "--out"),
}
OUT = {"chip": "chip", "gather": "table.csv", "report": "page.html"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", f"size={MEBIBYTES}m") as folder:
        yield folder


def leave(disk: Path, kibibytes: int) -> None:
    """Empty a disk, and fill it again but for so much."""
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    room = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize - 1024 * kibibytes))


def files(folder: Path) -> dict[str, bytes]:
    """All files but those of the filler and of metrics, which hold times."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("filler", "metrics.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def require_way_out(code: int, err: str, disk: Path) -> None:
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"ttfsrun: {disk}/")
    assert "No space left on device" in last
    assert "free space there" in last


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_training_resumes_to_the_same_bytes_once_there_is_space(
    disk: Path, tmp_path: Path, ttfsrun: Call, tiny_overrides: tuple[str, ...]
) -> None:
    train = ("train", *tiny_overrides, "seed.init=1,2", "--out")
    assert ttfsrun(*train, tmp_path / "whole")[0] == 0
    whole, reached = files(tmp_path / "whole"), set[str]()
    for kibibytes in (0, 4, 8, 16, 28, 32, 48):
        leave(disk, kibibytes)
        code, _, err = ttfsrun(*train, disk / "run")
        require_way_out(code, err, disk)
        reached.add(Path(err.splitlines()[-1].removeprefix("ttfsrun: ").partition(": ")[0]).name)
        left = files(disk)
        assert not [name for name in left if name.endswith(".part")]
        named = {name.removeprefix("run/"): content for name, content in left.items()}
        assert all(whole.get(name, content) == content for name, content in named.items())
        (disk / "filler").unlink()
        words = ("train", "--resume", disk / "run") if left else (*train, disk / "run")
        assert ttfsrun(*words)[0] == 0
        assert files(disk / "run") == whole
    assert reached >= {"run", "population.json", "config.yaml", "inputs.json", "network.safetensors", "metrics.json"}


def test_a_sweep_resumes_once_there_is_space(disk: Path, ttfsrun: Call, tiny_overrides: tuple[str, ...]) -> None:
    sweep = ("sweep", *tiny_overrides, "seed.init=1,2", "cluster=debug", "--yes", "--out", disk / "sweep")
    tables = set()
    for kibibytes in (4, 8, 16, 20):
        leave(disk, kibibytes)
        code, _, err = ttfsrun(*sweep)
        if kibibytes < 20:
            require_way_out(code, err, disk)
        (disk / "filler").unlink()
        assert ttfsrun(*sweep)[0] == 0
        assert ttfsrun("gather", disk / "sweep", "--bare")[0] == 0
        tables.add((disk / "sweep" / "table.csv").read_bytes())
    assert len(tables) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_is_whole_or_not_there(verb: str, disk: Path, tmp_path: Path, ttfsrun: Call) -> None:
    (tmp_path / "whole").mkdir()
    ttfsrun(*VERBS[verb], tmp_path / "whole" / OUT[verb])
    whole = files(tmp_path / "whole")
    for kibibytes in (4, 20):
        leave(disk, kibibytes)
        code, _, err = ttfsrun(*VERBS[verb], disk / OUT[verb])
        left = files(disk)
        assert left.items() <= whole.items()
        assert "No space left on device" in err.splitlines()[-1]
        assert code == 1 or (verb == "chip" and "chip/chip.safetensors" in left), "only a figure may be left out"
