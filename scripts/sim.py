"""Run a study of the structured identity mapping task, or fit its theory to runs on images."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from ground.endings import Mistake
from studies.cli import say, start

MOST_PILOTS = 1000  # the seeds of the rules begin there
STUDIES = Path("runs/sim")
UNTIL = 0.3


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        config: the study's YAML file, such as configs/sim/fig02a.yaml.
        out: folder of the results, runs/sim without it; those of a study are in the folder of its
            name. Of --fit, which writes nothing without it, figures, CSV and JSON.
        pilot: run so many other seeds, for a look, into NAME-pilot; claims stay undecided.
        dry_run: print what would be run, then stop.
        fit: in place of a study, runs on images whose denoiser was measured: fit the first part of
            their training, predict the rest.
        level: noise level of --fit; without it all that were measured.
        until: obedience of the fastest concept at which the part that --fit fits ends.
    """

    config: Path | None = None
    out: Path | None = None
    pilot: int | None = None
    dry_run: bool = False
    fit: tuple[Path, ...] = ()
    level: float | None = None
    until: float = UNTIL


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    check(arguments)
    if arguments.fit:
        from studies.fitting.command import fit_runs

        fit_runs(arguments.fit, arguments.level, arguments.until, arguments.out, say)
    elif arguments.config:
        run_study(arguments.config, arguments)


def check(arguments: Arguments) -> None:
    """Raise Mistake for flags that do not go together."""
    if bool(arguments.fit) == bool(arguments.config):
        raise Mistake(
            "--config, --fit: give one of them: a study's YAML file, such as "
            "configs/sim/fig02a.yaml, or runs to fit"
        )
    given = {
        "--pilot": arguments.pilot is not None and arguments.fit,
        "--dry-run": arguments.dry_run and arguments.fit,
        "--level": arguments.level is not None and arguments.config,
        "--until": arguments.until != UNTIL and arguments.config,
    }
    for flag in [flag for flag, is_wrong in given.items() if is_wrong]:
        raise Mistake(f"{flag}: is not read with {'--fit' if arguments.fit else '--config'}")
    if arguments.pilot is not None and not 8 <= arguments.pilot <= MOST_PILOTS:
        raise Mistake(f"--pilot: got {arguments.pilot}, allowed 8 to {MOST_PILOTS}")


def run_study(path: Path, arguments: Arguments) -> None:
    """Run a study, or print what would be run."""
    from studies.claims.sim.config import PILOT, on_pilot_seeds, read_sim_config
    from studies.claims.sim.study import check_study, describe, run_and_write

    config = read_sim_config(path)
    if arguments.pilot is not None:
        config = on_pilot_seeds(config, arguments.pilot)
    folder = config.name if arguments.pilot is None else config.name + PILOT
    if arguments.dry_run:
        check_study(config)
        say(describe(config))
    else:
        run_and_write(config, (arguments.out or STUDIES) / folder, say)


if __name__ == "__main__":
    start(main)
