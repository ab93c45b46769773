"""From runs to tables and figures of their geometry; what cannot be measured."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.world import WorldConfig
from diffusion.model_config import ModelConfig
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from studies import stages
from studies.experiment.config import Config, EvaluateConfig
from studies.geometry.asked import Asked
from studies.geometry.command import geometry, list_sites
from studies.geometry.swaps import answer
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from tests.conftest import CONCEPTS

TORUS = BumpsConfig(
    image_size_px=8, dx=0.5, dy=0.5, kept=0.5, periodic=True, held_out=HeldOut("none")
)
TRAIN = TrainConfig(
    max_steps=4, batch_size=8, snapshots="0, 4", state_every=4, warmup_steps=2, threads=1
)
MODEL = ModelConfig(size="tiny", conditioning="coordinates")
EVALUATE = EvaluateConfig(snapshots="0, 4")
CONFIG = Config("torus", TORUS, model=MODEL, train=TRAIN, evaluate=EVALUATE)
SHAPES = Config(
    "shapes",
    WorldConfig(concepts=CONCEPTS, held_out=("square blue small",), num_images=64),
    model=ModelConfig(size="tiny", conditioning="one_hot"),
    train=TRAIN,
    evaluate=EVALUATE,
)
ASKED = Asked(
    sites=("conditioner", "unet.mid_block"),
    levels=(0.2, 0.8),
    steps=None,
    grid=4,
    noise_seeds=3,
    pooled=False,
    homology=False,
    swap=False,
    steer=(),
    umap=False,
    memory_mb=64,
)


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs on a torus, which differ in the seed, and one on shapes; trained alone."""
    folder = tmp_path_factory.mktemp("runs")
    for config in (CONFIG, replace(CONFIG, name="second", seed=1), SHAPES):
        experiment = Experiment(config, RunDir(folder / config.name))
        stages.claim(experiment)
        stages.train_stage(experiment, quiet)
    return folder


def measured(paths, out, **changed) -> dict[str, pd.DataFrame]:
    geometry(paths, replace(ASKED, **changed), out, quiet)
    return {path.stem: pd.read_csv(path) for path in out.glob("*.csv")}


def test_a_run_has_a_verdict_by_site_level_and_step(runs, tmp_path):
    found = measured([runs / "torus"], tmp_path / "out", steps="all")
    rows = found["geometry"]
    assert len(rows) == len(found["verdicts"]) == 2 * 2 * 2
    assert set(rows["site"]) == {"conditioner", "unet.mid_block"} and set(rows["step"]) == {0, 4}
    own = rows[(rows["site"] == "conditioner") & (rows["step"] == 4)]
    assert own["noise"].max() < 1e-6  # noise does not reach it
    assert (rows["alpha_bar"] - rows["level"]).abs().max() < 0.1
    assert found["readouts"]["r2"].max() <= 1 and len(found["spectra"]) == 8 * 15
    ideals = found["displacements"].groupby("code")["step"].unique()
    assert [*ideals["one-hot"]] == [4] and {*ideals["measured"]} == {0, 4}
    figures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert figures == {
        *("verdicts_x_y.png", "numbers_x_y.png", "displacements_x_y_0.8.png", "spectra.png"),
        *("projections_x_0.8.png", "projections_y_0.8.png"),
    }
    assert not list((tmp_path / "out").glob(".*"))  # activations are gone


@pytest.mark.slow
def test_verdicts_are_told_beside_those_of_step_0(runs, tmp_path):
    """By default too; the changes are those of one run, paired noise by noise."""
    found = measured([runs / "torus"], tmp_path / "out")
    verdicts, changes = found["verdicts"], found["changes"]
    assert verdicts["step"].tolist() == [0] * 4 + [4] * 4
    assert set(verdicts["origin"][:4]) == {"untrained"}
    later = verdicts[(verdicts["step"] == 4) & (verdicts["site"] == "conditioner")]
    assert later["verdict"].tolist() == later["verdict"].tolist()[:1] * 2
    assert set(changes["step"]) == {4} and len(changes) == 4 * 8
    place = {"site": "unet.mid_block", "level": 0.8}
    own, without = (
        frame[(frame[list(place)] == pd.Series(place)).all(axis=1)]
        for frame in (found["geometry"], found["left_out"])
    )
    change = changes[(changes[list(place)] == pd.Series(place)).all(axis=1)].set_index("number")
    v_f = own.set_index("step")["v_f"]
    assert change.loc["v_f", "change"] == pytest.approx(v_f[4] - v_f[0])
    left = without.pivot(index="left_out", columns="step", values="v_f")
    error = np.sqrt(2 * (left[4] - left[0]).var(ddof=0))
    half = (change.loc["v_f", "high"] - change.loc["v_f", "low"]) / 2
    assert half == pytest.approx(4.3027 * error, rel=1e-4)


