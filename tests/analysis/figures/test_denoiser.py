"""Figures of what a denoiser means show what is planted, and can be read."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.denoiser import denoiser_path_figure, obedience_figure
from analysis.tables.denoiser import obedience_curves
from analysis.tables.trajectory import concept_trajectories
from tests.harness.legibility import assert_legible

TIMES = np.linspace(0, 1, 5)


def rows_of(denoiser_rows, levels=(0.02, 0.1), runs=("a",), concepts=2) -> pd.DataFrame:
    planted = np.stack([TIMES ** (k + 1) for k in range(concepts)], axis=1)
    return pd.concat(
        denoiser_rows(planted / (1 + i), noise=0.1, level=level, run=run)
        for i, level in enumerate(levels)
        for run in runs
    )


@pytest.mark.parametrize(("levels", "runs"), [((0.1,), ("a",)), ((0.02, 0.1, 0.2), ("a", "b"))])
def test_obedience_has_a_row_per_level_and_a_line_per_concept_and_split(
    denoiser_rows, levels, runs
):
    curves = obedience_curves(rows_of(denoiser_rows, levels, runs))
    figure = obedience_figure(curves)
    assert len(figure.axes) == 3 * len(levels)
    first = figure.axes[0]
    own = curves[(curves["level"] == levels[0]) & (curves["concept"] == "color")]
    wanted = own[(own["split"] == "held_out") & (own["run"] == "a")]["obedience"]
    drawn = [line.get_ydata() for line in first.get_lines() if len(line.get_xdata()) == 5]
    assert any(np.array_equal(ydata, wanted) for ydata in drawn)
    assert len(drawn) == 4 * (len(runs) + (len(runs) > 1))
    assert_legible(figure)


def test_a_refused_level_says_so(denoiser_rows):
    rows = rows_of(denoiser_rows)
    rows.loc[rows["level"] == 0.1, "refused"] = "no"
    rows.loc[rows["level"] == 0.1, ["response", "ideal_response", "error", "products"]] = None
    figure = obedience_figure(obedience_curves(rows))
    said = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert ["refused" in texts for texts in said] == [False] * 3 + [True] * 3
    assert_legible(figure)


@pytest.mark.parametrize("concepts", [2, 3])
def test_paths_of_samples_and_of_every_level_stand_beside_each_other(
    denoiser_rows, make_scores, concepts
):
    rows = rows_of(denoiser_rows, concepts=concepts)
    held_out = obedience_curves(rows[rows["split"] == "held_out"], by="combination")
    right = np.random.default_rng(0).random((5, 1, 8, concepts)) < 0.5
    names = ("color", "size", "shape")[:concepts]
    scores = make_scores(right, concepts=names, splits=["held_out"])
    samples = concept_trajectories(scores.assign(combination="blue small"))
    figure = denoiser_path_figure(held_out, samples)
    pairs = concepts * (concepts - 1) // 2
    assert len(figure.axes) == pairs * (1 + 2 + 2)
    titles = [panel.get_title() for panel in figure.axes[:5]]
    assert titles[:3] == ["samples", "obedience, 0.02", "obedience, 0.1"]
    assert titles[3:] == ["coordinate, 0.02", "coordinate, 0.1"]
    path = held_out[(held_out["level"] == 0.02) & (held_out["concept"] == "color")]["obedience"]
    np.testing.assert_allclose(figure.axes[1].get_lines()[0].get_xdata(), path)
    assert_legible(figure)


def test_paths_need_two_concepts(denoiser_rows, make_scores):
    rows = rows_of(denoiser_rows, concepts=1)
    curves = obedience_curves(rows[rows["split"] == "held_out"], by="combination")
    samples = concept_trajectories(make_scores(np.ones((2, 1, 4, 1), bool)))
    with pytest.raises(ValueError, match=r"two or more concepts, got \['color'\]"):
        denoiser_path_figure(curves, samples)
