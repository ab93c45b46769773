"""Gaussian bumps and stripes: labels → images, and which labels train.

After Liang, Liu, Ostrow and Fiete (NeurIPS 2024, arXiv:2408.13256); `BumpsConfig` says what a
label is, what is held out and what is ours.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from data_gen.bumps.config import BumpsConfig, check_bumps, frame_tiling, null_tiling
from ground import streams
from ground.endings import Mistake, nearest

EXAMPLES = ("2d", "1d_x", "1d_y", "blank")  # 1d_x: a vertical stripe at x, y is null
SPLITS = (
    "train",
    "x_band",  # x in the held-out range, y not
    "y_band",
    "intersection",
    "interior",
    "exterior",
    "lesion",
    "not_kept",  # 2-D centres that might train, but lambda drops them or `examples` is 1d
)
REQUIRED = {"2d": ("2d",), "1d": ("1d_x", "1d_y"), "both": ("2d", "1d_x", "1d_y")}
CHUNK = 4096  # labels rendered at a time: bounds the memory of the float images


def in_frame(config: BumpsConfig, labels: Float[Tensor, "n 2"]) -> Bool[Tensor, "n 2"]:
    """Whether each coordinate names a value, in [0, N]; otherwise the null. Always on a torus."""
    if config.periodic:
        return torch.ones_like(labels, dtype=torch.bool)
    return (labels >= 0) & (labels <= config.image_size_px)


def example_of(config: BumpsConfig, labels: Float[Tensor, "n 2"]) -> Int[Tensor, " n"]:
    """Index into `EXAMPLES`, int64: which coordinates each label names."""
    null_x, null_y = (~in_frame(config, labels)).long().unbind(1)
    return 2 * null_x + null_y


def profile(config: BumpsConfig, mu: Float[Tensor, " n"], sigma: float) -> Float[Tensor, "n size"]:
    """Profile exp(−d² / 2σ²) along one axis, d the distance in px from mu to each pixel's centre.

    On a torus d is the circular distance: the nearest image alone, not a wrapped sum.
    """
    size = config.image_size_px
    distance = torch.arange(size, device=mu.device, dtype=mu.dtype) + 0.5 - mu[:, None]
    if config.periodic:
        distance = distance.remainder(size)
        distance = torch.minimum(distance, size - distance)
    return torch.exp(-(distance**2) / (2 * sigma**2))


def render(config: BumpsConfig, labels: Float[Tensor, "n 2"]) -> Float[Tensor, "n 1 size size"]:
    """Images in [0, 1] of labels (x, y) in px: of their dtype, on their device, differentiable.

    `bump` is the product of the stripes its label names: peak 1, and 1 along a single stripe.
    `stripes` is half their sum, so that a crossing reaches 1 and every stripe ½, alone or crossed:
    image(x, y) = image(x, null) + image(null, y), exactly (the scale is ours). With no stripe
    named both are 0. A dark image is 1 minus the bright one.
    """
    shown = in_frame(config, labels)
    x = profile(config, labels[:, 0], config.sigma_x)[:, None, :]
    y = profile(config, labels[:, 1], config.sigma_y)[:, :, None]
    shown_x, shown_y = (column[:, None, None] for column in shown.unbind(1))
    if config.image == "stripes":
        image = (x * shown_x + y * shown_y) / 2
    else:
        image = torch.where(shown_x, x, 1.0) * torch.where(shown_y, y, 1.0) * (shown_x | shown_y)
    return (image if config.polarity == "bright" else 1 - image)[:, None]


def draw(config: BumpsConfig, labels: Float[Tensor, "n 2"]) -> UInt8[Tensor, "n 1 size size"]:
    """Images that `render` gives, in [0, 255], rounded to the nearest."""
    images = [(render(config, part) * 255).round().to(torch.uint8) for part in labels.split(CHUNK)]
    return torch.cat(images)


def held_out_region(config: BumpsConfig, labels: Float[Tensor, "n 2"]) -> Int[Tensor, " n"]:
    """Index into `SPLITS`, int64, of the held-out region each label lies in, 0 for none.

    Any label has an answer, not only those of the tiling.
    """
    shown, place, rule = in_frame(config, labels), labels, config.held_out
    if config.periodic:
        place = labels.remainder(config.image_size_px)
    x, y = (shown & (rule.low <= place) & (place <= rule.high)).unbind(1)
    both = shown.all(1)
    regions: dict[str, dict[str, Tensor]] = {
        "none": {},
        "bands": {"x_band": both & x & ~y, "y_band": both & ~x & y, "intersection": x & y},
        "interior": {"interior": x & y},
        "exterior": {"exterior": both & ~(x & y)},
        "lesion": {"lesion": x | y},
    }
    found = torch.zeros(len(labels), dtype=torch.int64, device=labels.device)
    for name, mask in regions[rule.region].items():
        found[mask] = SPLITS.index(name)
    return found


class BumpWorld:
    """All labels of one config, checked, and what each is for.

    Labels are those of the frame's whole tiling, whether they train or not, and, unless `examples`
    is 2d, those with a null coordinate: the product of the extended tilings of x and y, y fastest.

    Attributes:
        config: as given.
        labels: float32 (n, 2), centres (x, y) in px.
        example: int64 (n,), index into `EXAMPLES`.
        split: int64 (n,), index into `SPLITS`.

    Raises Mistake for a config that no world can be made of, or that leaves nothing to train on.
    """

    def __init__(self, config: BumpsConfig):
        check_bumps(config)
        self.config = config
        self.labels = _tile(config)
        self.example = example_of(config, self.labels)
        self.split = held_out_region(config, self.labels)
        self._thin()
        self._check_training()

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, split: str) -> Int[Tensor, " m"]:
        """Indices of the labels of a split, int64, ascending. Raises Mistake if it has none."""
        used = tuple(SPLITS[i] for i in torch.unique(self.split).tolist())
        if split not in used:
            hint = nearest(split, used)
            raise Mistake(f"split: got {split!r}{hint}, allowed in this world: {', '.join(used)}")
        return torch.nonzero(self.split == SPLITS.index(split))[:, 0]

    def sample(
        self, split: str, seed: int, purpose: str, index: Int[Tensor, " n"]
    ) -> Int[Tensor, " n"]:
        """Indices of labels drawn uniformly from a split: draws `index` of (seed, purpose)."""
        members = self.select(split).to(index.device)
        return members[streams.integers(seed, purpose, 0, index, len(members))]

    def contains(self, labels: Float[Tensor, "n 2"]) -> Bool[Tensor, " n"]:
        """Whether labels, of the tiling or not, lie in the region held out from training."""
        return held_out_region(self.config, labels) > 0

    def _thin(self) -> None:
        """Move all but the fraction λ of the 2-D training centres to `not_kept`."""
        centres = torch.nonzero((self.split == 0) & (self.example == 0))[:, 0]
        kept = 0 if self.config.examples == "1d" else round(self.config.kept * len(centres))
        if kept == 0 and len(centres) and self.config.examples != "1d":
            raise Mistake(
                f"world.kept: got {self.config.kept}, which keeps none of {len(centres)} centres; "
                f"allowed from {1 / len(centres):.2g}"
            )
        order = streams.permutation(self.config.seed, "bumps.kept", 0, len(centres))
        self.split[centres[order[kept:]]] = SPLITS.index("not_kept")

    def _check_training(self) -> None:
        train, rule = self.example[self.split == 0], self.config.held_out
        for name in REQUIRED[self.config.examples]:
            if not (train == EXAMPLES.index(name)).any():
                raise Mistake(
                    f"world.held_out: got {rule.region} {rule.low:g} to {rule.high:g}, which "
                    f"leaves no {name} example to train on; hold out less"
                )


def _tile(config: BumpsConfig) -> Float[Tensor, "n 2"]:
    axes = []
    for increment, sigma in ((config.dx, config.sigma_x), (config.dy, config.sigma_y)):
        axis = frame_tiling(config, increment)
        if config.examples != "2d":
            axis = sorted(axis + null_tiling(config, increment, sigma))
        axes.append(torch.tensor(axis, dtype=torch.float32))
    return torch.cartesian_prod(*axes)


def records(
    world: BumpWorld, index: Int[Tensor, " n"]
) -> tuple[UInt8[Tensor, "n 1 size size"], dict[str, list]]:
    """Images and labels `index` of a world, for writing to files; all in memory at once.

    Returns:
        images: uint8 in [0, 255], rounded to the nearest.
        columns: x and y (float px, None for the null), example and split (their names).
    """
    labels = world.labels[index]
    shown = in_frame(world.config, labels).tolist()
    centres = [
        [value if is_shown else None for value, is_shown in zip(*row, strict=True)]
        for row in zip(labels.tolist(), shown, strict=True)
    ]
    return draw(world.config, labels), {
        "x": [x for x, _ in centres],
        "y": [y for _, y in centres],
        "example": [EXAMPLES[i] for i in world.example[index].tolist()],
        "split": [SPLITS[i] for i in world.split[index].tolist()],
    }


def sensitivity(world: BumpWorld) -> dict[str, float]:
    """How strongly pixels speak of each coordinate: E‖∂image/∂x‖ and E‖∂image/∂y‖ in 1/px.

    The norm is L2 over pixels, the mean over training labels that show the coordinate. For a bump
    well inside the frame the integral over the plane is ‖∂image/∂x‖ = √(π σ_y / 2 σ_x); pixels
    agree to 1 % from σ = 1 px on.
    """
    train = world.labels[world.select("train")]
    shown = in_frame(world.config, train)
    return {
        name: _gradient_norms(world.config, train[shown[:, axis]], axis).mean().item()
        for axis, name in enumerate("xy")
    }


def _gradient_norms(
    config: BumpsConfig, labels: Float[Tensor, "n 2"], axis: int
) -> Float[Tensor, " n"]:
    """‖∂image/∂label[axis]‖ of each label, from the renderer itself.

    Its pullback is linear in the weight of each pixel; the derivative of that is ∂image/∂label.
    """
    norms = []
    for chunk in labels.split(CHUNK):
        centre = chunk.clone().requires_grad_()
        images = render(config, centre)
        weight = torch.ones_like(images, requires_grad=True)
        (slope,) = torch.autograd.grad(images, centre, weight, create_graph=True)
        (change,) = torch.autograd.grad(slope[:, axis].sum(), weight)
        norms.append(change.flatten(1).norm(dim=1))
    return torch.cat(norms)


@dataclass(frozen=True)
class BumpLeakReport:
    """What the leak check counted: training labels in all and per kind of example."""

    labels: int
    region: str
    examples: dict[str, int]

    def lines(self) -> list[str]:
        seen = ", ".join(f"{name} {count}" for name, count in self.examples.items())
        return [
            f"leak check: 0 of {self.labels} training labels lie in the held-out region "
            f"({self.region})",
            f"training labels per example: {seen}",
        ]


def check_leaks(world: BumpWorld, labels: Float[Tensor, "n 2"]) -> BumpLeakReport:
    """Prove that no label that training really gets lies in the held-out region.

    Raises Mistake on a leak, naming the first label and the region.
    """
    found = held_out_region(world.config, labels)
    for i in torch.nonzero(found)[:1, 0].tolist():
        x, y = labels[i].tolist()
        raise Mistake(
            f"leak: training label {i} (x {x:g}, y {y:g}) lies in the held-out region "
            f"{SPLITS[int(found[i])]!r}"
        )
    counts = torch.bincount(example_of(world.config, labels), minlength=len(EXAMPLES)).tolist()
    rule = world.config.held_out
    region = (
        rule.region if rule.region == "none" else f"{rule.region} {rule.low:g} to {rule.high:g}"
    )
    return BumpLeakReport(len(labels), region, dict(zip(EXAMPLES, counts, strict=True)))
