"""Figures of variants: what they draw, and that it can be read."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.variants import (
    learning_law_figure,
    variant_accuracy_figure,
    variant_path_figure,
)
from analysis.tables.learning import learning_time_table
from analysis.tables.trajectory import accuracy_curves, concept_trajectories
from analysis.tables.variants import curves_over_seeds, typical_times
from tests.harness.legibility import assert_legible, panels_of

STEPS = 2 ** np.arange(8)


def study(make_scores, variants: int, seeds: int = 2) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Runs of some variants that learn later, one after the other."""
    rows, scores = [], []
    for number in range(variants):
        for seed in range(seeds):
            run, rng = f"v{number}-{seed}", np.random.default_rng(seed)
            p = 1 / (1 + ((4 + 4 * number) / STEPS) ** 4)
            right = rng.random((2, 24, 2)) < p[:, None, None, None]
            own = make_scores(
                right, concepts=("color", "size"), run=run, splits=("train", "held_out")
            )
            step = STEPS[own["step"]]
            scores.append(own.assign(step=step, images_seen=100 * step))
            rows.append((run, f"color.signal 1/{1 + number}", seed, 1 / (1 + number)))
    return pd.DataFrame(rows, columns=["run", "variant", "seed", "signal"]), scores


def joined(table, scores) -> pd.DataFrame:
    return pd.concat([*map(table, scores)], ignore_index=True)


@pytest.mark.parametrize(("variants", "bands"), [(2, 4), (30, 0)])
def test_accuracy_is_drawn_by_variant(make_scores, variants, bands):
    """Two splits of each variant; so many variants have no bands, and a legend of some."""
    about, scores = study(make_scores, variants)
    curves = curves_over_seeds(joined(accuracy_curves, scores), about)
    figure = variant_accuracy_figure(curves, {"color": 0.5})
    titles = [panel.get_title() for panel in panels_of(figure)]
    assert titles == ["color", "size", "joint"]
    strips = panels_of(figure, strips=True)
    assert [len(strip.get_lines()) for strip in strips] == [2 * variants + 1] * 3
    panel = figure.axes[1]
    assert len(panel.get_lines()) == 2 * variants and len(panel.collections) == bands
    assert len(figure.axes[0].get_lines()) == 2 * variants + 1  # chance
    first = curves[(curves["variant"] == about["variant"][0]) & (curves["measure"] == "size")]
    wanted = first[first["split"] == "train"]["accuracy"]
    np.testing.assert_allclose(panel.get_lines()[0].get_ydata(), wanted)
    assert_legible(figure)


def test_a_snapshot_that_a_seed_lacks_is_not_drawn(make_scores):
    about, scores = study(make_scores, 2)
    curves = joined(accuracy_curves, scores)
    ended = curves[(curves["run"] != "v0-1") | (curves["step"] < 32)]
    figure = variant_accuracy_figure(curves_over_seeds(ended, about), {})
    assert figure.axes[0].get_lines()[0].get_xdata().max() == 1600


def test_paths_are_means_over_seeds_and_held_out_combinations(make_scores):
    about, scores = study(make_scores, 3)
    paths = joined(concept_trajectories, scores)
    figure = variant_path_figure(paths, dict(zip(about["run"], about["variant"], strict=True)))
    (panel,), (strip,) = panels_of(figure), panels_of(figure, strips=True)
    assert len(strip.get_lines()) == 4  # and the line at a half
    lines = panel.get_lines()
    assert len(lines) == 3
    own = paths[(paths["split"] == "held_out") & paths["run"].str.startswith("v1")]
    wanted = own.groupby(["concept", "step"])["coordinate"].mean()
    np.testing.assert_allclose(lines[1].get_xdata(), wanted["color"])
    np.testing.assert_allclose(lines[1].get_ydata(), wanted["size"])
    assert_legible(figure)
    with pytest.raises(ValueError, match="two or more concepts"):
        variant_path_figure(paths[paths["split"] == "train"], {})


def test_learning_times_are_points_and_late_ones_triangles(make_scores):
    about, scores = study(make_scores, 3)
    late = scores[-1]
    scores[-1] = late.assign(predicted="other")  # never learned
    times = joined(learning_time_table, scores)
    settings = about.drop_duplicates("variant")[["variant", "signal"]]
    typical = typical_times(times, about).merge(settings, on="variant")
    times = times.merge(about[["run", "signal"]], on="run")
    shown = [table[table["split"] == "train"] for table in (times, typical)]
    figure = learning_law_figure(*shown, "signal", {"color": "-1.00 [-1.10, -0.90]"})
    assert [p.get_title() for p in figure.axes] == [
        "color\n-1.00 [-1.10, -0.90]",
        "size\n",
        "joint\n",
    ]
    learned, not_learned = (c.get_offsets() for c in figure.axes[0].collections[:2])
    assert len(learned) == 5 and len(not_learned) == 1
    assert not_learned[0].tolist() == pytest.approx([1 / 3, 12800])
    assert_legible(figure)
