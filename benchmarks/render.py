"""Images a second: the batched renderer against a per-image NumPy loop and against Pillow.

    python benchmarks/render.py

The three draw arXiv:2406.19370's 2×2×2 world (32 px, 1-px blur, with and without pixel noise) in
turns, several times; ratios are medians of the turns. The loop is the recipe written plainly, as a
released data set is usually made. The Pillow reference draws without blur and noise, and is
compared with the renderer without them. Ours ends in uint8 images, the others in floats.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import machine
from scipy.ndimage import gaussian_filter

from data_gen import reference
from data_gen.dataset import CHUNK
from data_gen.render import Canvas, draw
from data_gen.scene_sets import training_scenes
from data_gen.scenes import joined
from data_gen.world import World, WorldConfig
from studies.experiment.world_file import read_world_file

ROOT = Path(__file__).resolve().parents[1]
WORLD = ROOT / "configs" / "worlds" / "p2_2x2x2.yaml"
MEANS = {0: np.array([0.7, 0.3, 0.3]), 1: np.array([0.3, 0.3, 0.7])}


def numpy_image(rng: np.random.Generator, shape: int, color: int, size: int, noise: float):
    """Return one image of the recipe: float64 (32, 32, 3)."""
    axis = np.linspace(-1, 1, 32)
    x, y = np.meshgrid(axis, axis)
    x0, y0 = rng.uniform(-0.5, 0.5, 2)
    radius = max(0.1, (0.65, 0.25)[size] + rng.uniform(-0.15, 0.15))
    rgb = MEANS[color] + rng.uniform(-0.05, 0.05, 3)
    background = rng.uniform(0.8, 1, 3)
    if shape == 0:
        mask = np.sqrt((x - x0) ** 2 + (y - y0) ** 2) < radius
    else:
        base = np.sqrt(4 * np.pi / np.sqrt(3)) * radius
        bottom = base / (2 * np.sqrt(3))
        mask = (y0 - y > -bottom) & (2 * np.abs(x - x0) + (y0 - y) < base - bottom)
    mask = gaussian_filter(mask.astype(float), 1)[..., None]
    image = mask * rgb + (1 - mask) * background
    if noise:
        image = image + rng.normal(0, noise, image.shape)
    return np.clip(image, 0, 1)


def numpy_loop(count: int, noise: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    classes = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    return np.stack([numpy_image(rng, *classes[i % 4], noise) for i in range(count)])


def batched(world: World, count: int) -> torch.Tensor:
    """Draw scenes and images, as `data_gen.dataset.images_of` makes them."""
    index, scenes = torch.arange(count), training_scenes(world)
    drawn = joined([scenes.sample(0, "scene", chunk) for chunk in index.split(CHUNK)])
    return draw(world, drawn, 0, "scene", index)


def pillow_loop(world: World, count: int) -> torch.Tensor:
    scenes = training_scenes(world).sample(0, "scene", torch.arange(count))
    return reference.render(scenes, Canvas.of(world.config))


def rate(draw_images: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    draw_images(count)
    return count / (time.perf_counter() - start)


def world_with(blur_px: float, pixel_noise: float) -> World:
    config = read_world_file(WORLD).world
    assert isinstance(config, WorldConfig)
    config = replace(config, blur_px=blur_px, pixel_noise=pixel_noise, exact_counts=False)
    return World(config)


def contenders(images: int) -> dict[str, tuple[Callable[[int], object], int]]:
    """Return name → what draws, and how many images a turn."""
    blurred, noisy, plain = world_with(1, 0), world_with(1, 0.001), world_with(0, 0)
    return {
        "batched": (lambda n: batched(blurred, n), 16 * images),
        "batched, noise": (lambda n: batched(noisy, n), 16 * images),
        "batched, sharp": (lambda n: batched(plain, n), 16 * images),
        "numpy loop": (lambda n: numpy_loop(n, 0), images),
        "numpy loop, noise": (lambda n: numpy_loop(n, 0.001), images),
        "pillow 4×, sharp": (lambda n: pillow_loop(plain, n), images),
    }


def export_memory_mib(images: int) -> float:
    """Return the peak memory of a process that exports so many images to Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, ROOT / "scripts" / "render.py", "--config", WORLD]
        command += ["--world.num-images", images, "--out", f"{folder}/data", "--format", "parquet"]
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"the export of {images} images failed")
    return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1500, help="a turn, of the slow ones")
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    memory = {count: round(export_memory_mib(count)) for count in (10_000, 40_000, 160_000)}
    rates: dict[str, list[float]] = {}
    for turn in range(arguments.turns + 1):
        for name, (draw_images, count) in contenders(arguments.images).items():
            value = rate(draw_images, count)
            if turn:  # the first warms up
                rates.setdefault(name, []).append(value)
    print(f"{machine()}, numpy {np.__version__}; images/s, median [lowest, highest]")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:20s} {median:10.0f} [{min(values):.0f}, {max(values):.0f}]")
    print(f"peak memory in MiB of an export of so many images: {memory}")
    print(json.dumps({**ratios(rates), "export_memory_mib": list(memory.values())}))


def ratios(rates: dict[str, list[float]]) -> dict[str, float]:
    pairs = {
        "vs_numpy_loop": ("batched", "numpy loop"),
        "vs_numpy_loop_noise": ("batched, noise", "numpy loop, noise"),
        "vs_pillow": ("batched, sharp", "pillow 4×, sharp"),
    }
    return {
        name: round(
            statistics.median(a / b for a, b in zip(rates[fast], rates[slow], strict=True)), 1
        )
        for name, (fast, slow) in pairs.items()
    }


if __name__ == "__main__":
    main()
