"""One command finds out once what it needs to know."""

from collections import Counter
from dataclasses import replace

import pytest

from data_gen.world import World
from ground.endings import Mistake
from studies import stages
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from tests.harness.commands import SHORT, TINY, call
from tests.harness.evaluations import changed, copy, quiet
from tests.harness.readings import counted

ONCE = {  # what is found, and what it is found for: its first argument, or nothing
    "studies.run.results.read_part": True,
    "studies.run.opened.read_certificate": False,
    "studies.run.opened.load_probe": False,
    "studies.worlds.shapes.images.training_set": False,
    "studies.worlds.exams.all_questions": False,
    "studies.worlds.captioned_images.make_conditioning": False,
}
STANDING = {"last_rows", "is_locked"}  # what a line of progress looks up, as often as one is due


@pytest.fixture
def calls(monkeypatch) -> Counter:
    counted: Counter = Counter()

    def count(name: str, of_each: bool) -> None:
        module, _, function = name.rpartition(".")
        real = getattr(__import__(module, fromlist=[function]), function)

        def counting(first, *args):
            counted[name, str(first) if of_each else ""] += 1
            return real(first, *args)

        monkeypatch.setattr(name, counting)

    for name, of_each in ONCE.items():
        count(name, of_each)
    return counted


@pytest.mark.slow
def test_a_whole_run_finds_out_once_what_it_needs(calls, config, tmp_path):
    experiment = Experiment(config, RunDir(tmp_path / "runs" / "tiny"))
    stages.run_experiment(experiment, quiet)
    assert {name for name, _ in calls} == {*ONCE}
    assert {key: n for key, n in calls.items() if n > 1} == {}
    assert (
        len(calls) == len(ONCE) - 1 + 5 + 3
    )  # parts: of the probe all, of the oracle no baselines


@pytest.mark.slow
def test_a_command_reads_and_hashes_each_file_once(tmp_path):
    with counted(tmp_path) as readings:
        assert call("run", "--config", TINY, "--runs", str(tmp_path), *SHORT)[0] == 0
    names = {name for each in readings.values() for name in each}
    assert {"/tiny/snapshots/step_00000008/manifest.json", "/tiny/config.yaml"} <= names
    assert any(name.endswith("diffusion_pytorch_model.safetensors") for name in names)
    often = [(key[0], n) for key, n in readings.items() if len(n) > 1 and key[0] not in STANDING]
    # images are read for the grid and for what is explored: all at once may not fit in memory
    assert {name for name, _ in often} <= {"read_samples_file"}
    assert all(len(n) == 2 for _, n in often)


def test_a_change_keeps_what_it_does_not_touch(config, scored):
    experiment = Experiment(config, scored)
    images, certificate = experiment.images, experiment.certificate
    assert experiment.changed(config) is experiment
    other = experiment.changed(changed(config, seed=1))
    assert other.images is images and other.certificate is certificate
    assert other.exam is not experiment.exam
    moved = experiment.changed(replace(config, world=replace(config.world, seed=1)))
    assert moved.images is not images and moved.images.world.seed == 1


def test_another_probe_is_not_taken_for_the_one_that_was_known(config, scored, tmp_path):
    experiment = Experiment(config, copy(scored, tmp_path / "runs"))
    first = experiment.probe_name
    other = experiment.changed(replace(config, probe=replace(config.probe, steps=3)))
    assert other.probe_name == first and other.certificate is not experiment.certificate
    stages.probe_stage(other, quiet)
    assert other.probe_name != first
    moved = experiment.changed(replace(config, world=replace(config.world, image_size_px=32)))
    with pytest.raises(Mistake, match="is the probe of another world"):
        _ = moved.probe


def test_a_label_stays(config, scored):
    named = Experiment(config, scored).named("a, raw")
    assert named.showing("raw").label == "a, raw" and named.config.name == "tiny"


def test_no_config_is_unchecked(config):
    with pytest.raises(Mistake, match="train.batch_size: got 0, allowed"):
        replace(config, train=replace(config.train, batch_size=0))
    with pytest.raises(Mistake, match="evaluate.snapshots: step 3 is no snapshot of training"):
        changed(config, snapshots="0, 3")
    with pytest.raises(Mistake, match="world.concepts.color.signal: got nan, allowed a number"):
        color = replace(config.world.concepts["color"], signal=float("nan"))
        concepts = {**config.world.concepts, "color": color}
        replace(config, world=replace(config.world, concepts=concepts))
    assert isinstance(config.terms.terms, World)
