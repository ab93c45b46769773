"""Run a study of the structured identity mapping task: its figures, its numbers, its claims."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from ground.endings import Mistake
from studies.cli import say, start

MOST_PILOTS = 1000  # the seeds of the rules begin there


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        config: the study's YAML file, such as configs/sim/fig02a.yaml.
        out: folder of the results; those of a study are in the folder of its name.
        pilot: run so many other seeds, for a look, into NAME-pilot; claims stay undecided.
        dry_run: print what would be run, then stop.
    """

    config: Path
    out: Path = Path("runs/sim")
    pilot: int | None = None
    dry_run: bool = False


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    if arguments.pilot is not None and not 8 <= arguments.pilot <= MOST_PILOTS:
        raise Mistake(f"--pilot: got {arguments.pilot}, allowed 8 to {MOST_PILOTS}")
    from studies.claims.sim.config import PILOT, on_pilot_seeds, read_sim_config
    from studies.claims.sim.study import check_study, describe, run_and_write

    config = read_sim_config(arguments.config)
    if arguments.pilot is not None:
        config = on_pilot_seeds(config, arguments.pilot)
    folder = config.name if arguments.pilot is None else config.name + PILOT
    if arguments.dry_run:
        check_study(config)
        say(describe(config))
    else:
        run_and_write(config, arguments.out / folder, say)


if __name__ == "__main__":
    start(main)
