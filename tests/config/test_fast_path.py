"""The fast path gives the same settings as Hydra, or leaves the overrides to Hydra."""

from __future__ import annotations

import pytest

from ttfsrun.config.compose import conf_dir
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.config.fast_path import NotPlain, Template

FILES = ConfFolder(conf_dir())
NODE, TREE = FILES.merged([])
TEMPLATE = Template(TREE)


@pytest.mark.parametrize(
    "texts",
    [
        ["seed.init=3"],
        ["seed.chip=${seed.init}", "seed.init=3"],
        ["training.loss={xi:0.1}", "training.loss={alpha:0.2}", "training.loss={}"],
        ["training={loss:{xi:0.1},epochs:3}", "seed={init:4,chip:'${seed.init}'}"],
        ["network.hidden.0=60", "network.init.std.1=0.5"],
        ["evaluation.conditions={a:{seed.chip:1}}", "evaluation.conditions={b:{},c:{substrate.weight.bits:[1,2]}}"],
        ["evaluation.conditions={a:{seed.chip:1}}", "evaluation.conditions.a={}"],
    ],
    ids=" ".join,
)
def test_plain_values_give_what_hydra_gives(texts: list[str]) -> None:
    overrides = [FILES.parse(text) for text in texts]
    assert TEMPLATE.with_values(overrides) == FILES.applied(NODE, overrides)


@pytest.mark.parametrize(
    "word",
    [
        "+training.zzz=3",
        "~training.epochs",
        "training.zzz=3",
        "training.epochs={a:1}",
        "training.loss=3",
        "training.loss={zzz:1}",
        "network.hidden.1=60",
        "network.hidden.zzz=60",
        "seed.chip=${.init}",
        "seed.chip=${seed.zzz}",
        "seed.chip=${training.keep}",
        "seed.chip=???",
    ],
)
def test_all_else_is_left_to_hydra(word: str) -> None:
    with pytest.raises(NotPlain):
        TEMPLATE.with_values([FILES.parse(word)])


def test_the_merged_files_stay_as_they_are() -> None:
    before = repr(TREE)
    TEMPLATE.with_values([FILES.parse("training={loss:{xi:0.1},epochs:3}"), FILES.parse("network.hidden.0=60")])
    assert repr(TREE) == before


def test_what_a_point_does_not_change_is_shared_not_copied() -> None:
    one, other = (TEMPLATE.with_values([FILES.parse(f"substrate.weight.bits={bits}")]) for bits in (3, 4))
    assert one["substrate"]["weight"] != other["substrate"]["weight"]
    assert one["training"] is other["training"]
    assert one["substrate"]["v_th"] is other["substrate"]["v_th"]
