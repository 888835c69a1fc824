"""The changes of training images: by how much, from which numbers, and what they leave alone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from fake_driver import fake_gpu
from hypothesis import given
from hypothesis import strategies as some
from lane_device import one_by_one
from scipy import ndimage
from tiny_networks import Splits, bits, trained

from ttfsrun.config.compose import compose
from ttfsrun.config.schema import Config, Mnist
from ttfsrun.data import encode
from ttfsrun.data.augmentation import NONE, Strengths
from ttfsrun.data.mnist import resize, values_of
from ttfsrun.data.samples import Samples
from ttfsrun.network import build
from ttfsrun.neuron import device
from ttfsrun.neuron.draws import uniform
from ttfsrun.neuron.kernels.cuda.launch import Cuda
from ttfsrun.neuron.kernels.cuda.ptx import TARGETS, ptx
from ttfsrun.random import key
from ttfsrun.training.affine import change_of, cosine, sine
from ttfsrun.training.augmentation import Augmentation
from ttfsrun.training.batches import Batches
from ttfsrun.training.responses import collect_responses
from ttfsrun.training.trainer import Trainer

SIZES = (16, 28)
STRONG = (30.0, 0.3, 0.2, 5.0)
ALONE = ((30.0, 0, 0, 0), (0, 0.3, 0, 0), (0, 0, 0.2, 0), (0, 0, 0, 5.0))


def configured(size: int = 16, strengths: Strengths = NONE, *overrides: str) -> Config:
    rotation, shear, scale, shift = strengths
    augmentation = f"data.augmentation={{rotation:{rotation},shear:{shear},scale:{scale},shift:{shift}}}"
    tiny = ("network.hidden=[5]", "training.batch_size=25", "training.epochs=3")
    return compose([f"experiment=mnist_{size}x{size}", *tiny, augmentation, *overrides])


def split_of(images: np.ndarray, data: Mnist) -> Samples:
    """Images [n, 28, 28] as samples of a training."""
    pixels = resize(images, data.size).reshape(len(images), -1)
    originals = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return Samples(encode(values_of(pixels), data.encoding), np.arange(len(images)) % 10, originals)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Blots of any grey on white, noise up to the edges, all black, all white."""
    random = np.random.default_rng(0)
    blots = ndimage.gaussian_filter(random.normal(size=(60, 28, 28)), (0, 2, 2))
    blots = (255 * np.clip(4 * blots / blots.std(), 0, 1)).astype(np.uint8)
    noise = random.integers(0, 256, (60, 28, 28), np.uint8)
    return np.concatenate([blots, noise, np.full((1, 28, 28), 255, np.uint8), np.zeros((1, 28, 28), np.uint8)])


@pytest.fixture
def splits(images: np.ndarray) -> Callable[[Config], Splits]:
    """The images as training samples of a configuration, some of them for validation."""

    def load(config: Config) -> Splits:
        assert isinstance(config.data, Mnist)
        train = split_of(images, config.data)
        return {"train": train, "valid": replace(train.first(40), originals=None)}

    return load


def changed(images: np.ndarray, size: int, strengths: Strengths, epoch: int = 0) -> np.ndarray:
    """All images in their order, as they are changed in an epoch."""
    data = configured(size).data
    assert isinstance(data, Mnist)
    augmentation = Augmentation(data, split_of(images, data), [0], [strengths])
    return augmentation.images(torch.arange(len(images))[None], epoch, 0)[0].numpy()


