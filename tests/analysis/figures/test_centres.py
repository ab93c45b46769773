"""The figure of asked centres against read ones: what it shows."""

import numpy as np

from analysis.figures.centres import centre_figure


def test_the_figure_has_a_panel_per_split_with_its_points(centre_scores):
    figure = centre_figure(centre_scores, 16)
    train, band = figure.axes
    assert train.get_title().splitlines()[0] == "train" and "1 of 8" in train.get_title()
    assert "2 of 3" in band.get_title()
    points = {c.get_label(): c.get_offsets() for c in train.collections if len(c.get_offsets()) > 1}
    assert np.allclose(points["y"], [[2, 6], [2, 3], [2, 8], [2, 2]])
    assert len(points["x"]) == 4 and np.isnan(np.ma.getdata(points["x"])[3, 1])
