"""Hydra reads back any plain value that is written as an override, and simple text stays without quotes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttfsrun.config.compose import Composer, ConfigError, conf_dir
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.config.override_syntax import literal

FILES = ConfFolder(conf_dir())
ODD = st.text(alphabet="ab'\"\\ ${},[]:=()#~\n\t0e-.")  # characters with a meaning in the grammar
NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_./-]{0,8}\Z").filter(
    lambda name: name.lower() not in {"null", "true", "false", "nan", "inf"}
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | ODD
VALUES = st.recursive(
    LEAVES, lambda values: st.lists(values, max_size=4) | st.dictionaries(NAMES, values, max_size=3), max_leaves=8
)


@settings(deadline=None)
@given(VALUES)
def test_hydra_reads_back_the_value_that_was_written(value: Any) -> None:
    override = FILES.parse(f"seed.init={literal(value)}")
    assert not override.is_sweep_override()
    assert repr(override.value()) == repr(value)  # 1, 1.0 and true are not the same


@settings(deadline=None)
@given(VALUES)
def test_an_override_that_is_made_is_the_one_that_would_be_parsed(value: Any) -> None:
    made, parsed = ConfFolder(conf_dir()), ConfFolder(conf_dir())
    word = made.word("seed.init", value)
    assert repr(made.parse(word).value()) == repr(parsed.parse(word).value())
    assert made.parse(word).type is parsed.parse(word).type
    assert made.parse(word).key_or_group == "seed.init"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("mnist_16x16", "mnist_16x16"),
        ("a/path-1.yaml", "a/path-1.yaml"),
        ("null", "'null'"),
        ("16", "'16'"),
        ("it's", r"'it\'s'"),
        ([[60], [120, 60]], "[[60],[120,60]]"),
        ({"name": "step", "factor": 0.95}, "{name:step,factor:0.95}"),
        (1e-05, "1e-05"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_a_value_is_written_as_one_would_type_it(value: Any, text: str) -> None:
    assert literal(value) == text


def test_what_the_grammar_has_no_words_for_is_refused() -> None:
    with pytest.raises(ConfigError, match="a b: the name of a setting consists of letters, digits"):
        literal({"a b": 1})
    with pytest.raises(ConfigError, match="must be null, true or false, a number, text"):
        literal(b"bytes")


def test_a_made_override_composes_like_a_typed_one() -> None:
    typed, made = Composer(conf_dir()), Composer(conf_dir())
    word = made.files.word("training.loss", {"xi": 0.1})
    assert word == "training.loss={xi:0.1}"
    assert made.compose_all([(word,)]) == typed.compose_all([(word,)])
