"""Pictures of what was generated, for people and programs: a labelled sheet, a film over training,
JSON."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data_gen.output.preview import Row, save_sheet
from ground.files import whole_file, write_json
from studies.drawing.generate import Drawn, records
from studies.drawing.sheets import labelled_sheet
from studies.experiment.config import EvaluateConfig

COLUMNS = 16  # images in a line
FILM_MS, FASTEST_MS, SLOWEST_MS, LAST_MS = 8000, 120, 600, 2000  # of a film and of its frames


def write_pictures(
    out: Path,
    drawings: Sequence[Drawn],
    prompts: Sequence[str],
    run: str,
    settings: EvaluateConfig,
) -> list[Path]:
    """Write `out`, a PNG, and JSON and, of several snapshots, a GIF of its name; return the
    files."""
    scale = f"guidance {settings.guidance_scale:g}, seed {settings.seed}"
    sampler = f"{settings.sampler} {settings.num_inference_steps}"
    title = f"{run}, {settings.weights}, {sampler}, {scale}"
    at = f"step {drawings[0].step} of " if len(drawings) == 1 else ""
    save_sheet(out, sheet(drawings, prompts, at + title))
    images = [record for drawn in drawings for record in records(drawn, prompts, settings)]
    write_json(out.with_suffix(".json"), {"run": run, "images": images})
    if len(drawings) == 1:
        return [out, out.with_suffix(".json")]
    save_film(out.with_suffix(".gif"), film(drawings, prompts, title))
    return [out, out.with_suffix(".json"), out.with_suffix(".gif")]


def sheet(drawings: Sequence[Drawn], prompts: Sequence[str], title: str) -> Image.Image:
    """Return a sheet with a row per prompt or, of several snapshots, a row per snapshot for each
    prompt in turn."""
    rows: list[Row] = []
    for i, prompt in enumerate(prompts):
        for drawn in drawings:
            label = prompt if len(drawings) == 1 else f"step {drawn.step}"
            if len(drawings) > 1 and len(prompts) > 1:
                label = f"{prompt}, {label}"
            rows += _rows(label, drawn.images[i])
    if len(drawings) > 1 and len(prompts) == 1:
        title = f"{prompts[0]}: {title}"
    return labelled_sheet(title, rows)


def _rows(label: str, images: np.ndarray) -> list[Row]:
    """Return as many lines as images, uint8 (n, h, w, c), need, the label before the first."""
    lines = np.split(images.transpose(0, 3, 1, 2), range(COLUMNS, len(images), COLUMNS))
    return [Row("" if i else label, line) for i, line in enumerate(lines)]


def film(drawings: Sequence[Drawn], prompts: Sequence[str], title: str) -> list[Image.Image]:
    """Return a sheet per snapshot with its step in the title, all of one size."""
    frames = [sheet([drawn], prompts, f"step {drawn.step} of {title}") for drawn in drawings]
    size = tuple(max(sizes) for sizes in zip(*(frame.size for frame in frames), strict=True))
    return [_on_canvas(frame, (size[0], size[1])) for frame in frames]


def _on_canvas(frame: Image.Image, size: tuple[int, int]) -> Image.Image:
    canvas = Image.new("RGB", size, "white")
    canvas.paste(frame, (0, size[1] - frame.height))  # a title of more lines does not move images
    return canvas


def save_film(path: Path, frames: Sequence[Image.Image]) -> None:
    """Save a GIF that repeats; the last frame stays longest."""
    each = min(max(FILM_MS // len(frames), FASTEST_MS), SLOWEST_MS)
    flat = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
    durations = [each] * (len(frames) - 1) + [LAST_MS]
    with whole_file(path) as temporary:
        flat[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=flat[1:],
            duration=durations,
            loop=0,
        )
