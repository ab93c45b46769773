"""Multi-head probe: images → probabilities of every concept's values."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from classifiers.probe_config import ProbeConfig
from data_gen import streams

Batch = tuple[UInt8[Tensor, "n 3 h w"], Int[Tensor, "n c"]]


class Probe(nn.Module):
    """A small convolutional trunk with one linear head per concept.

    heads: {concept: its values}, in the order of the targets. It reads absolute position away by
    average pooling, so that where an object lies says nothing of what it is.
    """

    def __init__(self, heads: Mapping[str, tuple[str, ...]], width: int):
        super().__init__()
        self.values = {name: tuple(values) for name, values in heads.items()}
        self.trunk = nn.Sequential(
            *_block(3, width),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 4 * width),
            nn.MaxPool2d(2),
            *_block(4 * width, 4 * width),
        )
        self.heads = nn.ModuleDict(
            {name: nn.Linear(8 * width, len(values)) for name, values in self.values.items()}
        )

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> dict[str, Float[Tensor, "n v"]]:
        """images: float32 in [0, 1]. Returns logits per concept."""
        features = self.trunk(images * 2 - 1)
        pooled = torch.cat((features.mean((2, 3)), features.amax((2, 3))), dim=1)
        return {name: head(pooled) for name, head in self.heads.items()}

    @torch.no_grad()
    def probabilities(
        self, images: UInt8[Tensor, "n 3 h w"], batch_size: int = 512
    ) -> dict[str, Float[Tensor, "n v"]]:
        """images: uint8 in [0, 255]. Returns softmax probabilities per concept, on the CPU."""
        self.eval()
        chunks = [self(chunk.float() / 255) for chunk in images.split(batch_size)]
        return {name: torch.cat([c[name] for c in chunks]).softmax(1).cpu() for name in self.values}


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU()]


def augment(
    images: Float[Tensor, "n 3 h w"], config: ProbeConfig, step: int
) -> Float[Tensor, "n 3 h w"]:
    """Blur each image by a random share, then add noise of a random strength, then clip."""
    index = torch.arange(len(images), device=images.device)
    strength = streams.uniform(config.seed, "probe.strength", step, index, 2)
    share = (strength[:, 0] * config.blur)[:, None, None, None]
    images = images + share * (_blurred(images) - images)
    noise = streams.normal(config.seed, "probe.noise", step, index, images[0].numel())
    sigma = (strength[:, 1] * config.noise)[:, None, None, None]
    return (images + sigma * noise.view_as(images)).clamp(0, 1)


def _blurred(images: Tensor) -> Tensor:
    """3×3 binomial blur, edges replicated."""
    line = torch.tensor([0.25, 0.5, 0.25], device=images.device)
    kernel = torch.outer(line, line).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)


def train_probe(
    heads: Mapping[str, tuple[str, ...]],
    config: ProbeConfig,
    draw: Callable[[int], Batch],
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> Probe:
    """Train on batches `draw(step)` of labelled renders; half of each batch is left clean."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        probe = Probe(heads, config.width)
    optimizer = torch.optim.AdamW(probe.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps
    )
    for step in range(config.steps):
        images, targets = draw(step)
        clean = images.float() / 255
        half = len(clean) // 2
        logits = probe(torch.cat((clean[:half], augment(clean[half:], config, step))))
        loss = _loss(logits, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step, loss.item())
    return probe


def _loss(logits: dict[str, Tensor], targets: Tensor) -> Tensor:
    losses = [F.cross_entropy(logit, targets[:, i]) for i, logit in enumerate(logits.values())]
    return torch.stack(losses).sum()
