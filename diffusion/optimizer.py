"""AdamW, its learning rate, and the copy of a model that averages its weights."""

import copy
from typing import Any

import torch

from diffusion.model import DiffusionModel
from diffusion.train_config import TrainConfig


def build_optimizer(model: DiffusionModel, config: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW of all trained weights. A learned noise schedule is not decayed: 0 is no place
    for it."""
    schedule = {id(parameter) for parameter in model.objective.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if id(p) not in schedule]},
        {"params": [p for p in trained if id(p) in schedule], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, already above 0 at step 0; then constant, or linear to 0 at max_steps."""
    warmup, end = max(1, config.warmup_steps), config.max_steps
    share = min(1.0, (step + 1) / warmup)
    if config.learning_rate_decay == "linear" and step >= warmup:
        share = (end - step) / (end - warmup)
    return config.learning_rate * share


def averaged_copy(model: DiffusionModel) -> DiffusionModel:
    """A copy to average weights in; what is frozen is shared with the model."""
    frozen = {id(p): p for p in model.parameters() if not p.requires_grad}
    return copy.deepcopy(model, frozen).requires_grad_(False)
