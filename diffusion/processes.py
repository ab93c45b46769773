"""The processes of one run: who they are, what they agree on, what only the first one does."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import DistributedType, LoggerType, ProjectConfiguration
from torch import Tensor

from diffusion.precision import allow_tf32
from diffusion.train_config import TrainConfig
from ground.endings import Heard, Mistake, Preempted, first_line

T = TypeVar("T")
LOST = re.compile(r"(?i)connection [a-z ]+|timed out[a-z ]*|remote process exited")
PROMPTNESS = 1.0  # seconds after which a request to stop is heard by all, a step at the least
MOST_STEPS = 20  # between two looks at such requests, however short a step is
BEAT_SECONDS = 60.0  # between two signs of life, far below the time-outs of collectives: minutes
SUPPORTED = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


def pin_threads(threads: int | None) -> None:
    """Use this many CPU threads, or this process's share of the cores it may use."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(threads or max(1, len(os.sched_getaffinity(0)) // processes))


def build_accelerator(config: TrainConfig, directory: Path | None = None) -> Accelerator:
    """Accelerator on the GPUs there are, else on the CPU with pinned threads.

    directory: of the run; its tracker writes below it. Raises Mistake if the launcher asks for what
    the experiment's config decides, or for a way of sharding that this training does not know.
    """
    _check_launcher(config)
    _check_tracker(config.tracker)
    accelerator = _joined(config.tracker, directory)
    if accelerator.distributed_type not in SUPPORTED:
        raise Mistake(
            f"distributed_type: got {accelerator.distributed_type.value} from the launcher, "
            f"allowed {', '.join(kind.value for kind in SUPPORTED)}"
        )
    allow_tf32(config.tf32)
    pin_threads(config.threads)  # after Accelerate, which sets them too
    return accelerator


def _joined(tracker: str | None, directory: Path | None) -> Accelerator:
    """Raises Mistake if the launcher's variables lead to no other process."""
    try:
        return Accelerator(
            cpu=not torch.cuda.is_available(),
            mixed_precision="no",  # the training loop casts
            log_with=tracker,
            project_config=ProjectConfiguration(
                str(directory), logging_dir=str(directory / "tracker") if directory else None
            ),
        )
    except (ValueError, dist.DistError) as error:
        raise Mistake(
            f"launcher: its processes do not find each other ({first_line(error)}); start them by "
            f"torchrun or accelerate launch"
        ) from None


def _check_launcher(config: TrainConfig) -> None:
    """What changes the numbers is said by the experiment, not by `accelerate launch`."""
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision not in ("no", config.precision):
        raise Mistake(
            f"mixed_precision: the launcher asks for {precision!r}, but train.precision is "
            f"{config.precision!r}; leave it to train.precision"
        )
    steps = os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1")
    if steps != "1":
        raise Mistake(
            f"gradient_accumulation_steps: the launcher asks for {steps}; "
            f"set train.micro_batch_size instead"
        )


def _check_tracker(name: str | None) -> None:
    """accelerate would silently drop a tracker that is not installed."""
    installed = sorted(kind.value for kind in get_available_trackers())
    if name is not None and name not in installed:
        known = ", ".join(sorted(kind.value for kind in LoggerType if kind != LoggerType.ALL))
        raise Mistake(
            f"train.tracker: got {name!r}, which is not installed or not known; "
            f"installed: {', '.join(installed) or 'none'}; known: {known}"
        )


