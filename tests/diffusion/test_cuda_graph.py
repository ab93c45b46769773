"""CUDA graphs are used only where they may be, and only if their gradients are the plain ones.

There is no GPU here. A stand-in captures: it keeps what a function made, and a replay computes it
again and writes it to the same memory, as kernels of a graph would.
"""

from dataclasses import replace
from functools import partial
from itertools import count

import pytest
import torch
from torch import Tensor

from diffusion.batches import BatchStream, Draw
from diffusion.cuda_graph import USED, GraphedPasses, Moment, graph_checked, why_not
from diffusion.train_config import TrainConfig
from tests.diffusion.test_train import CONFIG, same_run, trainer

STREAM = BatchStream(
    seed=3, num_images=20, batch_size=8, num_timesteps=100, cond_dropout=0.25, shape=(3, 4, 4)
)
CUDA = torch.device("cuda")


def replayed(function):
    """A capture whose replay computes again, at the same addresses."""
    made = function()

    def replay() -> None:
        for old, new in zip(numbers(made), numbers(function()), strict=True):
            old.copy_(new)

    return made, replay


def numbers(made: tuple[Draw, Tensor]) -> list[Tensor]:
    draw, losses = made
    return [draw.image, draw.t, draw.eps, draw.dropped, draw.place, losses]


class Passes:
    """Passes of a model without weights, whose gradient is what was drawn."""

    def __init__(self) -> None:
        self.gradient = torch.zeros(48)

    def __call__(self, orders, step, start):
        draw = STREAM.draw_from(orders, step, start, 4)
        self.gradient += draw.eps.flatten(1).sum(0) + draw.image.sum()
        return draw.few(), draw.eps.flatten(1).mean(1)


def moment(step: int, start: int = 0) -> Moment:
    return Moment(STREAM.orders(step), step, start)


MOMENTS = [moment(0), moment(1, 4)]


def test_one_capture_draws_every_step_and_every_micro_batch():
    """Step 2 begins in another epoch: 20 images in batches of 8."""
    graphed = GraphedPasses(Passes(), moment(0), replayed)
    for step, start in ((0, 0), (1, 4), (2, 4), (5, 0), (1, 0)):
        draw, losses = graphed(*moment(step, start))
        expected, own = Passes()(*moment(step, start))
        assert all(map(torch.equal, numbers((draw, losses)), numbers((expected, own))))


def test_what_a_graph_gave_stays_when_it_is_launched_again():
    graphed = GraphedPasses(Passes(), moment(0), replayed)
    first = numbers(graphed(*moment(0)))
    kept = [tensor.clone() for tensor in first]
    graphed(*moment(3))
    assert all(map(torch.equal, first, kept))


def test_a_graph_with_the_same_gradients_is_used():
    passes = Passes()
    graphed, use = graph_checked(passes, passes.gradient, MOMENTS, "float32", replayed)
    assert use == USED and isinstance(graphed, GraphedPasses)
    assert (passes.gradient == 0).all()  # the check leaves none behind


def test_a_number_that_was_captured_for_good_is_found():
    """Right at the first moment, wrong at the second: the step of the capture."""

    def frozen(function):
        made = function()
        gradient, kept = passes.gradient, passes.gradient.clone()
        return made, lambda: gradient.add_(kept)

    passes = Passes()
    used, use = graph_checked(passes, passes.gradient, MOMENTS, "float32", frozen)
    assert used is passes
    assert use.startswith("not used: its gradients differ by ")
    assert use.endswith(" of their norm, allowed 0.001")


def test_gradients_that_are_not_finite_are_refused():
    passes = Passes()

    def broken(function):
        made, _ = replayed(function)
        return made, lambda: passes.gradient.fill_(torch.nan)

    assert graph_checked(passes, passes.gradient, MOMENTS, "bf16", broken)[0] is passes


def test_what_cannot_be_captured_says_why():
    def refusing(function):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    passes = Passes()
    used, use = graph_checked(passes, passes.gradient, MOMENTS, "float32", refusing)
    assert used is passes
    assert use == (
        "not used: it cannot be captured (operation not permitted when stream is capturing)"
    )


@pytest.mark.parametrize(
    "changes, device, reason",
    [
        ({}, CUDA, "off"),
        ({"cuda_graph": "auto"}, CUDA, None),
        ({"cuda_graph": "auto"}, torch.device("cpu"), "not used: the device is cpu, not cuda"),
        (
            {"cuda_graph": "auto", "compile": True},
            CUDA,
            "not used: train.compile has graphs of its own",
        ),
    ],
)
def test_where_a_graph_may_be_used(changes, device, reason):
    assert why_not(replace(TrainConfig(), **changes), device) == reason


def test_a_training_by_graph_is_the_same_training(tiny_world, tmp_path, monkeypatch):
    """By the stand-in, in two micro-batches a step: every byte."""
    plain = replace(CONFIG, micro_batch_size=4, max_steps=5)
    trainer(tiny_world, tmp_path / "plain", plain).run()
    captured = count()

    def counted(function):
        next(captured)
        return replayed(function)

    by_stand_in = partial(graph_checked, capture=counted)
    monkeypatch.setattr("diffusion.train.graph_checked", by_stand_in)
    monkeypatch.setattr("diffusion.train.why_not", lambda config, device: None)
    run = trainer(tiny_world, tmp_path / "graph", replace(plain, cuda_graph="auto"))
    assert run.cuda_graph == USED and next(captured) == 1
    run.run()
    same_run(tmp_path / "plain", tmp_path / "graph")
