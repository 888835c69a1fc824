"""Lines of CSV are those of Python's own writer."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from ttfsrun.results.csv_lines import csv_lines

CELLS = (
    st.none()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.integers()
    | st.booleans()
    | st.floats()
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SMALL = st.floats(-2e-4, 2e-4) | st.floats(1e15, 1e17)  # where exponents begin
NUMBERS = st.none() | st.integers(0, 1000) | FINITE | SMALL


@given(st.lists(st.tuples(st.tuples(CELLS, CELLS), st.lists(NUMBERS, min_size=3, max_size=3), st.tuples(CELLS, CELLS))))
def test_numbers_are_written_as_python_writes_them(parts: list[tuple]) -> None:  # type: ignore[type-arg]
    rows = [[*head, *numbers, *tail] for head, numbers, tail in parts]
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    expected = stream.getvalue().encode()
    assert b"".join(csv_lines(rows, slice(2, 5))) == expected
    assert b"".join(csv_lines(rows)) == expected
