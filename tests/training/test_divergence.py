"""A training that diverges stops, and says in which network, epoch and batch."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import Splits, Tiny, trained

from ttfsrun.training.step import CODES, LEARNED, LOSS
from ttfsrun.training.trainer import Diverged, Trainer


def test_an_infinite_loss_stops_and_is_named_with_epoch_and_batch(tiny: Tiny, samples: Splits) -> None:
    with pytest.raises(Diverged, match=r"^the loss is not finite in epoch 1, batch 1 \(network with seed\.init=3\): "):
        trained([tiny("training.loss.beta=0.001", "seed.init=3")], samples)
    assert Diverged.exit_code == 1


def test_an_infinite_gradient_of_the_loss_stops(tiny: Tiny, samples: Splits) -> None:
    with pytest.raises(Diverged, match=r"^the gradient of the loss is not finite in epoch 1, batch 1 "):
        trained([tiny("training.loss.beta=0.0029")], samples)  # exp(2 / beta) is a float64, but no float32


def test_an_infinite_gradient_by_the_weights_stops_and_is_named_with_its_layer(tiny: Tiny, samples: Splits) -> None:
    # A loss that changes by 1 / xi, and spikes that move by 1 / weight: each is a float32, their product is not.
    config = tiny(
        "training.loss.xi=1e-37",
        "training.gradient_limit=null",
        "network.neuron.v_th=0.001",
        "network.init={mean:[0.0015,0.0005],std:[0.0008,0.0008]}",
    )
    with pytest.raises(Diverged, match=r"^the gradient of layer [12] is not finite in epoch [1-3], batch [1-5] "):
        trained([config], samples)


def test_the_epoch_is_counted_from_the_first_one_that_was_ever_trained(tiny: Tiny, samples: Splits) -> None:
    state = trained([tiny()], samples, epochs=2).state
    late = Trainer([tiny("training.loss.beta=0.001")], samples["train"], samples["valid"], state)
    with pytest.raises(Diverged, match="in epoch 3, batch 1 "):
        late.run_epoch()


def test_the_network_that_diverged_is_named(tiny: Tiny, samples: Splits) -> None:
    overflow = "training.loss.beta=0.001"
    sound = tiny(overflow, "seed.init=5", "network.neuron={v_th:0.5,v_leak:1}")  # all its neurons fire at time 0
    trained([sound], samples)
    with pytest.raises(Diverged, match=r"network with seed\.init=6"):
        trained([sound, tiny(overflow, "seed.init=6")], samples)


def test_the_earliest_batch_counts_where_a_device_is_asked_only_after_an_epoch(tiny: Tiny, samples: Splits) -> None:
    step = trained([tiny(f"seed.init={seed}") for seed in range(4)], samples, epochs=1)._step
    assert step.failure() is None
    failed = [CODES * 4 + LOSS, 0, CODES * 2 + LEARNED + 3, CODES * 2 + LOSS]
    step.sums.failed.copy_(torch.tensor(failed))
    assert step.failure() == (2, 2, "weight of layer 2")
