"""Run a whole experiment: probe, training, evaluation, figures and report.

Finished stages are skipped, an interrupted one goes on where it was saved.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from studies.cli import Experiment, read_experiment, say, start


@dataclass(frozen=True)
class Arguments(Experiment):
    """Arguments of the command line.

    Attributes:
        live: serve a page of the run on this machine while it goes on, and print its address;
            every snapshot is scored as soon as training has left it.
    """

    live: bool = False


def main() -> None:
    arguments = read_experiment(__doc__, Arguments)
    opened = arguments.fields.terms.with_files()  # refuses a mistake before the slow imports
    from studies.dry_run import describe_plan
    from studies.live.progress import told
    from studies.live.server import live
    from studies.run.opened import Experiment
    from studies.stages import run_experiment

    experiment = Experiment(arguments.fields, arguments.run, opened)
    if arguments.dry_run:
        return print(describe_plan(experiment))
    with ExitStack() as stack:
        if arguments.live:
            stack.enter_context(live(arguments.run, say))
        stack.enter_context(told(Experiment(arguments.fields, arguments.run), say))
        run_experiment(experiment, say, arguments.deadline, along=arguments.live)


if __name__ == "__main__":
    start(main)
