"""A training step reads nothing from its device and copies nothing to it; nor does sampling.

Told on torch's `meta` device, see `tests/harness/host_traffic.py`. The start of a training, and its
first step, may copy what all later ones use, such as constants of layers; the second step must do
with what is there.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.world import BumpWorld
from data_gen.dataset import training_set
from data_gen.world import World
from diffusion import train as train_module
from diffusion.model import build_model
from diffusion.model_config import ModelConfig, TextEncoderConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_scheduler
from diffusion.processes import Processes, build_accelerator
from diffusion.samplers import SAMPLERS, make_sampler, step_noise
from diffusion.sampling import composed, sample
from diffusion.train import Trainer
from diffusion.train_config import TrainConfig
from diffusion.training_data import TrainingData
from studies.worlds.bumps.images import bump_task
from studies.worlds.captioned_images import training_data
from studies.worlds.model_inputs import Conditioning, make_conditioning
from tests.diffusion.test_text_encoders import save_clip, save_t5
from tests.harness.host_traffic import META, HostTraffic

CONFIG = TrainConfig(max_steps=12, batch_size=8, snapshots="0", threads=1)
TINY, PLAIN = ModelConfig(size="tiny"), ObjectiveConfig()
NUMBERS = replace(TINY, conditioning="vector", numbers="standardized")
HELD_OUT = HeldOut("interior", 3.0, 4.0)
COORDINATES = replace(TINY, conditioning="coordinates", rendering=0.1)

MODELS: dict[str, tuple[ModelConfig, ObjectiveConfig, TrainConfig]] = {
    "captions": (TINY, PLAIN, CONFIG),
    "masks": (replace(TINY, dropout=0.1), PLAIN, replace(CONFIG, micro_batch_size=4)),
    "contextual": (replace(TINY, conditioning="captions_contextual"), PLAIN, CONFIG),
    "one_hot": (replace(TINY, conditioning="one_hot"), PLAIN, CONFIG),
    "embeddings": (replace(TINY, conditioning="embeddings"), PLAIN, CONFIG),
    "numbers": (NUMBERS, ObjectiveConfig(kind="variational"), CONFIG),
    "coordinates": (COORDINATES, PLAIN, CONFIG),
}


@pytest.fixture(autouse=True)
def fused_there(monkeypatch) -> None:
    """AdamW's one kernel for all weights, as on GPUs: torch refuses it on its meta device."""
    module = import_module("torch.optim.optimizer")
    monkeypatch.setattr(module, "_get_fused_kernels_supported_devices", lambda: ["meta"])


def task(world: World, model: ModelConfig) -> tuple[TrainingData, Conditioning]:
    if model.conditioning != "coordinates":
        conditioning = make_conditioning(world, model)
        return training_data(world, training_set(world), conditioning), conditioning
    bumps = bump_task(BumpWorld(BumpsConfig(image_size_px=8, held_out=HELD_OUT)), model.rendering)
    return bumps.load()[0], bumps.conditioning


def start(
    world: World,
    folder: Path,
    model: ModelConfig = TINY,
    objective: ObjectiveConfig = PLAIN,
    config: TrainConfig = CONFIG,
) -> Trainer:
    """A training on the meta device, that has made one step."""
    data, conditioning = task(world, model)
    shape = tuple(data.images.shape[1:])
    network = build_model(model, objective, conditioning.build, shape, 0)
    processes = Processes(build_accelerator(config))
    processes.device = META
    folder.mkdir(exist_ok=True)
    with HostTraffic():
        trainer = Trainer(
            data,
            network,
            conditioning.prompts,
            config,
            seed=0,
            directory=folder,
            processes=processes,
        )
        trainer._train_step()
    return trainer


def seen(step: Callable[[], object]) -> list[tuple[str, str]]:
    with HostTraffic() as traffic:
        step()
    return traffic.seen


