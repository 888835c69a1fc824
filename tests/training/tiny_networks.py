"""Seven tiny networks of one population, their training, and the bits that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.training.trainer import Trainer

Tiny = Callable[..., Config]
Splits = dict[str, Samples]

#: Seven networks that differ in all that networks of one population may differ in. Their weights start low, so that
#: some must be bumped; the gradient limit is exceeded now and then.
REMEDIES = (
    "training.gradient_limit=0.005",
    "training.bumping={silent_fraction:[0.25,0.05],value:0.01,scheduled:false}",
    "network.init={mean:[0.9,0.4],std:[0.9,0.8]}",
    "training.optimizer.learning_rate=0.01",
    "training.input_noise=0.1",
)
SEVEN = (
    ("seed.init=1",),
    ("seed.init=2", "training.optimizer.learning_rate=0.03"),
    ("seed.init=3", "network.neuron={tau_mem:2,tau_syn:0.5,v_th:0.9,v_leak:0.1}"),
    ("seed.init=4", "training.input_noise=0", "network.neuron.v_th=0.7"),
    ("seed.init=5", "seed.data=1", "training.schedule={name:cosine,final:0}"),
    ("seed.init=6", "seed.data=1", "training.input_noise=0.3"),
    ("seed.init=1", "network.init={mean:[3,2],std:[0.8,0.8]}"),
)


def trained(configs: Sequence[Config], samples: Splits, epochs: int | None = None) -> Trainer:
    trainer = Trainer(configs, samples["train"], samples["valid"])
    for _ in range(epochs or trainer.settings.epochs):
        trainer.run_epoch()
    return trainer


def bits(trainer: Trainer, p: int) -> list[bytes]:
    """Everything that training made of one network."""
    state = trainer.state
    per_network = [
        *state.learned.tensors,
        *state.best.tensors,
        *state.moments.first,
        *state.moments.second,
        state.moments.steps,
        state.bumping.layer,
        state.bumping.value,
        state.best_score,
        state.best_epoch,
        state.curves.swapaxes(0, 1),
    ]
    return [tensor[p].numpy().tobytes() for tensor in per_network]
