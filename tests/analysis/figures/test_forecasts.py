"""The figure of forecasts shows what is measured and what was predicted, and can be read."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.forecasts import forecast_figure
from tests.harness.legibility import assert_legible

SEEN = np.array([0, 1000, 2000, 4000, 8000, 16000])
GRID = np.geomspace(1000, 16000, 50)
MODELS = ("one layer", "two layers, alone", "two layers, together", "stays", "line")


def tables(levels, concepts) -> tuple[pd.DataFrame, pd.DataFrame]:
    measured, predicted = [], []
    for level in levels:
        for concept in concepts:
            e = np.linspace(0, 1, len(SEEN))
            own = {"level": level, "concept": concept, "images_seen": SEEN, "obedience": e}
            ends = {"obedience_low": e - 0.05, "obedience_high": e + 0.05, "is_fitted": SEEN < 3000}
            measured.append(pd.DataFrame({**own, **ends}))
            for i, model in enumerate(MODELS):
                y = i / 10 + GRID / 16000
                own = {"level": level, "concept": concept, "model": model, "images_seen": GRID}
                band = {"predicted": y, "predicted_low": y - 0.1, "predicted_high": y + 0.1}
                predicted.append(pd.DataFrame({**own, **band}))
    return pd.concat(measured), pd.concat(predicted)


@pytest.mark.parametrize(
    ("levels", "concepts"),
    [((0.1,), ("color",)), ((0.02, 0.1, 0.2), ("color", "size")), ((0.1,), ("a", "b", "c"))],
)
def test_a_panel_per_level_and_concept_with_all_that_was_predicted(levels, concepts):
    figure = forecast_figure(*tables(levels, concepts), baselines=MODELS[3:])
    assert len(figure.axes) == len(levels) * len(concepts)
    for panel in figure.axes:
        drawn = [line.get_ydata() for line in panel.get_lines() if len(line.get_xdata()) == 50]
        assert [float(y[0]) for y in drawn] == pytest.approx([i / 10 + 1 / 16 for i in range(5)])
        assert len(panel.collections) == 1 + 3  # bars, and a band of each model
    assert_legible(figure)


def test_a_level_without_a_prediction_says_so():
    measured, predicted = tables((0.02, 0.1), ("color", "size"))
    gone = (0.02, "size")
    measured, predicted = (
        table[(table["level"] != gone[0]) | (table["concept"] != gone[1])]
        for table in (measured, predicted)
    )
    figure = forecast_figure(measured, predicted, baselines=MODELS[3:])
    said = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert ["no prediction" in texts for texts in said] == [False, True, False, False]
    assert_legible(figure)
