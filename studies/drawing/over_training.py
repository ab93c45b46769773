"""Contact sheet of samples over training: a row per combination, a column per snapshot."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from data_gen.output.preview import Row
from studies.drawing.sheets import labelled_sheet
from studies.run.opened import Experiment
from studies.run.plans import Plan

MOST_COLUMNS = 12  # snapshots on a sheet


def sheet_over_training(experiment: Experiment, plans: Sequence[Plan]) -> Image.Image:
    """Draw sample 0 of each combination that the exam shows, along a row from the same noise.

    plans: of snapshots whose samples are there; of many, some are drawn.
    """
    exam, shown = experiment.exam, thinned(plans)
    images = np.stack([experiment.samples(plan)[:, 0] for plan in shown], axis=1)
    rows = [
        Row(name, images[place].transpose(0, 3, 1, 2), place in exam.held_out)
        for place, name in exam.shown.items()
    ]
    steps = ", ".join(str(plan.step) for plan in shown)
    return labelled_sheet(f"samples at steps {steps}", rows)


def thinned(plans: Sequence[Plan]) -> list[Plan]:
    """Return at most MOST_COLUMNS plans, evenly, the first and the last among them."""
    places = np.linspace(0, len(plans) - 1, min(MOST_COLUMNS, len(plans))).round().astype(int)
    return [plans[i] for i in places]
