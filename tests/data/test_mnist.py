from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ttfsrun import data
from ttfsrun.config import schema
from ttfsrun.data import DataError, Dataset, idx, mnist, prepared

Serve = Callable[[dict[str, bytes]], str]
Pack = Callable[[np.ndarray], bytes]
NOWHERE: tuple[str, ...] = ()  # no mirror: a download would be an error

# SHA-256 of the 70,000 prepared images, one byte a pixel
GOLDEN = {
    16: "b530808f111dd6bead51e477a02745de1becf6a0bc8ebddba238b552e5a594ff",
    28: "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96",
}


def settings(folder: Path | None, size: int) -> schema.Mnist:
    encoding = schema.Encoding(t_early=0.15, t_late=2.0, silent_at_one=False)
    none = schema.AugmentationSettings(rotation=0.0, shear=0.0, scale=0.0, shift=0.0)
    named = None if folder is None else str(folder)
    return schema.Mnist(folder=named, size=size, encoding=encoding, augmentation=none)


def same(one: Dataset, other: Dataset) -> bool:
    return one.source == other.source and all(
        np.array_equal(a.values, b.values) and np.array_equal(a.labels, b.labels)
        for a, b in ((one.train, other.train), (one.valid, other.valid), (one.test, other.test))
    )


def image(folder: Path, number: int) -> np.ndarray:
    """Training image [28, 28], read by hand."""
    content = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(content[16 + 784 * number : 16 + 784 * (number + 1)], np.uint8).reshape(28, 28)


@pytest.mark.parametrize("size", [16, 28])
def test_mnist_is_the_known_one_in_three_splits(size: int, real_mnist: Path) -> None:
    dataset = data.load_dataset(settings(real_mnist, size))
    splits = (dataset.train, dataset.valid, dataset.test)
    assert [split.values.shape for split in splits] == [(50_000, size**2), (10_000, size**2), (10_000, size**2)]
    assert [split.labels.shape for split in splits] == [(50_000,), (10_000,), (10_000,)]
    assert all(split.values.dtype == np.float32 and split.labels.dtype == np.int64 for split in splits)
    assert dataset.source == {"dataset": "MNIST"} | {file.name: file.sha256 for file in mnist.FILES}
    values = np.concatenate([split.values for split in splits])
    pixels = np.round((1 - values) * 255).astype(np.uint8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == GOLDEN[size], "other pixels: has Pillow changed its filter?"
    assert np.array_equal(values, 1 - pixels.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("number", [0, 59_999])
def test_a_small_image_is_the_centre_of_the_large_one_resized(number: int, real_mnist: Path) -> None:
    dataset = data.load_dataset(settings(real_mnist, 16))
    values = np.concatenate([dataset.train.values, dataset.valid.values])[number]
    original = Image.fromarray(image(real_mnist, number))
    resized = original.crop((2, 2, 26, 26)).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(values.reshape(16, 16), 1 - np.array(resized) / 255, atol=1e-7)


@pytest.mark.parametrize("size", [16, 28])
def test_the_original_images_have_a_white_border(size: int, real_mnist: Path) -> None:
    originals = data.load_dataset(settings(real_mnist, size)).originals
    assert originals is not None
    images = originals()
    assert images.shape == (50_000, 30, 30)
    for number in (0, 49_999):
        np.testing.assert_array_equal(images[number], np.pad(image(real_mnist, number), 1))


def test_ink_is_small_and_paper_is_exactly_one(real_mnist: Path) -> None:
    values = data.load_dataset(settings(real_mnist, 28)).train.values[0].reshape(28, 28)
    pixels = image(real_mnist, 0)
    assert np.array_equal(values == 1, pixels == 0)
    assert np.array_equal(values == 0, pixels == 255)


def test_a_second_load_reads_the_prepared_images_and_equals_the_first(
    real_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = data.load_dataset(settings(real_mnist, 16))
    monkeypatch.setattr(mnist, "resize", None)  # preparing again would fail
    assert same(data.load_dataset(settings(real_mnist, 16)), cold)


def test_torn_prepared_images_are_made_again(real_mnist: Path) -> None:
    cold = data.load_dataset(settings(real_mnist, 16))
    (kept,) = real_mnist.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:-1000])
    assert same(data.load_dataset(settings(real_mnist, 16)), cold)
    assert prepared.read_prepared([real_mnist], kept.name) is not None


def test_raw_files_give_the_same_as_gzipped_ones(real_mnist: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for file in mnist.FILES:
        stored = idx.find_file(real_mnist, file.name)
        assert stored is not None
        (raw / file.name).write_bytes(stored.unpacked)
    assert same(mnist.read_mnist(raw, 28, NOWHERE), mnist.read_mnist(real_mnist, 28, NOWHERE))


def test_mnist_permuted_is_accepted_as_another_dataset(real_mnist: Path, pack: Pack, tmp_path: Path) -> None:
    other = tmp_path / "permuted"
    other.mkdir()
    for file in mnist.FILES:
        stored = idx.find_file(real_mnist, file.name)
        assert stored is not None
        array = idx.parse_idx(stored.unpacked, file.shape, file.name)
        (other / f"{file.name}.gz").write_bytes(pack(array[::-1].copy()))
    original, permuted = (mnist.read_mnist(folder, 28, NOWHERE) for folder in (real_mnist, other))
    assert permuted.source["dataset"] == "in MNIST's format"
    assert permuted.source["t10k-labels-idx1-ubyte"] != original.source["t10k-labels-idx1-ubyte"]
    assert np.array_equal(permuted.test.values, original.test.values[::-1])
    assert np.array_equal(permuted.test.labels, original.test.labels[::-1])


def test_mnist_with_one_file_of_another_dataset_is_refused(real_mnist: Path, synthetic: Path) -> None:
    alien = real_mnist / "t10k-images-idx3-ubyte.gz"
    alien.unlink()
    alien.write_bytes((synthetic / alien.name).read_bytes())
    with pytest.raises(DataError, match=f"^{alien}: not of MNIST .* delete it so that it is downloaded again"):
        mnist.read_mnist(real_mnist, 28, NOWHERE)
    assert list(real_mnist.glob("*.npz")) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"),
        ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
        ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
    ],
)
def test_exchanged_files_are_refused_by_name(one: str, other: str, synthetic: Path) -> None:
    (synthetic / one).rename(synthetic / "waiting")
    (synthetic / other).rename(synthetic / one)
    (synthetic / "waiting").rename(synthetic / other)
    with pytest.raises(DataError, match=f"^{synthetic / one}: (starts with|holds) .*under this name"):
        mnist.read_mnist(synthetic, 28, NOWHERE)


