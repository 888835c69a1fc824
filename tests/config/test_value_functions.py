"""The values of a sweep are those that a person expects, for every function of the grammar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttfsrun.config.compose import conf_dir
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.errors import ConfigError

FILES = ConfFolder(conf_dir())
MAX_VALUES = 12


def expanded(text: str, key: str = "seed.init") -> list[Any]:
    """Return the values of `key=text`: those of a sweep, or the entries of a list."""
    override = FILES.parse(f"{key}={text}")
    if not override.is_sweep_override():
        value = override.value()
        return value if isinstance(value, list) else [value]
    return [FILES.parse(word).value() for word in FILES.swept_values(override)]


def refusal(text: str, key: str = "seed.init") -> str:
    with pytest.raises(ConfigError) as caught:
        expanded(text, key)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{key}={text}: ")
    return line.removeprefix(f"{key}={text}: ")


# An independent expansion: written numbers as decimals, values one after the other


@dataclass(frozen=True)
class Expected:
    """A sweep as text, and its values. ordered: False for a random order."""

    text: str
    values: list[Any]
    ordered: bool = True


def plain(number: Decimal) -> str:
    return format(number, "f")


WHOLE = st.integers(-20, 20).map(Decimal)
WITH_POINT = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(-999, 999), st.integers(1, 5)
)
SPELLINGS: list[Callable[[Decimal], str]] = [
    plain,
    lambda number: f"{number:e}",
    lambda number: f"{number:E}",
    lambda number: f"+{number:f}" if number >= 0 else f"{number:f}",
]


def value_of(text: str) -> Any:
    return int(text) if text.lstrip("+-").isdigit() else float(text)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Return a number as a person may write it: 3, 0.15, .5, 1e-3, +2.50."""
    number = draw(WHOLE | WITH_POINT)
    text = draw(st.sampled_from(SPELLINGS))(number)
    return text.replace("0.", ".", 1) if text.startswith("0.") and draw(st.booleans()) else text


@st.composite
def ranges(draw: st.DrawFn) -> Expected:
    """Return a range that is not empty, written with and without keywords."""
    start, step = draw(numbers()), draw(numbers().filter(lambda text: Decimal(text) != 0))
    if draw(st.booleans()):
        start = str(int(Decimal(start)))
        step = str(int(Decimal(step)) or 1)
    n = draw(st.integers(1, MAX_VALUES))
    beyond = draw(st.fractions(0, 1, max_denominator=4).filter(lambda share: share > 0))
    share = Decimal(beyond.numerator) / Decimal(beyond.denominator)
    stop = plain(Decimal(start) + (n - 1 + share) * Decimal(step))
    stop = stop.rstrip("0").rstrip(".") if "." in stop else stop
    whole = all(isinstance(value_of(text), int) for text in (start, stop, step))
    exact = [Decimal(start) + k * Decimal(step) for k in range(n)]
    arguments = draw(st.sampled_from(["{},{},{}", "{},stop={},step={}", "start={},stop={},step={}", "{}, {}, {}"]))
    values = [int(number) if whole else float(str(number)) for number in exact]
    return Expected(f"range({arguments.format(start, stop, step)})", values)


def of_numbers(form: str) -> st.SearchStrategy[Expected]:
    lists = st.lists(numbers(), min_size=2, max_size=MAX_VALUES)
    return lists.map(lambda texts: Expected(form.format(",".join(texts)), [value_of(text) for text in texts]))


def ordering(inner: st.SearchStrategy[Expected]) -> st.SearchStrategy[Expected]:
    """Return a function of an expansion whose values are numbers."""

    def sort(sweep: Expected, form: str) -> Expected:
        return Expected(form.format(sweep.text), sorted(sweep.values, reverse="reverse=true" in form))

    sorts = ["sort({})", "sort({},reverse=true)", "sort(sweep={})", "sort(sweep={},reverse=false)"]
    return st.one_of(
        st.builds(sort, inner, st.sampled_from(sorts)),
        inner.map(lambda sweep: Expected(f"shuffle({sweep.text})", sweep.values, ordered=False)),
        inner.map(lambda sweep: Expected(f"tag(a,b,{sweep.text})", sweep.values, sweep.ordered)),
        inner.map(lambda sweep: Expected(f"choice({sweep.text})", sweep.values, sweep.ordered)),
        inner.map(lambda sweep: Expected(f"float({sweep.text})", [float(v) for v in sweep.values], sweep.ordered)),
    )


