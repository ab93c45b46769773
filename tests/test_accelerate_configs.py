"""configs/accelerate: read and checked by accelerate itself, as far as goes without GPUs."""

import subprocess
from argparse import Namespace
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType
from accelerate.utils.launch import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env

FOLDER = Path(__file__).resolve().parents[1] / "configs" / "accelerate"
NAMES = {path.stem for path in FOLDER.glob("*.yaml")}
LAUNCHES = {  # distributed type, machines, processes over all machines
    "one_gpu": (DistributedType.NO, 1, 1),
    "several_gpus": (DistributedType.MULTI_GPU, 1, 2),
    "several_nodes": (DistributedType.MULTI_GPU, 2, 8),
}
CHANGES_NUMBERS = {"fp16", "fp8_config", "dynamo_config", "deepspeed_config", "fsdp_config"}
TRAINING = ("scripts/train.py", "--config", "configs/tiny.yaml")


def launch(name: str, *flags: str) -> Namespace:
    """What `accelerate launch` makes of one file and flags."""
    command = ["--config_file", str(FOLDER / f"{name}.yaml"), *flags, *TRAINING]
    return _validate_launch_command(launch_command_parser().parse_args(command))[0]


def test_every_file_is_described_here():
    assert NAMES == set(LAUNCHES)


@pytest.mark.parametrize("name", LAUNCHES)
def test_the_loader_reads_what_was_meant(name):
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert (config.distributed_type, config.num_machines, config.num_processes) == LAUNCHES[name]


@pytest.mark.parametrize("name", LAUNCHES)
def test_what_changes_numbers_is_left_to_the_experiment(name):
    fields = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    assert fields["mixed_precision"] == "no"
    assert not CHANGES_NUMBERS & set(fields)
    arguments = launch(name)
    assert arguments.mixed_precision == "no" and arguments.dynamo_backend == "no"


@pytest.mark.parametrize("name", LAUNCHES)
def test_the_header_has_the_exact_command(name):
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    header = "\n".join(line for line in lines if line.startswith("#"))
    assert f"accelerate launch --config_file configs/accelerate/{name}.yaml" in header
    assert "scripts/train.py --config configs/quickstart.yaml" in header


@pytest.mark.parametrize("name", LAUNCHES)
def test_the_script_and_its_flags_reach_the_launcher(name):
    arguments = launch(name)
    assert arguments.multi_gpu == (LAUNCHES[name][0] is DistributedType.MULTI_GPU)
    assert (arguments.training_script, *arguments.training_script_args) == TRAINING


def test_one_gpu_is_one_process_that_sees_one_gpu():
    command, environment = prepare_simple_launcher_cmd_env(launch("one_gpu"))
    assert tuple(command[1:]) == TRAINING
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"


@pytest.mark.parametrize("flags, processes", [((), "2"), (("--num_processes", "4"), "4")])
def test_several_gpus_is_a_process_each(flags, processes):
    arguments = launch("several_gpus", *flags)
    environment = prepare_multi_gpu_env(arguments)
    assert arguments.nproc_per_node == processes and arguments.num_machines == 1
    assert int(arguments.master_port) > 0  # a free one, found just now
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"


def test_a_node_takes_its_rank_and_the_head_node_from_flags():
    flags = ("--machine_rank", "1", "--main_process_ip", "192.0.2.7")
    arguments = launch("several_nodes", *flags)
    prepare_multi_gpu_env(arguments)
    assert (arguments.nnodes, arguments.nproc_per_node, arguments.node_rank) == ("2", "4", 1)
    assert (arguments.rdzv_backend, arguments.rdzv_endpoint) == ("static", "192.0.2.7:29500")


@pytest.mark.parametrize("nodes, processes, each", [(1, 1, 1), (3, 24, 8)])
def test_slurm_asks_for_any_number_of_nodes(nodes, processes, each):
    """Also for one process on one node, which accelerate refuses under its flag --multi_gpu."""
    counts = (f"--num_machines={nodes}", f"--num_processes={processes}")
    arguments = launch("several_nodes", *counts, "--main_process_port=0")
    prepare_multi_gpu_env(arguments)
    assert (arguments.multi_gpu, arguments.nproc_per_node) == (True, str(each))


def test_the_batch_script_is_bash():
    script = FOLDER / "slurm.sbatch"
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_batch_script_asks_for_a_warning_and_for_its_return():
    lines = (FOLDER / "slurm.sbatch").read_text().splitlines()
    asked = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}
    assert {"--signal=B:USR1@120", "--requeue", "--open-mode=append"} <= asked
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not [line for line in lines[first:] if line.startswith("#SBATCH")]  # SLURM skips those
