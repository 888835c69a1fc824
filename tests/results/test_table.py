"""The table of a sweep: what rows and columns there are, to the last byte, and what it warns of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import made_up
import pandas as pd
import pytest

from ttfsrun.errors import UserError
from ttfsrun.results import load
from ttfsrun.results.gather import GatherOptions, gather
from ttfsrun.results.record import Curves
from ttfsrun.results.table import read_table

NOISY = ["evaluation.conditions={noisy: {evaluation.perturbed: true, substrate.spike_time.jitter: [0.01, 0.1]}}"]
CONDITIONS = [{"condition": "noisy", "settings": {"substrate.spike_time.jitter": value}} for value in (0.01, 0.1)]


def values(table: pd.DataFrame) -> list[list[Any]]:
    """Its cells, with one kind of nothing."""
    return [[None if pd.isna(cell) else cell for cell in table[name]] for name in table]


def test_each_point_has_a_row_for_each_condition_with_the_numbers_of_its_record(tmp_path: Path) -> None:
    folder, points = made_up.sweep(tmp_path, [{"seed.init": 3}, {"seed.init": 4}], NOISY)
    made_up.write(folder, [made_up.done(point, conditions=CONDITIONS) for point in points])
    table = load(tmp_path)
    assert list(table["condition"]) == ["own", "noisy", "noisy"] * 2
    assert table["condition.substrate.spike_time.jitter"].tolist()[1:3] == [0.01, 0.1]
    assert list(table["seed.init"]) == [3, 3, 3, 4, 4, 4]
    told = made_up.result(points[1], CONDITIONS)
    own, last = table.iloc[3], table.iloc[5]
    assert own["test_accuracy"] == told["test"]["accuracy"]
    assert own["train_loss"] == told["train"]["loss"]
    assert own["valid_silent_fraction_2"] == told["valid"]["silent_fraction"][1]
    assert last["test_decision_time_p95"] == told["conditions"][1]["test"]["decision_time"]["p95"]
    assert pd.isna(last["train_accuracy"])
    assert (own["epoch"], own["perturbed"], last["perturbed"], last["chip"]) == (7, False, True, 3)
    assert pd.isna(own["chip"])


def test_points_that_failed_or_never_ran_have_a_row_without_numbers(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 3)
    made_up.write(folder, [made_up.done(points[0]), made_up.failed(points[1], "out of memory", "too\n  large")])
    table = load(tmp_path)
    assert list(table["status"]) == ["done", "failed", "missing"]
    assert list(table["reason"]) == [None, "out of memory", None]
    assert table["message"][1] == "too large"
    assert table["host"].tolist() == ["node1", "node1", None]
    assert table["test_accuracy"].isna().tolist() == [False, True, True]


def test_the_columns_and_their_types_do_not_depend_on_what_is_done(tmp_path: Path) -> None:
    folder, points = made_up.sweep(tmp_path, [{"seed.init": 3}, {"network.hidden": [5, 5]}], NOISY)
    empty = load(tmp_path)
    made_up.write(folder, [made_up.done(points[0], conditions=CONDITIONS)])
    half = load(tmp_path)
    made_up.write(folder, [made_up.done(points[1], conditions=CONDITIONS)])
    pd.testing.assert_series_equal(empty.dtypes, half.dtypes)
    pd.testing.assert_series_equal(empty.dtypes, load(tmp_path).dtypes)
    assert "test_spikes_per_sample_3" in empty


def test_whole_numbers_stay_whole_where_some_are_missing(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.write(folder, [made_up.done(points[0])])
    gather(folder, GatherOptions())
    rows = folder.table.read_text().splitlines()
    place = rows[0].split(",").index("epoch")
    assert [row.split(",")[place] for row in rows[1:]] == ["7", ""]


def test_what_is_written_is_what_is_loaded(tmp_path: Path) -> None:
    folder, points = made_up.sweep(tmp_path, [{"seed.init": 3}, {"network.hidden": [5, 5]}], NOISY)
    made_up.write(folder, [made_up.done(points[0], conditions=CONDITIONS), made_up.failed(points[1], message='a, "b"')])
    gather(folder, GatherOptions())
    loaded, written = load(tmp_path), pd.read_csv(folder.table, dtype={"point": str})
    assert list(loaded) == list(written)
    assert values(loaded) == values(written)


def test_the_same_results_give_the_same_bytes_whoever_computed_them(tmp_path: Path) -> None:
    tables = []
    for name, order, host in (("a", slice(None), "node1"), ("b", slice(None, None, -1), "node2")):
        folder, points = made_up.seeds(tmp_path / name, 20)
        for number, point in enumerate(points[order]):
            made_up.write(folder, [made_up.done(point, host=host, time=float(number))], shard=str(number % 3))
        table = read_table(folder, bare=True)
        tables.append(b"".join(table.csv()))
        assert b"node" not in tables[-1]
        assert b"\r" not in tables[-1]
    assert tables[0] == tables[1]


def test_the_device_is_a_column_where_a_gpu_computed(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 3)
    made_up.write(folder, [made_up.done(points[0])])
    assert "device" not in read_table(folder).columns
    made_up.write(folder, [made_up.done(points[1], device="NVIDIA H100")], shard="1")
    table = load(tmp_path)
    assert table["device"].tolist() == ["cpu", "NVIDIA H100", None]
    assert list(table.columns)[-6:-3] == ["host", "device", "job"]
    assert "device" not in read_table(folder, bare=True).columns


def test_every_setting_is_told_where_it_is_wanted(tmp_path: Path) -> None:
    folder, _ = made_up.sweep(tmp_path, [{"network.hidden": [5]}, {"network.hidden": [6]}])
    table = read_table(folder, every_setting=True).frame()
    assert table["network.hidden"].tolist() == ["[5]", "[6]"]
    assert table["training.epochs"].nunique() == 1
    assert "training.epochs" not in load(tmp_path)


def test_the_first_success_counts_and_a_contradiction_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, points = made_up.seeds(tmp_path, 3)
    again = [made_up.done(point, time=made_up.START + 5) for point in points]
    made_up.write(folder, [made_up.done(point) for point in points] + [made_up.failed(points[0]), *again])
    load(tmp_path)
    assert caplog.messages == []
    other = made_up.done(points[1], time=made_up.START + 9)
    other.result["test"]["accuracy"] += 1e-9
    made_up.write(folder, [other], shard="9")
    told = made_up.result(points[1])["test"]["accuracy"]
    assert load(tmp_path)["test_accuracy"][1] == told
    assert f"1 points were computed twice, with DIFFERENT numbers, which must not happen: {points[1]}" in caplog.text


def test_results_of_other_code_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, points = made_up.seeds(tmp_path, 3)
    made_up.write(folder, [made_up.done(points[0]), *(made_up.done(p, package="0ther") for p in points[1:])])
    load(tmp_path)
    assert "2 points were computed by other code (0ther) than the sweep was made with (c0de)" in caplog.text


def test_a_torn_line_is_no_result(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.write(folder, [made_up.done(point) for point in points])
    (shard,) = folder.shards.iterdir()
    shard.write_bytes(shard.read_bytes()[:-50])
    assert list(load(tmp_path)["status"]) == ["done", "missing"]


@pytest.mark.parametrize(
    ("n_done", "n_failed", "code", "told"),
    [
        (2, 0, 0, "2 points: 2 done"),
        (1, 1, 3, "2 points: 1 done, 1 failed"),
        (0, 1, 4, "2 points: 1 failed, 1 missing"),
    ],
)
def test_the_exit_code_tells_how_the_sweep_stands(
    n_done: int, n_failed: int, code: int, told: str, tmp_path: Path
) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    entries = [made_up.done(point) for point in points[:n_done]]
    made_up.write(folder, entries + [made_up.failed(point) for point in points[n_done:][:n_failed]])
    lines, got = gather(folder, GatherOptions())
    assert (got, lines) == (code, [f"{folder.table}: 2 rows", told])


def test_statistics_are_over_the_seeds_of_each_condition_and_setting(tmp_path: Path) -> None:
    grid = [{"training.epochs": epochs, "seed.init": seed} for epochs in (5, 9) for seed in range(4)]
    folder, points = made_up.sweep(tmp_path, grid, NOISY)
    made_up.write(folder, [made_up.done(point, conditions=CONDITIONS) for point in points[:-1]])
    lines, _ = gather(folder, GatherOptions(over=["seed"]))
    assert lines[1].startswith(f"{tmp_path / 'aggregate.csv'}: ")
    statistics = pd.read_csv(tmp_path / "aggregate.csv")
    keys = ["training.epochs", "condition", "condition.substrate.spike_time.jitter", "metric"]
    assert list(statistics) == [*keys, "n", "mean", "std", "q25", "q50", "q75"]
    assert not statistics.duplicated(keys).any()
    table = load(tmp_path)
    own = table[(table["training.epochs"] == 9) & (table["condition"] == "own")]["test_loss"]
    row = statistics.query("`training.epochs` == 9 and condition == 'own' and metric == 'test_loss'").iloc[0]
    assert (row["n"], row["mean"], row["std"]) == (3, pytest.approx(own.mean()), pytest.approx(own.std()))
    assert list(row[["q25", "q50", "q75"]]) == pytest.approx(list(own.quantile([0.25, 0.5, 0.75])))


def test_statistics_over_what_does_not_vary_are_a_mistake(tmp_path: Path) -> None:
    folder, _ = made_up.seeds(tmp_path, 2)
    with pytest.raises(UserError, match=r"--agg seed\.trial: .* what varies: seed\.init"):
        gather(folder, GatherOptions(over=["seed.trial"]))


def test_statistics_of_nothing_are_an_empty_table(tmp_path: Path) -> None:
    folder, _ = made_up.seeds(tmp_path, 2)
    gather(folder, GatherOptions(over=["seed"]))
    assert (tmp_path / "aggregate.csv").read_text() == "condition,metric,n,mean,std,q25,q50,q75\n"


def test_learning_curves_become_a_long_table(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    curves = {"train": {"loss": [0.5, None]}, "valid": {"accuracy": [0.1, 0.2]}}
    made_up.write(folder, [made_up.done(points[1]), Curves(point=points[1], curves=curves)])
    lines, _ = gather(folder, GatherOptions(curves=True))
    assert lines[1] == f"{tmp_path}/curves.csv: 4 rows"
    name = tmp_path.name
    assert (tmp_path / "curves.csv").read_text().splitlines() == [
        "sweep,point,seed.init,split,metric,epoch,value",
        f"{name},{points[1]},1,train,loss,1,0.5",
        f"{name},{points[1]},1,train,loss,2,",
        f"{name},{points[1]},1,valid,accuracy,1,0.1",
        f"{name},{points[1]},1,valid,accuracy,2,0.2",
    ]


def test_parquet_holds_the_same_table(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder, points = made_up.sweep(tmp_path, [{"seed.init": 3}, {"network.hidden": [5, 5]}], NOISY)
    made_up.write(folder, [made_up.done(points[0], conditions=CONDITIONS)])
    gather(folder, GatherOptions(parquet=True))
    stored = pd.read_parquet(tmp_path / "table.parquet")
    assert list(stored) == list(load(tmp_path))
    assert values(stored) == values(load(tmp_path))
    assert stored["epoch"].dtype == "Int64"


def test_parquet_without_pyarrow_is_a_line_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = made_up.seeds(tmp_path, 1)
    monkeypatch.setattr("ttfsrun.results.gather.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ttfsrun\[parquet\]'"):
        gather(folder, GatherOptions(parquet=True))


def test_files_can_go_elsewhere_and_a_place_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    folder, _ = made_up.seeds(tmp_path / "sweep", 1)
    gather(folder, GatherOptions(out=tmp_path / "deep" / "my.csv", over=["seed"], curves=True))
    names = ["my.aggregate.csv", "my.csv", "my.curves.csv"]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == names
    assert not folder.table.exists()
    with pytest.raises(UserError, match="cannot be written"):
        gather(folder, GatherOptions(out=tmp_path / "deep" / "my.csv" / "x.csv"))
    with pytest.raises(UserError, match="cannot be written"):
        gather(folder, GatherOptions(out=tmp_path / f"{'x' * 300}.csv"))


def test_what_is_no_sweep_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a sweep"):
        load(tmp_path)


def test_loading_and_gathering_import_no_torch(tmp_path: Path) -> None:
    made_up.seeds(tmp_path, 2)
    code = f"""
import sys
from ttfsrun.cli.main import main
main(["gather", {str(tmp_path)!r}])
assert not {{"torch", "numba", "pandas", "hydra"}} & sys.modules.keys()
import ttfsrun.results
ttfsrun.results.load({str(tmp_path)!r})
assert not {{"torch", "numba", "submitit"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ten_thousand_points_are_gathered(tmp_path: Path) -> None:
    grid = [{"seed.init": i % 10, "training.optimizer.learning_rate": 1e-3 * (i // 10 + 1)} for i in range(10_000)]
    folder, points = made_up.sweep(tmp_path, grid, ["experiment=mnist_16x16"])
    made_up.write(folder, [made_up.done(point) for point in points])
    command = [sys.executable, "-m", "ttfsrun", "gather", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert folder.table.read_bytes().count(b"\n") == 10_001


def test_results_on_other_data_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, points = made_up.seeds(tmp_path, 3)
    first, *others = [made_up.done(point) for point in points]
    made_up.write(folder, others)
    load(tmp_path)
    assert caplog.messages == []
    first.result["data"]["source"] = "elsewhere"
    made_up.write(folder, [first])
    load(tmp_path)
    assert "points were NOT computed on the same data" in caplog.text
