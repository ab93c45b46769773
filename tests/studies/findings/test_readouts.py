"""Readouts of runs on disk: figures and numbers, sentences, verdicts, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from classifiers.scores import read_facts, read_part, write_part
from ground.endings import Mistake
from studies.findings.plotting import plot_runs
from studies.findings.readouts import Readouts
from studies.findings.run_findings import Findings
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run_sets.run_set import RunSet


def opened(path: Path) -> Experiment:
    """A run that no oracle has read."""
    run = RunDir(path)
    config = run.read_config()
    return Experiment(replace(config, evaluate=replace(config.evaluate, oracle=False)), run)


def of_one(path: Path) -> Readouts:
    return Findings([opened(path)]).readouts


def evaluated_otherwise(path: Path, right: bool) -> None:
    """Add what another guidance would have left: all of its images are right, or as they were."""
    for part in sorted(path.glob("scores.parquet/step_*")):
        scores = read_part(part).assign(guidance_scale=2.0)
        if right:
            scores["predicted"] = scores["target"]
        write_part(part.with_name(part.name.replace("-g1-", "-g2-")), scores, read_facts(part))


@pytest.mark.slow
def test_figures_of_several_variants_and_their_numbers(runs, tmp_path):
    said: list[str] = []
    written = {path.name for path in plot_runs([runs], tmp_path, said.append)}
    labels = [f"s{signal}-{seed}" for signal in (0.2, 0.7) for seed in (0, 1)]
    assert {"readouts-1.png", "readouts-2.png"} < written
    assert {f"instruments-{label}.png" for label in labels} < written
    names = ("accuracy", "trajectories", "readouts", "readout_paths", "instruments", "learned")
    tables = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in (*names, "runs_agree")}
    assert {*tables["readouts"]["readout"]} == {"softmax", "argmax"}
    assert {*tables["learned"]["run"]} == {*labels} and len(tables["learned"]) == 4 * 3
    assert {*tables["runs_agree"]["verdict"]} == {"cannot say (few seeds)"}
    assert len(said) == 4 * 3 + 2
    assert said[0].startswith("s0.2-0: shape is learned, by probe: ")
    assert said[-1].startswith("Do color.signal 0.2 and color.signal 0.7 agree in learning time? ")
    assert not (tmp_path / "over_seeds.csv").exists()


def test_seeds_of_one_variant_are_compared_run_by_run(runs):
    pair = RunSet.of_folders([runs / "s0.2-0", runs / "s0.2-1"])
    agree = Findings.of(pair).readouts.agree
    assert {*agree["over"]} == {"noise"} and {*agree["first"]} == {"s0.2-0"}
    assert {*agree["measure"]} == {"shape", "color", "size", "joint"}


def test_the_numbers_over_seeds(runs):
    table = Findings.of(RunSet.of_folders([runs])).readouts.over_seeds()
    assert [*table["quantity"].unique()] == ["last accuracy", "learning time, images seen"]
    assert (table["seeds"] == 2).all() and {*table["variant"]} == {
        *("color.signal 0.2", "color.signal 0.7")
    }
    last = table[table["quantity"] == "last accuracy"]
    assert ((last["low"] <= last["value"]) & (last["value"] <= last["high"])).all()


def test_one_seed_has_no_interval_over_seeds(runs, tmp_path):
    with pytest.raises(Mistake, match="--over-seeds: color.signal 0.2 has one seed, allowed two"):
        plot_runs([runs / "s0.2-0", runs / "s0.7-0"], tmp_path / "out", over_seeds=True)
    assert not (tmp_path / "out").exists()


def test_a_concept_that_is_not_there_is_refused(runs, tmp_path):
    with pytest.raises(
        Mistake, match=r"--concepts: got 'colour', allowed shape, color, size \(did"
    ):
        plot_runs([runs], tmp_path / "out", concepts=["colour"])
    assert not (tmp_path / "out").exists()


def test_concepts_that_are_asked_for_are_shown_alone(runs):
    readouts = Findings.of(RunSet.of_folders([runs]), concepts=["size", "color"]).readouts
    assert {*readouts.curves["concept"]} == {*readouts.learned["concept"]} == {"color", "size"}
    assert all(
        sentence.split(": ")[1].startswith(("color", "size"))
        for sentence in readouts.learned_sentences()
    )


def test_ways_of_evaluating_one_run_are_compared(own_runs):
    path = own_runs / "s0.2-0"
    assert of_one(path).agree.empty
    evaluated_otherwise(path, right=True)
    agree = of_one(path).agree
    assert {*agree["first"]} == {"guidance_scale 1.0"}
    assert {*agree["second"]} == {"guidance_scale 2.0"}
    assert (agree["second_value"] == 1).any() and (agree["over"] == "noise").all()
    said = [*of_one(path).agree_sentences()]
    assert said[0].startswith("Do guidance_scale 1.0 and guidance_scale 2.0 agree in last acc")


def test_scores_of_other_weights_are_no_way_of_evaluating(own_runs):
    path = own_runs / "s0.2-0"
    evaluated_otherwise(path, right=False)
    for part in path.glob("scores.parquet/step_*-g2-*"):
        write_part(part, read_part(part), {**read_facts(part), "snapshot": "of other weights"})
    assert of_one(path).agree.empty


def test_of_one_run_a_missing_part_is_named_and_of_several_left_out(own_runs):
    next((own_runs / "s0.2-0").glob("scores.parquet/step_*")).unlink()
    with pytest.raises(Mistake, match="not scored yet; scripts/evaluate.py does"):
        _ = of_one(own_runs / "s0.2-0").learned
    runs = Findings.of(RunSet.of_folders([own_runs])).readouts
    assert {*runs.learned["run"]} == {"s0.2-0", "s0.2-1", "s0.7-0", "s0.7-1"}