FUNCTIONS = st.recursive(of_numbers("choice({})") | ranges(), ordering, max_leaves=4)
DISCRETE = of_numbers("{}") | of_numbers("sort([{}])").map(lambda e: Expected(e.text, sorted(e.values))) | FUNCTIONS


@settings(deadline=None, max_examples=300)
@given(DISCRETE)
def test_an_expansion_has_the_values_that_were_written(sweep: Expected) -> None:
    values = expanded(sweep.text)
    assert (values if sweep.ordered else sorted(values)) == (sweep.values if sweep.ordered else sorted(sweep.values))
    if "shuffle" not in sweep.text:  # 1 and 1.0 are equal
        assert list(map(type, values)) == list(map(type, sweep.values))


@settings(deadline=None)
@given(ranges())
def test_each_number_in_a_word_is_the_decimal_of_a_person(sweep: Expected) -> None:
    words = FILES.swept_values(FILES.parse(f"seed.init={sweep.text}"))
    texts = [word.partition("=")[2] for word in words]
    assert [Decimal(text) for text in texts] == [Decimal(str(value)) for value in sweep.values]
    assert all(len(text.lstrip("-").replace(".", "").split("e")[0].lstrip("0")) <= 10 for text in texts)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("range(5)", [0, 1, 2, 3, 4]),
        ("range(2.5)", [0.0, 1.0, 2.0]),
        ("range(start=3)", [0, 1, 2]),
        ("range(9,0,-4)", [9, 5, 1]),
        ("sort(range(9,0,-4))", [1, 5, 9]),
        ("sort(range(0,9,4),reverse=true)", [8, 4, 0]),
        ("range(0.05,0.5,0.1)", [0.05, 0.15, 0.25, 0.35, 0.45]),
        ("range(1e-3,5e-3,1e-3)", [0.001, 0.002, 0.003, 0.004]),
        ("range(-0.2,0.3,0.1)", [-0.2, -0.1, 0.0, 0.1, 0.2]),
        ("range(1_000,1_003)", [1000, 1001, 1002]),
        ("range(9007199254740993,9007199254740995)", [9007199254740993, 9007199254740994]),
        ("0.30000000000000004,0.3", [0.30000000000000004, 0.3]),
        ("int(range(0.0,3.0))", [0, 1, 2]),
        ("int(1.7,2.2)", [1, 2]),
        ("int('3','4')", [3, 4]),
        ("str(1,2)", ["1", "2"]),
        ("str(0.1,true)", ["0.1", "true"]),
        ("bool(1,0)", [True, False]),
        ("bool(sort('true','false'))", [False, True]),
        ("float(sort(range(9,0,-4)))", [1.0, 5.0, 9.0]),
        ("sort(b,'a',c)", ["a", "b", "c"]),
        ("sort([b,'a',c])", ["a", "b", "c"]),
        ("sort(true,false)", [False, True]),
        ("sort(2,1.5,-1)", [-1, 1.5, 2]),
        ("sort(3)", [3]),
        ("sort(list=[3,1])", [1, 3]),
        ("choice('1',null,2)", ["1", None, 2]),
        ("choice([1,2],{a:3})", [[1, 2], {"a": 3}]),
        ("'a,b','c d'", ["a,b", "c d"]),
        ("tag(x,choice(1,2))", [1, 2]),
    ],
)
def test_each_function_has_its_values(text: str, values: list[Any]) -> None:
    found = expanded(text)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_glob_chooses_among_the_files_of_a_group_in_the_order_of_their_names() -> None:
    names = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
    assert expanded("glob(*)", "experiment") == names
    chosen = expanded("glob([mnist*,yin*],exclude=mnist_28*)", "experiment")
    assert chosen == [n for n in names if n.startswith(("mnist", "yin")) and not n.startswith("mnist_28")]
    assert refusal("glob(zzz)", "substrate") == "matches none of brainscales2, ideal"
    assert refusal("glob(*)") == "glob chooses yaml files of a group, and seed.init is no group"


