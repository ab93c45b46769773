"""Run a study of the structured identity mapping task: its figure, its numbers, its claims."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from data_gen.endings import Mistake
from studies.cli import say, start


@dataclass(frozen=True)
class Arguments:
    """What to study.

    Attributes:
        config: the study's YAML file, such as configs/sim/fig02a.yaml.
        out: folder of the results; those of a study are in the folder of its name.
        num_seeds: run so many instead of all, for a look; claims stay undecided.
        dry_run: print what would be run, then stop.
    """

    config: Path
    out: Path = Path("runs/sim")
    num_seeds: int | None = None
    dry_run: bool = False


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    if arguments.num_seeds is not None and arguments.num_seeds < 1:
        raise Mistake(f"--num-seeds: got {arguments.num_seeds}, allowed 1 or more")
    from studies.sim.config import read_sim_config, with_seeds
    from studies.sim.study import describe, run_and_write

    config = with_seeds(read_sim_config(arguments.config), arguments.num_seeds)
    if arguments.dry_run:
        say(describe(config))
    else:
        run_and_write(config, arguments.out / config.name, say)


if __name__ == "__main__":
    start(main)
