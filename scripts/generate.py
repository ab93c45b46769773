"""Draw images from prompts with a trained run, and print what its probe, if any, sees in each."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from data_gen.endings import Mistake
from data_gen.world import World
from diffusion.sampler_names import SamplerName
from studies.cli import read_run, start
from studies.config import EvaluateConfig, check_config


@dataclass(frozen=True)
class Arguments:
    """What to draw.

    Attributes:
        run: the run directory.
        prompt: such as "a small blue triangle"; partial ones such as "a blue circle" work too. Of
            bumps x and y in px, such as "12.5 3"; "12.5 -" is a vertical stripe.
        out: the PNG to write.
        num_images: per prompt.
        step: of the snapshot; None: the last.
        weights: averaged (ema) or raw; None here and below: as the run is evaluated.
        guidance_scale: 1 is none, more follows the prompt harder.
        sampler, num_inference_steps: how noise becomes images.
        seed: of the noise.
    """

    run: Path
    prompt: tuple[str, ...]
    out: Path = Path("grid.png")
    num_images: int = 16
    step: int | None = None
    weights: Literal["ema", "raw"] | None = None
    guidance_scale: float | None = None
    sampler: SamplerName | None = None
    num_inference_steps: int | None = None
    seed: int | None = None


def changed(settings: EvaluateConfig, arguments: Arguments) -> EvaluateConfig:
    """The run's own settings but for what the command line gives."""
    names = ("weights", "guidance_scale", "sampler", "num_inference_steps", "seed")
    given = {name: getattr(arguments, name) for name in names}
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    run, config = read_run(arguments.run)
    world = check_config(config)
    settings = changed(config.evaluate, arguments)
    check_config(replace(config, evaluate=settings))
    if arguments.num_images < 1:
        raise Mistake(f"--num-images: got {arguments.num_images}, allowed 1 or more")
    if arguments.out.suffix != ".png":
        raise Mistake(f"--out: got {arguments.out}, allowed a file name that ends in .png")
    if isinstance(world, World):
        for prompt in arguments.prompt:
            world.captioner.parse(prompt)  # refuse a mistake before the slow imports
    from studies.generate import generate, save_grid

    images, readings, snapshot = generate(
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
    read = f"{right} of {len(readings)} as asked; " if readings else "no probe has read them; "
    print(f"{snapshot}: {read}wrote {arguments.out}")


if __name__ == "__main__":
    start(main)
