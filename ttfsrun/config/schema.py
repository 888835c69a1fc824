"""Schema of the configuration: every setting with its unit and its range.

The values are in `conf/`, a yaml file for each named choice. A `Config` is checked when it is made and cannot change,
so the rest of the package relies on it. Times are in units of the nominal synaptic time constant, voltages are
relative to the nominal leak potential, both as in `network.neuron`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ttfsrun.config.cluster import Debug, Local, Slurm
from ttfsrun.config.delays import ClippedDelay, DelayInit, DelayKind, SigmoidDelay, delay_shape
from ttfsrun.config.dotted_keys import without_negative_zeros
from ttfsrun.substrate.schema import ChipSpec, NetworkSize, Substrate, misfit
from ttfsrun.types import Count, DecayRate, Finite, Fraction, NonNegative, Positive, SeedNumber, Settings, TimeConstant

NEGATIVE_ZERO = re.compile(rb"-0\.0(?!\d)")  # as JSON has it


class Encoding(Settings):
    """Encoding of a value x in [0, 1] as the spike time t_early + (t_late - t_early) x."""

    t_early: Annotated[NonNegative, Meta(description="spike time of x = 0, in tau_syn")]
    t_late: Annotated[Positive, Meta(description="spike time of x = 1, in tau_syn")]
    silent_at_one: Annotated[bool, Meta(description="x = 1 (a white pixel) sends no spike")]

    def __post_init__(self) -> None:
        if self.t_early >= self.t_late:
            raise ValueError(f"t_early={self.t_early} must be below t_late={self.t_late}")


class SampleCounts(Settings):
    """Number of samples in each split."""

    train: Count
    valid: Count
    test: Count


class GeneratorSeeds(Settings):
    """Seed of the generator of each split."""

    train: Annotated[int, Meta(ge=0, lt=2**32)]
    valid: Annotated[int, Meta(ge=0, lt=2**32)]
    test: Annotated[int, Meta(ge=0, lt=2**32)]


class YinYang(Settings, tag_field="name", tag="yin_yang"):
    """Generated data set of three classes in a circle (Kriener et al. 2022)."""

    samples: SampleCounts
    generator_seeds: GeneratorSeeds
    r_small: Annotated[Positive, Meta(description="radius of the dots")]
    r_big: Annotated[Positive, Meta(description="radius of the circle")]
    encoding: Encoding

    n_inputs = 4
    n_classes = 3

    def __post_init__(self) -> None:
        if self.r_small >= self.r_big / 2:
            raise ValueError(f"r_small={self.r_small} must be below r_big / 2 = {self.r_big / 2}")


class AugmentationSettings(Settings):
    """Random changes of each training image, drawn again in each epoch, each uniform between -value and value."""

    rotation: Annotated[float, Meta(ge=0, le=45, description="in degrees")]
    shear: Annotated[Fraction, Meta(description="shift of a row of pixels per row between it and the centre")]
    scale: Annotated[float, Meta(ge=0, le=0.9, description="change of the size, a fraction")]
    shift: Annotated[float, Meta(ge=0, le=28, description="in pixels of the original image, along each side")]


class Mnist(Settings, tag_field="name", tag="mnist"):
    """Handwritten digits from the four original IDX files, or another dataset in their format."""

    folder: Annotated[str | None, Meta(description="of the IDX files; null: TTFSRUN_DATA, else the user's cache")]
    size: Annotated[Literal[16, 28], Meta(description="pixels a side; 16: the centre 24x24, resized")]
    encoding: Encoding
    augmentation: AugmentationSettings

    n_classes = 10

    @property
    def n_inputs(self) -> int:
        """Number of pixels."""
        return self.size**2


class NeuronSettings(Settings):
    """A leaky integrate-and-fire neuron; see `ttfsrun.neuron`."""

    tau_mem: Annotated[TimeConstant, Meta(description="membrane time constant")]
    tau_syn: Annotated[TimeConstant, Meta(description="synaptic time constant")]
    v_th: Annotated[Finite, Meta(description="threshold")]
    v_leak: Annotated[Finite, Meta(description="leak (resting) potential")]


class WeightInit(Settings):
    """Normal distribution of the initial weights, a mean and a standard deviation per layer; and of the delays."""

    mean: list[Finite]
    std: list[NonNegative]
    delay: DelayInit


class NetworkSettings(Settings):
    """Feed-forward network; the sizes of the first and the last layer come from the data."""

    hidden: Annotated[list[Count], Meta(description="neurons in each hidden layer")]
    bias_time: Annotated[NonNegative | None, Meta(description="time of one extra spike into each layer; null: none")]
    t_max: Annotated[Positive | None, Meta(description="end of the observation; later spikes do not count; null: none")]
    input_repeats: Annotated[Count, Meta(description="lines that carry each input and the bias into the first layer")]
    neuron: NeuronSettings
    init: WeightInit
    delays: Annotated[DelayKind | list[DelayKind], Meta(description="kind of the learned delays, or one per layer")]
    delay_function: SigmoidDelay | ClippedDelay

    @property
    def n_layers(self) -> int:
        """Number of layers with weights."""
        return len(self.hidden) + 1

    @property
    def delay_kinds(self) -> list[DelayKind]:
        """Kind of the delays of each layer."""
        return self.delays if isinstance(self.delays, list) else [self.delays] * self.n_layers

    def __post_init__(self) -> None:
        for key in ("mean", "std"):
            _one_per_layer(f"init.{key}", getattr(self.init, key), self.n_layers)
        _one_per_layer("delays", self.delay_kinds, self.n_layers)


class TimeCrossEntropy(Settings, tag_field="name", tag="cross_entropy"):
    """Cross entropy of times: log sum_n exp(-t_n / xi) + t_* / xi + alpha exp(t_* / beta) (Goeltz et al. 2021)."""

    xi: Positive
    alpha: NonNegative
    beta: Positive
    silent: Annotated[NonNegative, Meta(description="loss of a sample whose label neuron is silent")]


class SquaredError(Settings, tag_field="name", tag="squared_error"):
    """Squared error of times: 1/2 sum_n ((t_n - t_*) - delta (n != *))^2."""

    delta: Annotated[Positive, Meta(description="target lead of the label neuron, in tau_syn")]
    silent: Annotated[NonNegative, Meta(description="loss of a sample whose label neuron is silent")]


class Adam(Settings):
    """The optimiser Adam (Kingma and Ba 2015)."""

    learning_rate: Positive
    beta1: DecayRate
    beta2: DecayRate
    epsilon: Positive
    delay_learning_rate: Annotated[Positive | None, Meta(description="of the delays; null: that of the weights")]


class StepDecay(Settings, tag_field="name", tag="step"):
    """Schedule that multiplies the learning rate by `factor` after every `epochs` epochs."""

    factor: Annotated[float, Meta(gt=0, le=1)]
    epochs: Count


class CosineDecay(Settings, tag_field="name", tag="cosine"):
    """Schedule that lowers the learning rate to `final` times its first value, along half a cosine."""

    final: Fraction


class WeightBumping(Settings):
    """Steps that raise weights, instead of following the gradient, where too many neurons of a layer are silent."""

    silent_fraction: Annotated[list[Fraction], Meta(description="allowed silent fraction of each layer")]
    value: Annotated[NonNegative, Meta(description="first bump; doubles while the same layer keeps triggering")]
    scheduled: Annotated[bool, Meta(description="bumps follow the learning rate's schedule")]


class TrainingSettings(Settings):
    """Settings of the training of the weights."""

    start: Annotated[str | None, Meta(description="file of the network to begin with; null: initial weights")]
    epochs: Annotated[int, Meta(ge=0)]
    batch_size: Count
    loss: TimeCrossEntropy | SquaredError
    optimizer: Adam
    schedule: StepDecay | CosineDecay
    bumping: WeightBumping
    perturbed: Annotated[bool, Meta(description="on the substrate, or in ideal simulation")]
    backward: Annotated[
        Literal["observed", "ideal", "same_draw"],
        Meta(description="derivatives at recorded spikes, of the nominal network, or of the perturbed one"),
    ]
    gradient_limit: Annotated[Positive | None, Meta(description="drop larger weight gradients; null: keep all")]
    input_noise: Annotated[NonNegative, Meta(description="std of noise on the input times in training, in tau_syn")]
    keep: Annotated[Literal["best", "last"], Meta(description="the network to report: best validation, or the last")]


class EvaluationSettings(Settings):
    """Conditions that the network is evaluated under, after one training for all of them."""

    perturbed: Annotated[bool, Meta(description="on the substrate, or in ideal simulation")]
    trials: Annotated[Count, Meta(description="repetitions with other trial-to-trial noise")]
    age: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)] | None,
        Meta(description="of the chip, in epochs; null: training.epochs"),
    ]
    chips: Annotated[list[SeedNumber], Meta(description="seeds of further chips to evaluate on")]
    conditions: Annotated[
        dict[str, dict[str, Any]], Meta(description="named: settings that differ, a list of values makes a grid")
    ]

    def __post_init__(self) -> None:
        if len(set(self.chips)) < len(self.chips):
            raise ValueError(f"chips={self.chips}: a chip is listed twice")


class Seeds(Settings):
    """Seeds of the random numbers; each can change while the others stay."""

    init: Annotated[SeedNumber, Meta(description="initial weights")]
    data: Annotated[SeedNumber, Meta(description="order of the samples and noise on the inputs in training")]
    chip: Annotated[SeedNumber, Meta(description="fixed pattern of the substrate")]
    trial: Annotated[SeedNumber, Meta(description="trial-to-trial noise of the substrate")]


class Config(Settings):
    """Configuration of one point: a network, its training and its evaluation."""

    data: YinYang | Mnist
    network: NetworkSettings
    training: TrainingSettings
    substrate: Substrate
    evaluation: EvaluationSettings
    cluster: Local | Debug | Slurm
    seed: Seeds

    def __post_init__(self) -> None:
        _one_per_layer("training.bumping.silent_fraction", self.training.bumping.silent_fraction, self.network.n_layers)
        mistake = misfit(self.substrate, self.size)
        if mistake is not None:
            raise ValueError(mistake)

    @property
    def layer_sizes(self) -> list[int]:
        """Neurons from the input layer to the label neurons, without bias."""
        return [self.data.n_inputs, *self.network.hidden, self.data.n_classes]

    @property
    def layer_sources(self) -> list[int]:
        """Sources of input to each layer of neurons, the bias included."""
        return [size + (self.network.bias_time is not None) for size in self.layer_sizes[:-1]]

    @property
    def layer_inputs(self) -> list[int]:
        """Input lines into each layer of neurons, bias included."""
        first, *others = self.layer_sources
        return [first * self.network.input_repeats, *others]

    @property
    def delay_shapes(self) -> list[tuple[int, int]]:
        """Shape of the delays of each layer, which the lines of one source share."""
        return [*map(delay_shape, self.network.delay_kinds, self.layer_sources, self.layer_sizes[1:])]

    @property
    def size(self) -> NetworkSize:
        """Input lines, neurons and delays of each layer, which the chip must provide."""
        inputs, sources, neurons = map(tuple, (self.layer_inputs, self.layer_sources, self.layer_sizes[1:]))
        return NetworkSize(inputs, neurons, sources, tuple(self.network.delay_kinds))

    @property
    def chip_spec(self) -> ChipSpec:
        """Settings that the fixed pattern of the chip depends on."""
        return ChipSpec(self.substrate, self.seed.chip, self.size)


def _one_per_layer(key: str, values: Sequence[Any], n_layers: int) -> None:
    """Raise ValueError where there is not one value for each layer."""
    if len(values) != n_layers:
        raise ValueError(f"{key}={values} has {len(values)} values for {n_layers} layers with weights")


def config_of(settings: Any) -> Config:
    """Return the configuration with these plain values; -0.0 becomes 0.0, which computes the same numbers.

    Raises msgspec.ValidationError where the schema does not allow them.
    """
    config = msgspec.convert(settings, Config)
    if not NEGATIVE_ZERO.search(msgspec.json.encode(config)):  # most have none
        return config
    return msgspec.convert(without_negative_zeros(msgspec.to_builtins(config)), Config)
