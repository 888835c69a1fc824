"""Command lines that are started at once with one place to write to: one gets it, and nothing of two is mixed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

N = 6
TRAIN = "train data.samples={train:110,valid:40,test:50} network.hidden=[20] training.batch_size=25 cluster.threads=1"
TRAIN += " training.epochs=3"
SWEEP = TRAIN.replace("train", "sweep", 1) + " cluster=debug --yes"
TAKEN = "is taken: process "

pytestmark = pytest.mark.slow


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Race = Callable[..., list[Ended]]


@pytest.fixture(scope="module")
def racing() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name("racing.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def race(racing: subprocess.Popen[str], tmp_path: Path) -> Race:
    """Starts command lines at once, in the folder of the test."""
    assert racing.stdin is not None
    assert racing.stdout is not None
    stdin, stdout = racing.stdin, racing.stdout

    def run(*commands: str) -> list[Ended]:
        stdin.write(json.dumps({"folder": str(tmp_path), "commands": [words.split() for words in commands]}) + "\n")
        stdin.flush()
        ended = [Ended(*answer) for answer in json.loads(stdout.readline())]
        assert not any("Traceback" in answer.err for answer in ended), ended
        assert not any(path.name.startswith(".") for path in tmp_path.rglob("*")), "no claim is left"
        return ended

    return run


def winners(ended: list[Ended], *refusals: str) -> list[int]:
    """Return the numbers of the commands that succeeded; all others must have been refused with one line."""
    for answer in ended:
        if answer.code != 0:
            assert (answer.code, answer.out) == (2, "")
            lines = [line for line in answer.err.splitlines() if line.startswith("ttfsrun: ")]
            assert any(refusal in lines[-1] for refusal in (TAKEN, "has just been claimed", *refusals)), answer.err
    return [n for n, answer in enumerate(ended) if answer.code == 0]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def results(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in files(folder).items() if not name.endswith("metrics.json")}


def test_of_trainings_into_one_folder_one_is_done_and_the_others_say_so(race: Race, tmp_path: Path) -> None:
    seeds = [f"seed.init={n}{',8' * (n % 2)}" for n in range(N)]  # single networks, and populations
    (winner,) = winners(race(*(f"{TRAIN} {seed} --out run" for seed in seeds)), "is not empty")
    race(f"{TRAIN} {seeds[winner]} --out alone")
    assert results(tmp_path / "run") == results(tmp_path / "alone")


def test_trainings_without_a_name_get_a_folder_each(race: Race, tmp_path: Path) -> None:
    assert winners(race(*([TRAIN] * N))) == list(range(N))
    runs = list((tmp_path / "results" / "runs").iterdir())
    assert len(runs) == N
    assert len({(run / "network.safetensors").read_bytes() for run in runs}) == 1


def test_a_run_that_is_replaced_by_many_is_that_of_one(race: Race, tmp_path: Path) -> None:
    race(f"{TRAIN} seed.init=9 --out run")
    ended = race(*(f"{TRAIN} seed.init={n} --out run --overwrite" for n in range(N)))
    winner = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["seed"]["init"]
    assert winner in winners(ended)
    race(f"{TRAIN} seed.init={winner} --out alone")
    assert results(tmp_path / "run") == results(tmp_path / "alone")


def test_an_interrupted_run_is_resumed_by_one(race: Race, tmp_path: Path) -> None:
    race(f"{TRAIN} --out run")
    whole = results(tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    assert len(winners(race(*(["train --resume run"] * N)), "is finished: there is nothing to resume")) == 1
    assert results(tmp_path / "run") == whole


def test_of_chips_into_one_folder_one_is_written(race: Race, tmp_path: Path) -> None:
    ended = race(*(f"chip substrate=brainscales2 seed.chip={n} --out chip" for n in range(N)))
    (winner,) = winners(ended, "is not empty")
    race(f"chip substrate=brainscales2 seed.chip={winner} --out alone")
    assert files(tmp_path / "chip") == files(tmp_path / "alone")


def test_of_different_sweeps_into_one_folder_one_is_made(race: Race, tmp_path: Path) -> None:
    ended = race(*(f"{SWEEP} seed.init={n},{n + 10} --name both" for n in range(N)))
    (winner,) = winners(ended, "holds another grid")
    sweep = tmp_path / "results" / "sweeps" / "both"
    about = yaml.safe_load((sweep / "sweep.yaml").read_text())
    points = [json.loads(line)["settings"] for line in (sweep / "points.jsonl").read_text().splitlines()]
    assert f"seed.init={winner},{winner + 10}" in about["command"]
    assert points == [{"seed.init": winner}, {"seed.init": winner + 10}]


@pytest.mark.parametrize("again", ["sweep", "retry"])
def test_each_point_of_a_sweep_is_computed_by_one_command(again: str, race: Race, tmp_path: Path) -> None:
    command = f"{SWEEP} seed.init=0,1"
    if again == "retry":
        race(f"{command} --limit 1")
        (sweep,) = (tmp_path / "results" / "sweeps").iterdir()
        command = f"retry {sweep} --yes"
    ended = race(*([command] * N))
    (sweep,) = (tmp_path / "results" / "sweeps").iterdir()  # the default name depends on the points only
    incomplete = [answer for answer in ended if answer.code == 4]  # what the winner computes is listed as running
    assert winners([answer for answer in ended if answer not in incomplete], "has just taken points")
    records = [
        json.loads(line) for shard in sweep.glob("shards/*.results.jsonl") for line in shard.read_text().splitlines()
    ]
    assert sorted(record["point"] for record in records) == sorted({record["point"] for record in records})
    assert len(records) == 2


@pytest.fixture
def sweeps(race: Race, tmp_path: Path) -> list[str]:
    """Two sweeps that have nothing in common."""
    for name, seeds in (("a", "0,1"), ("b", "5,6")):
        race(f"{SWEEP} seed.init={seeds} substrate.v_th.chip_std=0.0,0.1 --out {name}")
    return ["a", "b"]


def test_tables_of_two_sweeps_at_one_place_are_those_of_one(race: Race, sweeps: list[str], tmp_path: Path) -> None:
    flags = "--agg seed --curves"
    for name in sweeps:
        race(f"gather {name} {flags} --out alone/{name}/table.csv")
    ended = race(*(f"gather {sweeps[n % 2]} {flags} --out both/table.csv" for n in range(N)))
    assert winners(ended)
    winner = pd.read_csv(tmp_path / "both" / "table.csv")["sweep"].unique().item()
    assert files(tmp_path / "both") == files(tmp_path / "alone" / winner)


@pytest.mark.parametrize("verb", ["plot", "report"])
def test_figures_and_pages_of_two_sweeps_at_one_place_are_those_of_one(
    verb: str, race: Race, sweeps: list[str], tmp_path: Path
) -> None:
    out = {"plot": "figures", "report": "page.html"}[verb]
    for name in sweeps:
        race(f"{verb} {name} --out alone/{name}/{out}")
    ended = race(*(f"{verb} {sweeps[n % 2]} --out both/{out}" for n in range(N)))
    assert winners(ended)
    assert files(tmp_path / "both") in [files(tmp_path / "alone" / name) for name in sweeps]


def test_figures_of_two_runs_at_one_place_are_those_of_one(race: Race, tmp_path: Path) -> None:
    for n in range(2):
        race(f"{TRAIN} seed.init={n} --out {n}")
        race(f"plot {n} --out alone/{n}")
    ended = race(*(f"plot {n % 2} --out both" for n in range(N)))
    assert winners(ended)
    assert files(tmp_path / "both") in [files(tmp_path / "alone" / str(n)) for n in range(2)]


def test_a_training_that_was_killed_early_can_be_started_again(race: Race, tmp_path: Path) -> None:
    race(f"{TRAIN} --out whole")
    killed = {"host": socket.gethostname(), "pid": 1, "started": 1, "time": "", "job": None, "token": ""}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".claim.1").write_text(json.dumps(killed))
    (ended,) = race(f"{TRAIN} --out run")
    assert ended.code == 0
    assert results(tmp_path / "run") == results(tmp_path / "whole")
