"""The figures of readouts and instruments: what is drawn, and that it can be read."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from analysis.figures.instruments import FIRST_MORE, SECOND_MORE, TOGETHER, instruments_figure
from analysis.figures.readouts import readouts_figure
from analysis.tables.readouts import readout_curves
from tests.harness.legibility import assert_legible

CONCEPTS = ("color", "size", "shape", "background")


def readings(make_scores, concepts: int, run: str = "a", held_out: int = 2) -> tuple:
    """Everything is read better and better, by an oracle that sees numbers of all but the first."""
    steps, combinations = 6, held_out + 1
    share = np.linspace(0.2, 0.95, steps)[:, None, None, None]
    right = np.random.default_rng(0).random((steps, combinations, 16, concepts)) < share
    splits = ("train", *["held_out"] * held_out)
    probe = make_scores(right, concepts=CONCEPTS[:concepts], splits=splits, run=run)
    probe = probe.assign(images_seen=np.where(probe["step"] == 0, 0, 100 * 2 ** probe["step"]))
    probe = probe.assign(predicted=probe["predicted"].mask(probe["step"] == 1))
    number = np.where(
        probe["concept"] == CONCEPTS[0], np.nan, probe["combination"].str[1].astype(int) % 2
    )
    oracle = probe.assign(probe="oracle", target_value=number, predicted_value=number - 0.2)
    return probe, oracle.assign(p_target=np.nan)


def denoiser_of(denoiser_rows, concepts: int, run: str = "a") -> pd.DataFrame:
    obeyed = np.tile(np.linspace(0, 1, 6)[:, None], min(concepts, 3))
    rows = denoiser_rows(obeyed, noise=0.1, run=run)
    return rows.assign(images_seen=np.where(rows["step"] == 0, 0, 100 * 2 ** rows["step"]))


def both(probe: pd.DataFrame, oracle: pd.DataFrame | None) -> list[pd.DataFrame]:
    """By combination and by split, of what is held out."""
    held_out = [
        table if table is None else table[table["split"] == "held_out"] for table in (probe, oracle)
    ]
    return [readout_curves(*held_out, by=by) for by in ("combination", "split")]


@pytest.mark.parametrize(("concepts", "held_out"), [(1, 1), (2, 1), (3, 6), (4, 10)])
def test_three_readouts_stand_beside_each_other(make_scores, concepts, held_out):
    tables = both(*readings(make_scores, concepts, held_out=held_out))
    figure = readouts_figure(*tables)
    pairs = concepts * (concepts - 1) // 2
    assert len(figure.axes) == 3 * (pairs + 2)
    titles = [panel.get_title() for panel in figure.axes[:3]]
    assert titles == [
        "probe: mean softmax",
        "probe: argmax, sure images",
        "oracle: place between values",
    ]
    assert_legible(figure)


def test_curves_are_those_of_the_table_and_faint_where_they_do_not_count(make_scores):
    _, by_split = tables = both(*readings(make_scores, 2))
    softmax = readouts_figure(*tables).axes[3]
    own = by_split[(by_split["readout"] == "softmax") & (by_split["concept"] == "color")]
    whole, counting = softmax.get_lines()[:2]
    np.testing.assert_allclose(whole.get_ydata(), own["value"])
    assert [*np.isnan(np.asarray(counting.get_ydata(), float))] == [False, True] + [False] * 4


def test_without_an_oracle_there_are_two(make_scores):
    probe, _ = readings(make_scores, 2)
    figure = readouts_figure(*both(probe, None))
    assert len(figure.axes) == 2 * 3
    assert_legible(figure)


def test_of_several_runs_the_mean_is_drawn(make_scores):
    runs = [both(*readings(make_scores, 2, run=run)) for run in ("a", "b")]
    tables = [pd.concat(same) for same in zip(*runs, strict=True)]
    figure = readouts_figure(*tables, "color.signal 0.2")
    assert figure.get_suptitle() == "color.signal 0.2"
    assert len(figure.axes[0].get_lines()) == 4  # of two combinations, a line and its faint part
    assert_legible(figure)


@pytest.mark.parametrize("concepts", [1, 2, 3, 4])
def test_instruments_have_a_panel_per_concept(make_scores, denoiser_rows, concepts):
    probe, oracle = readings(make_scores, concepts)
    curves = readout_curves(probe, oracle, denoiser_of(denoiser_rows, concepts))
    figure = instruments_figure(curves[curves["split"] == "held_out"])
    titles = [panel.get_title() for panel in figure.axes if panel.get_title()]
    assert titles == [*CONCEPTS[:concepts]] and len(figure.axes) == 3 * concepts
    assert_legible(figure)


def test_where_instruments_part_there_is_colour(make_scores):
    """The softmax lies below the argmax at the end alone; at step 1 both are unsure of all."""
    probe, oracle = readings(make_scores, 2)
    late = (probe["step"] == 5) & (probe["concept"] == "color")
    probe = probe.assign(p_target=np.where(late, 0.1, (probe["predicted"] == "asked") * 1.0))
    curves = readout_curves(probe, oracle)
    figure = instruments_figure(curves[curves["split"] == "held_out"])
    labels = [t.get_text() for t in figure.axes[4].get_yticklabels()]
    assert labels == ["softmax, argmax", "softmax, oracle", "argmax, oracle"]
    (mesh,) = figure.axes[4].collections[:1]
    cells = mesh.get_array()
    assert cells.mask[:, 1].all() and not np.delete(cells.mask, 1, 1).any()
    assert [*cells[0].filled(9)] == [0, 9, 0, 0, 0, -1] and [*cells[2].filled(9)][-1] == 0
    colors = [to_rgb(color) for color in mesh.get_cmap().colors]
    assert colors == [to_rgb(color) for color in (SECOND_MORE, TOGETHER, FIRST_MORE)]


def test_a_probe_alone_has_one_pair(make_scores):
    probe, _ = readings(make_scores, 2)
    curves = readout_curves(probe)
    figure = instruments_figure(curves[curves["split"] == "held_out"])
    assert [t.get_text() for t in figure.axes[4].get_yticklabels()] == ["softmax, argmax"]
    assert_legible(figure)
