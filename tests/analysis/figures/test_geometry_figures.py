"""Figures of geometry, from tables as the command writes them."""

import itertools

import numpy as np
import pandas as pd

from analysis.figures.geometry import (
    VERDICTS,
    displacement_figure,
    numbers_figure,
    steer_figure,
    swap_figure,
    verdict_figure,
)
from analysis.measures.geometry import NAMES
from tests.harness.legibility import assert_legible

SITES, LEVELS, STEPS = ("conditioner", "unet.mid_block"), (0.2, 0.8), (0, 64, 128)


def verdicts():
    words = itertools.cycle(VERDICTS)
    rows = [
        {
            **{"site": site, "level": level, "images_seen": step, "verdict": next(words)},
            "origin": "learned" if step else "untrained",
        }
        for site in SITES
        for level in LEVELS
        for step in STEPS
    ]
    table = pd.DataFrame(rows).assign(first="x", second="y")
    for name in NAMES:
        table = table.assign(**{name: 0.5, f"{name}_low": 0.4, f"{name}_high": 0.6})
    return table


def test_every_verdict_has_its_tile_and_colour():
    figure = verdict_figure(verdicts())
    panels = figure.axes
    assert [panel.get_title() for panel in panels] == ["level 0.2", "level 0.8"]
    tiles = panels[0].collections[0].get_array().reshape(2, 3)
    told = [list(VERDICTS)[int(i)] for i in np.asarray(tiles)[0]]
    assert told == ["coupled", "additive-but-shared", "factorized"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == [*SITES]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == [*VERDICTS, "untrained, or as at step 0"]
    assert_legible(figure)


def test_what_no_training_made_is_hatched():
    """Not the undecided."""
    table = verdicts()
    table["verdict"] = "factorized"
    table.loc[(table["images_seen"] == 64) & (table["level"] == 0.2), "origin"] = "as at step 0"
    table.loc[(table["images_seen"] == 128) & (table["level"] == 0.2), "origin"] = "unclear"
    table.loc[table["site"] == "unet.mid_block", "verdict"] = "undecided"
    panels = verdict_figure(table).axes
    hatches = [[(p.get_x(), p.get_hatch()) for p in panel.patches] for panel in panels[:2]]
    assert hatches == [[(0, "////"), (1, "////"), (2, "....")], [(0, "////")]]


def test_numbers_without_an_interval_are_left_out():
    table = verdicts()
    table.loc[table["images_seen"] == 0, ["kappa_low", "kappa_high"]] = np.nan
    panel = numbers_figure(table).axes[0]
    lines = [line.get_xdata() for line in panel.lines if line.get_marker() == "o"]
    assert [list(x) for x in lines] == [[64, 128]] * 2
    assert panel.get_ylabel() == "κ,\nshare of interaction"


def test_numbers_of_noise_are_left_out():
    table = verdicts()
    table.loc[table["images_seen"] == 0, ["omega_low", "omega_high"]] = -4.0, 5.0
    panel = numbers_figure(table).axes[2]
    lines = [line.get_xdata() for line in panel.lines if line.get_marker() == "o"]
    assert [list(x) for x in lines] == [[64, 128]] * 2


def test_steps_have_the_names_of_their_features_and_their_means_a_point():
    quantiles = {"mean": 0.4, "q05": 0.1, "q25": 0.2, "q50": 0.4, "q75": 0.6, "q95": 0.9}
    rows = [
        {"site": site, "code": code, "steps": steps, **quantiles}
        for site in SITES
        for code in ("measured", "one-hot")
        for steps in ("x against y", "x along y")
    ]
    figure = displacement_figure(pd.DataFrame(rows).assign(first="color", second="size"))
    assert [panel.get_title() for panel in figure.axes] == [
        "color against size",
        "color along size",
    ]
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [float(np.ravel(point.get_xdata())[0]) for point in points] == [0.4] * 4


def test_swaps_stand_between_nothing_and_all_of_the_way():
    rows = [
        {"site": site, "swapped": swap, "coordinate": c, "moved": 0.5, "low": 0.4, "high": 0.6}
        for site in SITES
        for swap in ("x", "y", "random", "whole")
        for c in "xy"
    ]
    figure = swap_figure(pd.DataFrame(rows))
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["subspace of x", "subspace of y", "random", "whole"]
    low, high = figure.axes[0].get_xlim()
    assert low < 0 and high > 1
    assert_legible(figure)


def test_steers_say_how_far_was_asked():
    rows = [
        {"site": site, "steered": way, "coordinate": c, "moved": 0.5, "low": 0.4, "high": 0.6}
        for site in SITES
        for way in ("x", "y", "random")
        for c in "xy"
    ]
    figure = steer_figure(pd.DataFrame(rows).assign(way_px=4.0))
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["along x", "along y", "random direction"]
    assert "share of the 4 px steered" in figure.get_supxlabel()
    assert_legible(figure)
