"""Experiments on photographs, end to end and small: scored, verified, resumed, refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from classifiers.certificate import ProbeRefused, probe_name
from classifiers.probe_config import ProbeConfig
from classifiers.scores import read_part, write_part
from data_gen.photos.world import PhotosConfig, PhotoWorld
from diffusion.model_config import ModelConfig
from diffusion.snapshots import step_directory
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from ground.files import hashes
from studies import stages
from studies.drawing.generate import draw, records
from studies.dry_run import describe_plan
from studies.experiment.config import Config, EvaluateConfig, read_config, to_yaml
from studies.findings.certificate_facts import probe_warnings
from studies.findings.plotting import plot_runs
from studies.findings.run_findings import Findings
from studies.run.certificate import read_certificate
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import memorised_file, render_plan
from studies.run.samples import load_samples
from studies.verify.verify import verify
from studies.worlds.photos.images import NO_ORACLE, SHARE
from tests.harness.opened import opened

pytestmark = pytest.mark.usefixtures("tiles_of_eight")

EVALUATE = EvaluateConfig(
    num_inference_steps=1,
    images_per_combination=1,
    final_images_per_combination=4,
    snapshots="0, 4",
)


def quiet(line: str) -> None:
    pass


def experiment(photos: PhotosConfig, name: str = "photos") -> Config:
    return Config(
        name,
        photos,
        model=ModelConfig("tiny", conditioning="one_hot"),
        train=TrainConfig(
            max_steps=4, batch_size=4, snapshots="0, 2", state_every=2, warmup_steps=2, threads=1
        ),
        probe=ProbeConfig(steps=2, batch_size=16, width=8, gate=0.0, certificate_images=64),
        evaluate=EVALUATE,
    )


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def finished(photos, said, tmp_path_factory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("runs") / "photos")
    stages.run_experiment(Experiment(experiment(photos), run), said.append)
    return run


@pytest.fixture
def run(finished, tmp_path) -> RunDir:
    """A copy to be harmed."""
    shutil.copytree(finished.path.parent, tmp_path / "runs", symlinks=True)
    return RunDir(tmp_path / "runs" / finished.path.name)


@pytest.fixture
def elsewhere(photos, tmp_path) -> PhotosConfig:
    """The same images in another place, to be changed."""
    shutil.copytree(photos.folder, tmp_path / "images")
    table = shutil.copy(photos.table, tmp_path / "labels.csv")
    return replace(photos, folder=str(tmp_path / "images"), table=str(table))


def change_an_image(photos: PhotosConfig) -> None:
    Image.new("RGB", (20, 20)).save(min(Path(photos.folder).iterdir()))


def test_a_run_on_photographs_is_scored_reported_and_whole(finished, said):
    assert [finding.line() for finding in verify(finished)] == []
    assert "world.contents" not in "\n".join(said)
    assert finished.read_config().world.contents.startswith("184 images, ")
    for line in ("leak check: 0 of 147 training images", "joint accuracy of real images: "):
        assert any(text.startswith(line) for text in said)
    report = finished.report.read_text()
    assert NO_ORACLE in report and "How the probe read real images under noise" in report
    assert "render" not in report.split("<h2>")[1]


def test_too_few_images_for_what_is_promised_are_named_with_how_many_it_takes(finished, said):
    certificate = read_certificate(finished)
    few = certificate["num_images"]
    line = f"probe: when it is unsure is set by {few} images, so it takes {1 / (few + 1):.1%} of"
    assert any(text.startswith(line) and text.endswith("0.01 needs 99") for text in said)
    bound = f"(at least {certificate['concepts']['shape']['at_least']:.4f} with 95 % confidence)"
    assert any(f"{bound} of {few} real images" in text for text in said)
    report = finished.report.read_text()
    assert f"{few} real images of their own" in report and "95 % confidence" in report
    enough = {**certificate, "unsure_limit": {"num_images": 99, "rate": 0.01}}
    assert probe_warnings(enough) == []


def test_the_ceiling_has_as_many_real_images_of_a_combination_as_there_are(finished, photos):
    config, world = finished.read_config(), PhotoWorld(photos)
    scores = Experiment(config, finished).planned_scores(probe_name(read_certificate(finished)))
    ceiling = scores[(scores["run"] == "render") & (scores["concept"] == "size")]
    counts = ceiling.groupby("combination").size().to_dict()
    names = map(world.space.name, world.space.combinations)
    expected = [min(4, max(1, kept // SHARE)) for kept in world.kept.tolist()]
    assert counts == dict(zip(names, expected, strict=True)) and {*expected} == {1, 2, 3, 4}
    assert {*ceiling[ceiling["split"] == "held_out"]["combination"]} == {"square blue small"}
    assert load_samples(memorised_file(finished, config)).shape == (8, 4, 16, 16, 3)


def test_the_certificate_is_of_unseen_images_and_says_that_no_oracle_reads_them(finished, photos):
    certificate = read_certificate(finished)
    reserved = sum(max(1, kept // SHARE) for kept in PhotoWorld(photos).kept.tolist())
    assert certificate["num_images"] == reserved
    assert certificate["unsure"].keys() == {"real images", "noise", "blank", "two scenes"}
    assert certificate["oracle"] == NO_ORACLE and [*certificate["degradation"]] == ["probe"]
    assert certificate["unsure_limit"] == {
        **{"num_images": reserved, "rate": 0.01},
        "expected_rate": 1 / (reserved + 1),
    }
    concepts = certificate["concepts"].values()
    assert all(sum(map(sum, concept["confusion"])) == reserved for concept in concepts)
    curve = certificate["degradation"]["probe"]
    assert {row["num_images"] for row in curve} == {8} and len(curve) == 3 * (6 + 5)


@pytest.mark.parametrize(
    "change, what",
    [
        (lambda t: t[t["combination"] != "square red large"], "expected 96: 8 prompts, 4 im"),
        (lambda t: t[t["sample"] != 0], "rows, expected "),
        (lambda t: t.iloc[1:], "rows, expected "),
    ],
)
def test_a_ceiling_with_rows_lost_is_found(run, change, what):
    plan, probe = render_plan(run.read_config()), probe_name(read_certificate(run))
    part = plan.part(run, probe)
    write_part(part, change(read_part(part)), {})
    (finding,) = verify(run)
    assert finding.level == "damaged" and what in finding.what


@pytest.mark.slow
def test_the_same_experiment_makes_the_same_bytes(photos, finished, tmp_path):
    config, run = experiment(photos, "again"), RunDir(tmp_path / "again")
    stages.train_stage(
        Experiment(replace(config, train=replace(config.train, max_steps=2)), run), quiet
    )
    stages.train_stage(Experiment(config, run), quiet)  # goes on from there
    for step in (0, 4):
        one, other = (hashes(step_directory(r.snapshots, step)) for r in (run, finished))
        assert one == other


def test_a_finished_run_goes_on_wherever_the_same_images_lie(run, elsewhere):
    said: list[str] = []
    stages.claim(Experiment(opened(experiment(elsewhere)).with_contents().config, run))
    for stage in (stages.probe_stage, stages.train_stage, stages.evaluate_stage):
        stage(Experiment(experiment(elsewhere), run), said.append)
    starts = "probe: found", "probe: when it is", "train: finished before", "evaluate: finished be"
    assert all(line.startswith(start) for line, start in zip(said, starts, strict=False))
    assert run.read_config().world.folder == elsewhere.folder


@pytest.mark.slow
def test_a_changed_folder_is_refused_on_resume_in_one_line(run, elsewhere):
    change_an_image(elsewhere)
    message = r"another experiment \(world.contents: 184 images, \w+ → 184 images, \w+\); choose"
    with pytest.raises(Mistake, match=message):
        stages.run_experiment(Experiment(experiment(elsewhere), run), quiet)
    with pytest.raises(Mistake, match=message):
        stages.train_stage(Experiment(experiment(elsewhere), run), quiet)
    recorded = run.read_config()
    moved = replace(elsewhere, contents=recorded.world.contents)
    for stage in (stages.evaluate_stage, stages.probe_stage, stages.report_stage):
        with pytest.raises(Mistake, match="world.contents: .*images or table have changed"):
            stage(Experiment(replace(recorded, world=moved), run), quiet)


def test_what_needs_no_image_works_without_the_folder(run, tmp_path, monkeypatch):
    """A run that was copied elsewhere is read, drawn from, plotted and verified."""
    monkeypatch.setattr(Findings, "draw", lambda findings, out: {"accuracy": findings.table()})
    text = run.config_file.read_text()
    config = run.read_config()
    run.config_file.write_text(text.replace(config.world.folder, str(tmp_path / "gone")))
    config = run.read_config()
    assert [finding.line() for finding in verify(run)] == []
    prompts = ["a small blue square", "a circle"]
    (drawn,) = draw(
        Experiment(replace(config, evaluate=EVALUATE), run), prompts, steps=[4], num_images=2
    )
    readings = [record["readings"] for record in records(drawn, prompts, EVALUATE)]
    assert len(readings) == 4 and all(reading.keys() == {"probe"} for reading in readings)
    assert plot_runs([run.path], tmp_path) == [tmp_path / "accuracy.png"]
    with pytest.raises(Mistake, match="world.table: .*gone.csv: no such file"):
        stages.evaluate_stage(Experiment(config, run), quiet)


def test_a_probe_below_its_gate_is_refused_with_what_may_be_done(photos, tmp_path):
    config = experiment(photos)
    weak = replace(config, probe=replace(config.probe, gate=1.0))
    run = RunDir(tmp_path / "run")
    message = "accuracy for shape is .* below probe.gate = 1.0; raise probe.steps or set probe.gate"
    with pytest.raises(ProbeRefused, match=message):
        stages.run_experiment(Experiment(weak, run), quiet)
    assert not run.probe.exists() and not run.snapshots.exists()


def test_a_config_of_photographs_survives_its_file(photos, tmp_path):
    path = tmp_path / "photos.yaml"
    path.write_text(to_yaml(experiment(photos)))
    assert read_config(path) == experiment(photos)
    plan = describe_plan(Experiment(read_config(path), RunDir(tmp_path / "run")))
    assert "world: 7 training and 1 held-out combinations, 147 images" in plan
