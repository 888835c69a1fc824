"""The conventions of a file: its unit of time, and what a spike is."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

from ttfsrun.errors import UserError

SECONDS = {"s": 1.0, "ms": 1e-3}  # in each unit of time that a file may use
TimeUnit = Literal["s", "ms"]
MICROSECOND = 1e-6


@dataclass(frozen=True)
class Convention:
    """How numbers of the model become those of a file.

    unit: one unit of time of the model, in the file's unit.
    step: of simulators that are discrete in time, in the file's unit: there, a spike has the height 1 during one step;
        None: a spike is an impulse with the integral 1, as the equations of NIR have it.
    time_unit: the file's unit of time.
    """

    unit: float
    step: float | None = None
    time_unit: TimeUnit = "s"

    @classmethod
    def of(cls, tau_us: float, step_us: float | None, time_unit: TimeUnit) -> Convention:
        """Return the convention of a file; tau_us: one unit of time, step_us: the time step, both in microseconds."""
        microsecond = MICROSECOND / SECONDS[time_unit]
        return cls(tau_us * microsecond, None if step_us is None else step_us * microsecond, time_unit)

    @property
    def weight(self) -> float:
        """The factor on weights."""
        return 1.0 if self.step is None else self.step / self.unit

    @property
    def w_in(self) -> float:
        """The factor on tau_syn that gives w_in of NIR."""
        return self.unit if self.step is None else self.unit / self.step

    @property
    def resistance(self) -> float:
        """The factor on tau_mem that gives r of NIR."""
        return 1.0 if self.step is None else self.unit / self.step


def require_nir() -> None:
    """Raise UserError where nir is not installed."""
    if importlib.util.find_spec("nir") is None:
        raise UserError("nir, which reads and writes graphs, is not installed: pip install 'ttfsrun[export]'")
