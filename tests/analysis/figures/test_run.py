import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.figures.run import (
    FAINT,
    FAINT_IS,
    accuracy_figure,
    sample_grid_figure,
    trajectory_figure,
)
from analysis.figures.style import save_figure, short_count
from analysis.tables.trajectory import accuracy_curves, concept_trajectories
from tests.harness.legibility import assert_legible, panels_of

CONCEPTS = ("shape", "color", "size", "position")


def learning(make_scores, num_concepts=3, held_out=4, runs=1, steps=6) -> pd.DataFrame:
    """Each run learns its concepts one after the other; some combinations are held out."""
    tables = []
    for run in range(runs):
        draws = np.random.default_rng(run).random((steps, held_out + 2, 8, num_concepts))
        learned = (np.arange(steps)[:, None] + 1) / (np.arange(num_concepts) + 2)
        splits = ["held_out"] * held_out + ["train"] * 2
        right = draws < learned[:, None, None]
        concepts = CONCEPTS[:num_concepts]
        tables.append(make_scores(right, concepts=concepts, splits=splits, run=f"seed{run}"))
    return pd.concat(tables, ignore_index=True)


def curves_of(scores: pd.DataFrame) -> pd.DataFrame:
    return accuracy_curves(scores)


def trajectories_of(scores: pd.DataFrame) -> pd.DataFrame:
    return concept_trajectories(scores)


def tick_labels(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize(("num_concepts", "runs"), [(1, 1), (3, 3), (4, 1)])
def test_accuracy_figure_has_a_panel_per_measure(make_scores, num_concepts, runs):
    scores = learning(make_scores, num_concepts, runs=runs)
    scores.loc[scores["combination"] == "c5", "split"] = "partial"  # the longest legend
    figure = accuracy_figure(curves_of(scores), {"shape": 1 / 3, "joint": 1 / 24})
    titles = [panel.get_title() for panel in panels_of(figure)]
    assert titles == [*CONCEPTS[:num_concepts], "joint"]
    assert len(panels_of(figure, strips=True)) == len(titles)
    for panel in figure.axes:
        low, high = panel.get_ylim()
        assert low < 0 and high > 1
    assert_legible(figure)


def test_accuracy_figure_shows_step_0_left_of_the_logarithm(make_scores):
    scores = learning(make_scores, steps=12)
    scores["images_seen"] = np.where(scores["step"] == 0, 0, 100 * 2 ** scores["step"])
    figure = accuracy_figure(curves_of(scores), {})
    assert tick_labels(panels_of(figure, strips=True)[0].xaxis) == ["0", "1k", "10k", "100k"]
    panel = figure.axes[0]
    x = panel.transData.transform([(images, 0) for images in (0, 200, 2000, 20000)])[:, 0]
    assert x[0] > panel.bbox.x0 and x[1] > x[0] + 5
    assert x[3] - x[2] == pytest.approx(x[2] - x[1])


def test_accuracy_figure_draws_chance_and_the_curve(make_scores):
    curves = curves_of(learning(make_scores))
    panel = accuracy_figure(curves, {"shape": 1 / 3}).axes[0]
    train, held_out, chance = panel.get_lines()
    wanted = curves[(curves["measure"] == "shape") & (curves["split"] == "held_out")]
    np.testing.assert_array_equal(held_out.get_ydata(), wanted["accuracy"])
    assert list(chance.get_ydata()) == [1 / 3, 1 / 3]
    assert train.get_color() != held_out.get_color()


def test_accuracy_figure_averages_only_what_every_run_has(make_scores):
    curves = curves_of(learning(make_scores, runs=2))
    curves = curves[(curves["run"] == "seed0") | (curves["step"] < 3)]
    panel = accuracy_figure(curves, {}).axes[0]
    thickest = max(panel.get_lines(), key=lambda line: line.get_linewidth())
    assert list(thickest.get_xdata()) == [0, 100, 200]
    train = curves[(curves["measure"] == "shape") & (curves["split"] == "train")]
    wanted = train[train["step"] < 3].groupby("step")["accuracy"].mean()
    np.testing.assert_allclose(thickest.get_ydata(), wanted)


@pytest.mark.parametrize(("num_concepts", "panels", "held_out"), [(2, 1, 1), (3, 3, 6), (4, 6, 10)])
def test_trajectory_figure_has_a_panel_per_pair(make_scores, num_concepts, panels, held_out):
    figure = trajectory_figure(trajectories_of(learning(make_scores, num_concepts, held_out)))
    assert len(panels_of(figure)) == len(panels_of(figure, strips=True)) == panels
    for panel in panels_of(figure):
        assert len(panel.get_lines()) == held_out
        assert panel.get_xlim() == panel.get_ylim() == (-0.03, 1.03)
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].get_lines()}
    assert len(looks) == held_out
    assert_legible(figure)


