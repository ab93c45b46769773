"""Figures of codes: places along training, maps, spectra, holes."""

import itertools

import numpy as np
import pandas as pd

from analysis.figures.codes import (
    homology_figure,
    map_figure,
    projection_figure,
    shown_steps,
    spectrum_figure,
)
from tests.harness.legibility import assert_legible

SITES, LEVELS, STEPS = ("conditioner", "unet.mid_block"), (0.2, 0.8), (0, 64, 128, 1600, 32000)


def places(values):
    """Codes on a circle that grows with training."""
    rows = [
        {"site": site, "images_seen": step, "level": 0.2, "x": value, "x_1": step * np.cos(i)}
        | {"x_2": step * np.sin(i), "map_1": i, "map_2": i, "run": "r"}
        for site in SITES
        for step in STEPS
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_few_steps_stand_beside_each_other():
    assert shown_steps(STEPS) == [0, 64, 1600, 32000] and shown_steps([7]) == [7]
    assert shown_steps(range(13)) == [0, 4, 8, 12]


def test_codes_of_all_steps_have_the_scale_of_their_row():
    figure = projection_figure(places([0.0, 4.0, 8.0, 12.0]), "x")
    tiles = np.array(figure.axes[:8]).reshape(2, 4)
    assert {panel.get_xlim() for panel in tiles.flat} == {(-1.1 * 32000, 1.1 * 32000)}
    assert [panel.get_title() for panel in tiles[0]][-1] == "32k images"
    assert figure.axes[-1].get_ylabel() == "x in px"
    assert not tiles[0, 0].collections[0].get_offsets().any()
    assert_legible(figure)


def test_words_have_a_colour_each():
    rows = places(["circle", "square", "star"]).query("images_seen == 0")
    figure = map_figure(rows, ["x"])
    assert len(np.unique(figure.axes[0].collections[0].get_facecolors(), axis=0)) == 3
    words = [text.get_text() for text in figure.axes[-1].get_xticklabels()]
    assert words == ["circle", "square", "star"]
    assert_legible(figure)


def test_spectra_are_of_the_first_and_the_last_step():
    rows = [
        {"site": site, "level": level, "images_seen": step, "component": k, "share": share / k}
        for (site, level, step), k in itertools.product(
            itertools.product(SITES, LEVELS, STEPS), range(1, 16)
        )
        for share in (0.2, 0.4)  # of two runs
    ]
    figure = spectrum_figure(pd.DataFrame(rows))
    assert len(figure.axes) == 4
    assert [panel.get_ylabel() for panel in figure.axes[::2]] == [
        "share of variance,\n0 images",
        "share of variance,\n32k images",
    ]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata()[:2], [0.3, 0.15])
    assert_legible(figure)


def test_tiles_tell_how_many_holes_and_where_a_torus_is():
    rows = pd.DataFrame(
        {"site": site, "level": level, "images_seen": step, "torus_window": window, "holes": holes}
        for site, level in itertools.product(SITES, LEVELS)
        for step, window, holes in ((0, 1.0, 0), (64, 1.0, 2), (128, 1.8, 2))
    )
    figure = homology_figure(rows)
    panel = figure.axes[0]
    assert [text.get_text() for text in panel.texts] == ["0", "2", "2"] * 2
    colors = [patch.get_facecolor() for patch in panel.patches[:3]]
    assert colors[0] == colors[1] != colors[2]
    assert_legible(figure)
