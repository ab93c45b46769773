"""Train the diffusion model of an experiment, alone or under a launcher.

One process: python scripts/train.py --config C
GPUs: accelerate launch scripts/train.py --config C
Several CPU processes: torchrun --nproc_per_node 2 scripts/train.py --config C.
"""

from studies.cli import Experiment as Arguments
from studies.cli import read_experiment, say, start


def main() -> None:
    arguments = read_experiment(__doc__, Arguments)
    from studies.dry_run import describe_plan
    from studies.run.opened import Experiment
    from studies.stages import train_stage

    experiment = Experiment(arguments.fields, arguments.run)
    if arguments.dry_run:
        return print(describe_plan(experiment))
    train_stage(experiment, say, arguments.deadline)


if __name__ == "__main__":
    start(main)
