"""The functions of Hydra's grammar of values, with the values that a person expects.

    range(0.05,0.5,0.1)    0.05, 0.15, 0.25, 0.35, 0.45
    sort(range(9,0,-4))    1, 5, 9
    shuffle(range(5))      a random order, always the same for the same values

Hydra 1.3 adds the steps of a range in binary (0.05 + 0.1 is 0.15000000000000002), sorts a range by its bounds, which
misses its values where `stop` is not on the grid, shuffles anew at each reading, and forgets the order in a cast. Here
a range is computed with the decimals that were written, and `sort` and `shuffle` order its values. The casts, `tag`,
`interval` and `glob` are Hydra's own. Hydra checks arguments by the annotations, which therefore are no text here.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from hydra._internal.grammar import grammar_functions
from hydra._internal.grammar.functions import Functions
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep, Sweep

from ttfsrun.config.diagnostics import show

MAX_POINTS = 1_000_000  # of a grid; more are a typing mistake
NOT_IN_SWEEPS = "lists, groups and sweeps hold single values, not a sweep: write its values out"


def value_functions() -> Functions:
    """Return the functions that the parser of overrides calls by name."""
    functions = Functions()
    for name in ("int", "float", "str", "bool"):
        functions.register(name, getattr(grammar_functions, f"cast_{name}"))
    for name in ("interval", "tag", "glob"):
        functions.register(name, getattr(grammar_functions, name))
    for name, function in {"range": _range, "choice": _choice, "sort": _sort, "shuffle": _shuffle}.items():
        functions.register(name, function)
    return functions


def sweep_values(override: Override, choices: Sequence[str] | None) -> list[Any]:
    """Return the plain values that an override sweeps over, in order.

    choices: of the group that the override chooses from; None where it sets a value.
    Raises ValueError where they cannot be counted or there is none.
    """
    swept: Any = override.value()
    if isinstance(swept, IntervalSweep):
        raise ValueError(
            "an interval has no countable values; use range(start,stop,step), a list a,b,c, or sweep.random"
        )
    if isinstance(swept, Glob):
        if choices is None:
            raise ValueError(f"glob chooses yaml files of a group, and {override.key_or_group} is no group")
        matching = swept.filter(list(choices))
        if not matching:
            raise ValueError(f"matches none of {', '.join(choices)}")
        return matching
    values = [Override._convert_value(value) for value in _values(swept)]
    if not values:
        raise ValueError("sweeps over no value at all; give at least one")
    return values


def check_not_nested(value: Any) -> None:
    """Raise ValueError where a list, a group of settings or a sweep contains a sweep."""
    if isinstance(value, dict):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, ChoiceSweep):
        parts = value.list
    else:
        parts = value if isinstance(value, list) else ()
    for part in parts:
        if isinstance(part, Sweep | Glob):
            raise ValueError(NOT_IN_SWEEPS)
        check_not_nested(part)


def _range(start: Any, stop: Any = None, step: Any = 1) -> RangeSweep:
    """Return a range as its bounds, which a cast may still change."""
    start, stop = (0, start) if stop is None else (start, stop)
    for number in (start, stop, step):
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise ValueError(f"{show(number)}: start, stop and step of a range must be finite numbers")
    return RangeSweep(start=start, stop=stop, step=step)


def _choice(*values: Any) -> ChoiceSweep | RangeSweep:
    if not values:
        raise ValueError("choice() has no values; give at least one")
    if len(values) == 1 and isinstance(values[0], ChoiceSweep | RangeSweep):
        return values[0]
    return ChoiceSweep(list=list(values))


def _sort(*values: Any, sweep: Any = None, list: Any = None, reverse: bool = False) -> Any:  # noqa: A002
    argument = _argument(values, sweep, list)
    ordered = sorted(_values(argument), key=_sort_key(_values(argument)), reverse=reverse)
    return _in_order(argument, ordered)


def _shuffle(*values: Any, sweep: Any = None, list: Any = None) -> Any:  # noqa: A002
    argument = _argument(values, sweep, list)
    ordered = [value for _, value in sorted(enumerate(_values(argument)), key=_digest)]
    return _in_order(argument, ordered)


def _argument(values: Sequence[Any], sweep: Any, given_list: Any) -> Any:
    """Return what a function orders: a sweep, a list, or its arguments as a sweep."""
    given = [argument for argument in (sweep, given_list) if argument is not None]
    if values:
        given.append(values[0] if len(values) == 1 else ChoiceSweep(list=list(values), simple_form=True))
    if len(given) != 1:
        raise ValueError("must have either values, a sweep or a list")
    if isinstance(given[0], IntervalSweep | Glob):
        raise ValueError("the values of an interval or a glob cannot be ordered")
    check_not_nested(given[0])
    return given[0]


def _values(argument: Any) -> list[Any]:
    """Return the values of a sweep or of a list; of anything else, the value itself."""
    if isinstance(argument, RangeSweep):
        return _range_values(argument.start, argument.stop, argument.step)
    if isinstance(argument, ChoiceSweep):
        return argument.list
    return argument if isinstance(argument, list) else [argument]


def _in_order(argument: Any, ordered: list[Any]) -> Any:
    """Return ordered values as what they came from: a list stays a list, a single value itself."""
    if isinstance(argument, Sweep):
        return ChoiceSweep(list=ordered, tags=argument.tags)
    return ordered if isinstance(argument, list) else argument


def _range_values(start: Any, stop: Any, step: Any) -> list[Any]:
    """Return start + k step for k = 0, 1, ... up to stop, which is not included.

    Numbers are the decimals that were written: the shortest that round to the float. Each value is the float nearest to
    the exact decimal result; all are integers if the three arguments are. Raises ValueError where step is 0, or there
    are more than MAX_POINTS values.
    """
    if step == 0:
        raise ValueError("the step of a range must not be 0")
    first, end, width = map(_as_written, (start, stop, step))
    n = max(0, math.ceil((end - first) / width))
    if n > MAX_POINTS:
        raise ValueError(f"has more than {MAX_POINTS} values; a grid has at most as many points")
    if all(isinstance(number, int) for number in (start, stop, step)):
        return list(range(start, stop, step))
    denominator = math.lcm(first.denominator, width.denominator)
    low, increment = int(first * denominator), int(width * denominator)
    return [(low + k * increment) / denominator for k in range(n)]  # the quotient of integers is correctly rounded


def _as_written(number: int | float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _sort_key(values: Sequence[Any]) -> Any:
    """Return the key that orders values. Raises ValueError where they have no common order."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if any(math.isnan(value) for value in values):
            raise ValueError("nan has no place in an order")
        return None
    for kind in (bool, str):
        if all(isinstance(value, kind) for value in values):
            return None
    texts = [Override._convert_value(value) for value in values]
    if all(isinstance(text, str) for text in texts):  # some in quotes
        return Override._convert_value
    raise ValueError("only numbers or only text can be sorted")


def _digest(numbered: tuple[int, Any]) -> bytes:
    """Return the rank of a value in the random order: a hash of its position and its text."""
    position, value = numbered
    return hashlib.sha256(f"{position} {Override._get_value_element_as_str(value)}".encode()).digest()
