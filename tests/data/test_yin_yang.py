from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ttfsrun import data
from ttfsrun.config import schema
from ttfsrun.data import yin_yang
from ttfsrun.data.yin_yang import DOT, OUTSIDE, YANG, YIN

CONF = Path(__file__).parents[2] / "conf" / "data" / "yin_yang.yaml"


def published() -> schema.YinYang:
    return msgspec.convert(yaml.safe_load(CONF.read_text()), schema.YinYang)


def test_the_first_points_of_seed_42_are_the_published_ones() -> None:
    split = yin_yang.generate(42, 3, published())
    golden = [[0.680308, 0.450499], [0.097672, 0.684233], [0.755361, 0.425156]]
    np.testing.assert_allclose(split.values[:, :2], golden, atol=5e-7)
    assert split.labels.tolist() == [2, 1, 2]


def test_seed_40_has_the_published_number_of_points_in_each_class() -> None:
    split = yin_yang.generate(40, 1000, published())
    assert np.bincount(split.labels).tolist() == [350, 316, 334]


def test_points_are_drawn_as_pairs_from_one_legacy_stream_until_the_class_fits() -> None:
    random = np.random.RandomState(7)
    points, labels = [], []
    for _ in range(300):
        labels.append(random.randint(3))
        point = random.rand(2)
        while yin_yang.classify(point[0], point[1], published()) != labels[-1]:
            point = random.rand(2)
        points.append(point)
    split = yin_yang.generate(7, 300, published())
    assert np.array_equal(split.values[:, :2], np.array(points, np.float32))
    assert split.labels.tolist() == labels


@given(seed=st.integers(0, 2**32 - 1))
def test_every_point_lies_in_the_big_circle_beside_its_mirror_image(seed: int) -> None:
    values = yin_yang.generate(seed, 20, published()).values
    assert np.all(np.hypot(values[:, 0] - 0.5, values[:, 1] - 0.5) <= 0.5 + 1e-7)
    np.testing.assert_allclose(values[:, :2] + values[:, 2:], 1, atol=1e-7)
    assert values.min() >= 0
    assert values.max() <= 1


def test_a_shorter_split_is_the_beginning_of_a_longer_one() -> None:
    short, long = (yin_yang.generate(3, n, published()) for n in (10, 50))
    assert np.array_equal(short.values, long.values[:10])


def test_the_map_of_classes_agrees_with_the_labels_of_all_published_points() -> None:
    dataset = data.load_dataset(published())
    for split in (dataset.train, dataset.valid, dataset.test):
        assert np.array_equal(yin_yang.classify(split.values[:, 0], split.values[:, 1], published()), split.labels)


@pytest.mark.parametrize(
    ("x", "y", "label"),
    [
        (0.25, 0.5, DOT),
        (0.75, 0.5, DOT),
        (0.75, 0.8, YANG),
        (0.25, 0.61, YANG),
        (0.25, 0.2, YIN),
        (0.75, 0.39, YIN),
        (0.75, 0.61, YIN),
        (0.01, 0.01, OUTSIDE),
        (0.99, 0.99, OUTSIDE),
    ],
)
def test_known_places_have_their_class(x: float, y: float, label: int) -> None:
    assert yin_yang.classify(x, y, published()) == label


def test_half_a_turn_exchanges_yin_and_yang_and_keeps_the_dots() -> None:
    x, y = np.random.default_rng(0).random((2, 10_000))
    here, there = (yin_yang.classify(a, b, published()) for a, b in ((x, y), (1 - x, 1 - y)))
    exchanged = np.array([YANG, YIN, DOT, OUTSIDE])  # OUTSIDE is -1: the last
    assert np.array_equal(there, exchanged[here])


def test_loading_gives_three_different_splits_and_their_seeds() -> None:
    dataset = data.load_dataset(published())
    assert [len(split.labels) for split in (dataset.train, dataset.valid, dataset.test)] == [5000, 1000, 1000]
    assert dataset.train.values.shape == (5000, 4)
    assert dataset.train.values.dtype == np.float32
    assert dataset.train.labels.dtype == np.int64
    assert not np.array_equal(dataset.valid.values, dataset.test.values)
    assert {key: dataset.source[key] for key in ("train_seed", "valid_seed", "test_seed")} == {
        "train_seed": "42",
        "valid_seed": "41",
        "test_seed": "40",
    }
