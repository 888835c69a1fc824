"""The tables of the reference study, in README.md and on the front page, and its figures, from the committed CSVs.

python results/reference/study.py             renews what stands between the marks, and draws every figure anew
python results/reference/study.py NAME ...    the figures of these entries only
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from ttfsrun.figures.sweep.labels import text, title
from ttfsrun.report.plot import find_source, plot_sweep
from ttfsrun.report.selection import PlotOptions, select_figures

HERE = Path(__file__).parent
PAGES = (HERE / "README.md", HERE.parents[1] / "README.md")
BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

IN_THE_LOOP, CLEAN = "in_the_loop", "clean_to_perturbed"
NETWORKS = {
    "yin_yang": "4-120-3, with a bias",
    "mnist_16x16": "256-246-10, fits the BrainScaleS-2 chip",
    "mnist_28x28": "784-350-10",
}
# Goeltz, Kriener et al. 2021: in simulation, and on BrainScaleS-2, trained in the loop
PUBLISHED = {"yin_yang": "95.9", "mnist_16x16": "97.4", "mnist_28x28": "97.1"}
ON_THE_CHIP = {"yin_yang": "95.0 ± 0.9", "mnist_16x16": "96.9 ± 0.1"}
# Goeltz et al. 2025, single networks in simulation: by hidden neurons and delays
PUBLISHED_WITH_DELAYS = {
    ("[30]", "none"): "96.7",
    ("[30]", "axonal"): "97.5",
    ("[30]", "synaptic"): "98.2",
    ("[5]", "synaptic"): "95.4",
}
DATA = {"yin_yang": "yin-yang", "mnist_16x16": "MNIST 16x16"}

Table = pd.DataFrame
Lines = Iterator[str]


def accuracy(table: Table) -> Lines:
    yield from head("experiment", "network", "median (quartiles)", "mean ± std", "seeds", "published")
    for entry, rows in table.groupby("entry", sort=False):
        name = entry.removeprefix("accuracy_")
        percent = 100 * rows["test_accuracy"]
        mean = f"{percent.mean():.2f} ± {percent.std():.2f}"
        yield row(f"`{name}`", NETWORKS[name], spread(rows), mean, len(rows), PUBLISHED[name])


def weight_range(table: Table) -> Lines:
    ways = [(CLEAN, 1), (CLEAN, 5), (IN_THE_LOOP, 1), (IN_THE_LOOP, 5)]
    titles = [
        f"{words}, {'inputs once' if lines == 1 else f'{lines} times'}"
        for words, lines in [("only evaluated", 1), ("only evaluated", 5), ("trained", 1), ("trained", 5)]
    ]
    yield from head("largest weight", *titles)
    for clip, rows in table.groupby("substrate.weight.clip", sort=False, dropna=False):
        parts = (rows[(rows["protocol"] == how) & (rows["network.input_repeats"] == lines)] for how, lines in ways)
        yield row(text(None if pd.isna(clip) else clip), *map(spread, parts))


def imperfections(table: Table) -> Lines:
    """One imperfection at a time: the rows of each strength, those of the base in front."""
    strengths = [name for name in table if name.startswith("substrate.") and table[name].nunique(dropna=False) > 1]
    off = {name: table[name].iloc[0] for name in strengths}
    away = {name: table[name].ne(value) & ~(table[name].isna() & pd.isna(value)) for name, value in off.items()}
    at_base = ~pd.concat(away, axis=1).any(axis=1)
    yield from head("imperfection", "strength", "only evaluated under it", "trained under it")
    yield row("none", "", *by_protocol(table[at_base]))
    for name in strengths:
        for value, rows in table[away[name]].groupby(name, sort=True):
            yield row(f"{title(name)} (`{name}`)", text(value), *by_protocol(rows))


def backward(table: Table) -> Lines:
    rules = {
        (False, "observed"): "without a chip",
        (True, "observed"): "in the loop: recorded spikes, nominal parameters (`observed`)",
        (True, "ideal"): "with the chip, derivatives of the ideal network (`ideal`)",
        (True, "same_draw"): "in a simulation that knows the chip (`same_draw`)",
    }
    yield from head("trained", *CONDITIONS.values())
    for (perturbed, rule), rows in table.groupby(["training.perturbed", "training.backward"], sort=False):
        yield row(rules[perturbed, rule], *by_condition(rows))


def jitter(table: Table) -> Lines:
    ways = list(table.groupby(["training.perturbed", "training.backward"], sort=False).groups)
    titles = (f"trained, `{rule}`" if perturbed else "only evaluated" for perturbed, rule in ways)
    yield from head("spike jitter", *titles)
    for strength, rows in table.groupby("substrate.spike_time.jitter"):
        of = rows.groupby(["training.perturbed", "training.backward"]).get_group
        yield row(strength, *(spread(of(way)) for way in ways))


def on_the_chip(table: Table) -> Lines:
    yield from head("data", "trained", *CONDITIONS.values(), "published")
    for (entry, protocol), rows in table.groupby(["entry", "protocol"], sort=False):
        data = entry.removeprefix("on_the_chip_")
        trained, published = ("in the loop", ON_THE_CHIP[data]) if protocol == IN_THE_LOOP else ("in simulation", "")
        yield row(DATA[data], trained, *by_condition(rows), published)


def sensitivity(table: Table) -> Lines:
    whats = [f"{how}, {when}" for how in ("alone", "all but it") for when in ("only evaluated", "trained in the loop")]
    yield from head("imperfection", "strength", *whats)
    (ranking,) = (each for each in select_figures(table, varying_of("sensitivity")) if each.name == "ranking")
    numbers = ranking.numbers.set_index(["setting", "substrate", "protocol"])["median"]
    alone = numbers.xs(("ideal", CLEAN), level=("substrate", "protocol"))
    for name in alone.sort_values(ascending=False).index:
        lost = [numbers[name, chip, how] for chip in ("ideal", "brainscales2") for how in (CLEAN, IN_THE_LOOP)]
        strength = table.loc[table["substrate"] == "brainscales2", name].mode()[0]
        yield row(f"{title(name)} (`{name}`)", text(strength), *(f"{points:.2f}" for points in lost))


def delays(table: Table) -> Lines:
    recipes = {
        "delays": "the published recipe",
        "delays_sharp": "the default recipe's loss, 300 epochs",
        "delays_on_the_chip": "the default recipe, 300 epochs, in the loop with a chip",
    }
    yield from head("trained by", "hidden neurons", "delays", "median (quartiles)", "mean ± std", "published")
    own = table[table["condition"] == "own"].assign(hidden=lambda rows: rows["network.hidden"].fillna("[30]"))
    for (entry, hidden, kind), rows in own.groupby(["entry", "hidden", "network.delays"], sort=False):
        percent = 100 * rows["test_accuracy"]
        mean = f"{percent.mean():.2f} ± {percent.std():.2f}"
        published_value = PUBLISHED_WITH_DELAYS.get((hidden, kind), "") if entry == "delays" else ""
        yield row(recipes[entry], hidden.strip("[]"), kind, spread(rows), mean, published_value)


CHAPTERS: dict[str, Callable[[Table], Lines]] = {
    "accuracy": accuracy,
    "weight_range": weight_range,
    "imperfections": imperfections,
    "imperfections_mnist": imperfections,
    "backward": backward,
    "jitter": jitter,
    "on_the_chip": on_the_chip,
    "sensitivity": sensitivity,
    "delays": delays,
}
PARTS = {  # chapters of more than one entry, so that each can be computed anew alone
    "accuracy": ["accuracy_yin_yang", "accuracy_mnist_16x16", "accuracy_mnist_28x28"],
    "on_the_chip": ["on_the_chip_yin_yang", "on_the_chip_mnist_16x16"],
    "delays": ["delays", "delays_sharp", "delays_on_the_chip"],
}
ENTRIES = [entry for chapter in CHAPTERS for entry in PARTS.get(chapter, [chapter])]
CONDITIONS = {"own": "own chip", "own, other chips": "other chips", "simulation": "in simulation"}


def by_condition(rows: Table) -> Iterable[str]:
    return (spread(rows[rows["condition"] == name]) for name in CONDITIONS)


def by_protocol(rows: Table) -> Iterable[str]:
    return (spread(rows[rows["protocol"] == name]) for name in (CLEAN, IN_THE_LOOP))


def spread(rows: Table) -> str:
    """The median and the quartiles of the accuracy on the test set, in per cent."""
    low, median, high = (100 * rows["test_accuracy"]).quantile([0.25, 0.5, 0.75])
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def head(*titles: str) -> Lines:
    yield row(*titles)
    yield row(*("---" for _ in titles)).replace(" ", "")


def row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def varying_of(name: str) -> list[str]:
    return find_source(HERE / name).varying


def core_hours(table: Table) -> float:
    """What computing it took; a point's seconds stand in each of its rows."""
    return float(table.drop_duplicates("point")["seconds"].sum() / 3600)


