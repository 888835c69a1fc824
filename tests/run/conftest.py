"""A training that leaves its folder, without figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from runs import Command


@pytest.fixture
def trained(ttfsrun: Command, tiny_overrides: tuple[str, ...], no_figures: None) -> Callable[..., Path]:
    """Trains into a folder, without figures."""

    def train(folder: Path, *words: str) -> Path:
        code, _, messages = ttfsrun("train", *tiny_overrides, "--out", folder, *words)
        assert (code, messages) == (0, "")
        return folder

    return train
