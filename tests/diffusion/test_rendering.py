"""Rendered coordinates: what each image depends on, what the loss asks for, and that off is off."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.world import BumpWorld
from diffusion.conditioning import NumberConditioner, RenderingConditioner
from diffusion.model import DiffusionModel, build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes, build_accelerator
from diffusion.rendering import low_rank_loss
from diffusion.snapshots import find_snapshot
from diffusion.train import Trainer
from diffusion.train_config import TrainConfig
from ground.endings import Mistake, Preempted
from ground.files import hashes
from ground.reading import read_as
from studies.experiment.config import Config, to_dict
from studies.worlds.bumps.images import bump_task

WORLD = BumpsConfig(
    image_size_px=8,
    image="stripes",
    examples="both",
    margin=4.0,
    held_out=HeldOut("interior", 3.0, 4.0),
)
MODEL = ModelConfig(size="tiny", conditioning="coordinates", rendering=0.1)
TRAIN = TrainConfig(
    max_steps=8, batch_size=8, warmup_steps=2, snapshots="0", state_every=3, threads=1
)


def model(rendering: float = 0.1, seed: int = 0) -> DiffusionModel:
    build = bump_task(BumpWorld(WORLD), rendering).conditioning.build
    return build_model(MODEL, ObjectiveConfig(), build, (1, 8, 8), seed)


def trainer(folder: Path, rendering: float = 0.1, train: TrainConfig = TRAIN, **options) -> Trainer:
    folder.mkdir(exist_ok=True)
    task = bump_task(BumpWorld(WORLD), rendering)
    return Trainer(
        task.load()[0],
        model(rendering),
        task.conditioning.prompts,
        train,
        seed=0,
        directory=folder,
        processes=Processes(build_accelerator(train)),
        **options,
    )


ROWS = torch.tensor([[3.0, 5.0], [3.0, 6.5], [4.0, 5.0], [3.0, -8.0], [torch.nan, torch.nan]])


def test_an_image_depends_on_its_own_coordinate_alone():
    condition = model().encode(ROWS)
    images = condition.rendered
    assert images.shape == (5, 2, 8, 8)
    assert torch.equal(images[0, 0], images[1, 0]) and torch.equal(images[0, 0], images[3, 0])
    assert torch.equal(images[0, 1], images[2, 1])
    assert not torch.allclose(images[0, 0], images[2, 0]) and images[0].abs().amax() > 0
    assert not torch.allclose(images[0, 1], images[1, 1])


def test_what_is_absent_is_dark_and_costs_nothing():
    condition = model().encode(ROWS)
    assert (condition.rendered[3, 1] == 0).all() and (condition.rendered[4] == 0).all()
    assert condition.penalty[4] == 0 and 0 < condition.penalty[3] < condition.penalty[0]


def unit(*vectors: list[float]) -> torch.Tensor:
    return F.normalize(torch.tensor([vectors]), dim=2)


def test_a_stripe_costs_least_of_all_images_that_say_where_it_is():
    flat, place = [1.0, 1, 1, 1], [0.0, 1, 0, 0]
    one, two = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, -1.0]])
    stripe = low_rank_loss(one, unit(place, flat), unit(flat, flat))
    dot = low_rank_loss(one, unit(place, flat), unit(place, flat))
    crossing = low_rank_loss(two, unit(place, flat), unit(flat, place))
    assert low_rank_loss(one, unit(flat, flat), unit(flat, flat)).item() == pytest.approx(
        0, abs=1e-6
    )
    assert stripe.item() == pytest.approx(0.1 / 4)  # the variance of one unit vector of 4 entries
    assert dot.item() == pytest.approx(0.2 / 4)
    assert crossing.item() == pytest.approx(np.log(2) + 0.2 / 4, abs=1e-5)


def test_strengths_of_nothing_have_a_finite_gradient():
    strength = torch.zeros(1, 2, requires_grad=True)
    low_rank_loss(strength, unit([1.0, 0], [0.0, 1]), unit([1.0, 0], [0.0, 1])).sum().backward()
    assert torch.isfinite(strength.grad).all()


def test_the_network_sees_what_is_rendered():
    own = model()
    x_t, t = torch.randn(2, 1, 8, 8), torch.tensor([500, 500])
    condition = own.encode(ROWS[:2])
    shifted = replace(condition, rendered=condition.rendered + 1)
    assert own.unet.config.in_channels == 3 and own.unet.config.out_channels == 1
    assert not torch.equal(own.predict(x_t, t, condition), own.predict(x_t, t, shifted))


def test_the_loss_has_the_penalty_on_top():
    own, x_0 = model(), torch.zeros(2, 1, 8, 8)
    told = x_0, torch.randn(2, 1, 8, 8), torch.tensor([10, 500]), ROWS[:2]
    condition = own.encode(ROWS[:2])
    bare = replace(condition, penalty=None)
    loss = own(*told)
    own.encode = lambda rows: bare
    assert torch.allclose(loss, own(*told) + condition.penalty) and (condition.penalty > 0).all()


def test_off_it_is_the_model_that_it_was():
    """The same classes, shapes and random numbers as of a conditioner that renders nothing."""
    off = model(0.0)
    assert type(off.conditioner) is NumberConditioner and off.unet.config.in_channels == 1

    def plain(width: int) -> NumberConditioner:
        spans, nulls = [(0.0, 8.0)] * 2, [-8.0, -8.0]
        return NumberConditioner("coordinates", width, nulls, {}, spans=spans, periodic=[False] * 2)

    before = build_model(replace(MODEL, rendering=0.0), ObjectiveConfig(), plain, (1, 8, 8), 0)
    own = off.state_dict()
    assert own.keys() == before.state_dict().keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in before.state_dict().items())
    condition = off.encode(ROWS)
    assert condition.rendered is None and condition.penalty is None


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("straight")
    trainer(folder).run()
    return folder


def test_training_repeats_itself_and_goes_on_bit_for_bit(straight, tmp_path):
    steps = iter(range(1, 100))
    with pytest.raises(Preempted):
        trainer(tmp_path / "run", should_stop=lambda: next(steps) == 4).run()
    trainer(tmp_path / "run").run()
    assert (straight / "metrics.jsonl").read_bytes() == (
        tmp_path / "run" / "metrics.jsonl"
    ).read_bytes()
    first, second = (
        hashes(find_snapshot(d / "snapshots", 8)) for d in (straight, tmp_path / "run")
    )
    assert first == second


def test_a_snapshot_draws_as_the_model_did(straight):
    pipeline = ConceptPipeline.from_run(straight, step=8, weights="raw")
    assert isinstance(pipeline.conditioner, RenderingConditioner)
    assert pipeline.image_shape == (1, 8, 8)
    images = pipeline(["2.5 3", "2.5 -", ""], torch.zeros(3, 1, 8, 8), num_inference_steps=2)
    assert images.shape == (3, 8, 8, 1)


@pytest.mark.slow
def test_training_lowers_the_rank(tmp_path):
    """A weight of 1 brings what is rendered near rank one within some steps."""
    own = trainer(tmp_path / "run", 1.0, replace(TRAIN, max_steps=30, state_every=30))
    before = own.raw.encode(ROWS[:3])
    own.run()
    after = own.raw.encode(ROWS[:3])
    assert after.penalty.mean() < 0.5 * before.penalty.mean()
    assert first_share(after.rendered) > 0.7 > first_share(before.rendered)


def first_share(images: torch.Tensor) -> float:
    """Mean share of an image's squared singular values that the largest one has."""
    values = torch.linalg.svdvals(images.double()).square()
    return (values[..., 0] / values.sum(-1)).mean().item()


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"model": {**to_dict(MODEL), "rendering": -1.0}},
            "model.rendering: got -1.0, allowed 0 or",
        ),
        (
            {"world": {"concepts": {"shape": {"values": ["circle", "square"]}}}},
            "model.rendering: got 0.1, allowed 0: it renders the centres of bumps",
        ),
    ],
)
def test_mistakes_name_the_key(change, message):
    config = {"name": "bumps", "world": to_dict(WORLD), "model": to_dict(MODEL)}
    with pytest.raises(Mistake, match=message):
        read_as(Config, {**config, **change}, "")
