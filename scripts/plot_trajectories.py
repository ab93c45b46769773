"""Draw accuracy curves, concept-space trajectories and sample grids of one or more runs."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from studies.cli import start


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: one or more evaluated run directories of one world, or folders of such.
        out: folder for the figures.
    """

    run: tuple[Path, ...]
    out: Path = Path("figures")


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    from studies.findings.plotting import plot_runs

    for path in plot_runs(list(arguments.run), arguments.out):
        print(f"wrote {path}")


if __name__ == "__main__":
    start(main, resumes=False)
