"""Every verb, given every kind of bad path, ends with one line that names the path, and leaves nothing behind."""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bad_things import BAD, NAME, mounted, without_privileges

from ttfsrun.cli import main
from ttfsrun.errors import OTHER_WAYS_OUT, WRONG_PATHS, as_user_error
from ttfsrun.run import write

Call = Callable[..., tuple[int, str, str]]

SWEEP = Path(__file__).parent.parent / "fixtures" / "sweep_1c340df" / "sweep"
PARSERS = main._parsers()[1]
SETTINGS_OF_FILES = {  # settings that name a file or a folder, and what makes a verb read it
    "substrate.chip.file": [],
    "training.start": [],
    "data.folder": ["experiment=mnist_16x16"],
    "sweep=": [],
}


def arguments() -> Iterator[tuple[str, str]]:
    """Each verb with each of its arguments that is a path, and with each setting that is one."""
    for verb, parser in PARSERS.items():
        actions = [action for action in parser._actions if action.type is Path]
        yield from ((verb, action.option_strings[0] if action.option_strings else action.dest) for action in actions)
        if any(action.dest == "overrides" for action in parser._actions) and not positional(parser):
            yield from ((verb, setting) for setting in SETTINGS_OF_FILES if setting != "sweep=" or verb == "sweep")


def positional(parser: argparse.ArgumentParser) -> list[str]:
    return [action.dest for action in parser._actions if action.type is Path and not action.option_strings]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny_overrides: tuple[str, ...]) -> Path:
    """A folder with a run, and its graph."""
    folder = tmp_path_factory.mktemp("exported")
    overrides = [*tiny_overrides, "network.bias_time=null"]
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(write, "plot_runs", lambda *args, **kwargs: None)
        assert main.main(["train", *overrides, "--out", str(folder / "run")]) == 0
    assert main.main(["export", str(folder / "run"), "--out", str(folder / "graph.nir")]) == 0
    return folder


Command = Callable[[str, str, Path], list[str]]


@pytest.fixture
def command(tiny_overrides: tuple[str, ...], request: pytest.FixtureRequest) -> Command:
    """Makes a command line of a verb that is right, but for one argument."""

    def make(verb: str, argument: str, path: Path) -> list[str]:
        if verb not in ("export", "import"):
            return _command(verb, argument, path, tiny_overrides)
        file = {"export": "run", "import": "graph.nir"}[verb]
        known = {} if argument in positional(PARSERS[verb]) else {"": request.getfixturevalue("exported") / file}
        if verb == "import":
            known |= {"--data": "yin_yang"} | ({} if argument == "--out" else {"--out": "new"})
        known[argument if argument == "--out" else ""] = path
        return [verb, *(str(word) for pair in known.items() for word in pair if word)]

    return make


def _command(verb: str, argument: str, path: Path, tiny: tuple[str, ...]) -> list[str]:
    parser = PARSERS[verb]
    if argument in SETTINGS_OF_FILES:
        chosen = SETTINGS_OF_FILES[argument]
        settings = [word for word in tiny if not chosen or not word.startswith("data.")]
        flags = ["--dry-run", "cluster=debug"] if verb == "sweep" else []
        return [verb, *flags, *chosen, *settings, f"{argument.removesuffix('=')}={path}"]
    if argument in positional(parser):
        return [verb, str(path)]
    takes_settings = any(action.dest == "overrides" for action in parser._actions) and argument != "--resume"
    first = [str(SWEEP)] if positional(parser) else list(tiny) if takes_settings else []
    return [verb, *first, *(["cluster=debug", "--yes"] if verb == "sweep" else []), argument, str(path)]


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder, with its mode and its size."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            found[str(path.relative_to(folder))] = (path.lstat().st_mode, path.lstat().st_size)
    return found


def require_one_line(code: int, out: str, err: str, name: str) -> None:
    """Require the way in which a command may fail."""
    assert code in (1, 2)
    assert out == ""
    lines = err.splitlines()
    assert "Traceback" not in err
    assert lines[-1].startswith("ttfsrun: ")
    assert name in lines[-1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "cache").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "here"


def may_be_right(verb: str, argument: str, kind: str) -> bool:
    """Whether the path is no mistake: it is replaced, or used as it is, or not read."""
    a_file = kind in ("a text file", "an empty file", "a binary file")
    if argument == "--out" and verb in ("gather", "report", "export"):
        return a_file or kind in ("a loop of links", "a link to nothing")
    if argument == "--out":
        return verb == "plot" and kind == "another folder"
    return (argument in SETTINGS_OF_FILES and verb in ("chip", "config")) or (argument == "sweep=" and a_file)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize(("verb", "argument"), list(arguments()), ids=str)
