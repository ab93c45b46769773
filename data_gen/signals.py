"""Concept signal, measured through the renderer: how many intensities apart values really lie."""

import itertools
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from data_gen.factors import FACTORS
from data_gen.render import Canvas, render
from data_gen.scene_sets import InTurn
from data_gen.scenes import Scenes, draw_scenes
from data_gen.world import World
from ground.endings import Mistake

SCENES = 512  # of each value at least: the standard error of a gap is a few hundredths of it


@dataclass(frozen=True)
class Gap:
    """Expected distance between images that differ in one value only.

    Attributes:
        concept, first, second: which values.
        mean: E‖image − image'‖₂ over all pixels and channels, intensities in [0, 1].
        smallest: of the expected distances within one combination of the others; where: which.
    """

    concept: str
    first: str
    second: str
    mean: float
    smallest: float
    where: str


def pixel_gaps(world: World, concept: str) -> list[Gap]:
    """The gap between every two values of a concept; all else, jitter too, is equal in a pair."""
    values = world.config.concepts[concept].values
    pairs = list(itertools.combinations(range(len(values)), 2))
    parts: list[list[Tensor]] = [[] for _ in pairs]
    for index in _indices(world):
        images = [_images(world, concept, value, index) for value in values]
        for part, (i, j) in zip(parts, pairs, strict=True):
            part.append((images[i] - images[j]).flatten(1).norm(dim=1))
    return [
        _gap(world, concept, values[i], values[j], torch.cat(part))
        for part, (i, j) in zip(parts, pairs, strict=True)
    ]


def _indices(world: World) -> tuple[Tensor, ...]:
    """Of the scenes measured, every combination several times; in pieces that fit in memory."""
    count = max(SCENES, 8 * len(world.space))
    return torch.arange(count).split(max(1, (1 << 20) // world.config.image_size_px**2))


def _gap(world: World, concept: str, first: str, second: str, distance: Tensor) -> Gap:
    place, space = world.space.names.index(concept), world.space
    groups: dict[str, list[int]] = {}
    for i in range(len(distance)):
        combination = space.combinations[i % len(space)]
        others = space.name((*combination[:place], *combination[place + 1 :]))
        groups.setdefault(others, []).append(i)
    means = {others: float(distance[rows].mean()) for others, rows in groups.items()}
    where = min(means, key=lambda others: means[others])
    return Gap(concept, first, second, float(distance.mean()), means[where], where)


def mean_gap(world: World, concept: str) -> float:
    """Mean gap over all pairs of values. Raises Mistake if there is one value only."""
    gaps = [gap.mean for gap in pixel_gaps(world, concept)]
    if not gaps:
        raise Mistake(f"world.concepts.{concept}: has one value; a signal needs two or more")
    return sum(gaps) / len(gaps)


def _images(world: World, concept: str, value: str, index: Tensor) -> Float[Tensor, "n 3 h w"]:
    """Scenes of every combination in turn, with one concept set to `value`."""
    place = world.space.names.index(concept)
    shown = [world.space.combinations[i % len(world.space)] for i in index.tolist()]
    changed = [(*c[:place], value, *c[place + 1 :]) for c in shown]
    combination = torch.tensor([world.space.index(c) for c in changed])
    scenes = draw_scenes(world, combination, world.seed, "signals", index)
    return render(scenes, Canvas.of(world.config))


def sensitivity(world: World, factor: str) -> float:
    """Sensitivity E‖∂image/∂z‖₂ to a number z of the scene, per its unit, by forward-mode autograd.

    Of a color, every channel on its own and then their mean.
    """
    norms = []
    for index in _indices(world):
        drawn = InTurn(world).sample(world.seed, "signals", index)
        z = getattr(drawn, factor)
        tangents = [torch.ones_like(z)] if z.dim() == 1 else list(_channels(z))
        norms += [_jacobian_norms(world, drawn, factor, tangent) for tangent in tangents]
    return float(torch.cat(norms).mean())


def _channels(z: Tensor) -> Tensor:
    """(channels, n, channels): one at a time."""
    return torch.eye(z.shape[1]).to(z)[:, None, :].expand(-1, len(z), -1)


def _jacobian_norms(world: World, scenes: Scenes, factor: str, tangent: Tensor) -> Tensor:
    def image(z: Tensor) -> Tensor:
        return render(replace(scenes, **{factor: z}), Canvas.of(world.config))

    derivative = torch.func.jvp(image, (getattr(scenes, factor),), (tangent,))[1]
    return derivative.flatten(1).norm(dim=1)


def match_signal(world: World, concept: str, gap: float) -> float:
    """The signal at which a concept's mean pixel gap is `gap`, by bisection, to three digits.

    Raises Mistake if the concept has no signal or cannot reach the gap.
    """
    if not FACTORS[concept].channels or world.config.concepts[concept].signal is None:
        raise Mistake(f"--match: {concept} has no signal to move")
    low, high = 0.0, _highest(world, concept)
    most = mean_gap(_with_signal(world, concept, high), concept)
    if gap > most:
        raise Mistake(
            f"--match: {concept} reaches a pixel gap of {most:.2f} at its largest signal "
            f"{high:.3g}, asked for {gap:.2f}; lower the signal of the other concept"
        )
    for _ in range(12):
        middle = (low + high) / 2
        below = mean_gap(_with_signal(world, concept, middle), concept) < gap
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def _highest(world: World, concept: str) -> float:
    """The largest signal the concept may have, to a thousandth."""
    low, high = 0.0, 2 * FACTORS[concept].high
    while high - low > 1e-3:
        middle = (low + high) / 2
        try:
            _with_signal(world, concept, middle)
            low = middle
        except Mistake:
            high = middle
    return low


def _with_signal(world: World, concept: str, signal: float) -> World:
    changed = replace(world.config.concepts[concept], signal=signal)
    concepts = {**world.config.concepts, concept: changed}
    return World(replace(world.config, concepts=concepts), world.captions)
