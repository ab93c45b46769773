"""Multi-head probe: images → probabilities of every concept's values, or of its coordinates."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Real, UInt8
from torch import Tensor, nn

from classifiers.augmentation import augment
from classifiers.heads import Coordinate, Head
from classifiers.probe_config import ProbeConfig, cycle_ends
from classifiers.unsure import Familiarity
from ground import streams
from ground.endings import Mistake, Preempted, first_line
from ground.files import whole_file

# images, and per concept the place of its value, or its coordinate in px (nan: none)
Batch = tuple[UInt8[Tensor, "n _ h w"], Real[Tensor, "n c"]]
Others = tuple[UInt8[Tensor, "m _ h w"], Real[Tensor, "m c"]]  # of another size, beside a Batch
STATE_EVERY = 50  # steps of training between two saves of what is needed to go on
REDUCTION = 4  # of the side of an image, by the trunk
CPU = torch.device("cpu")


@dataclass(frozen=True)
class ProbeReadings:
    """What a probe sees in n images, on the CPU.

    probabilities: float32 (n, values) per concept, softmax; of a coordinate, of its places.
    unsure: which images are like no scene it knows; what is read in them means nothing.
    coordinates: float64 (n,) in px per concept that is one; nan: none.
    """

    probabilities: dict[str, Float[Tensor, "n v"]]
    unsure: Bool[Tensor, " n"]
    coordinates: dict[str, Float[Tensor, " n"]] = field(default_factory=dict)

    def indices(self) -> Int[Tensor, "n c"]:
        """The place of the likeliest value of each concept; −1 where unsure."""
        likeliest = torch.stack([p.argmax(1) for p in self.probabilities.values()], 1)
        return likeliest.where(~self.unsure[:, None], -1)


class Probe(nn.Module):
    """A small convolutional trunk with one linear head per concept.

    concepts: {concept: its values, or its coordinate}, in the order of the targets. Heads of values
    read absolute position away by average pooling, so that where an object lies says nothing of
    what it is; those of coordinates get the means of rows and of columns instead. fold: squares of
    fold × fold pixels are read as one pixel of as many channels, which costs fold² times less and
    loses nothing.
    """

    def __init__(self, concepts: Mapping[str, Head], width: int, fold: int = 1):
        super().__init__()
        self.fold = fold
        self.concepts = dict(concepts)
        self.coordinates = {n: h for n, h in concepts.items() if isinstance(h, Coordinate)}
        self.values = {n: tuple(h) for n, h in concepts.items() if not isinstance(h, Coordinate)}
        self.trunk = nn.Sequential(
            *_block(3 * fold**2, width),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 4 * width),
            nn.MaxPool2d(2),
            *_block(4 * width, 4 * width),
        )
        self.pooled = 8 * width  # features that know no position: the first ones
        self.heads = nn.ModuleDict(
            {_key(name): nn.Linear(self._inputs(h), len(h)) for name, h in concepts.items()}
        )
        self.familiarity = Familiarity(math.prod(self.kinds), self.pooled)

    @property
    def kinds(self) -> tuple[int, ...]:
        """How many kinds of images each concept makes: one per value; of a coordinate, one where
        it is there, whatever it is, and one where it is not."""
        return tuple(
            1 + head.nullable if isinstance(head, Coordinate) else len(head)
            for head in self.concepts.values()
        )

    def features(self, images: Float[Tensor, "n _ h w"]) -> Float[Tensor, "n d"]:
        """Features that the heads read. images: float32 in [0, 1], in color or gray."""
        pixels = images.expand(-1, 3, -1, -1) * 2 - 1
        maps = self.trunk(F.pixel_unshuffle(pixels, self.fold) if self.fold > 1 else pixels)
        parts = [maps.mean((2, 3)), maps.amax((2, 3))]
        if self.coordinates:
            parts += [maps.mean(2).flatten(1), maps.mean(3).flatten(1)]
        return torch.cat(parts, dim=1)

    def logits(self, features: Float[Tensor, "n d"]) -> dict[str, Float[Tensor, "n v"]]:
        pooled, along = features[:, : self.pooled], features[:, self.pooled :]
        return {
            name: self.heads[_key(name)](along if name in self.coordinates else pooled)
            for name in self.concepts
        }

    def forward(self, images: Float[Tensor, "n _ h w"]) -> dict[str, Float[Tensor, "n v"]]:
        """Logits per concept. images: float32 in [0, 1]."""
        return self.logits(self.features(images))

    @torch.no_grad()
    def read(self, images: UInt8[Tensor, "n _ h w"], batch_size: int = 512) -> ProbeReadings:
        """Read images: uint8 in [0, 255]."""
        self.eval()
        device = self.familiarity.limit.device
        chunks = [chunk.to(device).float() / 255 for chunk in images.split(batch_size)]
        features = torch.cat([self.features(chunk) for chunk in chunks])
        probabilities = {name: x.softmax(1).cpu() for name, x in self.logits(features).items()}
        unsure = self.familiarity.is_unfamiliar(features[:, : self.pooled]).cpu()
        places = {name: head.read(probabilities[name]) for name, head in self.coordinates.items()}
        return ProbeReadings(probabilities, unsure, places)

    def _inputs(self, head: Head) -> int:
        """How many numbers a head reads."""
        if isinstance(head, Coordinate):
            return self.pooled * (head.image_size_px // self.fold // REDUCTION)
        return self.pooled


def _key(concept: str) -> str:
    """Of its head: its name, unless that is an attribute of every module, such as type or half."""
    return f"concept {concept}" if hasattr(nn.ModuleDict(), concept) else concept


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.ReLU()]


@torch.no_grad()
def calibrate(probe: Probe, fitted: Batch, others: Others, config: ProbeConfig) -> None:
    """Teach a trained probe what scenes look like, and when to be unsure.

    fitted, others: labelled renders, different ones; all combinations are among the first. Half
    of what is learned from is blurred and noisy, as in training: the best images of a generative
    model are not as clean as renders.
    """
    images, targets = fitted
    features = torch.cat((_features(probe, images), _features(probe, images, config)))
    probe.familiarity.fit(features, _kind(probe, targets).repeat(2))
    half = len(others[0]) // 2
    clean, degraded = others[0][:half], others[0][half:]
    limits = torch.cat((_features(probe, clean), _features(probe, degraded, config)))
    probe.familiarity.set_limit(limits, config.unsure_rate)


def _features(probe: Probe, images: Tensor, degrade: ProbeConfig | None = None) -> Tensor:
    chunks = [chunk.float() / 255 for chunk in images.split(512)]
    if degrade is not None:  # at steps that training has not reached
        chunks = [augment(chunk, degrade, degrade.steps + i) for i, chunk in enumerate(chunks)]
    return torch.cat([probe.features(chunk)[:, : probe.pooled] for chunk in chunks])


def _kind(probe: Probe, targets: Real[Tensor, "n c"]) -> Int[Tensor, " n"]:
    """The number of each combination of kinds, the last concept running fastest."""
    number = torch.zeros(len(targets), dtype=torch.long)
    for target, head, size in zip(targets.T, probe.concepts.values(), probe.kinds, strict=True):
        kind = target.isnan() if isinstance(head, Coordinate) else target
        number = number * size + kind.long()
    return number


def train_probe(
    concepts: Mapping[str, Head],
    config: ProbeConfig,
    draw: Callable[[int], Batch],
    progress: Callable[[int, float], None] = lambda step, loss: None,
    *,
    state: Path | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    fold: int = 1,
    is_enough: Callable[[Probe, int], bool] | None = None,
    device: torch.device = CPU,
) -> Probe:
    """Train on batches `draw(step)` of labelled renders; half of each batch is left clean.

    state: file that keeps the training while it is at work; where it is there, training goes on
    from it and ends with the same bits. should_stop: asked after every step; Preempted then.
    fold: see Probe. is_enough: asked at `cycle_ends` of the probe and its step whether to stop
    there; None: one cycle of all steps. device: where it is trained; it is returned on the CPU.
    """
    ends = (config.steps,) if is_enough is None else cycle_ends(config.steps)
    training = _ProbeTraining(concepts, config, ends, fold, device)
    if state is not None and state.is_file():
        training.load(state)
    while training.goes_on(is_enough):
        progress(training.step, training.advance(draw))
        stop, last = should_stop(), training.step in ends
        if state is not None and (stop or last or training.step % STATE_EVERY == 0):
            training.save(state)
        if stop:
            raise Preempted(f"stopped after {training.step} of {config.steps} steps of the probe")
    return training.probe.cpu()


class _ProbeTraining:
    """A probe on its way; `step`: how many steps it has made. ends: steps at which the cycles of
    its learning rate end."""

    def __init__(
        self,
        concepts: Mapping[str, Head],
        config: ProbeConfig,
        ends: Sequence[int],
        fold: int,
        device: torch.device,
    ):
        self.config, self.ends, self.device, self.step = config, ends, device, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.torch_seed(config.seed))
            self.probe = Probe(concepts, config.width, fold).to(device)
        self.optimizer = torch.optim.AdamW(self.probe.parameters(), config.learning_rate)
        self.schedule = self._cycle()

    def _cycle(self) -> torch.optim.lr_scheduler.OneCycleLR:
        """The learning rate of the cycle that the next step lies in."""
        cycles = [end - start for start, end in pairwise((0, *self.ends))]
        place = sum(self.step >= end for end in self.ends[:-1])
        rate = self.config.learning_rate
        return torch.optim.lr_scheduler.OneCycleLR(self.optimizer, rate, total_steps=cycles[place])

    @property
    def parts(self) -> dict[str, Any]:
        return {"probe": self.probe, "optimizer": self.optimizer, "schedule": self.schedule}

    def goes_on(self, is_enough: Callable[[Probe, int], bool] | None) -> bool:
        """True until the last step, or the first end of a cycle at which the probe is enough."""
        if self.step in self.ends[:-1] and is_enough is not None:
            return not is_enough(self.probe, self.step)
        return self.step < self.config.steps

    def advance(self, draw: Callable[[int], Batch]) -> float:
        """One step; returns its loss."""
        images, targets = (part.to(self.device) for part in draw(self.step))
        clean = images.float() / 255
        half = len(clean) // 2
        degraded = augment(clean[half:], self.config, self.step)
        logits = self.probe(torch.cat((clean[:half], degraded)))
        loss = _loss(self.probe.concepts, logits, targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        if self.step in self.ends[:-1]:
            self.schedule = self._cycle()
        return loss.item()

    def save(self, path: Path) -> None:
        facts = {name: part.state_dict() for name, part in self.parts.items()}
        with whole_file(path) as temporary:
            torch.save({"step": self.step, **facts}, temporary)

    def load(self, path: Path) -> None:
        """Raises Mistake for a file that is no state of this training."""
        try:
            facts = torch.load(path, weights_only=True, map_location=self.device)
            self.step = facts["step"]
            self.schedule = self._cycle()
            for name, part in self.parts.items():
                part.load_state_dict(facts[name])
        except (RuntimeError, EOFError, KeyError, ValueError, UnpicklingError) as error:
            raise Mistake(
                f"{path}: no state of this probe's training ({first_line(error)}); remove it, the "
                f"training begins anew"
            ) from None


def _loss(
    concepts: Mapping[str, Head], logits: dict[str, Tensor], targets: Real[Tensor, "n c"]
) -> Tensor:
    """Cross-entropies: of a coordinate, with the shares of its places."""
    wanted = [
        head.shares(target) if isinstance(head, Coordinate) else target.long()
        for head, target in zip(concepts.values(), targets.T, strict=True)
    ]
    pairs = zip(logits.values(), wanted, strict=True)
    return torch.stack([F.cross_entropy(logit, target) for logit, target in pairs]).sum()