def test_trajectory_figure_draws_the_mean_path(make_scores):
    trajectories = trajectories_of(learning(make_scores, runs=2))
    figure = trajectory_figure(trajectories)
    panel = figure.axes[1]
    assert panel.get_xlabel() == "mean p(target shape)"
    assert panel.get_ylabel() == "mean p(target size)"
    path = trajectories[trajectories["combination"] == "c0"]
    wanted = path.groupby(["concept", "step"])["coordinate"].mean()
    np.testing.assert_allclose(panel.get_lines()[0].get_xdata(), wanted["shape"])
    np.testing.assert_allclose(panel.get_lines()[0].get_ydata(), wanted["size"])


def test_places_of_mostly_unsure_images_are_faint(make_scores):
    scores = learning(make_scores, num_concepts=2)
    early = scores["step"] < 2
    paths = trajectories_of(scores.assign(predicted=scores["predicted"].mask(early)))
    assert (paths.groupby("step")["unsure"].mean() == [1, 1, 0, 0, 0, 0]).all()
    figure = trajectory_figure(paths)
    whole, sure = figure.axes[0].get_lines()[:2]
    assert whole.get_alpha() == FAINT and sure.get_alpha() is None
    assert np.isfinite(whole.get_xdata()).all()
    assert np.isnan(sure.get_xdata()).tolist() == [True] * 2 + [False] * 4
    assert FAINT_IS in [text.get_text() for text in figure.legends[0].get_texts()]
    (strip,) = panels_of(figure, strips=True)
    _, first, *_ = strip.get_lines()  # after the line at a half
    assert [*first.get_xdata()] == [0, 100, 200, 300, 400, 500]
    assert [*first.get_ydata()] == [1, 1, 0, 0, 0, 0]
    assert_legible(figure)


def test_a_strip_under_accuracy_shows_the_unsure_share_of_each_split(make_scores):
    scores = learning(make_scores, num_concepts=2, runs=2)
    unsure = (scores["step"] == 1) & (scores["concept"] == "color") & (scores["split"] == "train")
    curves = curves_of(scores.assign(predicted=scores["predicted"].mask(unsure)))
    strips = panels_of(accuracy_figure(curves, {}), strips=True)
    drawn = [[[*line.get_ydata()] for line in strip.get_lines()[1:]] for strip in strips]
    never, once = [0] * 6, [0, 1, 0, 0, 0, 0]
    assert drawn[0] == [never] * 6  # two splits of two runs and their mean
    assert drawn[1] == drawn[2] == [once] * 3 + [never] * 3  # color, and so joint


def test_trajectory_figure_needs_held_out_combinations_and_two_concepts(make_scores):
    with pytest.raises(ValueError, match=r"two or more concepts, got \[\]"):
        trajectory_figure(trajectories_of(learning(make_scores, held_out=0)))
    with pytest.raises(ValueError, match=r"two or more concepts, got \['shape'\]"):
        trajectory_figure(trajectories_of(learning(make_scores, num_concepts=1)))


@pytest.mark.parametrize("columns", [3, 12, 20])
def test_sample_grid_keeps_pixels_and_order(columns):
    images = np.random.default_rng(0).integers(0, 256, (2, columns, 32, 32, 3), np.uint8)
    labels = [short_count(512 * 2**i) for i in range(columns)]
    figure = sample_grid_figure(images, ["a small red circle", "a blue square"], labels)
    axes = figure.axes[0]
    assert tick_labels(axes.xaxis) == labels
    assert tick_labels(axes.yaxis) == ["a small red circle", "a blue square"]
    mosaic = np.asarray(axes.get_images()[0].get_array())
    assert mosaic.shape == (2 * 34, columns * 34, 3)
    np.testing.assert_array_equal(mosaic[35:67, 69:101], images[1, 2])
    assert axes.get_images()[0].get_interpolation() == "nearest"
    assert_legible(figure)


def test_sample_grid_needs_a_label_for_each_row_and_column():
    with pytest.raises(ValueError, match=r"\(2, 3\) rows and columns, got 2 row labels and 1"):
        sample_grid_figure(np.zeros((2, 3, 8, 8, 3), np.uint8), ["a", "b"], ["0"])


def test_save_figure_writes_both_and_leaves_nothing_else(tmp_path, make_scores):
    figure = accuracy_figure(curves_of(learning(make_scores)), {})
    save_figure(figure, tmp_path / "lr0.001")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lr0.001.pdf", "lr0.001.png"]
    assert Image.open(tmp_path / "lr0.001.png").width == 1400
    assert (tmp_path / "lr0.001.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (512, "512"), (1000, "1k"), (1600, "1.6k"), (204_800, "205k"), (1.25e6, "1.2M")],
)
def test_short_count(count, text):
    assert short_count(count) == text
