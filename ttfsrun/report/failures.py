"""Groups of failures: same reason, and same message apart from its numbers; with an example and its traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ttfsrun.sweep.monitor.overview import AlikeFailures, StatusReport
from ttfsrun.sweep.monitor.status import SweepStatus

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class FailureGroup:
    """Points that failed alike, and the details of one of them."""

    alike: Sequence[AlikeFailures]  # their messages differ only in numbers
    message: str  # the full message of the example
    traceback: str | None

    @property
    def example(self) -> AlikeFailures:
        return self.alike[0]

    @property
    def points(self) -> int:
        """The number of points."""
        return sum(failures.points for failures in self.alike)

    @property
    def filter(self) -> str:
        """The filter of the page that shows these points."""
        terms = ["status=failed"]
        if self.example.reason:
            terms.append(f"reason={_quoted(self.example.reason)}")
        message = " ".join(self.example.message.removesuffix("...").split())
        beginning = message if len(self.alike) == 1 else _NUMBER.split(message)[0]
        return " ".join([*terms, f"message:{_quoted(beginning)}"] if beginning else terms)


def failure_groups(states: SweepStatus) -> list[FailureGroup]:
    """Return the groups, the largest first."""
    groups: dict[tuple[str | None, str], list[AlikeFailures]] = {}
    for failures in StatusReport(states).failures:
        groups.setdefault((failures.reason, _NUMBER.sub("0", failures.message)), []).append(failures)
    return sorted((_group(states, alike) for alike in groups.values()), key=lambda group: -group.points)


def _group(states: SweepStatus, alike: Sequence[AlikeFailures]) -> FailureGroup:
    state, record = states.points[alike[0].example], states.records.get(alike[0].example)
    is_from_record = record is not None and record.status == "failed" and record.message == state.message
    traceback = record.traceback if record is not None and is_from_record else None
    return FailureGroup(alike, (state.message or "").strip(), traceback)


def _quoted(text: str) -> str:
    """Return text in quotes, as the filter of the page takes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
