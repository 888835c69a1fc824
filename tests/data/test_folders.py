from __future__ import annotations

from pathlib import Path

import pytest

from ttfsrun.data import DataError, folders
from ttfsrun.files import user_cache


def test_the_configured_folder_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTFSRUN_DATA", str(tmp_path / "elsewhere"))
    assert folders.of_mnist(str(tmp_path)) == tmp_path
    assert folders.of_mnist(None) == tmp_path / "elsewhere"


@pytest.mark.parametrize("unset", [True, False])
def test_without_a_folder_the_data_lie_in_the_cache_of_the_user(
    unset: bool, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not unset:
        monkeypatch.setenv("TTFSRUN_DATA", "")
    assert folders.of_mnist(None) == own_cache / "mnist"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TTFSRUN_DATA", "~/mnist")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert folders.of_mnist("~/digits") == tmp_path / "digits"
    assert folders.of_mnist(None) == tmp_path / "mnist"
    assert user_cache() == tmp_path / ".cache" / "ttfsrun"


def test_a_misspelt_folder_is_an_error_and_not_a_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.folder=.*fashoin: there is no such folder"):
        folders.of_mnist(str(tmp_path / "fashoin"))


def test_a_folder_without_write_permission_is_respected_even_for_root(read_only: Path) -> None:
    with pytest.raises(PermissionError):
        folders.make_writable(read_only)