def test_another_dataset_in_the_same_format_is_used_and_recorded(synthetic: Path) -> None:
    dataset = data.load_dataset(settings(synthetic, 28))
    assert dataset.source["dataset"] == "in MNIST's format"
    assert dataset.valid.labels[:3].tolist() == [0, 1, 2]
    assert dataset.valid.values[0, 0] == np.float32(1) - np.float32(50_000 % 251) / np.float32(255)
    assert dataset.test.values[255, 0] == np.float32(1) - np.float32(4) / np.float32(255)


def test_a_source_exchanged_for_another_of_the_same_length_and_time_is_noticed(synthetic: Path) -> None:
    labels = mnist.TRAIN_LABELS
    raw = synthetic / labels.name
    (synthetic / f"{labels.name}.gz").unlink()
    for label in (3, 7):
        raw.write_bytes(bytes.fromhex("00000801 0000ea60") + bytes([label]) * 60_000)
        os.utime(raw, ns=(0, 0))
        assert set(mnist.read_mnist(synthetic, 28, NOWHERE).train.labels) == {label}


def test_a_label_beyond_nine_is_refused(synthetic: Path, pack: Pack) -> None:
    path = synthetic / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(pack(np.full(10_000, 10, np.uint8)))
    with pytest.raises(DataError, match=f"^{path}: has a label 10"):
        mnist.read_mnist(synthetic, 28, NOWHERE)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_torn_file_is_refused_by_name_and_nothing_is_kept(name: str, synthetic: Path, own_cache: Path) -> None:
    (synthetic / name).write_bytes((synthetic / name).read_bytes()[:-20])
    with pytest.raises(DataError, match=f"^{synthetic / name}: a damaged gzip file"):
        mnist.read_mnist(synthetic, 28, NOWHERE)
    assert list(synthetic.glob("*.npz")) == []
    assert not own_cache.exists()


def test_another_dataset_that_lacks_a_file_is_not_completed_with_one_of_mnist(synthetic: Path) -> None:
    (synthetic / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=f"^{synthetic}: lacks train-labels-idx1-ubyte, and train-images.*not of MNIST"):
        mnist.read_mnist(synthetic, 28, NOWHERE)


def test_mnist_is_downloaded_into_an_empty_folder(real_mnist: Path, serve: Serve, tmp_path: Path) -> None:
    mirror = serve({path.name: path.read_bytes() for path in real_mnist.iterdir()})
    dataset = mnist.read_mnist(tmp_path / "empty", 28, [mirror])
    assert dataset.source["dataset"] == "MNIST"
    assert same(dataset, mnist.read_mnist(tmp_path / "empty", 28, NOWHERE))


def test_only_the_missing_file_of_mnist_is_downloaded(real_mnist: Path, serve: Serve) -> None:
    name = "t10k-labels-idx1-ubyte.gz"
    mirror = serve({name: (real_mnist / name).read_bytes()})
    (real_mnist / name).unlink()
    assert mnist.read_mnist(real_mnist, 28, [mirror]).source["dataset"] == "MNIST"


def test_without_data_and_network_the_error_says_what_to_do(closed_port: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be downloaded .* copy MNIST's four files into .*, or set data.folder"):
        mnist.read_mnist(tmp_path / "empty", 16, [closed_port])
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_read_only_folder_is_read_and_the_prepared_images_are_kept_elsewhere(
    synthetic: Path, own_cache: Path
) -> None:
    synthetic.chmod(0o555)
    before = sorted(synthetic.iterdir())
    try:
        mnist.read_mnist(synthetic, 28, NOWHERE)
        assert sorted(synthetic.iterdir()) == before
    finally:
        synthetic.chmod(0o755)
    assert len(list((own_cache / "prepared").glob("*.npz"))) == 1


def test_the_environment_names_the_folder(synthetic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTFSRUN_DATA", str(synthetic))
    assert data.load_dataset(settings(None, 28)).source["dataset"] == "in MNIST's format"


def test_data_need_neither_torch_nor_what_only_a_download_needs() -> None:
    code = "import sys, ttfsrun.data; print(sorted({'torch', 'pooch', 'requests', 'rich'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
