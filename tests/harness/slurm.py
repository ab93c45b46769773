"""A real SLURM on loopback: controller and two nodes of two cores, children of the tests."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.harness.programs import require_programs

ROOT = Path(__file__).resolve().parents[2]
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
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
MinJobAge=3600
MailProg=/bin/true
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=2000
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=2000
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=30
PartitionName=high Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
"""


def require_slurm() -> None:
    """Install SLURM where that is allowed; otherwise skip, saying why."""
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons are started as root; this is another user")
    require_programs(("munged", "slurmctld", "slurmd", "sbatch"), "slurm-wlm munge")


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


class Daemon:
    """A program that runs in the foreground, as a child of this process."""

    def __init__(self, *command: str):
        self.command = command
        self.start()

    def start(self) -> None:
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL, **quiet)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()


def munged(folder: Path) -> list[str]:
    names = ("key-file=munge.key", "socket=munge.sock", "pid-file=munged.pid")
    names += ("log-file=munged.log", "seed-file=munged.seed")
    files = [f"--{option}={folder}/{file}" for option, file in (n.split("=") for n in names)]
    return ["munged", "--foreground", "--force", *files]


def idle_nodes() -> int:
    command = ("sinfo", "--noheader", "--Node", "--partition=low", "--states=idle", "--format=%N")
    return len(subprocess.run(command, capture_output=True, text=True).stdout.split())


def empty_queue() -> None:
    """Before the daemons go: they are the parents of what still runs."""
    subprocess.run(["scancel", "--user=root"], timeout=30)
    queue = ("squeue", "--noheader")
    wait_for("empty queue", lambda: not subprocess.check_output(queue, timeout=30), 60)


@contextmanager
def running_cluster() -> Iterator[Daemon]:
    """Two nodes of two cores, reachable from this machine alone; yields the controller. Jobs of the
    partition `high` preempt those of `low`."""
    require_slurm()
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # sockets' paths must be short
    folder.chmod(0o755)
    write_conf(folder)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        stack.callback(Daemon(*munged(folder)).stop)
        wait_for("munge", (folder / "munge.sock").exists, 10)
        controller = Daemon("slurmctld", "-D")
        stack.callback(lambda: controller.stop())
        for node in NODES:
            stack.callback(Daemon("slurmd", "-D", "-N", node).stop)
        wait_for("two idle nodes", lambda: idle_nodes() == 2, 30)
        stack.callback(empty_queue)
        yield controller


def job(number: str, field: str) -> str:
    """A field of what SLURM says of a job."""
    return re.search(rf"\b{field}=(\S+)", ask("scontrol", "show", "job", number))[1]
