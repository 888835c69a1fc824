from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from asked import COMPOSER, Ask

from ttfsrun.sweep.grid.request import SweepRequest, read_request


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return the request of a yaml file with these keys and a command line."""

    def ask(*words: str, **spec: Any) -> SweepRequest:
        file = tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump(spec, sort_keys=False))
        return read_request([f"sweep={file}", *words], COMPOSER)

    return ask