@pytest.mark.slow
def test_steps_without_the_first_have_no_origin(runs, tmp_path):
    found = measured([runs / "torus"], tmp_path / "out", steps=[4])
    assert found["verdicts"]["origin"].isna().all() and "changes" not in found


@pytest.mark.slow
def test_codes_of_all_steps_are_in_the_basis_of_the_last(runs, tmp_path):
    found = measured([runs / "torus"], tmp_path / "out")
    rows, held = found["projections"], found["held"]
    assert len(rows) == 2 * 2 * 2 * 16
    sides = ["x_1", "x_2", "y_1", "y_2"]
    means = rows.groupby(["step", "site", "level"])[sides].mean()
    assert np.abs(means.to_numpy()).max() < 1e-5 * rows[sides].abs().max().max()
    own = held[held["site"] == "conditioner"].pivot_table("held", "step", "feature")
    assert (own.loc[4] > 0.5).all() and (own <= 1 + 1e-9).all(axis=None)


@pytest.mark.slow
def test_maps_are_drawn_of_an_extra_that_may_be_absent(runs, tmp_path, monkeypatch):
    class First:
        def __init__(self, n_components, random_state):
            self.count = n_components

        def fit_transform(self, points):
            return points[:, : self.count]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=First))
    found = measured([runs / "shapes"], tmp_path / "out", umap=True)
    assert set(found["umap"]["color"]) == {*CONCEPTS["color"].values} and set(
        found["umap"]["step"]
    ) == {4}
    assert (tmp_path / "out" / "umap_0.8.png").is_file()
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(Mistake, match="--umap: needs umap-learn, which is not installed"):
        geometry([runs / "torus"], replace(ASKED, umap=True), tmp_path / "none", quiet)
    assert not (tmp_path / "none").exists()


@pytest.mark.full
@pytest.mark.slow
def test_the_same_command_gives_the_same_numbers(runs, tmp_path):
    first, second = (measured([runs / "torus"], tmp_path / n)["geometry"] for n in ("a", "b"))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.slow
def test_several_runs_have_intervals_over_runs(runs, tmp_path):
    found = measured([runs / "torus", runs / "second"], tmp_path / "out", steps=[4])
    rows, verdicts = found["geometry"], found["verdicts"]
    assert len(rows) == 2 * len(verdicts) and set(verdicts["runs"]) == {2}
    place = (verdicts["site"] == "unet.mid_block") & (verdicts["level"] == 0.2)
    own = rows[(rows["site"] == "unet.mid_block") & (rows["level"] == 0.2)]["kappa"]
    row = verdicts[place].iloc[0]
    assert row["kappa"] == pytest.approx(own.mean())
    half = 12.7062 * np.abs(own.diff().iloc[1]) / 2
    assert row["kappa_high"] - row["kappa"] == pytest.approx(half, rel=1e-4)