def published() -> list[str]:
    return [name for name in ENTRIES if (HERE / name / "table.csv").exists()]


def blocks() -> dict[str, str]:
    """What has to stand between the marks of each name."""
    tables = {name: find_source(HERE / name).table.assign(entry=name) for name in published()}
    found = {}
    for chapter, lines_of in CHAPTERS.items():
        table = pd.concat(tables[entry] for entry in PARTS.get(chapter, [chapter]))
        found[chapter] = "\n".join(lines_of(table))
    costs = {name: core_hours(table) for name, table in tables.items()}
    lines = [*head("entry", "points", "core-hours")]
    lines += [row(f"[`{name}`]({name}/)", tables[name]["point"].nunique(), f"{costs[name]:.1f}") for name in tables]
    return found | {"costs": "\n".join([*lines, row("all", "", f"{sum(costs.values()):.1f}")])}


def renewed(page: str, found: Mapping[str, str]) -> str:
    """A page with what has to stand between its marks: `blocks`."""
    return BLOCK.sub(lambda mark: f"{mark[1]}\n{found[mark[2]]}\n\n{mark[3]}", page)


def main(names: list[str]) -> None:
    for name in names or published():
        lines, _ = plot_sweep(HERE / name, PlotOptions(), out=None)
        print(*lines, sep="\n")
    found = blocks()
    for page in PAGES:
        page.write_text(renewed(page.read_text(), found))


if __name__ == "__main__":
    main(sys.argv[1:])
