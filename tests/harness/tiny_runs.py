"""Jobs small enough to be ended again and again: a step takes a tenth of a second."""

import sys
from pathlib import Path

from tests.harness.processes import Job

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
SETTINGS = (
    *("--train.batch-size", "8", "--train.state-every", "5", "--train.threads", "1"),
    *("--world.num-images", "64", "--probe.steps", "40", "--probe.gate", "0.3"),
    *("--probe.certificate-images", "64"),
    *("--evaluate.num-inference-steps", "2", "--evaluate.images-per-combination", "2"),
    *("--evaluate.final-images-per-combination", "8"),
)


def tiny_job(script: str, runs: Path, steps: int, snapshots: int, *, ranks: int = 1) -> Job:
    """A run of `steps`, states every five, all of its `snapshots` scored."""
    launcher = TORCHRUN if ranks > 1 else ()
    command = [sys.executable, *launcher, str(ROOT / "scripts" / f"{script}.py")]
    command += ["--config", str(ROOT / "configs" / "tiny.yaml"), "--runs", str(runs), *SETTINGS]
    command += ["--train.max-steps", str(steps), "--train.snapshots", f"linear:{snapshots}"]
    command += ["--evaluate.snapshots", f"linear:{snapshots}"]
    return Job(command, runs / "tiny", {"OMP_NUM_THREADS": "1"})


def evaluation(trained: Path, *settings: str, ranks: int = 1) -> Job:
    """Of a trained run, with settings that are not its own."""
    launcher = (*TORCHRUN, "--") if ranks > 1 else ()  # else torchrun takes --run for its own
    command = [sys.executable, *launcher, str(ROOT / "scripts" / "evaluate.py")]
    return Job([*command, "--run", str(trained), *settings], trained, {"OMP_NUM_THREADS": "1"})