@pytest.mark.parametrize("name", MODELS)
def test_a_step_reads_and_copies_nothing(tiny_world, tmp_path, name):
    trainer = start(tiny_world, tmp_path, *MODELS[name])
    assert all(tensor.is_meta for tensor in trainer.trained)
    assert seen(trainer._train_step) == []
    assert [step.step for step in trainer.records.pending] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("save, frozen", [(save_clip, True), (save_clip, False), (save_t5, False)])
def test_nor_does_one_with_a_pretrained_encoder(tiny_world, tmp_path, monkeypatch, save, frozen):
    monkeypatch.setattr(torch, "autocast", lambda *of, **how: nullcontext())  # knows no meta device
    save(tmp_path / "encoder", **({"vocab_size": 64} if save is save_clip else {}))
    encoder = TextEncoderConfig(str(tmp_path / "encoder"), frozen=frozen)
    model = replace(TINY, conditioning="pretrained", text_encoder=encoder)
    trainer = start(tiny_world, tmp_path / "run", model)
    assert (trainer.data.conditions is not None) == frozen
    assert seen(trainer._train_step) == []


def test_a_batch_that_straddles_epochs_is_no_exception(tiny_world, tmp_path):
    """20 images in batches of 8: the third reaches over."""
    trainer = start(tiny_world, tmp_path)
    stream = replace(trainer.batches, num_images=20)
    stream.draw(2)  # the orders of these epochs
    assert seen(lambda: stream.draw(2)) == []


@pytest.mark.parametrize(
    "offence",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: bool((x > 0).all()),
        lambda x: x + torch.tensor(1.0),
        lambda x: torch.ones(3).to(META),
        lambda x: x.copy_(torch.ones(3)),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: x.new_tensor([1.0]),
        lambda x: torch.tensor([1.0], device=META),
    ],
)
def test_what_is_read_or_copied_is_seen(offence):
    x = torch.ones(3, device=META)
    assert len(seen(lambda: offence(x))) == 1


@pytest.mark.parametrize("select", [torch.nonzero, torch.unique, lambda x: x[x > 0]])
def test_shapes_that_depend_on_numbers_are_seen(select):
    """They have no answer without numbers; the mode has seen them before."""
    x = torch.ones(3, device=META)
    with HostTraffic() as traffic, pytest.raises(RuntimeError):
        select(x)
    assert len(traffic.seen) >= 1


def test_a_culprit_is_named_by_its_line(tiny_world, tmp_path, monkeypatch):
    trainer = start(tiny_world, tmp_path)
    plain = train_module.image_losses

    def reading(*given) -> Tensor:
        losses = plain(*given)
        losses.sum().item()
        return losses

    monkeypatch.setattr(train_module, "image_losses", reading)
    ((operator, line),) = seen(trainer._train_step)
    assert operator == "aten._local_scalar_dense.default"
    assert line.startswith("diffusion/train.py") and "image_losses" in line


def follow(trainer: Trainer, name: str) -> None:
    """Sample two images of two captions, guided, with a few steps of a sampler."""
    shape, noise = (3, 16, 16), step_noise(0, torch.arange(2, device=META), (3, 16, 16))
    rows = trainer.data.inputs
    weights = torch.full((2, 1), 2.0, dtype=torch.float64)
    sampler = make_sampler(name, build_scheduler(PLAIN).config, 4, noise)
    denoise = composed(trainer.raw, rows[:2, None], weights, rows[-1:])
    with torch.no_grad():
        sample(denoise, sampler, torch.ones(2, *shape, device=META))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "unipc"])
def test_a_sampler_reads_nothing(tiny_world, tmp_path, name):
    """What it copies: the timesteps, and the weights of guidance, once each. Numbers of its tables
    are arguments of kernels. unipc is left out: diffusers' code copies a few numbers at every step.
    """
    trainer = start(tiny_world, tmp_path)
    copies = seen(lambda: follow(trainer, name))
    lines = [line for operator, line in copies if operator == "aten._to_copy.default"]
    arguments = {operator for operator, _ in copies} - {"aten._to_copy.default"}
    assert len(lines) == 2
    read = {"aten._local_scalar_dense.default", "aten.index.Tensor"}
    assert not arguments & {*read, "aten.copy_.default", "tensor"}