def test_a_bad_path_is_one_line_and_changes_nothing(
    verb: str,
    argument: str,
    kind: str,
    folder: Path,
    ttfsrun: Call,
    command: Command,
) -> None:
    path = BAD[kind](folder)
    before, argv = tree(folder), command(verb, argument, path)
    with without_privileges():
        code, out, err = ttfsrun(*argv)
    if code in (0, 3, 4) and may_be_right(verb, argument, kind):
        assert not [name for name in tree(folder) if name.endswith(".part")]
        return
    require_one_line(code, out, err, str(path)[:100] if "long" in kind else str(folder / NAME))
    assert tree(folder) == before


@pytest.mark.parametrize("letters", ["a\nb", "a\r\x1b[2Jb", "a\x85b", "a\u2028b"], ids=ascii)
@pytest.mark.parametrize(("verb", "argument"), list(arguments()), ids=str)
def test_an_error_is_one_line_whatever_the_path_contains(
    verb: str, argument: str, letters: str, folder: Path, ttfsrun: Call, command: Command
) -> None:
    if argument in SETTINGS_OF_FILES:
        path = Path(letters)  # which is no setting
    elif argument == "--out":
        path = folder / letters / "new.csv"
        path.parent.write_text("a file, not a folder")
    else:
        path = folder / letters
    code, out, err = ttfsrun(*command(verb, argument, path))
    assert (code, out) == (2, "") or (argument == "--out" and code == 1)
    assert letters not in err
    assert all(line.startswith(("ttfsrun: ", "See ")) for line in err.splitlines())


WITH_OUTPUT = [verb for verb, argument in arguments() if argument == "--out"]


@pytest.mark.parametrize("verb", WITH_OUTPUT)
def test_a_full_disk_is_one_line_and_nothing_half_written(
    verb: str, folder: Path, ttfsrun: Call, command: Command
) -> None:
    with mounted(folder / "disk", "size=64k") as disk:
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
        code, out, err = ttfsrun(*command(verb, "--out", disk / NAME))
        require_one_line(code, out, err, str(disk / NAME))
        assert "No space left on device); free space there" in err
        assert code == 1
        assert not [name for name in tree(disk) if name != "filler" and not (disk / name).is_dir()]


@pytest.mark.parametrize("verb", WITH_OUTPUT)
def test_a_read_only_disk_is_one_line(verb: str, folder: Path, ttfsrun: Call, command: Command) -> None:
    with mounted(folder / "disk", "ro") as disk:
        code, out, err = ttfsrun(*command(verb, "--out", disk / NAME))
        require_one_line(code, out, err, str(disk / NAME))
        assert "Read-only file system" in err
        assert code == 1


@pytest.mark.parametrize("number", [*WRONG_PATHS, *OTHER_WAYS_OUT], ids=errno.errorcode.get)
def test_every_error_of_the_system_has_its_path_its_reason_and_a_way_out(number: int) -> None:
    known = as_user_error(OSError(number, os.strerror(number), "some/path"))
    assert known is not None
    assert str(known).startswith(f"some/path: {os.strerror(number)}; ")
    assert known.exit_code == (2 if number in WRONG_PATHS else 1)


@pytest.mark.parametrize("error", [ValueError("a\nb"), RuntimeError("no"), KeyError("key"), AssertionError()], ids=repr)
def test_a_mistake_of_the_program_keeps_its_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, ttfsrun: Call
) -> None:
    def fail(args: object) -> int:
        raise error

    assert as_user_error(error) is None
    monkeypatch.setitem(main.VERBS, "config", main.VERBS["config"]._replace(run=fail))
    with pytest.raises(type(error)):
        ttfsrun("config")


@pytest.mark.parametrize(("verb", "argument"), list(arguments()), ids=str)
def test_a_current_folder_that_was_removed_is_one_line(
    verb: str,
    argument: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ttfsrun: Call,
    command: Command,
) -> None:
    argv = command(verb, argument, Path(NAME))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, out, err = ttfsrun(*argv)
    assert (code, out, err) == (2, "", "ttfsrun: the current folder has been removed; change to another one\n")


@pytest.mark.parametrize("word", ["", "a\0b", os.fsdecode(b"bad\xff")], ids=ascii)
@pytest.mark.parametrize("verb", PARSERS)
def test_a_word_that_names_no_path_is_a_mistake(verb: str, word: str, ttfsrun: Call) -> None:
    code, out, err = ttfsrun(verb, word)
    assert (code, out) == (2, "")
    assert err.startswith(f"ttfsrun: {word!a}: must be text in UTF-8, and not empty")
