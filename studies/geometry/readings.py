"""Readings of a snapshot's activations: sites × levels × noise seeds × conditions, kept on disk."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diffusion.activations import check_sites, read_while_drawing
from diffusion.denoised import Level
from diffusion.pipeline import ConceptPipeline
from diffusion.samplers import make_sampler
from diffusion.sampling import TILE
from ground import streams
from ground.endings import Mistake

DRAWING_STEPS = 20  # of DDIM, on whose way from noise to image activations are read
COPIES = 5  # of a site's readings as float64, that its geometry needs at once
MIB = 1 << 20


@dataclass(frozen=True)
class ReadingSettings:
    """What is read of a snapshot.

    Attributes:
        sites: names of modules.
        levels: signal fractions ᾱ of what the network sees.
        noise_seeds: noises from which every condition is drawn, the same for all conditions.
        pooled: keep the mean over space, not every pixel.
        memory_mb: most memory that the readings of one site and level may take.
        seed: of the noise.
    """

    sites: Sequence[str]
    levels: Sequence[float]
    noise_seeds: int
    pooled: bool
    memory_mb: int
    seed: int


@dataclass(frozen=True)
class Readings:
    """Readings of one snapshot. levels: by what was asked, the drawing step nearest to it."""

    files: Mapping[tuple[str, float], Path]
    levels: Mapping[float, Level]

    def codes(self, site: str, level: float) -> np.ndarray:
        """Return float32 (seeds, conditions, d). Raises Mistake for numbers that are not finite."""
        found = np.load(self.files[site, level])
        if not np.isfinite(found).all():
            raise Mistake(f"--sites: {site} puts out numbers that are not finite; use another step")
        return found


def ddim(model: ConceptPipeline) -> Any:
    """Return a scheduler that draws without noise of its own."""
    return make_sampler("ddim", model.scheduler.config, DRAWING_STEPS)


def drawing_levels(model: ConceptPipeline, asked: Sequence[float]) -> dict[float, Level]:
    """Return of every level the drawing step whose ᾱ is nearest, in log ᾱ / (1 − ᾱ).

    Raises Mistake for one beyond the first or the last drawing step, and two at one step.
    """
    timesteps = ddim(model).timesteps.cpu()
    there = model.scheduler.alphas_cumprod.double().cpu()[timesteps]
    low, high, found = there.min().item(), there.max().item(), dict[float, Level]()
    for level in asked:
        if not low <= level <= high:
            raise Mistake(
                f"--levels: got {level:g}, allowed {low:.3g} to {high:.6g}, those of the first and "
                f"last of {DRAWING_STEPS} drawing steps"
            )
        away = (there.logit() - torch.tensor(level, dtype=torch.float64).logit()).abs()
        place = int(away.argmin())
        found[level] = Level(int(timesteps[place]), there[place].item())
    if len({level.timestep for level in found.values()}) < len(asked):
        raise Mistake(f"--levels: got two at one of {DRAWING_STEPS} drawing steps; leave one out")
    return found


def noise_of(seed: int, index: Sequence[int], shape: tuple[int, ...]) -> Float[Tensor, "n c h w"]:
    """Return x_T of some noise seeds."""
    width = torch.Size(shape).numel()
    normal = streams.normal(seed, "geometry.noise", 0, torch.tensor(index), width)
    return normal.view(-1, *shape)


def site_widths(model: ConceptPipeline, prompt: str, settings: ReadingSettings) -> dict[str, int]:
    """Return how many numbers each site has. Raises Mistake for one that does not exist, or that
    the network never calls."""
    denoiser, scheduler = model.denoiser(), ddim(model)
    check_sites(denoiser, settings.sites)
    read = read_while_drawing(
        denoiser,
        model.prompts.inputs([prompt]).to(model.device),
        scheduler,
        noise_of(settings.seed, [0], model.image_shape).to(model.device),
        settings.sites,
        scheduler.timesteps[:1],
        settings.pooled,
    )
    return {site: x.shape[1] for _, site, x in read}


def check_room(
    widths: Mapping[str, int], conditions: int, settings: ReadingSettings, folder: Path
) -> None:
    """Raise Mistake where a site needs more memory than there may be, or all more disk than is
    free."""
    places = settings.noise_seeds * conditions
    for site, width in widths.items():
        needed = -(-places * width * 8 * COPIES // MIB)
        if needed > settings.memory_mb:
            raise Mistake(
                f"--memory-mb: got {settings.memory_mb}, allowed from {needed} for {site} "
                f"({settings.noise_seeds} noise seeds × {conditions} conditions × {width} "
                f"numbers); or read fewer of them, or --pooled"
            )
    needed = places * sum(widths.values()) * 4 * len(settings.levels)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Mistake(f"--out: {needed // MIB} MiB are needed in {folder}, {free // MIB} are free")


def read_snapshot(
    model: ConceptPipeline,
    prompts: Sequence[str],
    settings: ReadingSettings,
    folder: Path,
    progress: Callable[[int], object] = lambda count: None,
) -> Readings:
    """Read every condition from every noise, into one file for each site and level in `folder`."""
    levels, widths = (
        drawing_levels(model, settings.levels),
        site_widths(model, prompts[0], settings),
    )
    check_room(widths, len(prompts), settings, folder)
    files = {
        (site, level): folder / f"{i}_{level:g}.npy"
        for i, site in enumerate(settings.sites)
        for level in settings.levels
    }
    stores = {
        key: np.lib.format.open_memmap(
            path, "w+", np.float32, (settings.noise_seeds, len(prompts), widths[key[0]])
        )
        for key, path in files.items()
    }
    asked = {level.timestep: key for key, level in levels.items()}
    denoiser, inputs = model.denoiser(), model.prompts.inputs(prompts).to(model.device)
    timesteps = torch.tensor(list(asked))
    for seed in range(settings.noise_seeds):
        x_T = noise_of(settings.seed, [seed], model.image_shape).to(model.device)
        for rows in torch.arange(len(prompts)).split(TILE):
            own, start = inputs[rows.to(inputs.device)], x_T.expand(len(rows), -1, -1, -1)
            drawn = ddim(model)
            for t, site, found in read_while_drawing(
                denoiser, own, drawn, start, settings.sites, timesteps, settings.pooled
            ):
                stores[site, asked[t]][seed, rows[0] : rows[-1] + 1] = found.numpy()
            progress(len(rows))
    for store in stores.values():
        store.flush()
    return Readings(files, levels)
