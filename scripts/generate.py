"""Draw images from prompts with a trained run, and print what the probe sees in each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from data_gen.endings import Mistake
from diffusion.sampler_names import SamplerName
from studies.cli import read_run, start
from studies.config import EvaluateConfig, check_config


@dataclass(frozen=True)
class Arguments:
    """What to draw.

    Attributes:
        run: the run directory.
        prompt: such as "a small blue triangle"; partial ones such as "a blue circle" work too.
        out: the PNG to write.
        num_images: per prompt.
        step: of the snapshot; None: the last.
        weights: averaged (ema) or raw.
        guidance_scale: 1 is none, more follows the prompt harder.
        sampler, num_inference_steps: how noise becomes images.
        seed: of the noise.
    """

    run: Path
    prompt: tuple[str, ...]
    out: Path = Path("grid.png")
    num_images: int = 16
    step: int | None = None
    weights: Literal["ema", "raw"] = "ema"
    guidance_scale: float = 1.0
    sampler: SamplerName = "ddim"
    num_inference_steps: int = 20
    seed: int = 0


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    run, config = read_run(arguments.run)
    world = check_config(config)
    if arguments.num_images < 1:
        raise Mistake(f"--num-images: got {arguments.num_images}, allowed 1 or more")
    for prompt in arguments.prompt:
        world.captioner.parse(prompt)  # refuse a mistake before the slow imports
    from studies.generate import generate, save_grid

    settings = EvaluateConfig(
        seed=arguments.seed,
        sampler=arguments.sampler,
        num_inference_steps=arguments.num_inference_steps,
        guidance_scale=arguments.guidance_scale,
        weights=arguments.weights,
    )
    images, readings = generate(
        run,
        world,
        arguments.prompt,
        settings,
        step=arguments.step,
        num_images=arguments.num_images,
    )
    one_row_each = arguments.num_images if len(arguments.prompt) > 1 else None
    save_grid(arguments.out, images, columns=one_row_each)
    for reading in readings:
        print(reading.line())
    right = sum(reading.right for reading in readings)
    print(f"{right} of {len(readings)} as asked; wrote {arguments.out}")


if __name__ == "__main__":
    start(main)
