"""Decide the claims of the papers: list them, run what one needs, keep what its runs measured.

reproduce.py list: every claim with its paper, statistic, rule, cost and last verdict.

reproduce.py ID [ID …]: run what is missing, decide, write figure, numbers and verdict.

reproduce.py keep STUDY …: write the tables of finished runs, from which ID decides again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ground.endings import Mistake
from studies.cli import deadline_after, say, start


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        what: list, ids of claims, or keep and the names of studies.
        scale: cpu decides here; paper prints the command for runs of the size of the paper.
        dry_run: print what would be run, and what it costs, then stop.
        runs: folder of the studies' folders.
        slots: processes at a time; without it one per core.
        max_minutes: stop after so long: all is saved, exit status 75.
    """

    what: Annotated[tuple[str, ...], tyro.conf.Positional]
    scale: Literal["cpu", "paper"] = "cpu"
    dry_run: bool = False
    runs: Path = Path("runs")
    slots: int | None = None
    max_minutes: float | None = None


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    if not arguments.what:
        raise Mistake("give list, ids of claims, or keep and the names of studies")
    first, *others = arguments.what
    if first == "list":
        list_claims(others)
    elif first == "keep":
        keep(others, arguments.runs)
    else:
        reproduce(arguments)


def list_claims(ids: list[str]) -> None:
    """Print all claims, or some."""
    from studies.claims.list_text import list_lines
    from studies.claims.listing import find, listed

    claims = find(ids) if ids else [*listed().values()]
    print("\n".join(list_lines(claims)))


def keep(studies: list[str], runs: Path) -> None:
    """Write the tables of the finished runs of some studies."""
    from studies.claims.images.kept import keep_study

    if not studies:
        raise Mistake("keep: give the names of studies, such as s_signal")
    for name in studies:
        keep_study(name, runs, say)


def reproduce(arguments: Arguments) -> None:
    """Run what is missing of some claims, and decide them."""
    from studies.claims.listing import find

    claims = find(arguments.what)
    if arguments.scale == "paper":
        from studies.claims.command import paper_lines

        return print("\n".join(paper_lines(claims)))
    from studies.claims.asked import Asked
    from studies.claims.command import decide_claims, dry_run

    deadline = deadline_after(arguments.max_minutes)
    asked = Asked(arguments.runs, arguments.slots, deadline)
    if arguments.dry_run:
        return print(dry_run(claims, asked))
    decide_claims(claims, asked, say)


if __name__ == "__main__":
    start(main)
