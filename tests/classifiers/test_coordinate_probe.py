"""A probe of coordinates: what it reads, what its certificate says, what the oracle says of it."""

from dataclasses import replace

import pytest
import torch

from classifiers.bump_certificate import (
    bump_degradation_curves,
    compare_with_bump_oracle,
    verdicts,
)
from classifiers.bump_oracle import BumpOracle
from classifiers.certificate import (
    ProbeRefused,
    certify,
    check_gate,
    coordinate_certificate,
    load_probe,
    save_probe,
)
from classifiers.heads import Coordinate
from classifiers.probe import Probe, calibrate, train_probe
from classifiers.probe_config import ProbeConfig
from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.captions import CaptionConfig
from data_gen.dataset import labelled_set
from studies.worlds.bumps.kind import Bumps
from studies.worlds.bumps.probing import bump_batch, bump_heads

TORUS = BumpsConfig(image_size_px=8, periodic=True, held_out=HeldOut("none"))
STRIPES = BumpsConfig(image_size_px=8, image="stripes", examples="both", held_out=HeldOut("none"))
CONFIG = ProbeConfig(steps=100, batch_size=64, width=8, learning_rate=0.01)


@pytest.fixture(scope="module", params=[TORUS, STRIPES], ids=["torus", "stripes"])
def world(request) -> BumpsConfig:
    return request.param


@pytest.fixture(scope="module")
def trained(world) -> Probe:
    probe = train_probe(
        bump_heads(world), CONFIG, lambda step: bump_batch(world, 0, "train", step * 64, 64)
    )
    fitted, others = (bump_batch(world, 0, part, 0, 512) for part in ("fit", "limit"))
    calibrate(probe, fitted, others, CONFIG)
    return probe


@pytest.fixture(scope="module")
def certificate(trained, world):
    return certify(trained, bump_batch(world, 0, "test", 0, 400))


def looks(config: BumpsConfig):
    return Bumps(config, CaptionConfig()).looks


def test_a_hundred_steps_read_a_centre_to_sub_pixel(certificate, trained):
    for concept in certificate["concepts"].values():
        error = concept["error_px"]
        assert error["median"] < 0.4 and error["median"] <= error["90 %"] <= error["worst"]
        assert concept["accuracy"] > 0.95 and concept["calibration_error"] < 0.25
    assert certificate["unsure"]["renders"] < 0.05 and certificate["unsure"]["noise"] > 0.9


def test_stripes_alone_have_one_coordinate_and_blanks_none(world, trained):
    images, true = bump_batch(world, 1, "test", 0, 200)
    read = torch.stack([*trained.read(images).coordinates.values()], 1)
    assert (read.isnan() == true.isnan()).double().mean() > 0.97
    nulls = true.isnan().sum(1)
    assert nulls.bincount().tolist() == ([200] if world is TORUS else [50, 100, 50])
    assert (images[nulls == 2] == 0).all() and images[nulls == 0].flatten(1).amax(1).min() > 100


def test_a_probe_below_its_gate_is_refused_by_coordinate(certificate):
    check_gate(certificate, 0.5)
    concepts = {**certificate["concepts"], "y": {**certificate["concepts"]["y"], "accuracy": 0.4}}
    with pytest.raises(ProbeRefused, match=r"accuracy for y is 0.4000, below probe.gate = 0.5"):
        check_gate({**certificate, "concepts": concepts}, 0.5)


def test_a_certificate_counts_errors_by_hand():
    head, nan = Coordinate(16, periodic=True, nullable=True), torch.nan
    p = head.shares(torch.tensor([0.0, 4.0, 15.0, nan, 8.0]))
    found = coordinate_certificate(head, p, torch.tensor([0.5, 6.0, 1.0, nan, nan]).double())
    assert found["accuracy"] == pytest.approx(2 / 5)
    assert found["calibration_error"] == pytest.approx(3 / 5)  # it is sure of all
    assert found["error_px"]["median"] == pytest.approx(2.0, abs=1e-6)
    assert found["error_px"]["worst"] == pytest.approx(2.0, abs=1e-6)


