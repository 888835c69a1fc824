"""The verbs: what they print where, and with which code they leave."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml
from calls import called

import ttfsrun
from ttfsrun.cli import main
from ttfsrun.config.compose import compose, expand, sources
from ttfsrun.config.ids import point_id
from ttfsrun.config.schema import Config
from ttfsrun.errors import RunFailed, UserError

ROOT = Path(ttfsrun.__file__).resolve().parent.parent
HEAVY = {"torch", "numba", "numpy", "pandas", "matplotlib", "submitit", "pooch", "rich"}


def process(
    *argv: str, code: str = "from ttfsrun.cli.main import main; sys.exit(main())"
) -> subprocess.CompletedProcess[str]:
    """A process of its own, in the checkout."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {code}", *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["config"], ["config", "lr=3"], ["confg"]], ids=str)
def test_verbs_without_a_network_answer_without_heavy_imports(argv: list[str]) -> None:
    code = (
        "import atexit; atexit.register(lambda: sys.stderr.write('\\n' + ' '.join(sys.modules)));"
        "from ttfsrun.cli.main import main; sys.exit(main())"
    )
    done = process(*argv, code=code)
    loaded = {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}
    assert "ttfsrun" in loaded
    assert not HEAVY & loaded
    assert ("hydra" in loaded) == (argv[0] == "config" and "--help" not in argv)


