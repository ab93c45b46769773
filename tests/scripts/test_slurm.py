"""configs/accelerate/slurm.sbatch under a real SLURM: controller and two nodes on this machine."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.full]
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
INSTALL = "apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge"
NODES = ("127.0.0.1", "127.0.0.2")  # names that resolve: the batch script takes one for an address
CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/%n
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=1
SlurmdParameters=config_overrides
JobRequeue=1
ReturnToService=2
MinJobAge=3600
MailProg=/bin/true
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=2000
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=2000
PartitionName=all Nodes={nodes[0]},{nodes[1]} Default=YES MaxTime=INFINITE
"""
MAX_STEPS = 60  # losses are written every 20: the first of them is the moment to interrupt
TRAINING = (
    *("--config", str(ROOT / "configs" / "tiny.yaml"), "--world.num-images", "64"),
    *("--train.max-steps", str(MAX_STEPS), "--train.batch-size", "8", "--train.threads", "1"),
    *("--train.state-every", "25", "--train.snapshots", "0, linear:4"),
)


def installed() -> bool:
    os.environ["PATH"] += ":/usr/sbin"  # where Debian puts daemons
    return all(map(shutil.which, PROGRAMS))


def require_slurm() -> None:
    """Install SLURM where that is allowed; otherwise skip, saying why."""
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons are started as root; this is another user")
    if installed():
        return
    quiet = {"capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(["bash", "-c", INSTALL], **quiet)
    if done.returncode or not installed():
        reason = (done.stderr.strip() or "it left no programs").splitlines()[-1]
        pytest.skip(f"no SLURM here and `{INSTALL}` failed: {reason}")


def wait_for(what: str, happened: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.1)


def ask(*command: str) -> str:
    """What a command of SLURM prints."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def write_conf(folder: Path) -> None:
    for name in ("state", *NODES):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    host = socket.gethostname().split(".")[0]
    ports = free_ports(3)
    conf = CONF.format(host=host, folder=folder, ports=ports, nodes=NODES)
    (folder / "slurm.conf").write_text(conf)


@contextmanager
def daemon(*command: str) -> Iterator[None]:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **quiet)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def munged(folder: Path) -> list[str]:
    names = ("key-file=munge.key", "socket=munge.sock", "pid-file=munged.pid")
    names += ("log-file=munged.log", "seed-file=munged.seed")
    files = [f"--{option}={folder}/{file}" for option, file in (n.split("=") for n in names)]
    return ["munged", "--foreground", "--force", *files]


def idle_nodes() -> int:
    command = ("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N")
    return len(subprocess.run(command, capture_output=True, text=True).stdout.split())


def empty_queue() -> None:
    """Before the daemons go: they are the parents of what still runs."""
    subprocess.run(["scancel", "--user=root"], timeout=30)
    queue = ("squeue", "--noheader")
    wait_for("empty queue", lambda: not subprocess.check_output(queue, timeout=30), 60)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two nodes of two cores, reachable from this machine alone."""
    require_slurm()
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # sockets' paths must be short
    folder.chmod(0o755)
    write_conf(folder)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        stack.enter_context(daemon(*munged(folder)))
        wait_for("munge", (folder / "munge.sock").exists, 10)
        stack.enter_context(daemon("slurmctld", "-D"))
        for node in NODES:
            stack.enter_context(daemon("slurmd", "-D", "-N", node))
        wait_for("two idle nodes", lambda: idle_nodes() == 2, 30)
        stack.callback(empty_queue)
        yield


def submit(folder: Path, *arguments: str) -> str:
    """Hand in the batch script for two nodes; returns the job's number."""
    flags = ("--parsable", "--nodes=2", f"--output={folder / 'job.log'}")
    script = str(ROOT / "configs" / "accelerate" / "slurm.sbatch")
    return ask("sbatch", *flags, script, *TRAINING, "--runs", str(folder / "runs"), *arguments)


def job(number: str, field: str) -> str:
    return re.search(rf"\b{field}=(\S+)", ask("scontrol", "show", "job", number))[1]


def rows(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return len(metrics.read_bytes().splitlines()) if metrics.exists() else 0


def train_state(run: Path) -> str:
    return json.loads((run / "status.json").read_text())["train"]["state"]


def torchrun(folder: Path, name: str) -> Path:
    """The straight run: two processes, no SLURM."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    flags = (*TRAINING, "--runs", str(folder), "--name", name)
    command = (*launcher, str(ROOT / "scripts" / "train.py"), *flags)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / name


def contents(run: Path) -> dict[str, bytes]:
    """Every byte of the run's snapshots and losses."""
    files = [path for path in (run / "snapshots").rglob("*") if path.is_file()]
    return {str(p.relative_to(run)): p.read_bytes() for p in (*files, run / "metrics.jsonl")}


def test_an_interrupted_job_comes_back_and_ends_as_the_straight_run(cluster, tmp_path):
    """Interrupted as before its time limit; neither the losses nor the weights show it."""
    run = tmp_path / "runs" / "tiny"
    number = submit(tmp_path)
    wait_for("training under SLURM", lambda: rows(run) > 0, 300)
    ask("scancel", f"--signal={signal.SIGUSR1.name}", "--batch", number)
    wait_for("requeued job", lambda: job(number, "JobState") == "PENDING", 60)
    log = tmp_path / "job.log"
    assert "train: preempted after USR1" in log.read_text()
    assert train_state(run) == "preempted" and rows(run) < MAX_STEPS
    ask("scontrol", "update", f"JobId={number}", "StartTime=now+2")  # not after two minutes
    wait_for("end of the job", lambda: job(number, "JobState") == "COMPLETED", 300)
    assert (job(number, "Restarts"), job(number, "NumNodes")) == ("1", "2")
    assert train_state(run) == "done" and "going on from the state of step" in log.read_text()
    straight = torchrun(tmp_path, "straight")
    worlds = [json.loads((path / "env.json").read_text())["world_size"] for path in (run, straight)]
    assert worlds == [2, 2] and rows(run) == MAX_STEPS
    assert len(list((run / "snapshots").iterdir())) == 5
    assert contents(run) == contents(straight)


def test_the_state_that_an_earlier_job_left_requeues_nothing(cluster, tmp_path):
    """Else a job that cannot start would come back for ever."""
    run = tmp_path / "runs" / "tiny"
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"train": {"state": "preempted"}}')
    number = submit(tmp_path)
    wait_for("end of the job", lambda: job(number, "JobState") == "FAILED", 300)
    assert job(number, "Restarts") == "0" and train_state(run) == "preempted"
    log = (tmp_path / "job.log").read_text()
    assert "is not empty and no run" in log and "train: unknown" in log


def test_a_mistake_is_found_before_anything_starts(cluster, tmp_path):
    number = submit(tmp_path, "--train.batch-size", "0")
    wait_for("end of the job", lambda: job(number, "JobState") == "FAILED", 60)
    assert (job(number, "Restarts"), job(number, "ExitCode")) == ("0", "2:0")
    assert "train.batch_size: got 0, allowed" in (tmp_path / "job.log").read_text()
