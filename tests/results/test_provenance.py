"""Provenance names the commit of the package, wherever it is asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ttfsrun.results.provenance import provenance


def test_the_repository_of_a_hook_is_not_taken_for_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = provenance()["git_sha"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))  # as git sets it for its hooks
    monkeypatch.setenv("GIT_WORK_TREE", str(Path(__file__).parents[2]))
    assert provenance()["git_sha"] == expected
