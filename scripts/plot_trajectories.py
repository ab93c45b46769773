"""Draw accuracy curves, concept-space trajectories and sample grids of one or more runs.

It also says when each concept is learned, by which instrument, and whether the runs agree.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from studies.cli import start


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: one or more evaluated run directories of one world, or folders of such.
        out: folder for the figures, and for their numbers as CSV.
        concepts: that readouts and sentences look at; without it all.
        over_seeds: write last accuracies and learning times of each variant with intervals over its
            seeds, too.
    """

    run: tuple[Path, ...]
    out: Path = Path("figures")
    concepts: tuple[str, ...] = ()
    over_seeds: bool = False


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    from studies.findings.plotting import plot_runs

    runs, out, sentences = [*arguments.run], arguments.out, list[str]()
    asked = arguments.concepts, arguments.over_seeds
    for path in plot_runs(runs, out, sentences.append, *asked):
        print(f"wrote {path}")
    print(f"numbers: {out}/*.csv", *sentences, sep="\n")


if __name__ == "__main__":
    start(main, resumes=False)
