"""Multi-head probe: images → probabilities of every concept's values."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from classifiers.familiarity import Familiarity
from classifiers.probe_config import ProbeConfig
from data_gen import streams

Batch = tuple[UInt8[Tensor, "n 3 h w"], Int[Tensor, "n c"]]
Others = tuple[UInt8[Tensor, "m 3 h w"], Int[Tensor, "m c"]]  # of another size, beside a Batch


@dataclass(frozen=True)
class ProbeReadings:
    """What a probe sees in n images, on the CPU.

    probabilities: float32 (n, values) per concept, softmax.
    unsure: which images are like no scene it knows; what is read in them means nothing.
    """

    probabilities: dict[str, Float[Tensor, "n v"]]
    unsure: Bool[Tensor, " n"]

    def indices(self) -> Int[Tensor, "n c"]:
        """The place of the likeliest value of each concept; −1 where unsure."""
        likeliest = torch.stack([p.argmax(1) for p in self.probabilities.values()], 1)
        return likeliest.where(~self.unsure[:, None], -1)


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
        kinds = math.prod(len(values) for values in self.values.values())
        self.familiarity = Familiarity(kinds, 8 * width)

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """images: float32 in [0, 1]. What the heads read."""
        maps = self.trunk(images * 2 - 1)
        return torch.cat((maps.mean((2, 3)), maps.amax((2, 3))), dim=1)

    def logits(self, features: Float[Tensor, "n d"]) -> dict[str, Float[Tensor, "n v"]]:
        return {name: head(features) for name, head in self.heads.items()}

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> dict[str, Float[Tensor, "n v"]]:
        """images: float32 in [0, 1]. Returns logits per concept."""
        return self.logits(self.features(images))

    @torch.no_grad()
    def read(self, images: UInt8[Tensor, "n 3 h w"], batch_size: int = 512) -> ProbeReadings:
        """images: uint8 in [0, 255]."""
        self.eval()
        chunks = [chunk.float() / 255 for chunk in images.split(batch_size)]
        features = torch.cat([self.features(chunk) for chunk in chunks])
        probabilities = {name: x.softmax(1).cpu() for name, x in self.logits(features).items()}
        return ProbeReadings(probabilities, self.familiarity.is_unfamiliar(features).cpu())


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


@torch.no_grad()
def calibrate(probe: Probe, fitted: Batch, others: Others, config: ProbeConfig) -> None:
    """Teach a trained probe what scenes look like, and when to be unsure.

    fitted, others: labelled renders, different ones; all combinations are among the first. Half
    of what is learned from is blurred and noisy, as in training: the best images of a generative
    model are not as clean as renders.
    """
    sizes = [len(values) for values in probe.values.values()]
    images, targets = fitted
    features = torch.cat((_features(probe, images), _features(probe, images, config)))
    probe.familiarity.fit(features, _combination(targets, sizes).repeat(2))
    half = len(others[0]) // 2
    clean, degraded = others[0][:half], others[0][half:]
    limits = torch.cat((_features(probe, clean), _features(probe, degraded, config)))
    probe.familiarity.set_limit(limits, config.unsure_rate)


def _features(probe: Probe, images: Tensor, degrade: ProbeConfig | None = None) -> Tensor:
    chunks = [chunk.float() / 255 for chunk in images.split(512)]
    if degrade is not None:  # at steps that training has not reached
        chunks = [augment(chunk, degrade, degrade.steps + i) for i, chunk in enumerate(chunks)]
    return torch.cat([probe.features(chunk) for chunk in chunks])


def _combination(targets: Int[Tensor, "n c"], sizes: list[int]) -> Int[Tensor, " n"]:
    """The number of each combination of values, the last concept running fastest."""
    number = torch.zeros(len(targets), dtype=torch.long)
    for place, size in zip(targets.T, sizes, strict=True):
        number = number * size + place
    return number


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
