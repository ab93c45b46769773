"""Training of a probe as its user sees it: how far it is, how long it takes, how it is stopped."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from classifiers.heads import Head
from classifiers.probe import Batch, Probe, train_probe
from classifiers.probe_config import ProbeConfig
from studies.run.stopping import stop_on_request

MEASURED_STEPS = 10  # behind the first forecast
LINE_SECONDS = 60.0  # between two lines


def train_in_sight(
    heads: Mapping[str, Head],
    config: ProbeConfig,
    draw: Callable[[int], Batch],
    state: Path,
    say: Callable[[str], None],
    deadline: float | None = None,
) -> Probe:
    """Run `train_probe` with a bar on a terminal and plain lines elsewhere. A request to stop saves
    the state and raises Preempted. deadline: see `stop_on_request`."""
    kept = ", going on with what is kept of it" if state.is_file() else ""
    say(f"probe: training it, {config.steps} steps of {config.batch_size} images{kept}")
    with stop_on_request(deadline) as should_stop, _progress(config.steps, say) as progress:
        return train_probe(heads, config, draw, progress, state=state, should_stop=should_stop)


@contextmanager
def _progress(steps: int, say: Callable[[str], None]) -> Iterator[Callable[[int, float], None]]:
    with tqdm(total=steps, desc="probe", unit="step", disable=None) as bar:
        lines = Lines(steps, say)

        def progress(step: int, loss: float) -> None:
            if bar.disable:  # not on a terminal
                return lines.tell(step + 1)
            bar.update(step + 1 - bar.n)
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)

        yield progress


class Lines:
    """Lines that say how far work is: once a few steps are measured, then every minute."""

    def __init__(
        self,
        steps: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ):
        self.steps, self.say, self.clock = steps, say, clock
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
            left = f"about {each * (self.steps - done):.0f} s to go"
            self.say(f"probe: step {done} of {self.steps}, {each:.2g} s per step, {left}")
            self.due = now + LINE_SECONDS
