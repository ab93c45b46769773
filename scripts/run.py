"""Run a whole experiment: probe, training, evaluation, figures and report.

Finished stages are skipped, an interrupted one goes on where it was saved.
"""

from studies.cli import read_experiment, say, start
from studies.experiment.config import scored_world


def main() -> None:
    experiment = read_experiment(__doc__)
    scored_world(experiment.fields)  # before the slow imports
    from studies.dry_run import describe_plan
    from studies.stages import run_experiment

    if experiment.dry_run:
        return print(describe_plan(experiment.fields, experiment.run))
    run_experiment(experiment.fields, experiment.run, say, experiment.deadline)


if __name__ == "__main__":
    start(main)
