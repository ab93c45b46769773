"""The figure of how instruments read degraded renders."""

import itertools

import pandas as pd

from analysis.figures.certificate import degradation_figure


def curves() -> pd.DataFrame:
    levels = [("noise", 0.0), ("noise", 0.1), ("blur", 0.0), ("blur", 1.5)]
    kinds = itertools.product(("probe", "oracle"), levels, ("shape", "color"))
    return pd.DataFrame(
        {
            "instrument": instrument,
            "kind": kind,
            "level": level,
            "concept": concept,
            "accuracy": 1 - level / 2 - (0.1 if concept == "shape" else 0),
            "unsure": level / 2,
        }
        for instrument, (kind, level), concept in kinds
    )


def test_a_panel_per_instrument_and_kind_with_a_line_per_concept():
    figure = degradation_figure(curves())
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["probe: noise", "probe: blur", "oracle: noise", "oracle: blur"]
    shape, color, unsure = figure.axes[1].get_lines()
    assert list(shape.get_xdata()) == [0, 1.5]
    assert list(shape.get_ydata()) == [0.9, 0.15]
    assert list(color.get_ydata()) == [1.0, 0.25]
    assert list(unsure.get_ydata()) == [0.0, 0.75]
    assert figure.axes[1].get_xlabel() == "px"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["shape right", "color right", "unsure"]
