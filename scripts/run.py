"""Run a whole experiment: probe, training, evaluation, figures and report.

Finished stages are skipped, an interrupted one goes on where it was saved.
"""

from studies.cli import read_experiment, say, start
from studies.config import check_config


def main() -> None:
    experiment = read_experiment(__doc__)
    check_config(experiment.fields)  # before the slow imports
    from studies.stages import describe_plan, run_experiment

    if experiment.dry_run:
        return print(describe_plan(experiment.fields, experiment.run))
    run_experiment(experiment.fields, experiment.run, say, experiment.deadline)


if __name__ == "__main__":
    start(main)
