"""Write a finished run as an example: all that its figures and report are made from, no weights."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from studies.cli import read_run, start


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: an evaluated run directory.
        out: folder of the example, which is called as it is; what is there is moved aside.
    """

    run: Path
    out: Path


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    run, _ = read_run(arguments.run)
    from studies.examples import write_example

    write_example(run, arguments.out)
    files = [file for file in arguments.out.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    print(f"wrote {arguments.out}, {len(files)} files, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    start(main, resumes=False)
