"""Training of a probe as its user sees it: how far it is, how long it takes, how it is stopped."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from classifiers.certificate import accuracies
from classifiers.heads import Head
from classifiers.probe import CPU, Batch, Probe, train_probe
from classifiers.probe_config import ProbeConfig
from studies.run.stopping import stop_on_request

MEASURED_STEPS = 10  # behind the first forecast
LINE_SECONDS = 60.0  # between two lines
MARGIN = 4  # what the gate allows to be misread, over what a probe may that stops early


class Enough:
    """Whether a probe reads its gate with a margin, on renders that nothing else of it uses.

    step: at which it did; None: at none so far.
    """

    def __init__(self, check: Batch, gate: float, say: Callable[[str], None]):
        self.check, self.least, self.say = check, 1 - (1 - gate) / MARGIN, say
        self.step: int | None = None

    def __call__(self, probe: Probe, step: int) -> bool:
        found = accuracies(probe, self.check)
        hardest = min(found, key=lambda name: found[name])
        self.step = step if found[hardest] >= self.least else None
        end = "enough" if self.step else f"enough is {self.least:g}"
        self.say(f"probe: step {step} reads {hardest} in {found[hardest]:.4f} of renders; {end}")
        return self.step is not None


def train_in_sight(
    heads: Mapping[str, Head],
    config: ProbeConfig,
    draw: Callable[[int], Batch],
    state: Path,
    say: Callable[[str], None],
    deadline: float | None = None,
    fold: int = 1,
    enough: Enough | None = None,
    device: torch.device = CPU,
) -> Probe:
    """Run `train_probe` with a bar on a terminal and plain lines elsewhere. A request to stop saves
    the state and raises Preempted. deadline: see `stop_on_request`."""
    kept = ", going on with what is kept of it" if state.is_file() else ""
    most = "at most " if enough else ""
    say(f"probe: training it, {most}{config.steps} steps of {config.batch_size} images{kept}")
    left = "at most" if enough else "about"
    with stop_on_request(deadline) as should_stop, _progress(config.steps, say, left) as progress:
        return train_probe(
            heads,
            config,
            draw,
            progress,
            state=state,
            should_stop=should_stop,
            fold=fold,
            is_enough=enough,
            device=device,
        )


@contextmanager
def _progress(
    steps: int, say: Callable[[str], None], left: str
) -> Iterator[Callable[[int, float], None]]:
    with tqdm(total=steps, desc="probe", unit="step", disable=None) as bar:
        lines = Lines(steps, say, left=left)

        def progress(step: int, loss: float) -> None:
            if bar.disable:  # not on a terminal
                return lines.tell(step + 1)
            bar.update(step + 1 - bar.n)
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)

        yield progress


class Lines:
    """Lines that say how far work is: once a few steps are measured, then every minute. left: how
    sure one is of the seconds to go."""

    def __init__(
        self,
        steps: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        left: str = "about",
    ):
        self.steps, self.say, self.clock, self.left = steps, say, clock, left
        self.first: tuple[int, float] | None = None  # the first step is slower: it is not measured
        self.due = 0.0

    def tell(self, done: int) -> None:
        """Say how far work is, if a line is due. Call it after every step."""
        now = self.clock()
        if self.first is None:
            self.first, self.due = (done, now), now + LINE_SECONDS
            return
        measured, seconds = done - self.first[0], now - self.first[1]
        if measured == MEASURED_STEPS or now >= self.due:
            each = seconds / measured
            left = f"{self.left} {each * (self.steps - done):.0f} s to go"
            self.say(f"probe: step {done} of {self.steps}, {each:.2g} s per step, {left}")
            self.due = now + LINE_SECONDS