@pytest.mark.parametrize("flags", [(), ("--json",), ("--out",)], ids=str)
def test_a_chip_is_shown_without_torch(flags: tuple[str, ...], tmp_path: Path) -> None:
    code = "from ttfsrun.cli.main import main; left = main(); "
    code += "sys.exit(left or bool({'torch', 'numba'} & sys.modules.keys()))"
    out = (str(tmp_path / "chip"),) if "--out" in flags else ()
    done = process("chip", "substrate=brainscales2", *flags, *out, code=code)
    assert (done.returncode, done.stderr) == (0, "")
    assert "v_th.chip" in done.stdout


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ttfsrun", "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"ttfsrun {ttfsrun.__version__}\n")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = f"{shlex.quote(sys.executable)} -m ttfsrun config seed.init='range(200)' | head -1"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("# ")
    assert done.stderr.split() == ["200", "points", *(f"seed.init={number}" for number in range(200))]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["experiment=mnist_16x16", "seed.init=3"],
        ["training/loss=squared_error"],
        ["evaluation.conditions={yes: {seed.chip: 1}, off: {}, my chip: {substrate: brainscales2}}"],
    ],
)
def test_the_printed_yaml_holds_the_configuration(overrides: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert called("config", *overrides) == 0
    printed = capsys.readouterr()
    assert msgspec.convert(yaml.safe_load(printed.out), Config) == compose(overrides)
    assert printed.err == ""


@pytest.mark.parametrize("folder", ["/a: b # c", "yes", "3", "", "/ümläut", "line\nbreak", "a'b\"c", "[x]", "~"])
def test_any_text_survives_the_printed_yaml(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    quoted = "'" + folder.replace("'", "\\'") + "'"
    assert called("config", "experiment=mnist_16x16", f"data.folder={quoted}", "seed.init=1,2") == 0
    for document in yaml.safe_load_all(capsys.readouterr().out):
        assert document["data"]["folder"] == folder


def test_each_value_has_its_source_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    called("config", "seed.init=3")
    lines = [line.split("#") for line in capsys.readouterr().out.splitlines()]
    comments = {setting.strip(): comment.strip() for setting, comment in (line for line in lines if len(line) == 2)}
    assert comments["init: 3"] == "command line"
    assert comments["data: 3"] == "conf/config.yaml: ${seed.init}"
    assert comments["r_big: 0.5"] == "conf/data/yin_yang.yaml"
    columns = {line.index("#") for line in map("#".join, lines[1:]) if "#" in line}
    assert len(columns) == 1


def test_several_points_are_documents_and_their_labels_messages(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("config", "seed.init=range(3)") == 0
    printed = capsys.readouterr()
    assert [document["seed"]["init"] for document in yaml.safe_load_all(printed.out)] == [0, 1, 2]
    assert printed.err.split("\n  ") == ["3 points", "seed.init=0", "seed.init=1", "seed.init=2\n"]


def test_json_holds_id_configuration_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["seed.init=4", "training/loss=squared_error"]
    assert called("config", "--json", *overrides) == 0
    told = json.loads(capsys.readouterr().out)
    config = msgspec.convert(told["config"], Config)
    assert config == compose(overrides)
    assert told["id"] == point_id(config)
    assert told["source"] == sources(overrides)


def test_json_is_one_line_for_each_point(capsys: pytest.CaptureFixture[str]) -> None:
    called("config", "seed.init=1,2", "--json")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["label"] for point in told] == ["seed.init=1", "seed.init=2"]


def test_flags_may_stand_anywhere_between_settings(capsys: pytest.CaptureFixture[str]) -> None:
    orders = [("--json", "seed.init=1", "++seed.chip=2"), ("seed.init=1", "--json", "++seed.chip=2")]
    outputs = []
    for argv in orders:
        assert called("config", *argv) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([], "no verb; choose from train, evaluate, chip, config, sweep, retry, "),
        (
            ["confg"],
            "confg: unknown verb; choose from train, evaluate, chip, config, sweep, retry, status, logs, cancel, "
            "gather, report, plot, export, import; did you mean config?",
        ),
        (["--jsn"], "--jsn: unknown flag; a verb comes first"),
        (["config", "--jsn"], "--jsn: unknown flag"),
        (["config", "--seed.init=3"], "--seed.init=3: unknown flag; a setting has no dashes: seed.init=3"),
        (["config", "--js"], "--js: unknown flag"),
        (["train", "--out"], "argument --out: expected one argument"),
        (["train", "--resume", "runs/x", "seed.init=3"], "--resume continues a run as it is"),
        (["train", "--resume", "runs/x", "--overwrite"], "--resume continues a run as it is"),
        (["train", "lr=3"], "lr=3: unknown key; did you mean training.optimizer.learning_rate?"),
        (["evaluate"], "the following arguments are required: RUN"),
        (["evaluate", "seed.chip=3"], "seed.chip=3: evaluate needs the folder of a run before any settings"),
        (["chip", "--overwrite"], "--overwrite replaces what is in the folder that --out names: name one"),
        (["chip", "seed.chip=1,2"], "seed.chip=1, ...: 2 configurations, but only one is allowed; do not sweep"),
        (["chip", "substrate.chip.file=no"], "substrate.chip.file=no: does not exist; `ttfsrun chip` creates such a"),
        (["config", "seed.init=-1"], "seed.init=-1: must be an integer >= 0"),
        (["config", "~training.epochs"], "training.epochs: missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_on_stderr_and_leaves_with_two(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(*argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"ttfsrun: {line}")
    assert len(printed.err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (UserError("no such folder"), 2, "ttfsrun: no such folder\n"),
        (RunFailed("the loss is nan"), 1, "ttfsrun: the loss is nan\n"),
        (KeyboardInterrupt(), 130, "ttfsrun: interrupted\n"),
    ],
)
def test_what_a_verb_raises_becomes_its_exit_code(
    raised: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise raised

    monkeypatch.setitem(main.VERBS, "config", main.VERBS["config"]._replace(run=fail))
    assert called("config") == code
    assert capsys.readouterr().err == told


def test_train_hands_over_points_and_flags_and_prints_what_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []
    experiment = type(sys)("ttfsrun.run.train")
    experiment.train_points = lambda *args, **kwargs: calls.append((args, kwargs)) or (Path(), ["one", "two"])
    monkeypatch.setitem(sys.modules, "ttfsrun.run.train", experiment)
    assert called("train", "seed.init=1,2", "--out", "here", "training.epochs=3", "--overwrite") == 0
    assert capsys.readouterr().out == "one\ntwo\n"
    assert called("train", "--resume", "runs/x") == 0
    first, second = calls
    points = expand(["seed.init=1,2", "training.epochs=3"])
    assert first == ((points,), {"out": Path("here"), "overwrite": True, "resume": None})
    assert second == (([],), {"out": None, "overwrite": False, "resume": Path("runs/x")})


def test_evaluate_hands_over_run_and_overrides_and_prints_a_line_of_json_for_each_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []
    experiment = type(sys)("ttfsrun.run.evaluate")
    experiment.evaluate_run = lambda *args: calls.append(args) or iter([{"run": "a"}, {"run": "b"}])
    monkeypatch.setitem(sys.modules, "ttfsrun.run.evaluate", experiment)
    assert called("evaluate", "runs/x", "seed.chip=7", "--json", "seed.trial=1") == 0
    assert calls == [(Path("runs/x"), ["seed.chip=7", "seed.trial=1"])]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"run": "a"}, {"run": "b"}]


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["chip", "--help"],
        ["config", "--help"],
        ["status", "--help"],
    ],
    ids=str,
)
def test_the_help_fits_a_screen_and_tells_the_exit_codes(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert called(*argv) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 24
    assert "exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished with failed points," in text
    assert "example" in text or argv == ["--help"]
