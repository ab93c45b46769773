"""Draw images from prompts with a trained run, and print what its probe, if any, sees in each.

Writes a labelled grid, what is known of every image as JSON beside it, and, of several snapshots,
a GIF over training.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from diffusion.composition import add_terms
from diffusion.sampler_names import SamplerName
from ground.endings import Mistake
from studies.cli import read_run, start
from studies.experiment.config import EvaluateConfig
from studies.run.null_condition import check_prompt
from studies.worlds.kind import KindOfWorld


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: the run directory.
        prompt: such as "a small blue triangle"; partial ones such as "a blue circle" work too, and
            compositions such as "a circle:2 AND NOT a red circle". Of bumps x and y in px, such as
            "12.5 3"; "12.5 -" is a vertical stripe.
        also: terms that every prompt gets with AND, such as "a small circle:0.5".
        never: terms that every prompt gets with AND NOT.
        out: the PNG to write; JSON and GIF have its name.
        num_images: per prompt.
        step: of the snapshot; None: the last.
        steps: of several snapshots, or all.
        weights: averaged (ema) or raw; None here and below: as the run is evaluated.
        guidance_scale: 1 is none, more follows the prompt harder.
        sampler, num_inference_steps: how noise becomes images.
        seed: of the noise.
    """

    run: Path
    prompt: tuple[str, ...]
    also: Annotated[tuple[str, ...], tyro.conf.arg(name="and")] = ()
    never: Annotated[tuple[str, ...], tyro.conf.arg(name="not")] = ()
    out: Path = Path("grid.png")
    num_images: int = 16
    step: int | None = None
    steps: tuple[str, ...] = ()
    weights: Literal["ema", "raw"] | None = None
    guidance_scale: float | None = None
    sampler: SamplerName | None = None
    num_inference_steps: int | None = None
    seed: int | None = None


def changed(settings: EvaluateConfig, arguments: Arguments) -> EvaluateConfig:
    """Return the run's own settings but for what the command line gives."""
    names = ("weights", "guidance_scale", "sampler", "num_inference_steps", "seed")
    given = {name: getattr(arguments, name) for name in names}
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def asked_steps(arguments: Arguments) -> list[int] | Literal["all"] | None:
    """Return the steps asked for; None: the last. Raises Mistake for what is neither steps nor all
    of them."""
    if not arguments.steps:
        return None if arguments.step is None else [arguments.step]
    if arguments.step is not None:
        raise Mistake("--steps: given with --step; give one of them")
    if arguments.steps == ("all",):
        return "all"
    wrong = [step for step in arguments.steps if not step.isdecimal()]
    if wrong:
        raise Mistake(f"--steps: got {wrong[0]!r}, allowed 'all', or steps such as 0 512 1024")
    return [int(step) for step in arguments.steps]


def check_arguments(arguments: Arguments, world: KindOfWorld) -> tuple[str, ...]:
    """Return the prompts with all their terms, in words of the world. Raises Mistake, before the
    slow imports."""
    if arguments.num_images < 1:
        raise Mistake(f"--num-images: got {arguments.num_images}, allowed 1 or more")
    if arguments.out.suffix != ".png":
        raise Mistake(f"--out: got {arguments.out}, allowed a file name that ends in .png")
    prompts = tuple(add_terms(p, arguments.also, arguments.never) for p in arguments.prompt)
    for prompt in prompts:
        world.what_is_asked(prompt)
    return tuple(map(world.told, prompts))


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    run, config = read_run(arguments.run)
    settings = changed(config.evaluate, arguments)
    config = replace(config, evaluate=settings)
    steps, prompts = asked_steps(arguments), check_arguments(arguments, config.terms)
    for prompt in prompts:
        check_prompt(config, run, prompt, settings.guidance_scale)
    from studies.drawing.generate import chosen_steps, draw, summary
    from studies.drawing.pictures import write_pictures
    from studies.run.opened import Experiment

    chosen = chosen_steps(run, steps)
    drawings = draw(Experiment(config, run), prompts, steps=chosen, num_images=arguments.num_images)
    files = write_pictures(arguments.out, drawings, prompts, config.name, settings)
    if len(drawings) == 1:
        for reading in drawings[0].readings:
            print(reading.line())
    for drawn in drawings[:-1]:
        print(summary(drawn))
    print(f"{summary(drawings[-1])}; wrote {', '.join(map(str, files))}")


if __name__ == "__main__":
    start(main, resumes=False)
