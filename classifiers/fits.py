"""Least-squares fits of drawn coverages to images: the arithmetic of the oracle.

An image is modelled as background + contrast · coverage(pose), a line per channel whose two
coefficients are linear and drop out (variable projection: Golub and Pereyra 1973, in Kaufman's
form). What is left to search is the pose: first in a bank of coverages, all at once as one matrix
product, then by Levenberg–Marquardt. Coverages come from the renderer itself, with its
anti-aliasing and its blur.
"""

import math
from dataclasses import dataclass, fields

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
FIRST_DAMPING = 1e-2
TOLERANCE = 1e-2  # of a search: change of the sum of squares left, as a share of it
ROUNDING = 1 / 255 / math.sqrt(12)  # standard deviation of what uint8 takes away


@dataclass(frozen=True)
class Kinds:
    """What is drawn, per row: int64 (n,) places among the words of shape and of style."""

    shape: Int[Tensor, " n"]
    style: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, rows: Tensor) -> "Kinds":
        return Kinds(self.shape[rows], self.style[rows])

    def repeat(self, times: int) -> "Kinds":
        return Kinds(self.shape.repeat(times), self.style.repeat(times))


@dataclass(frozen=True)
class Bank:
    """Coverages to start from: g groups of one kind, size and rotation, each at all places.

    Attributes:
        kind: int64 (g,), of each group.
        poses: float32 (g, places, 4).
        templates: float32 (pixels, g · places), each of mean 0 and norm 1.
    """

    kind: Int[Tensor, " g"]
    poses: Float[Tensor, "g places 4"]
    templates: Float[Tensor, "pixels _"]


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

    def __getitem__(self, rows: Tensor) -> "Fit":
        return Fit(*(getattr(self, f.name)[rows] for f in fields(self)))

    def replace(self, rows: Int[Tensor, " m"], other: "Fit") -> None:
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(other, f.name)


@dataclass(frozen=True)
class State:
    """Where a search stands, in units of finite differences.

    Attributes:
        pose: float32 (n, 4).
        loss: float32 (n,), minus the sum of squares explained.
        change, normal: float32 (n, free) and (n, free, free), Gauss–Newton gradient and normal
            matrix; they share the factor |contrast|², which is left out.
        damping: float32 (n,), of the next step.
    """

    pose: Float[Tensor, "n 4"]
    loss: Float[Tensor, " n"]
    change: Float[Tensor, "n free"]
    normal: Float[Tensor, "n free free"]
    damping: Float[Tensor, " n"]

    def __getitem__(self, rows: Tensor) -> "State":
        return State(*(getattr(self, f.name)[rows] for f in fields(self)))

    def accept(self, rows: Int[Tensor, " m"], there: "State") -> None:
        """Move `rows` to where they were taken, if that is better; damp less then, else more."""
        better = there.loss < self.loss[rows]
        self.damping[rows] *= torch.where(better, 0.2, 5.0)
        for name in ("pose", "loss", "change", "normal"):
            getattr(self, name)[rows[better]] = getattr(there, name)[better]


def coverage_of(kinds: Kinds, pose: Float[Tensor, "n 4"], canvas: Canvas) -> Float[Tensor, "n p"]:
    """Coverage of each pixel, float32 in [0, 1], as the renderer draws it, pixels in one row."""
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


def make_bank(
    kinds: Kinds, kind: Int[Tensor, " g"], poses: Float[Tensor, "g places 4"], canvas: Canvas
) -> Bank:
    """Templates of `kinds[kind]`, a group each, at their poses."""
    rows = kind.repeat_interleave(poses.shape[1])
    masks = _centred(coverage_of(kinds[rows], poses.flatten(0, 1), canvas))
    templates = masks / masks.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return Bank(kind, poses, templates.T.contiguous())


def best_starts(
    images: Float[Tensor, "n c pixels"], bank: Bank
) -> tuple[Float[Tensor, "n g"], Float[Tensor, "n g 4"]]:
    """Largest sum of squares that a template of each group explains, and that template's pose."""
    products = _centred(images).flatten(0, 1) @ bank.templates  # folded: twice as fast as batched
    explained = products.view(*images.shape[:2], -1).square().sum(1)
    scores, place = explained.view(len(images), *bank.poses.shape[:2]).max(2)
    return scores, bank.poses[torch.arange(len(bank.kind)), place]


def refine(
    images: Float[Tensor, "n c pixels"],
    kinds: Kinds,
    start: Float[Tensor, "n 4"],
    canvas: Canvas,
    steps: int,
) -> Fit:
    """Levenberg–Marquardt from a start, until a step changes what is left by less than TOLERANCE.

    The rotation stays where the canvas is upright.
    """
    centred, active = _centred(images), torch.arange(len(start))
    power = centred.square().sum((1, 2)) + ROUNDING**2 * images[:1].numel()
    state = _expand(centred, kinds, start, canvas)
    for _ in range(steps):
        here = state[active]
        there = _expand(centred[active], kinds[active], _moved(here, canvas), canvas)
        state.accept(active, there)
        left = (power[active] + here.loss).clamp(min=0)
        active = active[(here.loss - there.loss).abs() > TOLERANCE * left]
        if not len(active):
            break
    return fit_colors(images, coverage_of(kinds, state.pose, canvas), state.pose)


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


def _expand(centred: Tensor, kinds: Kinds, pose: Tensor, canvas: Canvas) -> "State":
    """The state at a pose. centred: (n, c, pixels), images without their means."""
    free = 3 if canvas.upright else 4
    moves = torch.diag(_units(canvas, pose))[:free]
    poses = torch.cat((pose[None], pose + moves[:, None]))
    masks = coverage_of(kinds.repeat(free + 1), poses.flatten(0, 1), canvas)
    masks = _centred(masks.view(free + 1, len(pose), -1))
    mask, slope = masks[0], (masks[1:] - masks[0]).transpose(0, 1)
    power = mask.square().sum(1).clamp(min=1e-6)
    contrast = (centred @ mask[:, :, None])[:, :, 0] / power[:, None]
    strength = contrast.square().sum(1).clamp(min=1e-12)
    seen = (contrast[:, None] @ centred)[:, 0] / strength[:, None]
    change = (slope @ (seen - mask)[:, :, None])[:, :, 0]
    along = (slope @ mask[:, :, None])[:, :, 0]
    normal = slope @ slope.mT - along[:, :, None] * along[:, None] / power[:, None, None]
    return State(pose, -(strength * power), change, normal, torch.full_like(power, FIRST_DAMPING))


def _moved(state: State, canvas: Canvas) -> Float[Tensor, "n 4"]:
    """The poses one damped step on."""
    size = state.normal.diagonal(dim1=1, dim2=2)
    # a circle's rotation changes nothing: its row is zero and must not make the matrix singular
    ridge = state.damping[:, None] * size + 1e-4 * size.sum(1, keepdim=True) + 1e-12
    step = torch.linalg.solve(state.normal + torch.diag_embed(ridge), state.change)
    full = step.new_zeros(len(step), 4)
    full[:, : step.shape[1]] = step.clamp(-LONGEST, LONGEST)
    low, high = step.new_tensor(LOWEST), step.new_tensor(HIGHEST)
    return (state.pose + full * _units(canvas, step)).clamp(low, high)
