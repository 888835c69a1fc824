"""Configurations of the seven tiny networks."""

from __future__ import annotations

import pytest
from tiny_networks import REMEDIES, SEVEN, Tiny

from ttfsrun.config.schema import Config


@pytest.fixture
def seven(tiny: Tiny) -> list[Config]:
    return [tiny(*REMEDIES, *overrides) for overrides in SEVEN]
