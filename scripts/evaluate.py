"""Sample and score the snapshots of a trained run; what is scored already is skipped."""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from data_gen.endings import Mistake
from studies.cli import read_flag, read_run, say, start
from studies.config import EvaluateConfig, scored_world


@dataclass(frozen=True)
class Arguments:
    """A run and how to evaluate it.

    Attributes:
        run: the run directory.
        evaluate: as in the run's config, unless changed here.
    """

    run: Path
    evaluate: EvaluateConfig


def main() -> None:
    path = read_flag("--run")
    run, config = read_run(Path(path)) if path else (None, None)
    default = Arguments(
        Path(path or "runs/quickstart"), config.evaluate if config else EvaluateConfig()
    )
    arguments = tyro.cli(Arguments, default=default, description=__doc__)
    if run is None or config is None:
        raise Mistake("--run: missing; give a run directory")
    config = replace(config, evaluate=arguments.evaluate)
    scored_world(config)
    from studies.stages import evaluate_stage, probe_stage

    probe_stage(config, run, say)
    evaluate_stage(config, run, say)


if __name__ == "__main__":
    start(main)
