"""Write the config of an experiment from a few words, such as: star, cross x orange, purple, hold
out star purple.

The file is complete and checked. A picture of its world is drawn beside it, and its cost is told.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
import yaml

from ground.endings import Mistake
from ground.files import write_text
from ground.reading import read_as
from studies.cli import say, start
from studies.experiment.config import Config
from studies.experiment.few_words import config_text, read_wanted
from studies.run.directory import RunDir


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        words: values of a concept with commas between them, x between concepts and, after "hold
            out", what training never shows.
        name: of the experiment, and of the files.
        folder: where the files are written.
        runs: folder of the run directories.
    """

    words: tyro.conf.Positional[tuple[str, ...]]
    name: str = "mine"
    folder: Path = Path()
    runs: Path = Path("runs")


def check_places(*paths: Path) -> None:
    """Raise Mistake for a file that is there already: it may be somebody's work."""
    for path in paths:
        if path.exists():
            raise Mistake(f"--name: {path} is there already; choose another --name or --folder")


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    wanted = read_wanted(" ".join(arguments.words))
    path = arguments.folder / f"{arguments.name}.yaml"
    picture = path.with_suffix(".png")
    command = f"python scripts/run.py --config {path}"
    config = read_as(Config, yaml.safe_load(config_text(wanted, arguments.name, command, "")), "")
    check_places(path, picture)
    from studies.drawing.rendering import preview
    from studies.dry_run import cost_line, plan_lines
    from studies.experiment.world_file import WorldFile
    from studies.many.forecast import minutes_alone
    from studies.run.opened import Experiment

    experiment = Experiment(config, RunDir(arguments.runs / config.name))
    plan, cost = plan_lines(experiment), cost_line(experiment)
    write_text(path, config_text(wanted, arguments.name, command, cost))
    world = WorldFile(config.name, config.world, config.question, config.captions)
    preview(experiment.images, world, picture)
    say("\n".join([*plan, f"wrote {path}, and its world as {picture}"]))
    say(f"time: about {minutes_alone(experiment):.0f} minutes on one core, as busy as it is now")
    say(f"next: {command}")


if __name__ == "__main__":
    start(main, resumes=False)
