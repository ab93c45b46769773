"""Least-squares fits of drawn coverages to images: the arithmetic of the oracle.

An image is modelled as background + contrast · coverage(pose), a line per channel whose coefficients
are linear and drop out (variable projection: Golub and Pereyra 1973, in Kaufman's form). What is
left to search is the pose: first in a bank of coverages, all at once as one matrix product, then by
Levenberg–Marquardt. Coverages come from the renderer itself, with its anti-aliasing and its blur.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_gen.render import Canvas, coverage
from data_gen.scenes import Scenes

POSE = ("x", "y", "size", "rotation")  # columns of a pose; half-frames, the last in degrees
LOWEST, HIGHEST = (-1.3, -1.3, 0.03, -1e3), (1.3, 1.3, 1.5, 1e3)
DIFFERENCE_PX = 0.1  # of the finite differences; less and they see single kinks of the coverage
DIFFERENCE_DEGREES = 2.0
LONGEST = 20.0  # step of one iteration, in finite differences: 2 px


@dataclass(frozen=True)
class Kinds:
    """What is drawn, per row: int64 (n,) places among the words of shape and of style."""

    shape: Int[Tensor, " n"]
    style: Int[Tensor, " n"]

    def __getitem__(self, rows: Tensor) -> "Kinds":
        return Kinds(self.shape[rows], self.style[rows])

    def repeat(self, times: int) -> "Kinds":
        return Kinds(self.shape.repeat(times), self.style.repeat(times))


@dataclass(frozen=True)
class Bank:
    """Coverages to start from, one per row, sorted by kind.

    Attributes:
        templates: float32 (b, pixels), of mean 0 and norm 1.
        poses: float32 (b, 4).
        counts: how many rows each kind has.
    """

    templates: Float[Tensor, "b pixels"]
    poses: Float[Tensor, "b 4"]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Fit:
    """The best pose of one kind and what it leaves unexplained.

    Attributes:
        pose: float32 (n, 4).
        background, contrast: float32 (n, channels), in the images' unit.
        residual: float32 (n,), root mean square over pixels and channels.
        explained: float32 (n,), sum of squares the coverage explains beyond a constant.
    """

    pose: Float[Tensor, "n 4"]
    background: Float[Tensor, "n c"]
    contrast: Float[Tensor, "n c"]
    residual: Float[Tensor, " n"]
    explained: Float[Tensor, " n"]


def coverage_of(kinds: Kinds, pose: Float[Tensor, "n 4"], canvas: Canvas) -> Float[Tensor, "n p"]:
    """float32 in [0, 1], as the renderer draws it, pixels in one row."""
    x, y, size, rotation = pose.unbind(1)
    colorless = pose.new_zeros(len(pose), 3)
    scenes = Scenes(
        combination=kinds.shape,
        shape=kinds.shape,
        style=kinds.style,
        color=colorless,
        background=colorless,
        **dict(x=x, y=y, size=size, rotation=rotation),
    )
    return coverage(scenes, canvas).flatten(1)


def make_bank(kinds: Kinds, poses: list[Float[Tensor, "_ 4"]], canvas: Canvas) -> Bank:
    """Templates of every kind at its poses."""
    counts = tuple(len(p) for p in poses)
    rows = torch.arange(len(poses)).repeat_interleave(torch.tensor(counts))
    pose = torch.cat(poses)
    masks = _centred(coverage_of(kinds[rows], pose, canvas))
    return Bank(masks / masks.norm(dim=1, keepdim=True).clamp(min=1e-6), pose, counts)


def best_starts(
    images: Float[Tensor, "n c pixels"], bank: Bank
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k 4"]]:
    """Per kind the largest sum of squares that a template explains, and its pose."""
    explained = (_centred(images) @ bank.templates.T).square().sum(1)
    scores, poses, first = [], [], 0
    for count in bank.counts:
        score, row = explained[:, first : first + count].max(1)
        scores.append(score)
        poses.append(bank.poses[first + row])
        first += count
    return torch.stack(scores, 1), torch.stack(poses, 1)


def refine(
    images: Float[Tensor, "n c pixels"],
    kinds: Kinds,
    start: Float[Tensor, "n 4"],
    canvas: Canvas,
    steps: int,
) -> Fit:
    """Levenberg–Marquardt from a start; the rotation stays where the canvas is upright."""
    centred, pose = _centred(images), start
    low, high = pose.new_tensor(LOWEST), pose.new_tensor(HIGHEST)
    damping = pose.new_full((len(pose),), 1e-2)
    loss, change, normal = _expand(centred, kinds, pose, canvas)
    for _ in range(steps):
        trial = (pose + _step(change, normal, damping, canvas)).clamp(low, high)
        new_loss, new_change, new_normal = _expand(centred, kinds, trial, canvas)
        better = new_loss < loss
        damping = torch.where(better, damping / 5, damping * 5).clamp(1e-6, 1e6)
        pose = torch.where(better[:, None], trial, pose)
        loss = torch.where(better, new_loss, loss)
        change = torch.where(better[:, None], new_change, change)
        normal = torch.where(better[:, None, None], new_normal, normal)
    return fit_colors(images, coverage_of(kinds, pose, canvas), pose)


def fit_colors(
    images: Float[Tensor, "n c pixels"], mask: Float[Tensor, "n pixels"], pose: Float[Tensor, "n 4"]
) -> Fit:
    """The line per channel through the points (coverage, intensity), by least squares."""
    centred = _centred(mask)
    power = centred.square().sum(1).clamp(min=1e-6)
    contrast = (images * centred[:, None]).sum(2) / power[:, None]
    background = images.mean(2) - contrast * mask.mean(1, keepdim=True)
    rest = images - background[:, :, None] - contrast[:, :, None] * mask[:, None]
    residual = rest.square().mean((1, 2)).sqrt()
    return Fit(pose, background, contrast, residual, contrast.square().sum(1) * power)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _units(canvas: Canvas, like: Tensor) -> Float[Tensor, " 4"]:
    """What the finite differences add to each column of a pose."""
    length = DIFFERENCE_PX * 2 / canvas.image_size_px
    return like.new_tensor([length, length, length, DIFFERENCE_DEGREES])


def _expand(
    centred: Tensor, kinds: Kinds, pose: Tensor, canvas: Canvas
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, Gauss–Newton gradient and normal matrix at a pose, in units of finite differences.

    centred: (n, c, pixels). Returns (n,), (n, free), (n, free, free); the gradient and the matrix
    share the factor |contrast|², which is left out. The loss is minus what is explained.
    """
    free = 3 if canvas.upright else 4
    moves = torch.diag(_units(canvas, pose))[:free]
    poses = torch.cat((pose[None], pose + moves[:, None]))
    masks = coverage_of(kinds.repeat(free + 1), poses.flatten(0, 1), canvas)
    masks = _centred(masks.view(free + 1, len(pose), -1))
    mask, slope = masks[0], (masks[1:] - masks[0]).transpose(0, 1)
    power = mask.square().sum(1).clamp(min=1e-6)
    product = (centred * mask[:, None]).sum(2)
    contrast = product / power[:, None]
    strength = contrast.square().sum(1).clamp(min=1e-12)
    seen = (contrast[:, :, None] * centred).sum(1) / strength[:, None]
    change = (slope * (seen - mask)[:, None]).sum(2)
    along = (slope * mask[:, None]).sum(2)
    normal = slope @ slope.mT - along[:, :, None] * along[:, None] / power[:, None, None]
    return -(strength * power), change, normal


def _step(change: Tensor, normal: Tensor, damping: Tensor, canvas: Canvas) -> Tensor:
    """(n, 4) in the units of a pose."""
    size = normal.diagonal(dim1=1, dim2=2)
    # a circle's rotation changes nothing: its row is zero and must not make the matrix singular
    ridge = damping[:, None] * size + 1e-4 * size.sum(1, keepdim=True) + 1e-12
    step = torch.linalg.solve(normal + torch.diag_embed(ridge), change).clamp(-LONGEST, LONGEST)
    full = step.new_zeros(len(step), 4)
    full[:, : step.shape[1]] = step
    return full * _units(canvas, step)
