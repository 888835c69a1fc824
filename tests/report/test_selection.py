"""The choice of figures for a table, and the contents of each."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import tables
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from tables import BITS, JITTER, MISMATCH, OTHERS, SEEDS, crossed, drawn, one_at_a_time, strengths

from ttfsrun.errors import UserError
from ttfsrun.figures import style
from ttfsrun.report.selection import Supplement


def labels_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_medians_and_quartiles_are_those_of_the_replicates() -> None:
    table = strengths()
    numbers = drawn(table)["strength"].numbers.set_index("at")
    errors = 100 * (1 - table[table[MISMATCH] == 0.05]["test_accuracy"])
    statistics = numbers.loc["0.05"]
    assert (statistics["median"], statistics["n"]) == (pytest.approx(errors.median()), len(SEEDS))
    assert (statistics["q25"], statistics["q75"]) == pytest.approx((errors.quantile(0.25), errors.quantile(0.75)))


def test_a_seed_is_no_axis_unless_it_is_asked_for() -> None:
    table = tables.table(tables.combinations({"seed.init": SEEDS, "seed.data": [7]}))
    assert drawn(table)["strength"].figure.axes[0].get_xlabel() == "condition"
    assert drawn(table, x="seed.init")["strength"].figure.axes[0].get_xlabel() == "seed.init"


def test_null_stands_apart_behind_the_numbers_and_zero_before_a_logarithmic_axis() -> None:
    axes = drawn(strengths((1, 2, 4, None), BITS))["strength"].figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2", "4", "none"]
    axes = drawn(strengths((0.0, 0.01, 0.1, 1.0)))["strength"].figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.01", "0.1", "1"]
    places = axes.get_xticks()
    assert places[3] - places[2] == pytest.approx(places[2] - places[1])
    lines = [np.asarray(line.get_xdata(), dtype=float) for line in axes.lines if line.get_marker() == "o"]
    assert max(map(len, lines)) == 3
    assert not any((line < places[0] + 0.01).any() and (line > places[1] - 0.01).any() for line in lines)


def test_the_dashed_line_is_the_network_with_everything_off() -> None:
    table = strengths()
    figure = drawn(table)["strength"].figure
    off = 100 * (1 - table[table[MISMATCH] == 0]["test_accuracy"].median())
    assert labels_of(figure) == ["threshold mismatch 0"]
    assert any(np.allclose(line.get_ydata(), off) for line in figure.axes[0].lines)


def test_without_a_point_that_is_off_it_is_the_network_in_simulation_or_the_base() -> None:
    simulated = {"condition": "simulation", "perturbed": False, "chip": None, "more": -1}
    points = [{**point, MISMATCH: point[MISMATCH] + 0.1} for point in one_at_a_time()]
    assert "ideal simulation" in labels_of(drawn(tables.table(points, [{}, simulated]))["strength"].figure)
    assert "the base" in labels_of(drawn(tables.table(points))["strength"].figure)


@pytest.mark.parametrize(("worst", "seen"), [(0.1, False), (0.8, True)])
def test_chance_is_shown_where_the_axis_reaches_it(worst: float, seen: bool) -> None:
    figure = drawn(strengths((0.0, 0.05, worst)), Supplement(classes=3))["strength"].figure
    assert ("chance" in labels_of(figure)) == seen


def test_settings_one_at_a_time_are_panels_with_a_common_axis() -> None:
    table = tables.table(one_at_a_time())
    figures = drawn(table)
    panels = figures["strength"].figure.axes
    assert [axes.get_xlabel() for axes in panels if axes.get_visible()] == [
        r"threshold mismatch (std, of $v_\mathrm{th} - v_\mathrm{leak}$)",
        r"spike jitter (std, $\tau_\mathrm{syn}$)",
        "weight bits",
    ]
    assert len({axes.get_ylim() for axes in panels}) == 1
    numbers = figures["strength"].numbers
    assert list(numbers[numbers["setting"] == JITTER]["at"]) == ["0", "0.01", "0.02"]
    assert "heat_map" not in figures


def test_the_ranking_pairs_each_network_with_the_same_seeds_at_the_base() -> None:
    table = tables.table(one_at_a_time())
    numbers = drawn(table)["ranking"].numbers.set_index(["setting", "at"])
    accuracy = table.set_index([MISMATCH, JITTER, "seed.init"])["test_accuracy"][table[BITS].isna().to_numpy()]
    losses = [100 * (accuracy[0.0, 0.0, seed] - accuracy[0.2, 0.0, seed]) for seed in SEEDS]
    assert numbers.loc[(MISMATCH, "0.2"), "median"] == pytest.approx(np.median(losses))
    failed = tables.without(table, [0])  # the base of seed 0
    assert set(drawn(failed)["ranking"].numbers["n"]) == {len(SEEDS) - 1}


def test_the_ranking_begins_with_what_costs_most() -> None:
    axes = drawn(tables.table(one_at_a_time(), noise=0.01))["ranking"].figure.axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[0] == "threshold mismatch 0.2"
    assert axes.yaxis_inverted()


def test_a_base_of_each_preset_has_a_panel_of_the_ranking() -> None:
    presets = {"ideal": {MISMATCH: 0.0, JITTER: 0.0}, "chip": {MISMATCH: 0.1, JITTER: 0.02}}
    points = []
    for name, base in presets.items():
        other = presets["chip" if name == "ideal" else "ideal"]
        for change in ({}, *({key: other[key]} for key in base)):
            points += [{"substrate": name, **base, **change, "seed.init": seed} for seed in SEEDS]
    figures = drawn(tables.table(points, noise=0))
    assert len(figures["ranking"].figure.axes) == 2
    numbers = figures["ranking"].numbers
    assert (numbers[numbers["substrate"] == "ideal"]["median"] > 0).all()
    assert (numbers[numbers["substrate"] == "chip"]["median"] < 0).all()


def test_two_strengths_are_a_heat_map_of_medians() -> None:
    table = crossed({MISMATCH: [0, 0.1], JITTER: [0, 0.01, 0.02]})
    figures = drawn(table)
    here = table[(table[MISMATCH] == 0.1) & (table[JITTER] == 0.01)]
    numbers = figures["heat_map"].numbers.set_index([MISMATCH, JITTER])
    assert numbers.loc[(0.1, 0.01), "median"] == pytest.approx(100 * (1 - here["test_accuracy"].median()))
    assert len(figures["heat_map"].hover) == 6


def test_the_transfer_from_chip_to_chip_has_a_cell_for_each_pair() -> None:
    conditions = [{}, *({"condition": "own, other chips", "chip": chip, "more": 3} for chip in (0, 1, 2))]
    points = [{"seed.init": seed, "seed.chip": chip} for seed in SEEDS for chip in (0, 1, 2)]
    table = tables.table(points, conditions, noise=0)
    table = table[(table["condition"] == "own") | (table["chip"] != table["seed.chip"])]
    numbers = drawn(table)["transfer"].numbers.set_index(["trained on chip", "evaluated on chip"])
    assert len(numbers) == 9
    assert numbers.loc[(1.0, 1.0), "median"] == pytest.approx(2)
    assert numbers.loc[(1.0, 2.0), "median"] == pytest.approx(5)
    assert set(numbers["n"]) == {len(SEEDS)}


def test_chips_that_only_their_own_network_met_share_a_column() -> None:
    points = [{"seed.init": seed, "seed.chip": seed} for seed in SEEDS]
    axes = drawn(tables.table(points, OTHERS))["transfer"].figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["own", "1001", "1002"]


def test_a_trade_off_has_a_panel_for_each_cost_that_is_not_in_proportion_to_another() -> None:
    panels = drawn(strengths())["trade_off"].figure.axes
    x_labels = [axes.get_xlabel() for axes in panels]
    assert x_labels == [r"mean decision time ($\tau_\mathrm{syn}$)", "energy, events (µJ)"]
    assert "trade_off" not in drawn(strengths(), y="test_decision_time_mean")


def test_a_trade_off_tells_the_settings_that_each_is_crossed_with_apart() -> None:
    alone = [{MISMATCH: 0.0, JITTER: 0.0}, {MISMATCH: 0.1, JITTER: 0.0}, {MISMATCH: 0.0, JITTER: 0.1}]
    crossed = tables.combinations({"protocol": ["clean", "loop"], "network.input_repeats": [1, 5], "seed.init": SEEDS})
    one, two = (
        [{**changes, **settings} for changes in alone for settings in points]
        for points in ([{"seed.init": 0}], crossed)
    )
    columns = {len(points): set(drawn(tables.table(points))["trade_off"].numbers) for points in (one, two)}
    assert "away from the base" in columns[len(one)]
    assert {"protocol", "network.input_repeats"} <= columns[len(two)]


def test_the_conditions_of_a_grid_have_a_figure_of_their_own() -> None:
    column = f"condition.{JITTER}"
    noisy = [{"condition": "noisy", column: value, "more": 100 * value} for value in (0.01, 0.02, 0.1)]
    table = tables.table([{"seed.init": seed} for seed in SEEDS], [{}, *noisy], noise=0)
    figures = drawn(table)
    numbers = figures["strength_substrate_spike_time_jitter"].numbers
    assert list(numbers["median"]) == pytest.approx([3, 4, 12])
    assert list(figures["strength"].numbers["at"]) == ["own"]


def test_settings_drawn_at_random_are_points_with_a_panel_each() -> None:
    rng = np.random.default_rng(0)
    points = [{MISMATCH: a, JITTER: b / 10, "seed.init": 0} for a, b in rng.random((40, 2)) / 5]
    figure = drawn(tables.table(points))["strength"].figure
    assert len(figure.axes) == 2
    assert not [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) > 2]


def test_settings_that_move_together_are_one_axis() -> None:
    pairs = [(0.0, 0.0), (0.1, 0.01), (0.2, 0.02)]
    points = [{MISMATCH: a, JITTER: b, "seed.init": seed} for a, b in pairs for seed in SEEDS]
    figures = drawn(tables.table(points))
    assert "heat_map" not in figures
    assert "spike jitter moves with it" in figures["strength"].caption


def test_every_marker_has_its_text_in_the_order_of_the_picture() -> None:
    for drawing in drawn(tables.without(tables.table(one_at_a_time()), [3, 7])).values():
        collections = [c for axes in drawing.figure.axes for c in axes.collections if c.get_gid()]
        points = {str(c.get_gid()): c for c in collections if isinstance(c, PathCollection)}
        assert points.keys() <= drawing.hover.keys()
        for gid, collection in points.items():
            assert len(collection.get_offsets()) == len(drawing.hover[gid])
    plotted = drawn(strengths())["strength"]
    (gid,) = plotted.hover
    offsets = next(c for c in plotted.figure.axes[0].collections if c.get_gid() == gid).get_offsets()
    errors = [float(re.match(r"test_error ([\d.]+) %", text)[1]) for text in plotted.hover[gid]]  # type: ignore[index]
    assert np.asarray(offsets)[:, 1] == pytest.approx(errors, rel=1e-3)


def test_an_svg_keeps_the_name_of_the_points_and_a_mark_for_each() -> None:
    plotted = drawn(strengths())["strength"]
    ((gid, texts),) = plotted.hover.items()
    stream = io.StringIO()
    with style.figure_style():
        plotted.figure.savefig(stream, format="svg")
    group = stream.getvalue().partition(f'<g id="{gid}"')[2].partition("\n   </g>")[0]
    assert group.count("<use ") == len(texts)


def test_a_wish_for_a_column_or_a_metric_that_there_is_not_names_those_that_there_are() -> None:
    with pytest.raises(UserError, match=rf"--x substrate.bits: .* choose from {MISMATCH}"):
        drawn(strengths(), x="substrate.bits")
    with pytest.raises(UserError, match=r"--y accuracy: .* test_accuracy, test_loss"):
        drawn(strengths(), y="accuracy")


def test_another_metric_is_drawn_as_it_is() -> None:
    table = strengths()
    plotted = drawn(table, y="test_loss")["strength"]
    assert plotted.figure.axes[0].get_ylabel() == "test loss"
    assert plotted.numbers["median"].iloc[0] == pytest.approx(table[table[MISMATCH] == 0]["test_loss"].median())


def test_colour_and_style_are_as_wished() -> None:
    table = crossed({MISMATCH: [0, 0.1, 0.2], JITTER: [0, 0.1], BITS: [2, 4]})
    names = list(drawn(table, x=JITTER, hue=BITS, style=MISMATCH)["strength"].numbers)
    assert names[:4] == ["setting", "at", BITS, MISMATCH]


def test_a_sweep_without_a_result_has_no_figure() -> None:
    table = strengths()
    assert drawn(tables.without(table, range(len(table)))) == {}
    assert drawn(table.iloc[:0]) == {}