def test_a_probe_survives_the_disk(trained, certificate, tmp_path, world):
    save_probe(tmp_path / "probe", trained, CONFIG.width, certificate, {"world": 1})
    again, _ = load_probe(tmp_path / "probe")
    assert again.concepts == trained.concepts == bump_heads(world)
    images, _ = bump_batch(world, 1, "test", 0, 30)
    ours, theirs = trained.read(images), again.read(images)
    for name, px in ours.coordinates.items():
        assert torch.equal(px.nan_to_num(-1), theirs.coordinates[name].nan_to_num(-1))
    assert torch.equal(ours.unsure, theirs.unsure)


def test_the_oracle_is_a_second_opinion(trained, world):
    images, centres = bump_batch(world, 1, "test", 0, 100)
    oracle = BumpOracle(world)
    compared = compare_with_bump_oracle(trained, oracle, images, limit=0.1)
    right, unsure = verdicts(trained, centres, _read(trained, images))
    sure = ~unsure[:, 0]
    for i, name in enumerate("xy"):  # the oracle is right on all of them
        assert compared["agreement"][name] == pytest.approx(right[sure, i].double().mean().item())
        assert 0 < compared["apart_px"][name] < 0.5
    assert compared["both_sure"] == pytest.approx(sure.double().mean().item())
    images = images.permute(0, 2, 3, 1).contiguous()
    curves = bump_degradation_curves(trained, oracle, 0.1, images, centres, seed=0)
    assert {(row["kind"], row["concept"]) for row in curves["oracle"]} == {
        (kind, name) for kind in ("noise", "blur") for name in "xy"
    }
    assert all(row["accuracy"] == 1 for row in curves["oracle"] if row["level"] == 0)
    worst = [r for r in curves["oracle"] if r["kind"] == "noise" and r["level"] == 0.2]
    assert all(row["accuracy"] == 0 and row["unsure"] == 1 for row in worst)


def _read(probe: Probe, images: torch.Tensor):
    seen = probe.read(images)
    return torch.stack([*seen.coordinates.values()], 1), seen.unsure


def test_unsure_is_wrong_whatever_is_read(trained):
    true = torch.full((2, 2), 3.0)
    right, unsure = verdicts(trained, true, (true.double(), torch.tensor([False, True])))
    assert right.tolist() == [[True, True], [False, False]]
    assert unsure.tolist() == [[False, False], [True, True]]


def test_worlds_that_look_alike_share_a_probe():
    kept = replace(TORUS, seed=5, dx=0.5, kept=0.25, held_out=HeldOut("bands", 3.0, 5.0))
    assert looks(kept) == looks(TORUS)
    for change in (
        {"sigma_x": 2.0},
        {"polarity": "dark"},
        {"periodic": False},
        {"image": "stripes"},
    ):
        assert looks(replace(TORUS, **change)) != looks(TORUS)
    assert looks(replace(STRIPES, examples="1d")) == looks(STRIPES)
    assert looks(replace(STRIPES, examples="2d")) != looks(STRIPES)


def test_words_and_coordinates_are_read_by_one_probe(tiny_world):
    """A world of shapes, its colors as words and where they are as a coordinate."""

    def batch(seed: int, count: int):
        data = labelled_set(tiny_world, seed, "test", 0, count)
        colors = torch.tensor([tiny_world.space.value_indices(c)[1] for c in combinations])
        x = (data.numbers["x"][:, 0] + 1) * 8  # from [-1, 1] to px
        return data.images, torch.stack((colors[data.combination].float(), x), 1)

    combinations = tiny_world.space.combinations
    concepts = {"color": tiny_world.space.values[1], "x": Coordinate(16)}
    probe = train_probe(concepts, replace(CONFIG, steps=50), lambda step: batch(step, 64))
    calibrate(probe, batch(1000, 256), batch(1001, 256), CONFIG)
    images, targets = batch(1002, 200)
    seen = probe.read(images)
    assert (seen.probabilities["color"].argmax(1) == targets[:, 0]).double().mean() > 0.95
    near = Coordinate(16).is_right(seen.coordinates["x"], targets[:, 1].double())
    assert near.double().mean() > 0.8
    assert probe.kinds == (2, 1)