def test_a_shuffled_order_is_random_and_always_the_same() -> None:
    for text in ("shuffle(range(20))", "shuffle([0,1,2,3,4,5,6,7,8,9])", "shuffle(list=[0,1,2,3,4,5,6,7,8,9])"):
        first, second = expanded(text), ConfFolder(conf_dir()).parse(f"network.hidden={text}")
        assert first != sorted(first)
        assert sorted(first) == list(range(len(first)))
        again = second.value() if not second.is_sweep_override() else expanded(text)
        assert again == first
    assert expanded("shuffle(range(5))") == [1, 2, 4, 0, 3]  # of a sweep that was made before
    firsts = {next(iter(expanded(f"shuffle(range({n},{n + 6}))"))) - n for n in range(20)}
    assert len(firsts) > 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("range(0,5,0)", "the step of a range must not be 0"),
        ("range(0.0,5.0,0.0)", "the step of a range must not be 0"),
        ("sort(range(0,5,0))", "the step of a range must not be 0"),
        ("int(range(0.5,3,0.5))", "the step of a range must not be 0"),
        ("range(5,0)", "sweeps over no value at all"),
        ("range(0,5,-1)", "sweeps over no value at all"),
        ("range(0.5,0.5)", "sweeps over no value at all"),
        ("range(0,inf)", "inf: start, stop and step of a range must be finite numbers"),
        ("range(nan)", "nan: start, stop and step of a range must be finite numbers"),
        ("range(a,b)", "a: start, stop and step of a range must be finite numbers"),
        ("range(true)", "true: start, stop and step of a range must be finite numbers"),
        ("range(0,1,1e-300)", "has more than 1000000 values"),
        ("sort(range(0,1,1e-9))", "has more than 1000000 values"),
        ("range()", "missing a required argument: 'start'"),
        ("range(1,9,stop=3)", "multiple values for argument 'stop'"),
        ("1,range(3)", "lists, groups and sweeps hold single values, not a sweep"),
        ("choice(1,range(3))", "lists, groups and sweeps hold single values, not a sweep"),
        ("choice(1,choice(2,3))", "lists, groups and sweeps hold single values, not a sweep"),
        ("[1,range(3)]", "lists, groups and sweeps hold single values, not a sweep"),
        ("{a:{b:[interval(0,1)]}}", "lists, groups and sweeps hold single values, not a sweep"),
        ("shuffle(1,range(3))", "lists, groups and sweeps hold single values, not a sweep"),
        (
            "interval(0,1)",
            "an interval has no countable values; use range(start,stop,step), a list a,b,c, or sweep.ran",
        ),
        ("float(interval(0,1))", "an interval has no countable values"),
        ("sort(interval(0,1))", "the values of an interval or a glob cannot be ordered"),
        ("sort(glob(*))", "the values of an interval or a glob cannot be ordered"),
        ("sort(1,a)", "only numbers or only text can be sorted"),
        ("sort(true,1)", "only numbers or only text can be sorted"),
        ("sort(1,null)", "only numbers or only text can be sorted"),
        ("sort(1,nan)", "nan has no place in an order"),
        ("sort()", "must have either values, a sweep or a list"),
        ("choice()", "choice() has no values"),
        ("str(range(3))", "Range can only be cast to int or float"),
        ("int(abc)", "invalid literal for int()"),
        ("int(null)", "cannot be evaluated"),
        ("tag(1,2)", "mismatch type argument"),
        ("json_str(1)", "Unknown function 'json_str' Available: bool,choice,float,glob,int,interval,range"),
    ],
)
def test_what_has_no_values_is_refused_in_one_line(text: str, reason: str) -> None:
    assert reason in refusal(text)


@settings(deadline=None)
@given(st.text(alphabet="range(sort,choice)[]{}:=0123456789.e-_'\" \\$", max_size=24))
def test_any_text_has_values_or_is_refused(text: str) -> None:
    try:
        expanded(text)
    except ConfigError as error:
        line = str(error)
    else:
        return
    assert "\n" not in line