def epoch_of(config: Config, part: Samples, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """All input times and labels of an epoch, in the order of training."""
    found = list(Batches([config], part, config.training.batch_size).of_epoch(epoch))
    return np.concatenate([batch.times[0].numpy() for batch in found]), np.concatenate(
        [b.labels[0].numpy() for b in found]
    )


def by_scipy(image: np.ndarray, numbers: Sequence[float], strengths: Strengths) -> np.ndarray:
    """The image after shear, rotation, scaling and shift by these shares (-1 to 1) of the strengths, not rounded."""
    angle, shear, scale, right, down = np.array(numbers) * [
        strengths[0],
        strengths[1],
        strengths[2],
        *[strengths[3]] * 2,
    ]
    angle = math.radians(angle)
    rotated = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    forward = (1 + scale) * rotated @ np.array([[1, shear], [0, 1]])  # of (x, y)
    back = np.linalg.inv(forward)[::-1, ::-1]  # of (y, x)
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - back @ (centre + np.array([down, right]))
    result: np.ndarray = ndimage.affine_transform(image.astype(float), back, offset, order=1, mode="grid-constant")
    return result


def numbers_of(n: int, seed: int, epoch: int) -> np.ndarray:
    """The numbers of the first n images of an epoch, between -1 and 1."""
    return 2 * uniform(torch.tensor([key(seed, "augmentation")]), epoch, (n, 5))[0].numpy() - 1


@pytest.mark.parametrize("size", SIZES)
def test_strength_zero_is_the_plain_dataset(images: np.ndarray, splits: Callable[[Config], Splits], size: int) -> None:
    np.testing.assert_array_equal(changed(images, size, NONE), resize(images, size))
    config = configured(size)
    assert isinstance(config.data, Mnist)
    train = splits(config)["train"]
    order = np.random.default_rng(0).permutation(len(images))[None]
    times = Augmentation(config.data, train, [0], [NONE]).times(torch.from_numpy(order), 3, 0)
    assert times.numpy().tobytes() == train.times[order].tobytes()


@pytest.mark.parametrize("strengths", [*ALONE, STRONG, (45.0, 1.0, 0.9, 28.0)], ids=str)
def test_an_image_is_the_affine_transform_of_scipy(images: np.ndarray, strengths: Strengths) -> None:
    found = changed(images, 28, strengths, epoch=2)
    for image, result, numbers in zip(images, found, numbers_of(len(images), 0, 2), strict=True):
        assert np.abs(result - by_scipy(image, numbers, strengths)).max() <= 0.51  # it is rounded to whole numbers


def test_a_smaller_image_is_cut_and_resized_after_it_was_changed(images: np.ndarray) -> None:
    np.testing.assert_array_equal(changed(images, 16, STRONG), resize(changed(images, 28, STRONG), 16))


@pytest.mark.parametrize("size", SIZES)
def test_a_changed_image_is_encoded_as_any_other(images: np.ndarray, size: int) -> None:
    config = configured(size, STRONG)
    assert isinstance(config.data, Mnist)
    pixels = changed(images, size, STRONG).reshape(len(images), -1)
    augmentation = Augmentation(config.data, split_of(images, config.data), [0], [STRONG])
    times = augmentation.times(torch.arange(len(images))[None], 0, 0)[0].numpy()
    assert times.tobytes() == encode(values_of(pixels), config.data.encoding).tobytes()


@given(angle=some.floats(-math.pi / 4, math.pi / 4))
def test_sine_and_cosine_are_right_to_one_unit_in_the_last_place(angle: float) -> None:
    assert abs(sine(angle) - math.sin(angle)) <= math.ulp(math.sin(angle))
    assert abs(cosine(angle) - math.cos(angle)) <= math.ulp(math.cos(angle))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, (math.sqrt(0.75), 0.5, -0.5, math.sqrt(0.75), 0, 0)),  # 30 degrees
        (1, (1, -0.3, 0, 1, 0, 0)),
        (2, (1 / 1.2, 0, 0, 1 / 1.2, 0, 0)),
        (3, (1, 0, 0, 1, 5, 0)),
        (4, (1, 0, 0, 1, 0, 5)),
    ],
)
def test_each_change_is_at_most_its_strength(number: int, expected: tuple[float, ...]) -> None:
    numbers = np.full(5, 0.5)  # no change
    assert change_of(numbers, np.array(STRONG)) == (1, 0, 0, 1, 0, 0)
    numbers[number] = 1  # the largest
    assert change_of(numbers, np.array(STRONG)) == pytest.approx(expected, abs=1e-15)


def test_images_change_anew_in_each_epoch_and_for_each_seed(
    images: np.ndarray, splits: Callable[[Config], Splits]
) -> None:
    epochs = [changed(images[:60], 28, STRONG, epoch) for epoch in (0, 1)]
    assert (epochs[0] != epochs[1]).any(axis=(1, 2)).all()
    config, other = (configured(16, STRONG, "training.input_noise=0", f"seed.data={seed}") for seed in (0, 1))
    (times, labels), (other_times, other_labels) = (epoch_of(each, splits(each)["train"]) for each in (config, other))
    assert (labels != other_labels).any()
    assert sorted(times.tolist()) != sorted(other_times.tolist())


def test_neither_the_order_nor_the_noise_depends_on_the_augmentation(splits: Callable[[Config], Splits]) -> None:
    too_weak_to_change_a_pixel = (1e-9, 0.0, 0.0, 0.0)
    plain, augmented = (configured(16, strengths) for strengths in (NONE, too_weak_to_change_a_pixel))
    for one, other in zip(
        epoch_of(plain, splits(plain)["train"]), epoch_of(augmented, splits(plain)["train"]), strict=True
    ):
        assert one.tobytes() == other.tobytes()


