"""The figure of obedience and paths by variant: what is drawn where, and what is faint."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.dynamics import dynamics_figure

SEEN = (0, 100, 200, 400)
VARIANTS = {"a": "weak", "b": "weak", "c": "strong"}


def obedience(concepts=("color", "size")) -> pd.DataFrame:
    rows = [
        {"variant": v, "level": level, "split": split, "concept": c, "images_seen": seen}
        | {"obedience": seen / 400, "low": seen / 400 - 0.1, "high": seen / 400 + 0.1}
        for v in ("weak", "strong")
        for level in (0.1, 0.2)
        for split in ("held_out", "train")
        for c in concepts
        for seen in SEEN
    ]
    return pd.DataFrame(rows).assign(seeds=2, of_seeds=2)


def curves() -> pd.DataFrame:
    """Runs a and b are unsure before 200 images; of c the last snapshot is missing."""
    rows = [
        {"run": run, "instrument": instrument, "measure": concept, "images_seen": seen}
        | {"coordinate": seen / 400, "counts": seen >= 200}
        for run in VARIANTS
        for instrument in ("softmax", "oracle", "denoiser 0.1")
        for concept in ("color", "size")
        for seen in (SEEN if run != "c" else SEEN[:-1])
    ]
    return pd.DataFrame(rows)


def test_a_column_per_variant_with_curves_above_and_paths_below():
    figure = dynamics_figure(obedience(), curves(), VARIANTS, 0.1, {"weak": "size first"})
    above, below = figure.subfigs
    assert [panel.get_title() for panel in above.axes] == ["weak\nsize first", "strong\n"]
    lines = [line for line in above.axes[0].get_lines() if len(line.get_xdata()) == len(SEEN)]
    assert len(lines) == 2  # a concept each, of one level and split
    np.testing.assert_allclose(lines[0].get_ydata(), np.array(SEEN) / 400)
    assert below.axes[0].get_xlabel() == "color" and below.axes[0].get_ylabel() == "size"


def test_what_most_runs_are_unsure_of_is_faint():
    figure = dynamics_figure(obedience(), curves(), VARIANTS, 0.1, {})
    sure = [line for line in figure.subfigs[1].axes[0].get_lines() if line.get_alpha() is None]
    drawn = [line.get_xdata() for line in sure if len(line.get_xdata()) == len(SEEN)]
    assert drawn and all(np.isnan(x[:2]).all() and np.isfinite(x[2:]).all() for x in drawn)


def test_one_concept_alone_has_no_paths():
    with pytest.raises(ValueError, match="needs two or more concepts, got \\['color'\\]"):
        dynamics_figure(obedience(("color",)), curves(), VARIANTS, 0.1, {})
