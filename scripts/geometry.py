"""Measure how the inside of trained models represents what it is told: by site, level and step.

Writes tables and figures: how two features couple, share directions and spread over harmonics,
Betti numbers, displacements and, with --swap and --steer, what moves if a subspace is exchanged
or a direction is added.
"""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from ground.endings import Mistake
from studies.cli import say, start


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: one or more trained run directories of one world, or folders of such.
        list_sites: print the sites of the model, then stop.
        sites: names of modules; without them the conditioner and all blocks of the U-Net.
        levels: signal fractions of what the network sees; each is read at the nearest drawing step.
        steps: of snapshots that all runs have, or all; without it 0 and the last one.
        grid: places of x and of y, of runs on bumps; words have as many values as there are.
        noise_seeds: noises from which every condition is drawn.
        pooled: keep the mean over space of every channel, not every pixel.
        homology: of runs on bumps, Betti numbers of the code.
        swap: of runs on bumps, exchange the subspaces of x and y at every site, at the last of the
            steps; read what moves.
        steer: of runs on bumps, places of the grid by which x, and then y, is to be moved by a
            direction that is added at every site, at the last of the steps; read what moves.
        umap: draw maps of the codes at the last step, a picture only; needs umap-learn.
        memory_mb: most memory that the readings of one site and level may take.
        out: folder for tables and figures.
        page: a Markdown file that gets the findings too, its figures a folder beside it.
    """

    run: tuple[Path, ...]
    list_sites: bool = False
    sites: tuple[str, ...] = ()
    levels: tuple[float, ...] = (0.02, 0.2, 0.8)
    steps: tuple[str, ...] = ()
    grid: int = 16
    noise_seeds: int = 6
    pooled: bool = False
    homology: bool = True
    swap: bool = False
    steer: tuple[int, ...] = ()
    umap: bool = False
    memory_mb: int = 2048
    out: Path = Path("geometry")
    page: Path | None = None


def check_arguments(arguments: Arguments) -> None:
    """Raise Mistake, before the slow imports."""
    if arguments.noise_seeds < 2:
        raise Mistake(
            f"--noise-seeds: got {arguments.noise_seeds}, allowed 2 and more: what is signal is "
            f"what readings with different noise share; intervals need 3"
        )
    if not 2 <= arguments.grid <= 32:
        raise Mistake(f"--grid: got {arguments.grid}, allowed 2 to 32 places of each coordinate")
    if (arguments.swap or arguments.steer) and arguments.pooled:
        flag = "--swap" if arguments.swap else "--steer"
        raise Mistake(f"{flag}: allowed without --pooled alone: an edit changes every pixel's part")
    if not arguments.levels:
        raise Mistake("--levels: got none, allowed signal fractions such as 0.2 0.8")


def asked_steps(steps: tuple[str, ...]) -> list[int] | Literal["all"] | None:
    """Return the steps asked for; None: the last. Raises Mistake for what is neither."""
    if not steps:
        return None
    if steps == ("all",):
        return "all"
    wrong = [step for step in steps if not step.isdecimal()]
    if wrong:
        raise Mistake(f"--steps: got {wrong[0]!r}, allowed 'all', or steps such as 0 512 1024")
    return [int(step) for step in steps]


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    check_arguments(arguments)
    steps = asked_steps(arguments.steps)
    from analysis.report.markdown import write_markdown_page
    from studies.geometry.asked import Asked
    from studies.geometry.command import geometry, list_sites

    if arguments.list_sites:
        return list_sites(arguments.run, say)
    asked = Asked(
        sites=arguments.sites,
        levels=arguments.levels,
        steps=steps,
        grid=arguments.grid,
        noise_seeds=arguments.noise_seeds,
        pooled=arguments.pooled,
        homology=arguments.homology,
        swap=arguments.swap,
        steer=arguments.steer,
        umap=arguments.umap,
        memory_mb=arguments.memory_mb,
    )
    report = geometry(arguments.run, asked, arguments.out, say)
    if arguments.page is not None:
        write_markdown_page(arguments.page, report, shlex.join(["python", *sys.argv]))
        say(f"wrote {arguments.page}")


if __name__ == "__main__":
    start(main, resumes=False)
