"""Choice of `train.precision: auto`, made by measurement at the first start and never again."""

from dataclasses import replace
from typing import Any

import torch

from diffusion.model import DiffusionModel
from diffusion.precision import Precision, choose_precision
from diffusion.processes import Processes
from diffusion.train import draw_batches
from diffusion.train_config import count_parts
from diffusion.training_data import TrainingData, image_losses
from ground.files import write_json, write_text
from studies.experiment.config import Config, to_yaml
from studies.experiment.identity import identity
from studies.run.directory import RunDir


def with_recorded_precision(config: Config, run: RunDir) -> Config:
    """Return the config with `auto` replaced by what this experiment's config.yaml says, if it has
    begun."""
    if config.train.precision != "auto" or not run.has_begun():
        return config
    recorded = run.read_config()
    decided = _with(config, recorded.train.precision)
    return decided if identity(decided) == identity(recorded) else config


def decide_precision(
    config: Config, run: RunDir, processes: Processes, model: DiffusionModel, data: TrainingData
) -> Config:
    """Return the config with `auto` replaced by the faster precision. config.yaml gets it,
    precision.json the times."""
    if config.train.precision != "auto":
        return config
    precision, facts = processes.once(lambda: _measure(config, processes, model, data))
    decided = _with(config, precision)
    processes.once(lambda: write_text(run.config_file, to_yaml(decided)))
    processes.once(lambda: write_json(run.path / "precision.json", facts))
    return decided


def _measure(
    config: Config, processes: Processes, model: DiffusionModel, data: TrainingData
) -> tuple[str, Any]:
    """Choose by the clock, on the first process, with as many images as it takes at once."""
    parts = count_parts(config.train, processes.world_size)
    batches = draw_batches(data, model, config.train, config.seed).on(processes.device)
    draw = batches.draw(0, 0, parts)
    on_device, network = data.to(processes.device), model.to(processes.device)

    def step(precision: Precision) -> None:
        image_losses(network, on_device, draw, precision).mean().backward()
        if processes.device.type == "cuda":  # whose work has only been asked for
            torch.cuda.synchronize(processes.device)

    chosen, facts = choose_precision(step)
    network.zero_grad()
    return chosen, facts


def _with(config: Config, precision: Any) -> Config:
    return replace(config, train=replace(config.train, precision=precision))
