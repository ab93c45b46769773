"""The denoiser and copies measured beside the scores of a run, verified and drawn."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from classifiers.scores import read_facts
from ground.endings import Mistake
from studies import stages
from studies.experiment.config import Config, read_config, to_yaml
from studies.findings.denoiser_findings import clock_facts
from studies.findings.plotting import plot_runs
from studies.findings.run_findings import Findings
from studies.findings.run_report import report_is_fresh
from studies.run.directory import RunDir
from studies.run.measured import DENOISER, denoiser_parts
from studies.run.opened import Experiment
from studies.run.tables import read_part_rows, write_rows
from studies.scoring.measurements.denoiser import KEY
from studies.verify.denoiser_checks import wrong_denoiser_part
from studies.verify.verify import verify
from studies.worlds.denoiser_config import DenoiserConfig
from tests.harness.evaluations import changed, copy, files, quiet
from tests.harness.shared import made_once

SETTINGS = DenoiserConfig((0.05, 0.9), scenes=4, training_scenes=2, renders=1500)


@pytest.fixture(scope="module")
def asking(config) -> Config:
    return changed(config, denoiser=SETTINGS, copies=True)


@pytest.fixture(scope="module")
def measured(scored, asking, tmp_path_factory) -> RunDir:
    def make(folder):
        run = copy(scored, folder / "runs")
        stages.evaluate_stage(Experiment(asking, run), quiet)

    return RunDir(made_once(tmp_path_factory, "measured", make) / "runs" / "tiny")


@pytest.fixture
def run(measured, tmp_path) -> RunDir:
    return copy(measured, tmp_path / "runs")


def remarks(run: RunDir) -> list[str]:
    return [remark.line() for remark in verify(run) if remark.level != "note"]


def test_the_table_has_a_row_per_scene_level_and_concept(measured, scored, config):
    rows = pd.read_parquet(measured.table(DENOISER))
    assert len(rows) == 3 * 2 * 3 * (7 * 2 + 4) and not rows.duplicated([*KEY]).any()
    assert {*rows["step"]} == {0, 2, 4} and {*rows["concept"]} == {"shape", "color", "size"}
    assert rows.groupby("combination")["scene"].max().value_counts().to_dict() == {1: 7, 3: 1}
    refused = rows["level"] == 0.9
    assert (rows["refused"].notna() == refused).all() and rows["error"].isna().equals(refused)
    np.testing.assert_allclose(rows["alpha_bar"], rows["level"], rtol=0.01)
    others = files(measured)
    assert files(scored).items() == others.items()  # samples and scores keep their bytes


def test_scenes_noise_and_ideal_are_the_same_at_every_snapshot(measured):
    rows = pd.read_parquet(measured.table(DENOISER)).dropna(subset="error")
    by_scene = rows.groupby(["combination", "level", "scene", "concept"])
    same = ["ideal_response", "least_error", "move_error", "answer_error", "effective_renders"]
    assert (by_scene[same].nunique() == 1).all(axis=None)
    assert (by_scene["error"].nunique() == 3).all()


@pytest.mark.slow
def test_it_is_measured_once_and_needs_no_new_samples(run, asking, drawn):
    said: list[str] = []
    stages.evaluate_stage(Experiment(asking, run), said.append)
    other = changed(asking, guidance_scale=2.0, copies=False)
    before = {part: read_facts(part) for part in run.table(DENOISER).iterdir()}
    assert said == ["evaluate: finished before, 18 parts"] and not drawn
    for part in before:
        part.touch()
    stages.evaluate_stage(Experiment(other, run), quiet)
    assert {part: read_facts(part) for part in run.table(DENOISER).iterdir()} == before
    fewer = changed(asking, denoiser=replace(SETTINGS, levels=(0.05,)))
    drawn.clear()
    stages.evaluate_stage(Experiment(fewer, run), said.append)
    assert said[-1] == "evaluate: scored 3 of 18 parts" and not drawn
    assert len([*run.table(DENOISER).iterdir()]) == 6
    assert remarks(run) == []


def test_verify_names_what_is_wrong(run):
    part = sorted(run.table(DENOISER).iterdir())[0]
    rows, facts = read_part_rows(part), {"snapshot": read_facts(part)["snapshot"]}
    assert wrong_denoiser_part(part.name, rows) == ""
    half = rows.assign(error=rows["error"].fillna(0.5))
    doubled = pd.concat([rows, rows[:2]])
    for wrong, what in (
        (rows[:0], "has no rows"),
        (rows[2:], f"has {len(rows) - 2} rows, expected {len(rows)}"),
        (doubled, "2 rows are doubled"),
        (half, "is neither measured nor refused, or both"),
        (
            rows.assign(step=2),
            "seed and intervention ['2', 'ema', '0', 'none'], named",
        ),
        (rows.drop(columns="offset"), "has no offset"),
    ):
        assert what in wrong_denoiser_part(part.name, wrong)
    write_rows(part, half, facts)
    assert [line for line in remarks(run) if f"damaged: {part}" in line] == remarks(run) != []
    write_rows(part, rows, {"snapshot": "0" * 64})
    (line,) = remarks(run)
    assert line.startswith(f"stale: {part}: of other weights")


def test_a_part_of_other_weights_is_not_read_but_measured_again(run, asking):
    part = [*denoiser_parts(asking, run).values()][0]
    facts, rows = read_facts(part)["snapshot"], read_part_rows(part)
    write_rows(part, rows.assign(response=9.0), {"snapshot": "0" * 64})
    with pytest.raises(Mistake, match="of other weights than its snapshot has now"):
        clock_facts(Experiment(asking, run))
    stages.evaluate_stage(Experiment(asking, run), quiet)
    assert read_facts(part)["snapshot"] == facts
    pd.testing.assert_frame_equal(read_part_rows(part), rows)


@pytest.mark.slow
def test_figures_and_report_show_it_where_it_is_there(run, asking, config, tmp_path):
    experiment = Experiment(config, run)  # which does not ask for it: it is there
    said: list[str] = []
    stages.report_stage(experiment, said.append)
    assert (run.figures / "obedience.png").is_file()
    assert (run.figures / "denoiser_paths.png").is_file()
    text = run.report.read_text()
    assert "What the denoiser means" in text and "until half of the samples are copies" in text
    assert any(line.startswith("images seen until obedience is .5") for line in said)
    assert clock_facts(experiment) == clock_facts(Experiment(asking, run))
    assert report_is_fresh(Findings([experiment]))
    for part in run.table(DENOISER).iterdir():
        part.unlink()
    assert not report_is_fresh(Findings([Experiment(config, run)]))
    stages.report_stage(Experiment(config, run), quiet)
    assert not (run.figures / "obedience.png").is_file()
    with pytest.raises(Mistake, match="not scored yet; scripts/evaluate.py does"):
        clock_facts(Experiment(asking, run))


@pytest.mark.slow
def test_several_runs_are_drawn_beside_each_other(run, measured, config, tmp_path):
    (run.path / "config.yaml").write_text(to_yaml(replace(config, name="other")))
    written = plot_runs([measured.path, run.path], tmp_path / "figures")
    assert {"obedience.png", "denoiser_paths.png"} <= {path.name for path in written}


def test_the_table_is_read_as_shown(measured, root):
    text = (root / "docs" / "reference" / "denoiser.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec(block.replace("runs/swingby_2x2", str(measured.path)), names)
    assert len(names["curves"]) == 3 * 2 * 2 * 3  # steps, splits, levels, concepts
    assert {*names["clock"]["level"]} == {0.05}


def test_copies_are_measured_of_all_images(measured):
    rows = pd.read_parquet(measured.table("copies"))
    assert len(rows) == 5 * 8 * 9 and (rows["nearest"] <= rows["second_nearest"]).all()
    means = rows.groupby("run")["nearest"].mean()
    assert means["memoriser"] < means["render"] < means["tiny"]
    facts = clock_facts(Experiment(read_config(measured.config_file), measured))
    assert facts["images seen until half of the samples are copies"] == "after 16"
    copied = facts["copies among the images of the last snapshot"]
    assert re.fullmatch(
        r"held_out 0.000, train 0.000, render 0.0\d\d, memoriser 0.[1-9]\d\d", copied
    )


def test_photographs_and_worlds_of_one_combination_are_refused(root, photos, config):
    with pytest.raises(Mistake, match="denoiser.levels: allowed none of real images: no renderer"):
        replace(changed(config, denoiser=SETTINGS), world=photos)
    concepts = {"shape": replace(config.world.concepts["shape"], values=("circle",))}
    alone = replace(config.world, concepts=concepts, held_out=())
    with pytest.raises(Mistake, match="denoiser.levels: allowed none where no concept has a sec"):
        replace(changed(config, denoiser=SETTINGS), world=alone)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"levels": (0.2, 1.0)}, "levels: got 1, allowed above 0, below 1"),
        ({"levels": (float("nan"),)}, "levels: got nan, allowed above 0, below 1"),
        ({"levels": (0.2, 0.2)}, "levels: got 2 of which 1 differ, allowed up to 4 different ones"),
        ({"scenes": 1}, "scenes: got 1, allowed 2 to 65536"),
        ({"renders": 0}, "renders: got 0, allowed 2 to 1048576"),
    ],
)
def test_settings_out_of_range_are_refused(settings, what):
    with pytest.raises(Mistake, match=f"evaluate.denoiser.{what}"):
        DenoiserConfig(**settings)
