"""Every mistake on the command line is one line with the key, the value, what is allowed, and a fix."""

from __future__ import annotations

import pytest

from ttfsrun.config.compose import ConfigError, expand


def complaint_about(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        expand(overrides)
    return str(caught.value)


LOSS_GROUP = "choose all of training.loss at once with training/loss= one of cross_entropy,"
LEARNING_RATE = "training.optimizer.learning_rate"
MISTAKES: list[tuple[str, list[str]]] = [
    # a key that does not exist
    ("learning_rate=0.1", ["learning_rate=0.1: unknown key", f"did you mean {LEARNING_RATE}?"]),
    ("training.learning_rate=0.1", [f"did you mean {LEARNING_RATE}?"]),
    ("lr=0.1", [f"did you mean {LEARNING_RATE}?"]),
    ("epochs=3", ["epochs=3: unknown key; did you mean training.epochs?"]),
    ("+epochs=3", ["did you mean training.epochs?"]),
    ("++epochs=3", ["did you mean training.epochs?"]),
    ("seed.intit=3", ["seed.intit=3: unknown key; did you mean seed.init?"]),
    ("seeds.init=3", ["seeds.init=3: unknown key; did you mean seed.init?"]),
    ("experimnt=mnist_16x16", ["did you mean experiment?"]),
    (
        "+training.zzz=3",
        ["training.zzz=3: unknown key; the keys of training are backward, batch_size, bumping"],
    ),
    ("~training.zzz", ["training.zzz: unknown key; the keys of training are"]),
    ("training.epochs.zzz=3", ["training.epochs.zzz=3: unknown key; training.epochs is one value"]),
    ("hydra.verbose=true", ["hydra.verbose=true: unknown key"]),
    ("training/optimizer={learning_rate:0.1}", ["did you mean training.optimizer?"]),
    # a key that exists already, or no longer
    ("+training.epochs=3", ["+training.epochs=3: already exists; write training.epochs=3"]),
    ("~training.epochs", ["training.epochs: missing; it must be an integer >= 0"]),
    ("~training.epochs=4", ["~training.epochs=4", "150"]),
    ("~data", ["data: missing; choose it with data= one of", "yin_yang"]),
    (
        "~training/loss",
        ["training.loss: missing; choose it with training/loss= one of cross_entropy, cross_entropy_paper,"],
    ),
    # a group or a choice that does not exist
    (
        "experiment=mnist_16x61",
        ["unknown choice; it must be one of clean_to_perturbed, in_the_loop,", "did you mean mnist_16x16?"],
    ),
    ("experiment=[yin_yang,mnist]", ["experiment=mnist: unknown choice"]),
    ("experiment=null", ["experiment=null: unknown choice; it must be one of"]),
    ("experiment=3", ["experiment=3: unknown choice; it must be one of"]),
    ("training/los=squared_error", ["unknown group; the groups are cluster,", "did you mean training/loss?"]),
    ("training/optimizer/learning_rate=1", ["unknown group", f"did you mean {LEARNING_RATE}?"]),
    ("training.loss=squared", ["chosen by training/loss=", "did you mean training/loss=squared_error?"]),
    ("data=mnist_16x61", ["data=mnist_16x61: unknown choice", "did you mean mnist_16x16?"]),
    ("data@training=yin_yang", ["cannot be moved with @; write data=yin_yang"]),
    ("+experiment=mnist_16x16", ["+experiment=mnist_16x16: already chosen; remove the +"]),
    ("++experiment=mnist_16x16", ["write experiment=mnist_16x16"]),
    # a grid of points where one point is allowed
    ("sweep=weight_resolution", ["sweep=weight_resolution: describes a grid", "ttfsrun sweep sweep=weight_resolution"]),
    ("+sweep=weight_resolution", ["sweep=weight_resolution: describes a grid"]),
    ("sweep.seeds=3", ["sweep.seeds=3: describes a grid of points, for the verb sweep"]),
    ("sweeps=3", ["sweeps=3: unknown key; did you mean seed?"]),
    ("weight_resolution", ["weight_resolution: an override has the form key=value, for example seed.init=3"]),
    # a value of the wrong type
    ("training.epochs=abc", ["training.epochs=abc: must be an integer >= 0"]),
    ("training.epochs=3.5", ["training.epochs=3.5: must be an integer >= 0"]),
    ("training.epochs=true", ["training.epochs=true: must be an integer >= 0"]),
    ("training.epochs=null", ["training.epochs=null: must be an integer >= 0"]),
    ("training.epochs=", ["training.epochs=: a value is missing; it must be an integer >= 0"]),
    (f"{LEARNING_RATE}='1e-3'", [f"{LEARNING_RATE}='1e-3': must be a finite number > 0"]),
    ("network.hidden=120", ["must be a list, each entry an integer >= 1; write network.hidden=[120]"]),
    ("network.hidden=60,120", ["network.hidden=60: must be a list"]),
    ("training.bumping.value=[1,2]", ["training.bumping.value=[1, 2]: must be a finite number >= 0"]),
    ("data.encoding.silent_at_one=1", ["data.encoding.silent_at_one=1: must be true or false"]),
    ("seed=3", ["seed=3: must be settings with the keys init, data, chip, trial"]),
    # a value out of range
    (f"{LEARNING_RATE}=-1", [f"{LEARNING_RATE}=-1: must be a finite number > 0"]),
    (f"{LEARNING_RATE}=nan", [f"{LEARNING_RATE}=nan: must be a finite number > 0"]),
    (f"{LEARNING_RATE}=inf", [f"{LEARNING_RATE}=inf: must be a finite number > 0"]),
    ("network.init.std=[1,-1]", ["network.init.std[1]=-1: must be a finite number >= 0"]),
    ("training.optimizer.beta1=1", ["training.optimizer.beta1=1: must be a finite number >= 0 and < 1"]),
    ("network.t_max=0", ["network.t_max=0: must be a finite number > 0 or null"]),
    ("training.keep=bets", ["training.keep=bets: must be one of best, last; did you mean best?"]),
    ("seed.init=99999999999999999999", ["seed.init=99999999999999999999: must be an integer >= 0 and <= 9223"]),
    # values that do not go together
    ("network.hidden=[60,60]", ["network.init.mean=", "2 values for 3 layers", "(from conf/network/yin_yang.yaml)"]),
    ("network.init.std=[1,2,3]", ["network.init.std=[1.0, 2.0, 3.0] has 3 values for 2 layers"]),
    ("training.bumping.silent_fraction=[0.1]", ["training.bumping.silent_fraction=[0.1]", "2 layers"]),
    ("data.encoding.t_early=5", ["data.encoding.t_early=5.0 must be below t_late=2.0"]),
    # one of several alternatives
    ("data.size=16", ["data.size=16: belongs to mnist, but data.name=yin_yang has samples", "with data= one of"]),
    (
        "data.augmentation.shift=1",
        ["data.augmentation=", "belongs to mnist, but data.name=yin_yang", "with data= one of"],
    ),
    ("training.loss.delta=1", ["belongs to squared_error, but training.loss.name=cross_entropy has xi", LOSS_GROUP]),
    ("training.loss.name=squared_error", ["training.loss.xi=0.02: belongs to cross_entropy", LOSS_GROUP]),
    ("training.loss.name=squared", ["must be one of cross_entropy, squared_error; did you mean squared_error?"]),
    ("training.schedule={name:step,epochs:9}", ["training.schedule.final=0.0: belongs to cosine"]),
    # what cannot be read
    ("seed.init==3", ["seed.init==3: cannot be read as key=value: extra ="]),
    ("network.hidden=[1,2", ["network.hidden=[1,2: cannot be read", "unbalanced bracket"]),
    ("network.hidden=1]", ["unbalanced bracket"]),
    ("seed.init='3", ["unbalanced quotation mark"]),
    ("seed.init=3,", ["the last comma has no value after it"]),
    ("=3", ["there is no key before the ="]),
    ("a b=3", ["a b=3: cannot be read as key=value"]),
    ("seed.init=int(x)", ["seed.init=int(x): invalid literal for int()"]),
    ("mnist_16x16", ["mnist_16x16: an override has the form key=value; did you mean experiment=mnist_16x16?"]),
    ("", ["an override has the form key=value, for example seed.init=3"]),
    # what refers to nothing
    ("seed.data=${seed.inti}", ["seed.data=${seed.inti}: refers to seed.inti: unknown key; did you mean seed.init?"]),
    ("~seed.init", ["seed.data=${seed.init}: refers to seed.init, which is missing"]),
    ("seed.data=${seed.data}", ["seed.data: "]),
    ("seed.data=${no_such_function:1}", ["seed.data: ", "no_such_function"]),
    ("seed.data=???", ["seed.data: has no value (???); set it with seed.data=VALUE"]),
    # sweeps
    ("seed.init=range(5,5)", ["seed.init=range(5,5): sweeps over no value"]),
    ("seed.init=range(0,5,0)", ["seed.init=range(0,5,0): "]),
    ("seed.init=glob(*)", ["seed.init=glob(*): glob chooses yaml files of a group"]),
    ("seed.init=interval(0,1)", ["seed.init=interval(0,1): an interval has no countable values"]),
    ("seed.init=3,-3", ["seed.init=-3: must be an integer >= 0"]),
]


@pytest.mark.parametrize(("override", "parts"), MISTAKES, ids=[override or "empty" for override, _ in MISTAKES])
def test_a_mistake_is_one_line_that_names_key_value_and_remedy(override: str, parts: list[str]) -> None:
    line = complaint_about(override)
    assert len(line.splitlines()) == 1
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (f"{LEARNING_RATE}=1e31", f"{LEARNING_RATE}=1e+31: must be a finite number > 0 and <= 1e+30"),
        (f"{LEARNING_RATE}=inf", f"{LEARNING_RATE}=inf: must be a finite number > 0 and <= 1e+30"),
        (f"{LEARNING_RATE}=0", f"{LEARNING_RATE}=0: must be a finite number > 0"),
        ("network.t_max=1e31", "network.t_max=1e+31: must be a finite number > 0 and <= 1e+30 or null"),
        ("network.neuron.v_th=-1e31", "network.neuron.v_th=-1e+31: must be a finite number >= -1e+30 and <= 1e+30"),
        ("network.neuron.v_th=abc", "network.neuron.v_th=abc: must be a finite number"),
        ("network.init.mean=[1,1e31]", "network.init.mean[1]=1e+31: must be a finite number >= -1e+30 and <= 1e+30"),
    ],
)
def test_the_limits_of_all_numbers_are_named_where_a_number_is_beyond_them(override: str, line: str) -> None:
    assert complaint_about(override) == line


def test_a_key_of_another_experiment_is_explained() -> None:
    line = complaint_about("experiment=mnist_16x16", "data.r_small=0.2")
    assert "data.r_small=0.2: belongs to yin_yang, but data.name=mnist has folder, size, encoding" in line
