"""Causal swaps: if a subspace carries x, exchanging it must move x and leave y where it was.

Every image is asked for at a centre, a donor at another that differs in both coordinates, from the
same noise. At every drawing step a part of the donor's activation takes the place of the image's:

    x, y      the subspace of one coordinate, from the code f(x) or g(y)
    random    one of as many dimensions as that of x, turned at random: moves little in a wide site
    whole     all of it: what the site can do at most
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from analysis.measures.geometry import parts_of
from analysis.measures.subspaces import carrying_subspace, random_subspace, shorter_way
from diffusion.activations import draw_swapped
from diffusion.pipeline import ConceptPipeline, to_pixels
from diffusion.sampling import TILE
from ground import streams
from ground.endings import Mistake
from studies.geometry.measured import pair_codes
from studies.geometry.readings import DRAWING_STEPS, Readings, ddim, noise_of
from studies.run.opened import Experiment
from studies.worlds.condition_grid import ConditionGrid

PAIRS = 64  # of an image and its donor
WAY = 0.25  # of the frame that donors are away along each coordinate
HALF, TENTH = 0.5, 0.1  # of the way: what a subspace must move its own, and may move the other
FIRST_NOISE = 1000  # noise that no code was read from


class Swaps:
    """Swaps at the sites of one snapshot, between the same places of the frame everywhere."""

    def __init__(
        self, experiment: Experiment, model: ConceptPipeline, grid: ConditionGrid, seed: int
    ):
        """Draw what is asked for without any swap. The world is one of bumps."""
        self.model, self.grid, self.seed = model, grid, seed
        self.read = experiment.world.oracle_reader()
        places = streams.uniform(seed, "geometry.swap", 0, torch.arange(PAIRS), 4).double().numpy()
        self.start, self.donor = _centres(places, grid)
        self.before = self._centres_drawn({})

    def rows(self, site: str, readings: Readings) -> list[dict[str, Any]]:
        """Return a row per swap and coordinate: the share of the way to the donor that images move,
        with its 95 % interval over images (Student's t)."""
        found = []
        for name, basis in self._bases(site, readings).items():
            after = self._centres_drawn({site: basis})
            size = basis.shape[1] if basis is not None else None
            for i, feature in enumerate(self.grid.features):
                span = feature.span if feature.kind == "circle" else None
                way = shorter_way(self.start[:, i], self.donor[:, i], span)
                share = shorter_way(self.before[:, i], after[:, i], span) / way
                about = {"site": site, "swapped": name, "dimensions": size}
                found.append({**about, "coordinate": feature.name, **over_images(share)})
        return found

    def _bases(self, site: str, readings: Readings) -> Mapping[str, np.ndarray | None]:
        levels = list(readings.levels)
        parts = [parts_of(pair_codes(readings.codes(site, a), self.grid, (0, 1))) for a in levels]
        try:
            of_x = carrying_subspace([own.f.mean(0) for own in parts])
            of_y = carrying_subspace([own.g.mean(0) for own in parts])
        except ValueError as error:
            raise Mistake(f"--swap: {site}: {error}; leave this site out") from None
        turned = random_subspace(of_x, rng=np.random.default_rng(self.seed))
        names = (feature.name for feature in self.grid.features)
        return {**dict(zip(names, (of_x, of_y), strict=True)), "random": turned, "whole": None}

    def _centres_drawn(self, bases: Mapping[str, np.ndarray | None]) -> np.ndarray:
        """Return centres (pairs, 2), in px, of images drawn with a swap; nan where no bump is."""
        device = self.model.device
        tensors = {
            site: None if basis is None else torch.from_numpy(basis).float().to(device)
            for site, basis in bases.items()
        }
        images = []
        for rows in torch.arange(PAIRS).split(TILE // 2):
            x_T = noise_of(self.seed, [FIRST_NOISE + int(i) for i in rows], self.model.image_shape)
            x_0 = draw_swapped(
                self.model.denoiser(),
                inputs_of(self.model, self.start[rows]),
                inputs_of(self.model, self.donor[rows]),
                lambda: ddim(self.model),
                x_T.to(device),
                tensors,
            )
            images.append(to_pixels(x_0, f"a swap with {DRAWING_STEPS} drawing steps"))
        seen = [fact["centre_px"] for fact in self.read(torch.cat(images))]
        return np.array(seen, dtype=np.float64)  # None becomes nan


def inputs_of(model: ConceptPipeline, centres: np.ndarray) -> Float[Tensor, "n k"]:
    """Return what the network is told of centres (n, 2), in px."""
    prompts = [f"{x:.9g} {y:.9g}" for x, y in centres]
    return model.prompts.inputs(prompts).to(model.device)


def _centres(places: np.ndarray, grid: ConditionGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and those of their donors, WAY of the frame away, on one side or the other.

    On a plane both stay within the frame by a tenth of it.
    """
    spans = np.array([feature.span for feature in grid.features])
    side = np.where(places[:, 2:] < 0.5, -1, 1)
    if grid.features[0].kind == "circle":
        start = places[:, :2] * spans
        return start, (start + side * WAY * spans) % spans
    low = 0.1 + np.where(side < 0, WAY, 0)
    start = low + places[:, :2] * (0.8 - WAY)
    return start * spans, (start + side * WAY) * spans


def over_images(share: np.ndarray) -> dict[str, float]:
    """Return mean and interval over the images that are read, and the share that is not."""
    read = share[np.isfinite(share)]
    about = {"unread": 1 - len(read) / len(share), "images": len(share)}
    if len(read) < 2:
        return {"moved": float("nan"), "low": float("nan"), "high": float("nan"), **about}
    half = float(stats.t.ppf(0.975, len(read) - 1) * stats.sem(read))
    mean = float(read.mean())
    return {"moved": mean, "low": mean - half, "high": mean + half, **about}


def answer(rows: Sequence[Mapping[str, Any]]) -> str:
    """Decide by 95 % intervals whether the subspaces of a site carry its coordinates.

    carries: each subspace moves its own coordinate by more than half of the way, and the other by
    less than a tenth. does not: one moves its own by less than half, or the other by more than a
    tenth. site too weak: even all of the site moves a coordinate by less than half. Else undecided.
    """
    names = [row["coordinate"] for row in rows if row["swapped"] == "whole"]
    if any(row["high"] < HALF for row in rows if row["swapped"] == "whole"):
        return "site too weak"
    own = [row for row in rows if row["swapped"] == row["coordinate"]]
    other = [row for row in rows if row["swapped"] in names and row not in own]
    if all(r["low"] > HALF for r in own) and all(
        -TENTH < r["low"] <= r["high"] < TENTH for r in other
    ):
        return "carries"
    off = any(row["low"] > TENTH or row["high"] < -TENTH for row in other)
    return "does not" if off or any(row["high"] < HALF for row in own) else "undecided"
