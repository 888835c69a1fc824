"""What failed alike: by reason and message, whatever the numbers in it, with an example and its traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ttfsrun.sweep.monitor.overview import AlikeFailures, StatusReport
from ttfsrun.sweep.monitor.status import SweepStatus

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class FailureGroup:
    """Points that failed alike, and what is known of one of them."""

    alike: Sequence[AlikeFailures]  # their messages differ in nothing but numbers
    message: str  # the example's, whole
    traceback: str | None

    @property
    def example(self) -> AlikeFailures:
        return self.alike[0]

    @property
    def points(self) -> int:
        return sum(each.points for each in self.alike)

    @property
    def filter(self) -> str:
        """What the page's filter has to be to show these points."""
        words = ["status=failed"]
        if self.example.reason:
            words.append(f"reason={_quoted(self.example.reason)}")
        message = " ".join(self.example.message.removesuffix("...").split())
        beginning = message if len(self.alike) == 1 else _NUMBER.split(message)[0]
        return " ".join([*words, f"message:{_quoted(beginning)}"] if beginning else words)


def failure_groups(states: SweepStatus) -> list[FailureGroup]:
    """The largest first."""
    found: dict[tuple[str | None, str], list[AlikeFailures]] = {}
    for each in StatusReport(states).failures:
        found.setdefault((each.reason, _NUMBER.sub("0", each.message)), []).append(each)
    return sorted((_group(states, alike) for alike in found.values()), key=lambda group: -group.points)


def _group(states: SweepStatus, alike: Sequence[AlikeFailures]) -> FailureGroup:
    state, record = states.points[alike[0].example], states.records.get(alike[0].example)
    is_its_own = record is not None and record.status == "failed" and record.message == state.message
    traceback = record.traceback if record is not None and is_its_own else None
    return FailureGroup(alike, (state.message or "").strip(), traceback)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
