"""The figures of agreement: what is drawn, and that it can be read."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.agreement import MOST_PICTURES, agreement_figure, disagreement_figure
from tests.harness.legibility import assert_legible


def table(concepts: int, steps: int = 6) -> pd.DataFrame:
    """Nobody is sure of anything at step 0; then joint agreement is .9, .92, …"""
    rows = [
        {
            **{"run": "a", "step": step, "images_seen": 100 * step, "measure": measure},
            **{"images": 64, "count": 60 * (step > 0), "low": 0.8, "high": 0.995},
            "agreement": 0.88 + 0.02 * step + 0.01 * i if step else np.nan,
            **{"probe_unsure": 1 - step / steps, "oracle_unsure": 0.5},
        }
        for step in range(steps)
        for i, measure in enumerate(["joint", *(f"concept{n}" for n in range(concepts))])
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("concepts", [1, 3])
def test_a_line_per_measure_and_instrument(concepts):
    figure = agreement_figure(table(concepts))
    same, unsure = figure.axes
    assert len(same.get_lines()) == concepts + 1
    joint = np.asarray(same.get_lines()[0].get_ydata())
    assert np.isnan(joint[0]) and joint[1:] == pytest.approx([0.9, 0.92, 0.94, 0.96, 0.98])
    lines = [line for line in unsure.get_lines() if line.get_label() in ("probe", "oracle")]
    assert [list(line.get_ydata())[1] for line in lines] == pytest.approx([5 / 6, 0.5])
    assert_legible(figure)


def test_an_oracle_that_is_never_sure_leaves_the_panel_empty():
    nothing = table(2).assign(agreement=np.nan, count=0, low=0.0, high=1.0)
    assert agreement_figure(nothing).axes[0].get_ylim()[0] == pytest.approx(0.895)


def apart(count: int, combination: str) -> pd.DataFrame:
    asked = dict(zip(("shape", "color", "size"), combination.split(), strict=True))
    row = {
        **{"run": "a", "step": 8, "combination": combination, "asked": asked},
        **{"probe": asked, "oracle": {**asked, "shape": "circle", "size": None}},
    }
    return pd.DataFrame([{**row, "sample": sample} for sample in range(count)])


@pytest.mark.parametrize("count, shown", [(1, 1), (5, 5), (24, 24), (61, MOST_PICTURES)])
def test_pictures_say_what_was_asked_and_what_each_reads(count, shown):
    images = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    figure = disagreement_figure(apart(count, "triangle yellow large"), images)
    assert len(figure.axes) == shown
    label = "asked: triangle yellow large\nprobe: as asked\noracle: circle, size unsure"
    assert {panel.get_xlabel() for panel in figure.axes} == {label}
    ends = (figure.axes[0], figure.axes[-1])
    first, last = (panel.get_images()[0].get_array() for panel in ends)
    assert np.array_equal(first, images[0]) and np.array_equal(last, images[-1])
    assert figure.get_suptitle() == f"{shown} of the {count} images in which probe and oracle part"
    assert_legible(figure)
