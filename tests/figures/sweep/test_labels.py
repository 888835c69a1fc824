from __future__ import annotations

import pytest

from ttfsrun.config.introspection import all_keys
from ttfsrun.figures.sweep import labels


def test_every_title_is_of_a_setting() -> None:
    assert set(labels.TITLES) - set(all_keys()) == set()


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("substrate.v_th.chip_std", r"threshold mismatch (std, of $v_\mathrm{th} - v_\mathrm{leak}$)"),
        ("condition.substrate.spike_time.jitter", r"spike jitter (std, $\tau_\mathrm{syn}$)"),
        ("substrate.weight.chip_std", "weight offset mismatch (std, of the largest weight)"),
        ("substrate.drift.tau", "correlation time of the drift (epochs)"),
        ("substrate.tau_mem.chip_cv", "mismatch of tau_mem (cv)"),
        ("substrate.dead_neurons.p", "dead neurons (probability)"),
        ("substrate.weight.bits", "weight bits"),
        ("network.hidden", "hidden neurons"),
        ("seed.init", "seed.init"),
        ("substrate.new_one.strength", "new_one.strength"),
    ],
)
def test_a_setting_is_called_by_its_title_with_the_unit_that_the_schema_states(key: str, label: str) -> None:
    assert labels.label(key) == label


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("test_accuracy", "test error (%)"),
        ("valid_loss", "valid loss"),
        ("test_silent_fraction_2", "silent fraction, layer 2"),
        ("test_decision_us_p95", "95th percentile of the decision time (µs)"),
        ("test_energy_brainscales2_window_uj", "energy, BrainScaleS-2 for the window (µJ)"),
        ("test_synaptic_events", "test synaptic events"),
    ],
)
def test_a_metric_is_named_with_its_unit(column: str, label: str) -> None:
    assert labels.metric(column) == label


def test_a_long_label_has_its_unit_on_a_line_of_its_own_and_whole_formulas() -> None:
    wrapped = labels.wrapped(labels.label("substrate.v_th.chip_std"), 25)
    assert wrapped == "threshold mismatch\n" + r"(std, of $v_\mathrm{th} - v_\mathrm{leak}$)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.15, "0.15"),
        (1e-05, "1e-05"),
        (0.1234567, "0.1234567"),
        (1234567, "1234567"),
        (0.1 + 0.2, "0.3"),
        (float("inf"), "inf"),
        (None, "none"),
        (True, "true"),
        ("in_the_loop", "in the loop"),
    ],
)
def test_a_value_is_written_as_a_person_writes_it(value: object, text: str) -> None:
    assert labels.text(value) == text
