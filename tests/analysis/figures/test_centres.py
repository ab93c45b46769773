"""Asked centres against read ones: distances by hand, and what the figure shows."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.centres import centre_figure, median_distances

NAN = float("nan")


def table(rows: list[tuple], run: str = "a", step: int = 8) -> pd.DataFrame:
    """A row per image: split, sample, asked x and y, read x and y; None for unsure."""
    records = []
    for split, sample, asked, read in rows:
        for i, concept in enumerate("xy"):
            unsure = read is None
            value = 0.0 if unsure else read[i]
            records.append(
                dict(
                    **dict(run=run, step=step, split=split, combination=split, sample=sample),
                    concept=concept,
                    predicted=None if unsure else "none" if np.isnan(value) else "elsewhere",
                    target_value=asked[i],
                    predicted_value=value,
                )
            )
    return pd.DataFrame(records)


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = [
        ("train", 0, (1.0, 2.0), (4.0, 6.0)),  # 5 px off
        ("train", 1, (1.0, 2.0), (1.0, 3.0)),  # 1
        ("train", 2, (1.0, 2.0), (1.0, 8.0)),  # 6
        ("train", 3, (1.0, 2.0), (NAN, 2.0)),  # no x: not counted
        ("band", 0, (1.0, 2.0), None),  # unsure: not counted
        ("band", 1, (3.0, NAN), (3.5, NAN)),  # a stripe alone: half a pixel
    ]
    others = [("train", 0, (0.0, 0.0), (9.0, 9.0))]
    return pd.concat([table(rows), table(others, step=4), table(others, run="render")])


def test_distances_are_of_the_last_step_where_all_is_read(scores):
    assert median_distances(scores).to_dict() == {"train": 5.0, "band": 0.5}


def test_the_figure_has_a_panel_per_split_with_its_points(scores):
    figure = centre_figure(scores, 16)
    train, band = figure.axes
    assert train.get_title().splitlines()[0] == "train" and "1 of 8" in train.get_title()
    assert "2 of 3" in band.get_title()
    points = {c.get_label(): c.get_offsets() for c in train.collections if len(c.get_offsets()) > 1}
    assert np.allclose(points["y"], [[2, 6], [2, 3], [2, 8], [2, 2]])
    assert len(points["x"]) == 4 and np.isnan(np.ma.getdata(points["x"])[3, 1])