@pytest.mark.slow
def test_concepts_of_shapes_are_features_pair_by_pair(runs, tmp_path):
    found = measured([runs / "shapes"], tmp_path / "out", pooled=True)
    pairs = found["verdicts"][["first", "second"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["shape", "color"], ["shape", "size"], ["color", "size"]]
    assert set(found["displacements"]["code"]) <= {"measured", "one-hot"}
    assert "homology" not in found and set(found["geometry"]["conditions"]) == {8}


@pytest.mark.slow
def test_homology_and_edits_of_a_torus(runs, tmp_path):
    asked = dict(grid=15, homology=True, swap=True, steer=(2, 4), steps=[4])
    asked |= dict(sites=("conditioner",), levels=(0.2,))
    found = measured([runs / "torus"], tmp_path / "out", **asked)
    assert found["homology"]["points"].tolist() == [225]
    assert found["homology"]["halves"].tolist() == [3]
    steers = found["steers"]
    assert steers["steered"].tolist() == ["x", "x", "y", "y", "random", "random"] * 2
    assert (
        steers["way_px"].round(6).tolist()
        == [round(2 * 8 / 15, 6)] * 6 + [round(4 * 8 / 15, 6)] * 6
    )
    assert (tmp_path / "out" / "steers_4.png").is_file()
    assert (tmp_path / "out" / "homology.png").is_file()
    swaps = found["swaps"]
    assert swaps["swapped"].unique().tolist() == ["x", "y", "random", "whole"]
    assert swaps["coordinate"].tolist() == ["x", "y"] * 4
    assert (
        found["swap_answers"]["answer"]
        .isin(["carries", "does not", "undecided", "site too weak"])
        .all()
    )
    assert (tmp_path / "out" / "swaps.png").is_file()


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"sites": ("unet.mid_blok",)}, r"--sites: got 'unet.mid_blok' \(did you mean"),
        ({"sites": ("unet.down_blocks",)}, "--sites: got 'unet.down_blocks'"),
        ({"levels": (0.99999,)}, "--levels: got 0.99999, allowed .* first and last of 20"),
        ({"levels": (0.5, 0.51)}, "--levels: got two at one of 20 drawing steps"),
        ({"steps": (99,)}, "the snapshot of step 99 is not in"),
        ({"homology": True}, "got 4, which are 16 points; allowed from 15, since homology needs"),
        ({"steer": (2,)}, "--steer: got 2, allowed 1 to 1 places of this grid of 4 × 4"),
        ({"memory_mb": 0}, r"--memory-mb: got 0, allowed from 1 for conditioner \(3 noise seeds"),
    ],
)
def test_what_cannot_be_measured_is_refused(runs, tmp_path, changed, message):
    with pytest.raises(Mistake, match=message):
        geometry([runs / "torus"], replace(ASKED, **changed), tmp_path / "out", quiet)
    assert not list((tmp_path / "out").glob("*"))


def test_runs_of_two_worlds_and_swaps_of_words_are_refused(runs, tmp_path):
    with pytest.raises(Mistake, match="is of another world than .*; measure them apart"):
        geometry([runs / "torus", runs / "shapes"], ASKED, tmp_path / "out", quiet)
    with pytest.raises(Mistake, match="--swap: allowed for runs on bumps"):
        geometry([runs / "shapes"], replace(ASKED, swap=True), tmp_path / "out", quiet)
    with pytest.raises(Mistake, match="--steer: allowed for runs on bumps"):
        geometry([runs / "shapes"], replace(ASKED, steer=(1,)), tmp_path / "out", quiet)


def test_sites_are_listed_with_their_sizes(runs):
    lines: list[str] = []
    list_sites([runs / "torus"], lines.append)
    assert any(line.startswith("  unet.mid_block 128") for line in lines)  # 32 channels, 2 × 2


def row(swapped, coordinate, low, high):
    return {"swapped": swapped, "coordinate": coordinate, "low": low, "high": high}


def swapped(own=(0.9, 1.0), other=(-0.02, 0.02), whole=(0.95, 1.0)):
    pairs = [(a, b) for a in "xy" for b in "xy"]
    rows = [row(a, b, *(own if a == b else other)) for a, b in pairs]
    return [
        *rows,
        *(row("whole", b, *whole) for b in "xy"),
        *(row("random", b, 0, 0) for b in "xy"),
    ]


@pytest.mark.parametrize(
    "rows, word",
    [
        (swapped(), "carries"),
        (swapped(whole=(0.0, 0.1)), "site too weak"),
        (swapped(own=(0.1, 0.3)), "does not"),
        (swapped(other=(0.2, 0.4)), "does not"),
        (swapped(own=(0.3, 0.8)), "undecided"),
        (swapped(other=(0.0, 0.2)), "undecided"),
    ],
)
def test_the_answer_of_a_swap_is_of_intervals(rows, word):
    assert answer(rows) == word
