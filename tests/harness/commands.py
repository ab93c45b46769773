"""Command lines, started as a user starts them, on runs of some seconds."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")
SHORT = (
    *("--train.max-steps", "8", "--train.batch-size", "8", "--train.state-every", "4"),
    *("--train.threads", "1", "--world.num-images", "64"),
    *("--probe.steps", "40", "--probe.gate", "0.3", "--evaluate.num-inference-steps", "2"),
    *("--probe.certificate-images", "64"),
    *("--evaluate.final-images-per-combination", "8"),
)


def start(script: str, *arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **options)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def call(script: str, *arguments: str, **options) -> tuple[int, str, str]:
    return finish(start(script, *arguments, **options))