class Processes:
    """What the processes of one run do together. Alone, all of it costs nothing.

    Flags and messages travel between CPUs (gloo), so that no GPU waits for them.
    """

    def __init__(self, accelerator: Accelerator):
        self.accelerator, self.device = accelerator, accelerator.device
        self.rank, self.world_size = accelerator.process_index, accelerator.num_processes
        self.is_main = accelerator.is_main_process
        on_gpu = self.world_size > 1 and self.device.type != "cpu"
        self._cpus = dist.new_group(backend="gloo") if on_gpu else None

    def leave(self, kind: type[BaseException] | None, *error: object) -> None:
        """End trackers, and the process group, unless an error has left its operations undone:
        then its end would wait for them. As an exit callback."""
        if kind is None or issubclass(kind, Preempted):
            self.accelerator.end_training()
        else:
            for tracker in self.accelerator.trackers:
                tracker.finish()

    def largest(self, *values: int) -> list[int]:
        """The largest one on any process, of each of these values."""
        if self.world_size == 1:
            return [*values]
        largest = torch.tensor(values)
        with partners():
            dist.all_reduce(largest, dist.ReduceOp.MAX, group=self._cpus)
        return largest.tolist()

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        with partners():
            dist.all_gather_object(values, value, group=self._cpus)
        return values

    def once(self, action: Callable[[], T]) -> T:
        """What `action` returns on the first process; where it fails or is stopped there, all raise
        as `each` does."""
        return self.each(lambda: action() if self.is_main else cast(T, None))[0]

    def each(self, action: Callable[[], T]) -> list[T]:
        """What `action` returns on every process, by rank; where it fails or is stopped on one, all
        raise, the others what they have heard. It may take as long as it likes on any of them."""
        result: Any = None
        error: BaseException | None = None
        with self._in_touch():
            try:
                result = action()
            except (Preempted, Mistake, OSError) as caught:
                error = caught
        failure = error and (isinstance(error, Preempted), str(error))
        answers = self.gather((result, failure))
        if error is not None:
            raise error
        for stopped, message in filter(None, (failure for _, failure in answers)):
            raise (Preempted if stopped else Heard)(message)
        return [result for result, _ in answers]

    @contextmanager
    def _in_touch(self) -> Iterator[None]:
        """Meet the others every BEAT_SECONDS while this process works, then until all are done.

        So nobody waits longer at a time, and who is gone is missed. An error that is not expected
        ends the process, and leaves the thread that meets the others to its fate.
        """
        if not dist.is_initialized():  # there are no others
            yield
            return
        done, lost = threading.Event(), list[Mistake]()
        thread = threading.Thread(target=self._meet, args=(done, lost), daemon=True)
        thread.start()
        yield
        done.set()
        thread.join()
        for mistake in lost:
            raise mistake

    def _meet(self, done: threading.Event, lost: list[Mistake]) -> None:
        at_work = True
        try:
            while at_work:
                done.wait(BEAT_SECONDS)
                at_work = self.largest(int(not done.is_set()))[0] > 0
        except Mistake as mistake:
            lost.append(mistake)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors of every process with those of the first."""
        if self.world_size > 1:
            with partners(), torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def sum_in_place(self, tensor: Tensor) -> None:
        """Sum a tensor over the processes: the order of additions is the backend's."""
        if self.world_size > 1:
            with partners():
                dist.all_reduce(tensor)

    def gather_tensors(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all processes, by rank."""
        if self.world_size == 1:
            return [tensor]
        tensors = [torch.empty_like(tensor) for _ in range(self.world_size)]
        with partners():
            dist.all_gather(tensors, tensor)
        return tensors

    def check_different(self, what: str, value: int) -> None:
        """Raises Mistake if two processes hold the same value."""
        values = self.gather(value)
        for rank, other in enumerate(values):
            first = values.index(other)
            if first != rank:
                raise Mistake(f"processes {first} and {rank} hold the same {what}; check ranks")

    def check_equal(self, what: str, value: str) -> None:
        """Raises Mistake if a process holds another value than the first."""
        values = self.gather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise Mistake(f"processes 0 and {rank} hold different {what}s; start all alike")


class StopVote:
    """Question after every step whether a process was asked to stop; the answer is that of all.

    One process looks after every step. Several exchange what they saw about every PROMPTNESS
    seconds, since all of them wait for such an exchange: after so many steps as the slowest of
    them has just made in that time.
    """

    def __init__(
        self,
        processes: Processes,
        should_stop: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ):
        self.processes, self.should_stop, self.clock = processes, should_stop, clock
        self.steps, self.due, self.since = 0, 1, clock()

    def stop(self) -> bool:
        """True on every process after the same step. To be called by all, after every step."""
        if self.processes.world_size == 1:
            return self.should_stop()
        self.steps += 1
        if self.steps < self.due:
            return False
        flag, fewest = self.processes.largest(int(self.should_stop()), -self._affordable())
        self.steps, self.due, self.since = 0, -fewest, self.clock()
        return flag > 0

    def _affordable(self) -> int:
        """Steps that take PROMPTNESS seconds, as fast as the last ones were."""
        seconds = (self.clock() - self.since) / self.steps
        return max(1, min(MOST_STEPS, int(PROMPTNESS / max(seconds, 1e-9))))


@contextmanager
def partners() -> Iterator[None]:
    """Say in one line that another process is gone, which shows as an error of the network."""
    try:
        yield
    except RuntimeError as error:
        reason = LOST.search(str(error))
        if reason is None:
            raise
        raise Mistake(
            f"another process of this run is gone ({reason[0]}); see what it printed; what was "
            f"saved is kept, the same command goes on"
        ) from None
