"""The certificate of an evaluation's sampler: which images it compares, what it says of them."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.tables.paired import paired_differences
from ground.endings import Mistake, Preempted
from ground.files import read_json, write_json
from studies import stages
from studies.experiment.config import Config, read_config
from studies.findings.run_findings import Findings
from studies.findings.run_report import report_is_fresh
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.samples import load_samples, save_tile
from studies.scoring import sampler_certificate
from studies.scoring.sampler_certificate import check_comparable, compared_steps, sampler_facts
from studies.verify.verify import verify

pytestmark = pytest.mark.slow

EACH = 16  # of 8 combinations: 128 images, two tiles
OWN, REFERENCE = "ema-ddim1-g1-seed0", "ema-ddpm2-g1-seed0-n16"
TILES = 6  # two of step 0's own sampler, which has too few; two of the reference at both steps


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def config(root) -> Config:
    """Two snapshots, of which the last has images enough to be compared."""
    config = read_config(root / "configs" / "tiny.yaml")
    changes = {
        "world": {"num_images": 32},
        "train": {"max_steps": 2, "batch_size": 4, "snapshots": "0", "state_every": 2},
        "probe": {"steps": 2, "gate": 0.0, "certificate_images": 64},
        "evaluate": {"num_inference_steps": 1, "snapshots": "0", "images_per_combination": 2},
    }
    changes["train"]["threads"] = 1
    changes["evaluate"]["final_images_per_combination"] = 17
    parts = {name: replace(getattr(config, name), **new) for name, new in changes.items()}
    return replace(config, **parts)


@pytest.fixture(autouse=True, scope="module")
def short_reference() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampler_certificate, "REFERENCE_STEPS", 2)
        yield


@pytest.fixture(scope="module")
def scored(config, tmp_path_factory) -> RunDir:
    """A run that is evaluated, without a certificate."""
    run = RunDir(tmp_path_factory.mktemp("scored") / "tiny")
    stages.claim(Experiment(config, run))
    for stage in (stages.probe_stage, stages.train_stage, stages.evaluate_stage):
        stage(Experiment(config, run), quiet)
    return run


@pytest.fixture(scope="module")
def table(scored, config, tmp_path_factory) -> tuple[RunDir, str]:
    """A copy with a certificate, and what was said of it."""
    run = copy(scored, tmp_path_factory.mktemp("certified"))
    return run, certify(run, config)


def copy(run: RunDir, folder: Path) -> RunDir:
    shutil.copytree(run.path.parent, folder / "runs", symlinks=True)
    return RunDir(folder / "runs" / run.path.name)


@pytest.fixture
def run(scored, tmp_path) -> RunDir:
    return copy(scored, tmp_path)


@pytest.fixture
def certified(table, tmp_path) -> RunDir:
    return copy(table[0], tmp_path)


def certify(run: RunDir, config: Config) -> str:
    """Returns what is said last."""
    said: list[str] = []
    stages.evaluate_stage(Experiment(config, run), said.append, certify_sampler=True)
    return said[-1]


@pytest.mark.parametrize(
    "accuracy, steps",
    [
        ([0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0], [4, 6, 8]),  # 2 to 8 have learned something
        ([0, 0.3, 0.6, 0.9, 0.9], [2, 3, 4]),
        ([0, 0, 0, 0.5, 0.9], [3, 4]),
        ([0, 0, 0, 0, 0.9], [4]),
        ([0, 0, 0, 0, 0], [1, 3, 4]),  # nothing is learned: all are alike
    ],
)
def test_steps_are_the_last_of_each_third_of_those_that_have_learned(accuracy, steps):
    assert compared_steps(pd.Series(accuracy)) == steps


def test_it_adds_what_is_compared_and_not_there_and_the_run_is_whole(table, scored):
    run, said = table
    names, before = (
        {str(path.relative_to(each.path)) for path in each.samples.rglob("*.npz")}
        for each in (run, scored)
    )
    step = "samples/step_0000000"
    added = {f"{step}0/{OWN}-n{EACH}.npz", f"{step}0/{REFERENCE}.npz", f"{step}2/{REFERENCE}.npz"}
    assert names - before == added and before < names
    rows = read_json(run.sampler_certificate)["joint_accuracy"]
    assert [(row["step"], row["pairs"]) for row in rows] == [(0, 128), (2, 128), ("pooled", 256)]
    assert len(said.splitlines()) == 2 + len(rows) and "ddim 1 ddpm 2" in said
    assert [f.line() for f in verify(run) if f.level != "note"] == []


def test_its_numbers_are_those_of_the_scores_of_images_with_one_index(table):
    run, _ = table
    scores = pd.read_parquet(run.scores)
    scores = scores[(scores["weights"] == "ema") & (scores["sample"] < EACH)]
    keys = ["step", "combination", "sample"]
    scores = scores.drop_duplicates([*keys, "sampler", "concept"])  # step 0 has two of the own
    right = (scores["predicted"] == scores["target"]).groupby(
        [scores[k] for k in keys + ["sampler"]]
    )
    ways = right.all().unstack("sampler").rename(columns={"ddim": "first", "ddpm": "second"})
    expected = paired_differences(ways).to_dict("records")
    assert read_json(run.sampler_certificate)["joint_accuracy"] == expected


def test_with_one_sampler_both_ways_draw_the_same_images(run, config, monkeypatch):
    for name, value in (("REFERENCE", "ddim"), ("REFERENCE_STEPS", 1)):
        monkeypatch.setattr(sampler_certificate, name, value)
    monkeypatch.setattr(stages, "check_comparable", lambda config: None)
    certify(run, config)
    for row in read_json(run.sampler_certificate)["joint_accuracy"]:
        assert row["difference"] == row["first_alone"] == row["second_alone"] == 0
    own, reference = (
        load_samples(run.samples / "step_00000002" / f"{OWN}-n{n}.npz") for n in (17, 16)
    )
    assert (own[:, :EACH] == reference).all()


def test_a_stopped_one_goes_on_and_a_finished_one_is_not_drawn_again(
    run, table, config, monkeypatch
):
    drawn: list[Path] = []

    def save(path, images, snapshot):
        if len(drawn) == stop:
            raise Preempted("asked")
        drawn.append(path)
        save_tile(path, images, snapshot)

    monkeypatch.setattr("studies.scoring.evaluate.save_tile", save)
    stop = 3
    with pytest.raises(Preempted):
        certify(run, config)
    assert not run.sampler_certificate.exists() and run.state_of("evaluate") == "preempted"
    stop = -1
    for _ in range(2):
        certify(run, config)
        assert len(drawn) == len({*drawn}) == TILES
    assert run.sampler_certificate.read_bytes() == table[0].sampler_certificate.read_bytes()
    assert run.state_of("evaluate") == "done"


def test_the_report_says_what_is_known_and_for_which_settings(certified, config):
    findings = Findings([Experiment(config, certified)])
    stages.report_stage(Experiment(config, certified), quiet)
    assert "joint accuracy of ddim 1 minus that of ddpm 2" in certified.report.read_text()
    assert report_is_fresh(findings)
    (fact,) = sampler_facts(Experiment(config, certified)).values()
    assert fact.endswith("of 256 pairs of images, steps 0, 2")
    other = replace(config, evaluate=replace(config.evaluate, seed=1))
    (fact,) = sampler_facts(Experiment(other, certified)).values()
    assert fact.startswith("known for other settings")
    certified.sampler_certificate.unlink()
    assert not report_is_fresh(findings) and sampler_facts(Experiment(config, certified)) == {}


@pytest.mark.parametrize("how", ["other", "unsaid"])
def test_it_holds_for_the_weights_that_it_was_made_of(certified, config, how):
    """A snapshot that was written again, or a certificate of an older version."""
    certificate = read_json(certified.sampler_certificate)
    snapshots = certificate.pop("snapshot")
    if how == "other":
        certificate["snapshot"] = {step: "0" * 64 for step in snapshots}
    write_json(certified.sampler_certificate, certificate)
    (found,) = [f for f in verify(certified) if f.path == certified.sampler_certificate]
    assert found.level == ("stale" if how == "other" else "note")
    assert found.what.startswith("is not said to be of the weights of steps 0, 2; ")
    (fact,) = sampler_facts(Experiment(config, certified)).values()
    assert fact.startswith("known for other weights, or not said for which; ")
    certify(certified, config)
    assert certified.sampler_certificate not in [f.path for f in verify(certified)]


def test_a_damaged_one_is_found(certified):
    certified.sampler_certificate.write_text("{")
    lines = [f.line() for f in verify(certified) if f.level != "note"]
    assert len(lines) == 1 and "sampler_certificate.json: not readable as JSON" in lines[0]


def test_what_cannot_be_compared_is_refused(config, run):
    reference = replace(config.evaluate, sampler="ddpm", num_inference_steps=2)
    with pytest.raises(Mistake, match="--certify-sampler: evaluate.sampler is the reference"):
        certify(run, replace(config, evaluate=reference))
    odd = replace(config, objective=replace(config.objective, num_timesteps=25))
    with pytest.raises(Mistake, match="the reference's num_inference_steps: got 2, allowed for"):
        check_comparable(odd)
