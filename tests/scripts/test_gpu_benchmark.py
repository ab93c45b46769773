"""The benchmark of GPUs, where there is none: its tiny version, and what it says without a GPU."""

import json
import subprocess
import sys

import pytest
import torch


def run(root, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "benchmarks" / "gpu.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=root)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_in_one_line(root):
    done = run(root)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "no CUDA device here; --device cpu runs a tiny version\n"


@pytest.mark.slow
def test_its_tiny_version_prints_one_line_of_json(root):
    done = run(root, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    ways, draws = found["tiny"]["ways"], found["tiny"]["draws"]
    assert len(ways) == 10 and all(way["ms"] > 0 for way in ways.values())
    assert {way["cuda_graph"] for name, way in ways.items() if "graph" not in name} == {"off"}
    assert {way["cuda_graph"] for name, way in ways.items() if "graph" in name} == {
        "not used: the device is cpu, not cuda"
    }
    assert draws["uniforms_equal"] and draws["normals_apart"] == 0
    assert found["tiny"]["synchronised"] is None and found["skipped"] == []
    assert set(found["together"]) == {"1", "2"}
    assert all(images > 0 for images in found["together"].values())
