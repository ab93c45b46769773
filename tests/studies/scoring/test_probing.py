"""A probe is made once, in sight, for all runs of a world; a whole one is read by anybody."""

import os
import signal
import threading
import time
from dataclasses import replace

import pytest
import torch

import studies.run.sharing as module
import studies.scoring.probe_training as training
from classifiers.certificate import load_probe
from classifiers.probe_config import ProbeConfig
from data_gen.captions import CaptionConfig
from data_gen.world import World
from ground.endings import Mistake, Preempted
from ground.files import hash_json, write_directory, write_json
from ground.locks import locked
from studies.experiment.config import Config
from studies.run.certificate import read_certificate
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.probe_training import Lines
from studies.scoring.probing import ensure_probe, probe_directory, probe_identity, straight_identity
from studies.worlds.probe_images import ProbeImages
from studies.worlds.shapes.images import labelled_batch

LOCK = ".evaluate.lock"
CONFIG = ProbeConfig(steps=4, batch_size=8, width=8, gate=0.0, certificate_images=64)


class Source:
    """What a world offers its probe, without its oracle; `drawn` are the steps of training."""

    images_are, advice = "renders", "nothing"

    def __init__(self, world):
        self.world, self.heads, self.drawn = world, dict(world.space.items()), []

    def at(self, run: RunDir) -> Experiment:
        """An experiment whose images these are."""
        experiment = Experiment(Config("a", self.world.config, probe=CONFIG), run)
        experiment.images = self
        return experiment

    def probe_images(self, config: ProbeConfig) -> ProbeImages:
        def draw(step):
            self.drawn.append(step)
            return labelled_batch(self.world, 0, "train", step * 8, 8)

        parts = (labelled_batch(self.world, 0, part, 0, 64) for part in ("fit", "limit", "test"))
        return ProbeImages(draw, *parts)

    def second_opinion(self, config, probe, certificate):
        return {}


@pytest.fixture
def source(tiny_world) -> Source:
    return Source(tiny_world)


def test_a_whole_probe_is_found_without_a_lock(source, tmp_path, monkeypatch):
    first, second = (RunDir(tmp_path / name) for name in ("first", "second"))
    assert ensure_probe(source.at(first))
    files = {*tmp_path.rglob("*")}

    def refuse(*_):
        raise Mistake("locked")

    monkeypatch.setattr(module, "locked", refuse)  # as another user's file
    second.path.mkdir()
    assert not ensure_probe(source.at(second))
    assert second.probe.resolve() == first.probe.resolve()
    monkeypatch.setattr(RunDir, "locked", refuse)
    assert not ensure_probe(source.at(first))
    assert {*tmp_path.rglob("*")} - files == {second.path, second.probe, second.path / LOCK}


@pytest.fixture
def large(tiny_config) -> Source:
    """What a world of 32 px offers its probe: also renders to see whether it has learned enough."""
    source = Source(World(replace(tiny_config, image_size_px=32), CaptionConfig()))
    parts = source.probe_images(CONFIG)
    checked = replace(parts, check=lambda: labelled_batch(source.world, 0, "check", 0, 64))
    source.probe_images = lambda config: checked
    return source


def test_a_probe_of_large_renders_stops_once_it_reads_enough(large, tmp_path, monkeypatch):
    run, said = RunDir(tmp_path / "run"), []
    shares = iter((0.5, 1.0))
    monkeypatch.setattr(training, "accuracies", lambda *_: {"size": next(shares), "color": 1.0})
    assert ensure_probe(large.at(run), said.append)
    assert large.drawn == [0, 1]
    assert said == [
        "probe: training it, at most 4 steps of 8 images",
        "probe: step 1 reads size in 0.5000 of renders; enough is 0.75",
        "probe: step 2 reads size in 1.0000 of renders; enough",
        "probe: certifying it",
    ]
    probe, certificate = load_probe(run.probe)
    assert certificate["steps"] == 2 and certificate["identity"]["version"] == 4
    assert probe.fold == 2 and certificate["identity"]["probe"]["gate"] == 0.0
    assert read_certificate(run) == certificate


def test_a_probe_that_never_reads_enough_trains_to_its_last_step(large, tmp_path, monkeypatch):
    run = RunDir(tmp_path / "run")
    monkeypatch.setattr(training, "accuracies", lambda *_: {"size": 0.0})
    assert ensure_probe(large.at(run))
    assert large.drawn == [0, 1, 2, 3] and read_certificate(run)["steps"] == 4


