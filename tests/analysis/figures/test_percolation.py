"""The figure of percolation: what it shows."""

import numpy as np

from analysis.figures.percolation import percolation_figure
from analysis.measures.finite_size import Threshold
from analysis.measures.intervals import Interval


def test_the_figure_shows_growth_spanning_and_the_way_to_the_threshold():
    kept = np.array([0.2, 0.6, 1.0])
    shares = {"σ 1": np.array([[0.1, 0.5, 1.0], [0.1, 0.7, 1.0]])}
    at_size = {8: (0.61, 0.004), 16: (0.60, 0.002)}
    found = Threshold(0.594, Interval(0.59, 0.598), 5.0, at_size)
    figure = percolation_figure(kept, shares, {"σ 1": 0.55}, {"4": found}, {"4": 0.5927})
    left, right = figure.axes
    mean, half = left.get_lines()
    assert np.allclose(mean.get_ydata(), [0.1, 0.6, 1.0]) and list(half.get_xdata()) == [0.55] * 2
    (bars,) = right.containers
    assert np.allclose(bars.lines[0].get_xdata(), [1000 * 8**-2.75, 1000 * 16**-2.75])
    assert np.allclose(bars.lines[0].get_ydata(), [0.61 - 0.5927, 0.60 - 0.5927])
    fit = right.get_lines()[1]
    assert np.allclose(fit.get_ydata(), [0.0013, 0.0013 + 5 * 8**-2.75])
