"""Draw a world: describe it, show it, predict what is learned first, or export it."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from diffusion.model_config import ModelConfig, check_model
from ground.endings import Mistake
from ground.reading import read_as
from studies.cli import ANY_WORLD, read_flag, say, start
from studies.experiment.config import to_dict
from studies.experiment.world_file import WorldFile, read_model, read_world_file

LEVELS = (0.2, 0.5, 0.8)


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line; every field of the world is a flag.

    Attributes:
        config: YAML file of a world or of a whole experiment.
        out: directory to export to. It appears when all is written; the same command goes on.
        format: image folder and Parquet as Hugging Face datasets reads them, npz as dSprites.
        test_images: exported beside the training images: every combination in turn.
        preview: PNG to draw a contact sheet to.
        describe: print what is shown how often, how far apart it lies, what is held out.
        match: concepts; print the signal of each other one at which its images lie as far apart
            as those of the first.
        overlap: print, of training images that overlap by more than each of these, how many the
            largest linked group holds, by the fraction kept.
        predict: print when a linear denoiser would learn each concept, and what other theories say;
            with --out as JSON too, beside the directory.
        levels: noise levels of --predict, each by its signal fraction ᾱ.
        against: runs with the same values and split; rank their learning times against those that
            --predict says of their own worlds and models.
        by: what says when those have learned: the probe's accuracy, or the denoiser's obedience at
            the same level.
        model: how --predict tells the linear denoiser what is asked, as the config has it.
    """

    config: Path
    fields: Annotated[WorldFile, tyro.conf.arg(name="")]
    out: Path | None = None
    format: Literal["imagefolder", "npz", "parquet"] = "imagefolder"
    test_images: int = 1024
    preview: Path | None = None
    describe: bool = False
    match: tuple[str, ...] = ()
    overlap: tuple[float, ...] = ()
    predict: bool = False
    levels: tuple[float, ...] = LEVELS
    against: tuple[Path, ...] = ()
    by: Literal["probe", "denoiser"] = "probe"
    model: ModelConfig = field(default_factory=ModelConfig)


def read_arguments() -> Arguments:
    """Read `--config`, then every other flag on top of it."""
    path = read_flag("--config")
    if path is None and not {"-h", "--help"} & set(sys.argv):
        raise Mistake("--config: missing; give a YAML file, such as configs/worlds/p2_2x2.yaml")
    file = read_world_file(Path(path)) if path else WorldFile("NAME", ANY_WORLD)
    model = read_model(Path(path)) if path and "--predict" in sys.argv else ModelConfig()
    default = Arguments(Path(path or "configs/worlds/p2_2x2.yaml"), file, model=model)
    settings = (tyro.conf.AvoidSubcommands,)
    arguments = tyro.cli(Arguments, default=default, description=__doc__, config=settings)
    fields = read_as(WorldFile, to_dict(arguments.fields), "")  # flags obey a file's rules: no nan
    model = read_as(ModelConfig, to_dict(arguments.model), "model")
    return replace(arguments, fields=fields, model=model)


def check(arguments: Arguments) -> None:
    asked = arguments.describe or arguments.match or arguments.overlap or arguments.predict
    if not (asked or arguments.out or arguments.preview):
        raise Mistake(
            "nothing to do; give --describe, --predict, --preview grid.png, --match, --overlap "
            "or --out DIR"
        )
    if arguments.preview and arguments.preview.suffix != ".png":
        raise Mistake(f"--preview: got {arguments.preview}, allowed a name that ends in .png")
    if arguments.test_images < 0:
        raise Mistake(f"--test-images: got {arguments.test_images}, allowed 0 or more")
    for tau in arguments.overlap:
        if not 0 < tau < 1:
            raise Mistake(f"--overlap: got {tau:g}, allowed numbers above 0, below 1")
    check_prediction(arguments)


def check_prediction(arguments: Arguments) -> None:
    given = {
        "--levels": arguments.levels != LEVELS,
        "--against": bool(arguments.against),
        "--by": arguments.by != "probe",
        "--model": arguments.model != ModelConfig(),
    }
    if not arguments.predict:
        for flag in [flag for flag, is_given in given.items() if is_given]:
            raise Mistake(f"{flag}: is read with --predict alone")
        return
    check_model(arguments.model, arguments.fields.world.image_size_px)
    levels = arguments.levels
    for level in levels:
        if not 0 < level < 1 or levels.count(level) > 1:
            raise Mistake(f"--levels: got {level:g}, allowed different numbers above 0, below 1")
    if not levels:
        raise Mistake("--levels: got none, allowed one and more")
    if arguments.by != "probe" and not arguments.against:
        raise Mistake("--by: is read with --against alone")


def main() -> None:
    arguments = read_arguments()
    check(arguments)
    world = arguments.fields.terms
    opened = world.with_files()  # refuses a mistake before the slow imports
    from studies.drawing.rendering import export_world, preview

    images = world.images(opened)
    if arguments.describe:
        say("\n".join(images.describe()))
    if arguments.match:
        say(images.match(arguments.match))
    if arguments.overlap:
        from studies.drawing.overlap import overlap_lines

        say("\n".join(overlap_lines(images.overlap_features(), arguments.overlap)))
    if arguments.predict:
        from studies.prediction.command import say_prediction

        say_prediction(
            *(world, images, arguments.model, arguments.levels),
            *(arguments.against, arguments.by, arguments.out, say),
        )
    if arguments.preview:
        preview(images, arguments.fields, arguments.preview)
        say(f"wrote {arguments.preview}")
    if arguments.out:
        export_world(
            images, arguments.fields, arguments.out, arguments.format, arguments.test_images, say
        )


if __name__ == "__main__":
    start(main)
