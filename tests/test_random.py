"""Streams of random numbers: named, independent, and permanent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ttfsrun.random import key, stream


def test_the_definition_of_a_stream_does_not_change() -> None:
    # Golden numbers: if they change, no published result can be made again.
    assert stream(0, "initial weights").integers(2**32, size=3).tolist() == [4236426727, 1343853689, 896006662]
    assert stream(3, "input noise", layer=1, step=7).integers(2**32, size=3).tolist() == [
        846910628,
        2936198110,
        2231344939,
    ]
    assert stream(3, "order", step=2).permutation(8).tolist() == [7, 2, 6, 1, 5, 4, 0, 3]
    np.testing.assert_allclose(
        stream(0, "initial weights").standard_normal(3),
        [-1.263614661312628, 0.08886550788719648, -1.4666565956524966],
        rtol=1e-15,
    )


def test_the_same_key_gives_the_same_numbers() -> None:
    first, second = (stream(5, "order", layer=2, step=9).standard_normal(100) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_every_part_of_the_key_makes_another_stream() -> None:
    keys = itertools.product((0, 1, 2**32, 2**63 - 1), ("order", "input noise", "write"), (0, 1), (0, 1, 10**6))
    draws = [stream(seed, purpose, layer=layer, step=step).random(4) for seed, purpose, layer, step in keys]
    assert len({tuple(row) for row in draws}) == len(draws)
    assert len(np.unique(draws)) == 4 * len(draws)


def test_layer_and_step_are_not_mistaken_for_each_other() -> None:
    assert stream(0, "x", layer=1, step=2).random() != stream(0, "x", layer=2, step=1).random()


def test_another_draw_in_between_shifts_nothing() -> None:
    alone = stream(1, "order").random(10)
    generator = stream(1, "order")
    with_company = []
    for _ in range(10):
        with_company.append(generator.random())
        stream(1, "a new perturbation").random(1000)
    np.testing.assert_array_equal(alone, with_company)


def test_neighbouring_seeds_are_not_correlated() -> None:
    draws = np.stack([stream(seed, "initial weights").standard_normal(10_000) for seed in range(10)])
    correlation = np.corrcoef(draws)[~np.eye(10, dtype=bool)]
    assert np.abs(correlation).max() < 5 / np.sqrt(10_000)  # five standard deviations of independent draws
    assert np.abs(draws.mean(axis=1)).max() < 5 / np.sqrt(10_000)


def test_numpys_global_generator_is_neither_read_nor_moved() -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    stream(0, "order").random(10)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert before["state"]["pos"] == after["state"]["pos"]
    np.testing.assert_array_equal(before["state"]["key"], after["state"]["key"])


def test_a_negative_seed_is_no_seed() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "order")


def test_the_definition_of_a_key_does_not_change() -> None:
    golden = [-4962766342231236018, -5767003754350684344, -7560047145193344672]
    assert [key(0, "order"), key(3, "input noise"), key(3, "input noise", layer=1)] == golden


def test_every_part_makes_another_key() -> None:
    parts = itertools.product((0, 1, 2**32, 2**63 - 1), ("order", "input noise", "write"), (0, 1, 2))
    keys = [key(seed, purpose, layer=layer) for seed, purpose, layer in parts]
    assert len(set(keys)) == len(keys)
    assert np.array(keys, np.int64).tolist() == keys
