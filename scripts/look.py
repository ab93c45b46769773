"""Write figures and the explorable report of an example: a finished run that is kept beside the
code. Nothing is trained."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from studies.cli import say, start

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "color_and_size"


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        example: its folder, as scripts/example.py writes it.
        runs: folder of the run directories; the example becomes one of them.
    """

    example: Path = EXAMPLE
    runs: Path = Path("runs")


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    from studies.examples import lay_out
    from studies.findings.run import Run

    run = Run(lay_out(arguments.example, arguments.runs).path)
    for sentence in run.sentences():
        say(sentence)
    say(f"report: {run.write_report()}")


if __name__ == "__main__":
    start(main)
