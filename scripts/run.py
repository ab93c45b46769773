"""Run a whole experiment: probe, training, evaluation, figures and report.

Finished stages are skipped, an interrupted one goes on where it was saved.
"""

from studies.cli import read_experiment, say, start


def main() -> None:
    arguments = read_experiment(__doc__)
    opened = arguments.fields.terms.with_files()  # refuses a mistake before the slow imports
    from studies.dry_run import describe_plan
    from studies.run.opened import Experiment
    from studies.stages import run_experiment

    experiment = Experiment(arguments.fields, arguments.run, opened)
    if arguments.dry_run:
        return print(describe_plan(experiment))
    run_experiment(experiment, say, arguments.deadline)


if __name__ == "__main__":
    start(main)
