"""The probe: what it learns, what its certificate says, when it is refused."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import binom

import classifiers.probe as probe_module
from classifiers.augmentation import augment
from classifiers.certificate import (
    ProbeRefused,
    certify,
    check_gate,
    compare_with_oracle,
    degradation_curves,
    load_probe,
    no_scenes,
    probe_name,
    save_probe,
)
from classifiers.oracle import Oracle
from classifiers.probe import Probe, calibrate, train_probe
from classifiers.probe_config import ProbeConfig, cycle_ends, folding
from ground.endings import Mistake, Preempted
from ground.files import read_json
from studies.worlds.shapes.images import labelled_batch

CONFIG = ProbeConfig(steps=60, batch_size=64, width=8, learning_rate=0.01)


@pytest.fixture(scope="module")
def trained(tiny_world) -> Probe:
    heads = dict(tiny_world.space.items())
    probe = train_probe(
        heads, CONFIG, lambda step: labelled_batch(tiny_world, 0, "train", step * 64, 64)
    )
    fitted, others = (labelled_batch(tiny_world, 0, part, 0, 512) for part in ("fit", "limit"))
    calibrate(probe, fitted, others, CONFIG)
    return probe


def test_a_stopped_training_goes_on_to_the_same_bits(tiny_world, tmp_path):
    heads, state = dict(tiny_world.space.items()), tmp_path / "state"
    config, steps = replace(CONFIG, steps=8, batch_size=8), []

    def train(**how) -> Probe:
        def draw(step):
            steps.append(step)
            return labelled_batch(tiny_world, 0, "train", step * 8, 8)

        return train_probe(heads, config, draw, **how)

    expected = train().state_dict()
    with pytest.raises(Preempted, match="stopped after 3 of 8 steps of the probe"):
        train(state=state, should_stop=lambda: steps[-1] == 2)
    steps.clear()
    went_on = train(state=state).state_dict()
    assert steps == [3, 4, 5, 6, 7]
    assert all(torch.equal(went_on[name], expected[name]) for name in expected)
    steps.clear()
    train(state=state)  # killed while it was certified
    assert steps == []


def test_cycles_of_twice_the_length_end_at_the_last_step():
    assert cycle_ends(600) == (40, 120, 280, 600)
    assert cycle_ends(4) == (1, 2, 4) and cycle_ends(2) == (1, 2)


def test_a_training_that_may_stop_early_does_so_at_the_end_of_a_cycle(tiny_world, tmp_path):
    """Stopped on request on the way, it goes on to the same bits and is asked the same."""
    heads, state = dict(tiny_world.space.items()), tmp_path / "state"
    config, steps, asked = replace(CONFIG, steps=15, batch_size=8), [], []

    def train(**how) -> Probe:
        def draw(step):
            steps.append(step)
            return labelled_batch(tiny_world, 0, "train", step * 8, 8)

        def is_enough(probe, step):
            asked.append((step, next(probe.parameters()).sum().item()))
            return step == 7

        return train_probe(heads, config, draw, is_enough=is_enough, **how)

    expected = train().state_dict()
    assert steps == [*range(7)] and [step for step, _ in asked] == [1, 3, 7]
    known = asked.copy()
    asked.clear()
    for last in (2, 4):  # at the end of a cycle, and within one
        with pytest.raises(Preempted):
            train(state=state, should_stop=lambda last=last: steps[-1] == last)
    went_on = train(state=state).state_dict()
    assert steps == [*range(7), *range(7)] and asked == [known[0], known[1], known[2]]
    assert all(torch.equal(went_on[name], expected[name]) for name in expected)


def test_large_images_are_folded_and_nothing_of_them_is_lost(tiny_world, certificate, tmp_path):
    assert [folding(size) for size in (16, 24, 27, 28, 32, 33, 56, 64)] == [1, 1, 1, 2, 2, 1, 4, 4]
    heads = dict(tiny_world.space.items())
    config = replace(CONFIG, steps=2)
    whole, folded = (
        train_probe(heads, config, lambda step: labelled_batch(tiny_world, 0, "a", 0, 8), fold=fold)
        for fold in (1, 2)
    )
    inputs = [probe.trunk[0].weight.shape[1] for probe in (whole, folded)]
    assert inputs == [3, 12]
    images = labelled_batch(tiny_world, 0, "test", 0, 9)[0]
    changed = images.clone()
    changed[:, :, 5, 6] += 60
    seen = [folded.read(those).probabilities["color"] for those in (images, changed)]
    assert not torch.equal(*seen)
    save_probe(tmp_path / "probe", folded, CONFIG.width, certificate, {"world": 1})
    again, stored = load_probe(tmp_path / "probe")
    assert stored["fold"] == 2 and torch.equal(again.read(images).probabilities["color"], seen[0])


def test_a_probe_of_an_older_version_is_read_as_it_was_trained(trained, tiny_world, tmp_path):
    save_probe(tmp_path / "probe", trained, CONFIG.width, {}, {})
    certificate = read_json(tmp_path / "probe" / "certificate.json")
    assert certificate.pop("fold") == 1
    images = labelled_batch(tiny_world, 0, "test", 0, 9)[0]
    older = load_probe(tmp_path / "probe", certificate)[0]
    assert torch.equal(
        older.read(images).probabilities["shape"], trained.read(images).probabilities["shape"]
    )


def test_a_kill_loses_few_steps_of_the_training(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setattr(probe_module, "STATE_EVERY", 2)
    heads, config = dict(tiny_world.space.items()), replace(CONFIG, steps=6, batch_size=8)
    state, steps = tmp_path / "state", []

    def draw(step):
        if len(steps) == 5:
            raise KeyboardInterrupt
        steps.append(step)
        return labelled_batch(tiny_world, 0, "train", step * 8, 8)

    with pytest.raises(KeyboardInterrupt):
        train_probe(heads, config, draw, state=state)
    steps.clear()
    train_probe(heads, config, draw, state=state)
    assert steps == [4, 5]


def test_a_damaged_state_is_named(tiny_world, tmp_path):
    state = tmp_path / "state"
    state.write_bytes(b"no state")
    with pytest.raises(Mistake, match=f"{state}: no state of this probe's training .*remove it"):
        train_probe(dict(tiny_world.space.items()), CONFIG, lambda step: None, state=state)


@pytest.fixture(scope="module")
def certificate(trained, tiny_world):
    return certify(trained, labelled_batch(tiny_world, 0, "test", 0, 400))


def test_a_probe_learns_colors_in_a_few_steps(certificate):
    assert certificate["concepts"]["color"]["accuracy"] > 0.99
    assert certificate["num_images"] == 400


def test_confusion_counts_every_image_and_agrees_with_accuracy(certificate):
    for concept in certificate["concepts"].values():
        confusion = torch.tensor(concept["confusion"])
        assert confusion.sum() == 400
        assert confusion.trace() / 400 == pytest.approx(concept["accuracy"])
        assert 0 <= concept["calibration_error"] <= 1


def test_beside_an_accuracy_stands_what_so_few_images_can_tell(trained, tiny_world, certificate):
    """All n right: p^n = 5 % at the bound; k of n: at most 5 % to find k or more, at the bound."""
    four = certify(trained, labelled_batch(tiny_world, 0, "test", 0, 4))["concepts"]["color"]
    assert four["accuracy"] == 1 and four["at_least"] == pytest.approx(0.05 ** (1 / 4))
    for concept in certificate["concepts"].values():
        right, bound = round(concept["accuracy"] * 400), concept["at_least"]
        assert binom.sf(right - 1, 400, bound) == pytest.approx(0.05)


def test_a_probe_below_its_gate_is_refused_by_concept(certificate):
    certificate["concepts"]["shape"]["accuracy"] = 0.981
    with pytest.raises(ProbeRefused, match=r"for shape is 0.9810, below probe.gate = 0.99"):
        check_gate(certificate, 0.99)
    check_gate(certificate, 0.5)


def test_probabilities_sum_to_one_and_survive_the_disk(trained, certificate, tmp_path, tiny_world):
    images, _ = labelled_batch(tiny_world, 1, "test", 0, 30)
    save_probe(tmp_path / "probe", trained, CONFIG.width, certificate, {"world": 1})
    again, stored = load_probe(tmp_path / "probe")
    for name, p in trained.read(images).probabilities.items():
        assert p.sum(1).tolist() == pytest.approx([1] * 30, abs=1e-5)
        assert torch.equal(p, again.read(images).probabilities[name])
    assert probe_name(stored) == probe_name({"identity": {"world": 1}})
    assert probe_name(stored) != probe_name({"identity": {"world": 2}})


def test_training_is_a_function_of_the_seed(trained, tiny_world):
    draw = lambda step: labelled_batch(tiny_world, 0, "train", step * 64, 64)  # noqa: E731
    heads, short = dict(tiny_world.space.items()), ProbeConfig(steps=3, width=8)
    a, b = (train_probe(heads, short, draw).state_dict() for _ in range(2))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_augmentation_stays_in_range_and_differs_between_steps():
    images = torch.full((20, 3, 16, 16), 0.5)
    first, second = (augment(images, CONFIG, step) for step in (0, 1))
    assert first.min() >= 0 and first.max() <= 1
    assert not torch.equal(first, second)
    spread = (first - 0.5).flatten(1).std(1)
    assert spread.max() < CONFIG.noise * 1.1 and spread.max() > CONFIG.noise * 0.7


def test_blur_keeps_the_mean_and_takes_the_edge():
    images = torch.zeros(1, 3, 16, 16)
    images[..., 8:] = 1
    blurred = augment(images.expand(200, -1, -1, -1), ProbeConfig(noise=0.0), 0)
    assert blurred.mean().item() == pytest.approx(0.5, abs=1e-5)
    column = blurred[:, 0, 8, 8]
    assert column.min() >= 0.75 - 1e-6 and column.min() < 0.77 and column.max() > 0.98


def test_what_is_no_scene_makes_it_unsure(trained, tiny_world, certificate):
    images, targets = labelled_batch(tiny_world, 1, "test", 0, 500)
    seen = trained.read(images)
    assert seen.unsure.float().mean() < 0.03
    assert (seen.indices()[seen.unsure] == -1).all()
    sure = seen.indices()[~seen.unsure]
    expected = torch.stack([p.argmax(1) for p in seen.probabilities.values()], 1)
    assert torch.equal(sure, expected[~seen.unsure])
    for kind, those in no_scenes(images).items():
        assert those.shape == images.shape and those.dtype == torch.uint8
        if kind != "two scenes":  # which 60 steps of training do not tell from one
            assert trained.read(those).unsure.all(), kind
    assert certificate["unsure"]["noise"] == certificate["unsure"]["blank"] == 1.0
    assert certificate["unsure"]["renders"] < 0.03


def test_the_stated_rate_is_that_of_renders_half_of_them_degraded(trained, tiny_world):
    images, _ = labelled_batch(tiny_world, 2, "test", 0, 4096)
    images = images.float() / 255
    degraded = augment(images[2048:], CONFIG, 10_000)
    with torch.no_grad():
        far = trained.familiarity.is_unfamiliar
        features = trained.features(torch.cat((images[:2048], degraded)))
        assert far(features).float().mean().item() == pytest.approx(0.01, abs=0.012)


def test_the_oracle_is_a_second_opinion(trained, tiny_world):
    images, targets = labelled_batch(tiny_world, 1, "test", 0, 64)
    oracle = Oracle(tiny_world.config)
    compared = compare_with_oracle(trained, oracle, images, limit=0.1)
    right = (trained.read(images).indices() == targets).double().mean(0)
    assert list(compared["agreement"]) == list(tiny_world.space.names)
    for share, accuracy in zip(compared["agreement"].values(), right.tolist(), strict=True):
        assert share == pytest.approx(accuracy, abs=0.05)  # the oracle is right on all of them
    curves = degradation_curves(tiny_world, trained, oracle, 0.1, seed=0, count=16)
    assert {row["kind"] for row in curves["oracle"]} == {"noise", "blur"}
    clean = [row for row in curves["oracle"] if row["level"] == 0]
    assert all(row["accuracy"] == 1 for row in clean)
    strongest = [r for r in curves["probe"] if r["kind"] == "noise" and r["level"] == 0.2]
    assert all(row["accuracy"] + row["unsure"] <= 1 for row in strongest)


def test_a_probe_begins_with_the_weights_of_its_seed(tiny_world):
    """Also of seeds whose low 32 bits are the same: torch's generator keeps no more."""
    heads, weights = dict(tiny_world.space.items()), {}
    for seed in (0, 1, 1 << 32, 2 << 32):
        config = replace(CONFIG, steps=2, learning_rate=0.0, seed=seed)
        probe = train_probe(heads, config, lambda step: labelled_batch(tiny_world, 0, "a", 0, 8))
        weights[seed] = next(probe.parameters()).detach().flatten()[:3].tolist()
    assert len({tuple(first) for first in weights.values()}) == 4
