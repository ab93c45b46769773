"""Progress of a whole command, told while it goes on: a plain line a minute, and first samples."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from tqdm import tqdm

from data_gen.output.preview import save_sheet
from ground.endings import Mistake
from studies.drawing.over_training import sheet_over_training
from studies.live.standing import Follower
from studies.run.opened import Experiment
from studies.run.plans import Plan, shown_plans

LINE_SECONDS = 60.0  # between two lines
SAMPLES = "samples_so_far.png"
TOLD = ("train", "evaluate")  # the probe's training tells of itself


@contextmanager
def told(
    experiment: Experiment, say: Callable[[str], None], seconds: float = LINE_SECONDS
) -> Iterator[None]:
    """Tell how far a run is while what is inside works at it; of a terminal's bars, above them.

    As soon as there are samples they are drawn, beside the run's figures, until the end.
    """
    ended, teller = Event(), Teller(experiment, say)

    def tell() -> None:
        while not ended.wait(seconds):
            teller.tell()

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        teller.sheet.unlink(missing_ok=True)


class Teller:
    """What tells of one run.

    Attributes:
        sheet: the PNG of its samples so far.
    """

    def __init__(self, experiment: Experiment, say: Callable[[str], None]):
        self.experiment, self.say = experiment, say
        self.follower = Follower(experiment)
        self.sheet = experiment.run.figures / SAMPLES
        self._drawn: Sequence[Plan] = ()

    def tell(self) -> None:
        """Say a line and draw samples, where there is something new."""
        try:
            standing = self.follower.standing()
            new = standing.stage in TOLD and self._draw()
        except (
            Mistake,
            OSError,
        ):  # of files that are just being written
            return
        if standing.stage in TOLD:
            with tqdm.external_write_mode():
                self.say(standing.line() + (f"; samples so far: {self.sheet}" if new else ""))

    def _draw(self) -> bool:
        """Draw what is there; returns whether it is the first time."""
        run, is_first = self.experiment.run, not self._drawn
        plans = [p for p in shown_plans(self.experiment.config) if p.samples_file(run).is_file()]
        if len(plans) < 2 or plans == self._drawn:  # one alone is noise
            return False
        self._drawn = plans
        save_sheet(self.sheet, sheet_over_training(self.experiment, plans))
        return is_first