def test_a_network_is_trained_to_the_same_bits_alone_and_beside_others(splits: Callable[[Config], Splits]) -> None:
    configs = [
        configured(16, STRONG, "seed.init=1"),
        configured(16, NONE, "seed.init=2"),
        configured(16, (7.6, 0.13, 0.07, 1.0), "seed.init=1"),
        configured(16, STRONG, "seed.init=3", "training.input_noise=0"),
        configured(16, STRONG, "seed.init=1", "training.optimizer.learning_rate=0.01"),
    ]
    samples = splits(configs[0])
    together = trained(configs, samples)
    for p, config in enumerate(configs):
        assert bits(together, p) == bits(trained([config], samples), 0)
    assert len({bits(together, p)[0] for p in range(len(configs))}) == len(configs)


def test_a_resumed_training_sees_the_same_images(splits: Callable[[Config], Splits]) -> None:
    config = configured(28, STRONG)
    samples = splits(config)
    stopped = trained([config], samples, 1)
    resumed = Trainer([config], samples["train"], samples["valid"], stopped.state.copy())
    for _ in range(2):
        resumed.run_epoch()
    assert bits(resumed, 0) == bits(trained([config], samples, 3), 0)


def test_no_result_depends_on_the_number_of_threads(images: np.ndarray, threads: Callable[[int], None]) -> None:
    many = np.concatenate([images] * 4)
    threads(1)
    one = changed(many, 16, STRONG)
    threads(3)
    np.testing.assert_array_equal(changed(many, 16, STRONG), one)


def test_a_training_one_image_at_a_time_leaves_the_same_bits(splits: Callable[[Config], Splits]) -> None:
    configs = [configured(16, STRONG, f"seed.init={seed}") for seed in (0, 1)]
    vectors = trained(configs, splits(configs[0]), 2)
    with one_by_one():
        one_by_one_trained = trained(configs, splits(configs[0]), 2)
    assert [bits(one_by_one_trained, p) for p in range(2)] == [bits(vectors, p) for p in range(2)]


def test_a_training_by_launches_on_a_gpu_leaves_the_same_bits_by_operations_that_round_to_the_nearest(
    splits: Callable[[Config], Splits],
) -> None:
    config = configured(16, STRONG)
    vectors = trained([config], splits(config), 1)
    with fake_gpu() as library, mock.patch.dict(device.DEVICES, cpu=Cuda()):
        launches = trained([config], splits(config), 1)
    assert bits(launches, 0) == bits(vectors, 0)
    changing = {kernel.py_func.__name__: (kernel, kinds) for kernel, kinds in library.kernels}
    for name in ("change_rows", "resize_columns"):
        text = ptx(*changing[name], TARGETS[0])
        operations = re.findall(r"\b((?:add|sub|mul|mad|fma|div|sqrt)\.[a-z.]*f(?:32|64))", text)
        assert set(operations) <= {f"{operation}.rn.f64" for operation in ("add", "sub", "mul", "div")}
        assert "call" not in text


def test_validation_sees_the_plain_images(splits: Callable[[Config], Splits]) -> None:
    config = configured(16, STRONG, "training.optimizer.learning_rate=1e-30", "training.bumping.value=0")
    samples = splits(config)
    trainer = trained([config], samples, 1)
    (result,) = collect_responses(build([config]), samples["valid"], config.training.loss)
    assert trainer.state.curves[0, 0, 1, 0] == result.loss


def test_samples_without_their_originals_are_not_augmented(splits: Callable[[Config], Splits]) -> None:
    config = configured(16, STRONG)
    train = replace(splits(config)["train"], originals=None)
    with pytest.raises(ValueError, match="load them with originals=True"):
        Batches([config], train, 25)


def test_the_images_of_a_figure_are_those_of_the_training(splits: Callable[[Config], Splits]) -> None:
    config = configured(16, STRONG, "training.input_noise=0")
    assert isinstance(config.data, Mnist)
    train = splits(config)["train"]
    train = replace(train, labels=np.arange(len(train.labels)))
    batches = Batches([config], train, 25)
    for epoch in (0, 4):
        times, labels = epoch_of(config, train, epoch)
        shown = batches.images([7, 61], epoch).numpy()
        expected = encode(values_of(shown.reshape(2, -1)), config.data.encoding)
        np.testing.assert_array_equal(times[np.argsort(labels)[[7, 61]]], expected)
