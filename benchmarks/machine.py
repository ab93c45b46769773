"""Machine that a benchmark runs on, in words."""

import os
import platform
from pathlib import Path

import torch


def machine() -> str:
    """Return processor, cores, threads of torch, load of the last minute, and torch's version."""
    load = f"load {os.getloadavg()[0]:.1f}"
    threads = f"{torch.get_num_threads()} threads"
    return f"{_processor()}, {os.cpu_count()} cores, {threads}, {load}, torch {torch.__version__}"


def _processor() -> str:
    names = Path("/proc/cpuinfo")
    lines = names.read_text().splitlines() if names.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
