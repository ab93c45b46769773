"""Check that runs are whole: every file as it was written, everything planned there.

Changes nothing. Exit status 2 if anything is damaged or missing.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from studies.cli import say, start


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: one or more run directories, finished or not.
    """

    run: tuple[Path, ...]


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    from studies.verify.verify import verify_runs

    verify_runs(arguments.run, say)


if __name__ == "__main__":
    start(main, resumes=False)
