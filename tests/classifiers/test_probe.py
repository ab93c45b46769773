"""The probe: what it learns, what its certificate says, when it is refused."""

import pytest
import torch

from classifiers.certificate import (
    ProbeRefused,
    certify,
    check_gate,
    load_probe,
    probe_name,
    save_probe,
)
from classifiers.probe import Probe, augment, train_probe
from classifiers.probe_config import ProbeConfig
from studies.probing import labelled_batch

CONFIG = ProbeConfig(steps=60, batch_size=64, width=8, learning_rate=0.01)


@pytest.fixture(scope="module")
def trained(tiny_world) -> Probe:
    heads = dict(tiny_world.space.items())
    return train_probe(
        heads, CONFIG, lambda step: labelled_batch(tiny_world, 0, "train", step * 64, 64)
    )


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


def test_a_probe_below_its_gate_is_refused_by_concept(certificate):
    certificate["concepts"]["shape"]["accuracy"] = 0.981
    with pytest.raises(ProbeRefused, match=r"for shape is 0.9810, below probe.gate = 0.99"):
        check_gate(certificate, 0.99)
    check_gate(certificate, 0.5)


def test_probabilities_sum_to_one_and_survive_the_disk(trained, certificate, tmp_path, tiny_world):
    images, _ = labelled_batch(tiny_world, 1, "test", 0, 30)
    save_probe(tmp_path / "probe", trained, CONFIG.width, certificate, {"world": 1})
    again, stored = load_probe(tmp_path / "probe")
    for name, p in trained.probabilities(images).items():
        assert p.sum(1).tolist() == pytest.approx([1] * 30, abs=1e-5)
        assert torch.equal(p, again.probabilities(images)[name])
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
