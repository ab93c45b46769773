"""Causal steers: if f(x) is where x is held, adding a step along it must move x and leave y.

An image is drawn at a place of the grid. At every drawing step f(x') − f(x) is added to the
activation, of the level read that is nearest; or g(y') − g(y); or a random direction as long as
that of x.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.measures.geometry import parts_of
from analysis.measures.subspaces import shorter_way
from diffusion.activations import draw_steered
from diffusion.pipeline import ConceptPipeline, to_pixels
from diffusion.sampling import TILE
from ground import streams
from ground.endings import Mistake
from studies.geometry.measured import pair_codes
from studies.geometry.readings import DRAWING_STEPS, Readings, ddim, noise_of
from studies.geometry.swaps import FIRST_NOISE, PAIRS, inputs_of, over_images
from studies.run.opened import Experiment
from studies.worlds.condition_grid import ConditionGrid

RANDOM = "random"

Added = Callable[[int], Mapping[str, np.ndarray]]  # of a timestep: (images, d) by site


def check_places(places: Sequence[int], grid: ConditionGrid) -> None:
    """Raise Mistake for steps that have no one shorter way around, or leave the grid."""
    most = (min(grid.shape) - 1) // 2
    for count in places:
        if not 1 <= count <= most:
            raise Mistake(
                f"--steer: got {count}, allowed 1 to {most} places of this grid of "
                f"{' × '.join(map(str, grid.shape))}"
            )


class Steers:
    """Steers at the sites of one snapshot, from the same places of the grid everywhere."""

    def __init__(
        self, experiment: Experiment, model: ConceptPipeline, grid: ConditionGrid, seed: int
    ):
        """Draw what is asked for without any steer. The world is one of bumps."""
        self.model, self.grid, self.seed = model, grid, seed
        self.read = experiment.world.oracle_reader()
        drawn = streams.uniform(seed, "geometry.steer", 0, torch.arange(PAIRS), 4).double().numpy()
        self.start = np.floor(drawn[:, :2] * grid.shape).astype(np.int64)
        self.side = np.where(drawn[:, 2:] < 0.5, -1, 1)
        self.before = self._centres_drawn(lambda t: {})

    def rows(self, site: str, readings: Readings, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return a row per steer and coordinate: how far images move, over the way that x, or y,
        is to be moved, with its 95 % interval over images (Student's t). Of a coordinate that is
        not to move, and of random directions, it is the absolute value."""
        found = []
        for count in places:
            for steered, added, i in self._steers(site, readings, count):
                after = self._centres_drawn(added)
                way = self._ways(i, count)
                for j, feature in enumerate(self.grid.features):
                    span = feature.span if feature.kind == "circle" else None
                    share = shorter_way(self.before[:, j], after[:, j], span) / way
                    if feature.name != steered:
                        share = np.abs(share)
                    about = {"site": site, "steered": steered, "places": count}
                    about |= {"way_px": float(np.abs(way).mean()), "coordinate": feature.name}
                    found.append({**about, **over_images(share)})
        return found

    def _steers(
        self, site: str, readings: Readings, count: int
    ) -> Iterator[tuple[str, Added, int]]:
        """Yield what is steered, what is added, and the coordinate whose way is measured."""
        steps = [self._displacements(site, readings, i, count) for i in (0, 1)]
        for i, feature in enumerate(self.grid.features):
            yield feature.name, self._nearest(site, readings, steps[i]), i
        rng, of_x = np.random.default_rng(self.seed), steps[0]
        turned = rng.normal(size=next(iter(of_x.values())).shape)
        turned /= np.linalg.norm(turned, axis=1, keepdims=True)
        long = {a: turned * np.linalg.norm(d, axis=1)[:, None] for a, d in of_x.items()}
        yield RANDOM, self._nearest(site, readings, long), 0

    def _displacements(
        self, site: str, readings: Readings, i: int, count: int
    ) -> dict[float, np.ndarray]:
        """Return f(x') − f(x), or that of y, of every image, by level."""
        start, end = self.start[:, i], self._end(i, count)
        found = {}
        for level in readings.levels:
            parts = parts_of(pair_codes(readings.codes(site, level), self.grid, (0, 1)))
            own = (parts.f, parts.g)[i].mean(0)
            found[level] = own[end] - own[start]
        return found

    def _end(self, i: int, count: int) -> np.ndarray:
        """Return where on the grid each image is to be moved, on its side, or where the grid ends
        there on the other."""
        size, step = self.grid.shape[i], self.side[:, i] * count
        end = self.start[:, i] + step
        if self.grid.features[i].kind == "circle":
            return np.asarray(end % size)
        return np.where((end < 0) | (end >= size), self.start[:, i] - step, end)

    def _ways(self, i: int, count: int) -> np.ndarray:
        feature = self.grid.features[i]
        values = np.array(feature.values, dtype=np.float64)
        span = feature.span if feature.kind == "circle" else None
        return shorter_way(values[self.start[:, i]], values[self._end(i, count)], span)

    def _nearest(
        self, site: str, readings: Readings, by_level: Mapping[float, np.ndarray]
    ) -> Added:
        """Return what gives of a timestep the direction of the nearest level, in log ᾱ/(1 − ᾱ)."""
        signal = self.model.scheduler.alphas_cumprod.double().cpu().logit()
        where = {asked: float(signal[level.timestep]) for asked, level in readings.levels.items()}

        def added(t: int) -> Mapping[str, np.ndarray]:
            level = min(where, key=lambda asked: abs(where[asked] - float(signal[t])))
            return {site: by_level[level]}

        return added

    def _centres_drawn(self, added: Added) -> np.ndarray:
        """Return centres (images, 2), in px, of images drawn with a steer; nan where no bump is."""
        device, images = self.model.device, []
        values = [np.array(feature.values, dtype=np.float64) for feature in self.grid.features]
        centres = np.stack([values[i][self.start[:, i]] for i in (0, 1)], axis=1)
        for rows in torch.arange(PAIRS).split(TILE):

            def directions(t: int, rows: Tensor = rows) -> dict[str, Tensor]:
                found = added(t).items()
                return {site: torch.from_numpy(d[rows]).float().to(device) for site, d in found}

            x_T = noise_of(self.seed, [FIRST_NOISE + int(i) for i in rows], self.model.image_shape)
            x_0 = draw_steered(
                self.model.denoiser(),
                inputs_of(self.model, centres[rows]),
                lambda: ddim(self.model),
                x_T.to(device),
                directions,
            )
            images.append(to_pixels(x_0, f"a steer with {DRAWING_STEPS} drawing steps"))
        seen = [fact["centre_px"] for fact in self.read(torch.cat(images))]
        return np.array(seen, dtype=np.float64)  # None becomes nan
