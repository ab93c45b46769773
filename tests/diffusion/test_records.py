"""What timings say of memory, with a GPU and without."""

import pytest
import torch

from diffusion.processes import Processes, build_accelerator
from diffusion.records import Records
from diffusion.train_config import TrainConfig
from ground.files import read_rows
from studies.findings.run_report import speed_facts
from studies.run.directory import RunDir

CONFIG = TrainConfig(threads=1)


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_memory_is_that_of_the_process_and_of_its_gpu(device, tmp_path, monkeypatch):
    asked = []

    def allocated(device: torch.device) -> int:
        asked.append(str(device))
        return 3 * 2**29  # bytes: 1.5 GiB

    monkeypatch.setattr(torch.cuda, "max_memory_allocated", allocated)
    processes = Processes(build_accelerator(CONFIG))
    processes.device = torch.device(device)
    records = Records(tmp_path, CONFIG, processes, ("red",))
    records.start(0, 0)
    row = records.time(2)
    assert read_rows(tmp_path / "timings.jsonl") == [row] and row["peak_memory_mib"] > 0
    facts = speed_facts(RunDir(tmp_path))
    if device == "cpu":
        assert asked == [] and "peak_gpu_memory_mib" not in row and "peak GPU memory" not in facts
    else:
        assert asked == ["cuda:1"] and row["peak_gpu_memory_mib"] == 1536
        assert facts["peak GPU memory"] == "1.50 GiB"