def test_a_probe_of_an_older_version_goes_on_being_used(large, tmp_path):
    run = RunDir(tmp_path / "run")
    experiment = large.at(run)
    own = probe_directory(experiment)
    identity = straight_identity(experiment.world, CONFIG)
    older = run.shared / f"probe-{hash_json(identity)[:12]}"
    facts = {"concepts": {}, "identity": identity}
    write_directory(older, lambda path: write_json(path / "certificate.json", facts))
    assert own != older == probe_directory(experiment)
    assert not ensure_probe(experiment) and run.probe.resolve() == older.resolve()
    assert read_certificate(run)["identity"]["version"] == 3
    (older / "certificate.json").write_text("{}")
    assert probe_directory(experiment) == own


def test_probes_of_small_renders_are_those_that_they_were(source, tmp_path):
    """To the bit, whatever their gate: what was read with them can be read with them again."""
    experiment = source.at(RunDir(tmp_path / "run"))
    identity = probe_identity(experiment.world, CONFIG)
    assert identity == straight_identity(experiment.world, CONFIG) and identity["version"] == 3
    assert "gate" not in identity["probe"]


def test_a_run_behind_a_link_finds_its_probe(source, tmp_path, monkeypatch):
    """Its siblings are those of the directory itself, whatever it is called."""
    for folder in ("disk/big", "runs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "runs" / "big").symlink_to(tmp_path / "disk" / "big")
    run = RunDir(tmp_path / "runs" / "big")
    assert ensure_probe(source.at(run))
    assert os.readlink(run.probe).startswith("../.shared/probe-")
    assert load_probe(run.probe)
    monkeypatch.chdir(tmp_path / "disk" / "big")
    for name in (".", "../big", str(tmp_path / "disk" / "big")):
        assert not ensure_probe(source.at(RunDir(type(tmp_path)(name))))
    assert not list((tmp_path / "disk" / "big").glob(".shared"))


def test_a_stop_keeps_the_training_and_says_so(source, tmp_path):
    run, said = RunDir(tmp_path / "run"), []
    with pytest.raises(Preempted, match="stopped after 1 of 4 steps of the probe"):
        ensure_probe(source.at(run), said.append, deadline=time.monotonic())
    assert said == ["probe: training it, 4 steps of 8 images"]
    source.drawn.clear()
    assert ensure_probe(source.at(run), said.append)
    assert source.drawn == [1, 2, 3]
    assert said[1:] == [
        "probe: training it, 4 steps of 8 images, going on with what is kept of it",
        "probe: certifying it",
    ]
    assert not list(run.shared.glob("*.state")) and not list(run.shared.glob(".*.state"))
    stopped = load_probe(run.probe)[0].state_dict()
    other = RunDir(tmp_path / "elsewhere" / "run")
    ensure_probe(source.at(other))
    whole = load_probe(other.probe)[0].state_dict()
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)


def test_a_signal_stops_it_between_two_steps(source, tmp_path):
    run = RunDir(tmp_path / "run")
    draw = source.probe_images(CONFIG).draw

    def interrupt(step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(step)

    parts = source.probe_images(CONFIG)
    source.probe_images = lambda config: ProbeImages(
        interrupt, parts.fitted, parts.limit, parts.certificate
    )
    with pytest.raises(Preempted, match="stopped after 3 of 4 steps"):
        ensure_probe(source.at(run))


def test_who_waits_for_another_says_so(source, tmp_path):
    run, said, held = RunDir(tmp_path / "run"), [], threading.Event()
    directory = probe_directory(source.at(run))

    def hold():
        with locked(directory.with_name(f".{directory.name}.lock")):
            held.set()
            deadline = time.monotonic() + 60
            while not said and time.monotonic() < deadline:
                time.sleep(0.01)
            said.append("the other is done")

    other = threading.Thread(target=hold)
    other.start()
    held.wait(timeout=60)
    assert ensure_probe(source.at(run), said.append)
    other.join(timeout=60)
    assert said[:3] == [
        "probe: another process is making it; waiting for it",
        "the other is done",
        "probe: training it, 4 steps of 8 images",
    ]


def test_lines_forecast_once_steps_are_measured_and_then_every_minute():
    said, now = [], [0.0]
    lines = Lines(1000, said.append, lambda: now[0])
    for step in range(1, 101):  # the first step takes 100 s, the others 2 s each
        now[0] += 100 if step == 1 else 2
        lines.tell(step)
    assert said[0] == "probe: step 11 of 1000, 2 s per step, about 1978 s to go"
    assert said[1] == "probe: step 41 of 1000, 2 s per step, about 1918 s to go"
    assert len(said) == 3  # at steps 11, 41 and 71
