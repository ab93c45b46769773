"""Sample and score the snapshots of a run, alone or under a launcher; what is scored is skipped.

One process: python scripts/evaluate.py --run R
Other prompts, beside the captions: --evaluate.prompts.NAME "a {color} {shape} AND a {size} {shape}"
Interventions on the model: --evaluate.interventions '{kind: latent, alpha: 2}' '{kind: patch}'
Beside a training at work: python scripts/evaluate.py --run R --watch
GPUs: accelerate launch scripts/evaluate.py --run R
Several CPU processes: torchrun --nproc_per_node 2 scripts/evaluate.py --run R.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from ground.endings import Mistake
from studies.cli import (
    deadline_after,
    read_flag,
    read_flags,
    read_run,
    say,
    start,
    with_named_prompts,
)
from studies.experiment.config import EvaluateConfig
from studies.run.null_condition import check_null


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line.

    Attributes:
        run: the run directory.
        evaluate: as in the run's config, unless changed here.
        watch: score snapshots as a training at work writes them, until it ends.
        watch_seconds: how often to look for new ones.
        certify_sampler: compare the sampler with 250 ancestral steps from the same noise, at three
            snapshots, and write sampler_certificate.json.
        max_minutes: stop after so long, as if asked to: what is drawn is kept, exit status 75.
    """

    run: Path
    evaluate: EvaluateConfig
    watch: bool = False
    watch_seconds: float = 20.0
    certify_sampler: bool = False
    max_minutes: float | None = None


def main() -> None:
    path = read_flag("--run")
    run, config = read_run(Path(path)) if path else (None, None)
    evaluate = with_named_prompts(config.evaluate if config else EvaluateConfig())
    default = Arguments(Path(path or "runs/quickstart"), evaluate)
    arguments = read_flags(Arguments, default, __doc__ or "")
    if run is None or config is None:
        raise Mistake("--run: missing; give a run directory")
    if not arguments.watch_seconds > 0:
        raise Mistake(f"--watch-seconds: got {arguments.watch_seconds:g}, allowed more than 0")
    deadline = deadline_after(arguments.max_minutes)
    config = replace(config, evaluate=arguments.evaluate)
    opened = config.terms.with_files()  # refuses a mistake before the slow imports
    check_null(config, run)
    from studies.findings.denoiser_findings import clock_facts
    from studies.findings.elicitation_findings import elicitation_facts
    from studies.findings.instruments import agreement_lines
    from studies.run.opened import Experiment
    from studies.stages import evaluate_stage, probe_stage

    experiment = Experiment(config, run, opened)
    probe_stage(experiment, say, deadline)
    every = arguments.watch_seconds if arguments.watch else None
    evaluate_stage(experiment, say, deadline, every, arguments.certify_sampler)
    for line in agreement_lines(experiment):
        say(line)
    for name, fact in {**clock_facts(experiment), **elicitation_facts(experiment)}.items():
        say(f"{name}: {fact}")


if __name__ == "__main__":
    start(main)
