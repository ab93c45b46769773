"""Find where two runs part: settings, rows, processes, tensors, images.

Exit status 0 if they hold the same, 1 if not.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from studies.cli import say, start


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        first, second: run directories, whole but not necessarily finished.
    """

    first: tyro.conf.Positional[Path]
    second: tyro.conf.Positional[Path]


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    from studies.verify.compare import compare

    differences = compare(arguments.first, arguments.second)
    for difference in differences:
        say(difference.line)
    if any(difference.parts for difference in differences):
        sys.exit(1)


if __name__ == "__main__":
    start(main, resumes=False)
