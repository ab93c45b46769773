"""Draw a world: describe it, show it, or export its images, captions and ground truth."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ground.endings import Mistake
from ground.reading import read_as
from studies.cli import ANY_WORLD, read_flag, say, start
from studies.experiment.config import to_dict
from studies.experiment.world_file import WorldFile, read_world_file


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
    """

    config: Path
    fields: Annotated[WorldFile, tyro.conf.arg(name="")]
    out: Path | None = None
    format: Literal["imagefolder", "npz", "parquet"] = "imagefolder"
    test_images: int = 1024
    preview: Path | None = None
    describe: bool = False
    match: tuple[str, ...] = ()


def read_arguments() -> Arguments:
    """Read `--config`, then every other flag on top of it."""
    path = read_flag("--config")
    if path is None and not {"-h", "--help"} & set(sys.argv):
        raise Mistake("--config: missing; give a YAML file, such as configs/worlds/p2_2x2.yaml")
    file = read_world_file(Path(path)) if path else WorldFile("NAME", ANY_WORLD)
    default = Arguments(Path(path or "configs/worlds/p2_2x2.yaml"), file)
    settings = (tyro.conf.AvoidSubcommands,)
    arguments = tyro.cli(Arguments, default=default, description=__doc__, config=settings)
    fields = read_as(WorldFile, to_dict(arguments.fields), "")  # flags obey a file's rules: no nan
    return replace(arguments, fields=fields)


def check(arguments: Arguments) -> None:
    if not (arguments.out or arguments.preview or arguments.describe or arguments.match):
        raise Mistake("nothing to do; give --describe, --preview grid.png, --match or --out DIR")
    if arguments.preview and arguments.preview.suffix != ".png":
        raise Mistake(f"--preview: got {arguments.preview}, allowed a name that ends in .png")
    if arguments.test_images < 0:
        raise Mistake(f"--test-images: got {arguments.test_images}, allowed 0 or more")


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
    if arguments.preview:
        preview(images, arguments.fields, arguments.preview)
        say(f"wrote {arguments.preview}")
    if arguments.out:
        export_world(
            images, arguments.fields, arguments.out, arguments.format, arguments.test_images, say
        )


if __name__ == "__main__":
    start(main)
