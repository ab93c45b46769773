"""What is printed and written of forecasts, from the table `denoiser` on, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_gen.concepts import Concept
from data_gen.world import WorldConfig
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from studies.experiment.config import Config
from studies.fitting.command import fit_runs
from studies.run.directory import RunDir

pytestmark = pytest.mark.slow

CONCEPTS = {
    "color": Concept(("red", "blue"), signal=0.4),
    "size": Concept(("big", "small"), signal=0.4),
}
WORLD = WorldConfig(concepts=CONCEPTS, held_out=("blue small",), image_size_px=8, num_images=200)
CONFIG = Config("a", WORLD, train=TrainConfig(max_steps=1000, batch_size=100, warmup_steps=1))
STEPS = [0, 10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000]
RATES = (0.03, 0.06)  # per 1000 images


def rows(rates=RATES, level: float = 0.1, splits=("held_out", "train"), scenes: int = 6):
    """The table `denoiser` of a run; training combinations obey at once."""
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.normal(size=(scenes, 2))
    records = [
        dict(
            **dict(step=step, images_seen=step * 100, split=split, combination=split),
            **dict(level=level, scene=scene, concept=concept, ideal_response=1.0, offset=0.0),
            response=1.0 if split == "train" else obeyed * (1 + noise[scene, k]),
            products=np.eye(2)[k],
        )
        for step in STEPS
        for split in splits
        for scene in range(scenes)
        for k, concept in enumerate(CONCEPTS)
        for obeyed in [1 - np.exp(-rates[k] * step / 10) + 0.01 * np.cos(step)]
    ]
    settings = dict(run="a", train_seed=0, weights="raw", eval_seed=0, refused=None)
    return pd.DataFrame(records).assign(**settings, effective_renders=100.0)


@pytest.fixture
def make_runs(tmp_path, monkeypatch):
    """Run directories with configs, and the rows that are to be read from each."""
    planted: dict[str, pd.DataFrame] = {}

    def make(*runs: tuple[Config, pd.DataFrame]) -> list[Path]:
        for one, table in runs:
            RunDir(tmp_path / one.name).claim(one)
            planted[one.name] = table
        return [tmp_path / one.name for one, _ in runs]

    monkeypatch.setattr(
        "studies.fitting.runs.denoiser_rows", lambda experiments: planted[experiments[0].label]
    )
    return make


def said(paths, level=None, until=0.3, out=None) -> str:
    lines: list[str] = []
    fit_runs(paths, level, until, out, lines.append)
    return "\n".join(lines)


def test_a_run_is_forecast_at_every_level_that_it_has(make_runs, tmp_path):
    paths = make_runs((CONFIG, pd.concat([rows(), rows((0.02, 0.05), level=0.2)])))
    text = said(paths, out=tmp_path / "out")
    assert "a, level 0.1: fitted to 6 snapshots up to 8k images (e = 0.3 is reached)" in text
    assert "a, level 0.2: fitted to " in text and "rank correlation" not in text
    assert "measured order: size, color" in text and "size, color: right" in text
    written = {path.name for path in (tmp_path / "out").iterdir()}
    tables = {"concepts.csv", "models.csv", "predicted.csv", "measured.csv"}
    assert written == tables | {"a.png", "a.pdf", "forecasts.json"}
    data = json.loads((tmp_path / "out" / "forecasts.json").read_text())
    (first, _) = data["forecasts"]
    (rate,) = (
        row["rate"]
        for row in first["concepts"]
        if (row["model"], row["concept"]) == ("one layer", "color")
    )
    assert rate == pytest.approx(RATES[0], rel=0.1)
    (stays,) = (row for row in first["models"] if row["model"] == "stays where it is")
    assert stays["skill_over_stays"] == 0 and stays["order_is_right"] is None


def test_several_runs_are_ranked(make_runs, tmp_path):
    other = replace(CONFIG, name="b")
    paths = make_runs((CONFIG, rows()), (other, rows((0.02, 0.05))))
    text = said(paths)
    assert "one layer, level 0.1, 2 runs: 1.00" in text
    assert text.endswith("no intervals below 8 runs")
    assert said([tmp_path]) == text  # a folder stands for all runs in it


def test_a_world_that_hides_nothing_is_fitted_on_what_it_shows(make_runs):
    table = rows(splits=("held_out",)).assign(split="train")
    assert "one layer" in said(make_runs((CONFIG, table)))


def test_a_level_that_cannot_be_forecast_is_passed_over(make_runs):
    fast, refused = rows((3.0, 3.0), level=0.2), rows(level=0.02)
    refused = refused.assign(refused="no", response=np.nan)
    text = said(make_runs((CONFIG, pd.concat([rows(), fast, refused]))))
    assert "a, level 0.1: fitted to" in text
    assert "a, level 0.2: 2 snapshots up to e = 0.3, allowed are 4 and more" in text
    assert "a, level 0.02: color is refused: held_out: no" in text


def test_nothing_learned_is_one_line(make_runs):
    paths = make_runs((CONFIG, rows((0.0, 0.0))))
    assert said(paths).strip() == "a, level 0.1: nothing learned (no e reaches 0.3): no prediction"


def test_what_cannot_be_fitted_is_refused_on_one_line(make_runs):
    empty, other = replace(CONFIG, name="empty"), replace(CONFIG, name="other")
    other = replace(other, world=replace(WORLD, held_out=()))
    refused = rows(level=0.02).assign(refused="no", response=np.nan)
    fast = rows((3.0, 3.0), level=0.2)
    table = pd.concat([rows(), refused, fast])
    a, none, odd = make_runs((CONFIG, table), (empty, pd.DataFrame()), (other, rows()))
    for arguments, message in (
        (([none],), "empty: has no table denoiser; measure it: scripts/evaluate.py --run .*empty"),
        (([a], 0.3), "--level: got 0.3, .*a has 0.02, 0.1, 0.2"),
        (([a], 0.02), "--level: 0.02 of .*a is refused: held_out: no"),
        (([a], 0.2), "a, level 0.2: 2 snapshots up to e = 0.3, allowed are 4 and more"),
        (([a, odd],), "--fit: .*other has other values or another split than .*a"),
        (([a, a],), "several runs are named 'a'"),
        (([Path("none")],), "none: not a run directory"),
        (([a], None, 1.5), "--until: got 1.5, allowed above 0, below 1"),
    ):
        with pytest.raises(Mistake, match=message) as error:
            said(*arguments)
        assert "\n" not in str(error.value)
