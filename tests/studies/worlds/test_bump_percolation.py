"""What is said of percolation before training: of worlds of bumps, and of images of any world."""

from dataclasses import replace

import pytest
import torch

from analysis.measures.overlap import bump_reach
from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.world import BumpWorld
from ground.endings import Mistake
from studies.drawing.overlap import overlap_lines
from studies.worlds.bumps import percolation
from studies.worlds.bumps.images import BumpImages
from studies.worlds.bumps.percolation import percolation_lines, spanning_quantiles
from tests.harness.commands import call

WHOLE = BumpsConfig(image_size_px=16, held_out=HeldOut("none"))


def test_a_line_for_the_tiling_and_one_for_the_world():
    first, second, *_ = BumpImages(replace(WHOLE, kept=0.5)).describe()[-4:]
    low, half, high = spanning_quantiles(BumpWorld(WHOLE), bump_reach(0.005))
    assert 0 < low < half < high < 0.5
    assert first == (
        "percolation at overlap 0.005: bumps less than 4.60 sigma apart are linked; half of all "
        f"choices span from left to right from kept {half:.2f} on "
        f"(10 to 90 %: {low:.2f} to {high:.2f})"
    )
    assert second == (
        "  this world keeps 0.5, 128 of 256 centres; the largest linked group holds 128 of them"
    )


def test_nearest_neighbors_on_a_plane_of_32_span_where_the_lattice_does():
    """Only bumps a pixel apart are linked at this overlap: four neighbors, threshold .593."""
    world = BumpWorld(BumpsConfig(held_out=HeldOut("none"), sigma_x=0.5, sigma_y=0.5))
    low, half, high = spanning_quantiles(world, bump_reach(0.3))
    assert low == pytest.approx(0.546, abs=0.02) and high == pytest.approx(0.636, abs=0.02)
    assert half == pytest.approx(0.593, abs=0.015)


def test_a_held_out_band_parts_the_training_bumps():
    """13 to 19 is seven columns and seven rows of 32: the quarters lie 8 px apart."""
    lines = percolation_lines(BumpWorld(BumpsConfig()))
    assert lines[1].endswith(
        "keeps 1, 625 of 1024 centres; the largest linked group holds 169 of them"
    )
    wide = percolation_lines(BumpWorld(BumpsConfig(sigma_x=2.0, sigma_y=2.0)))
    assert wide[1].endswith("the largest linked group holds 625 of them")


def test_the_torus_is_spanned_around():
    lines = percolation_lines(BumpWorld(replace(WHOLE, periodic=True)))
    assert "half of all choices span around the torus from kept" in lines[0]


def test_bumps_too_far_apart_never_span():
    lines = percolation_lines(BumpWorld(replace(WHOLE, dx=4.0, sigma_x=0.5)))
    assert lines[0].endswith("linked; not even the whole tiling spans from left to right")


def test_too_many_links_are_not_listed(monkeypatch):
    monkeypatch.setattr(percolation, "MOST_LINKS", 1000)
    assert percolation_lines(BumpWorld(WHOLE))[1] == "  this world keeps 1, 256 of 256 centres"


def test_where_the_closed_form_fails_nothing_is_predicted():
    narrow = percolation_lines(BumpWorld(replace(WHOLE, sigma_y=0.4)))
    assert narrow == ["percolation: not predicted of sigma below 0.5 px, narrower than pixels"]
    assert percolation_lines(BumpWorld(replace(WHOLE, image="stripes"))) == []
    assert percolation_lines(BumpWorld(replace(WHOLE, examples="1d"))) == []


def test_dark_bumps_are_linked_as_bright_ones():
    bright, dark = (BumpImages(replace(WHOLE, polarity=p)) for p in ("bright", "dark"))
    assert torch.equal(bright.overlap_features(), dark.overlap_features())
    assert bright.describe()[-4:] == dark.describe()[-4:]


def test_pixels_link_about_the_share_that_the_closed_form_does():
    world = BumpImages(replace(WHOLE, kept=0.3))
    _, head, row = overlap_lines(world.overlap_features(), (0.05,))
    shares = dict(zip(head.split()[2:-1], map(float, row.split()[1:]), strict=True))
    assert shares["0.05"] < shares["0.9"] and shares["1"] == 1.0


def test_the_command_prints_how_linked_any_images_are():
    small = ["--world.num-images", "60", "--world.image-size-px", "8"]
    config = ["--config", "configs/swingby_2x2.yaml", *small]
    status, out, err = call("render", *config, "--overlap", "0.3", "0.9")
    assert status == 0, err
    head, _, loose, tight = out.splitlines()
    assert head.startswith("largest linked group of ") and loose.split()[0] == "0.3"
    assert float(loose.split()[-1]) > float(tight.split()[-1]) > 0
    status, _, err = call("render", *config, "--overlap", "1")
    assert status == 2 and err == "error: --overlap: got 1, allowed numbers above 0, below 1\n"


def test_what_has_no_overlap_graph_is_refused():
    with pytest.raises(Mistake, match="--overlap: any two crossed stripes overlap"):
        BumpImages(replace(WHOLE, image="stripes")).overlap_features()
    for count in (1, 20_001):
        with pytest.raises(Mistake, match=f"--overlap: got {count} training images, allowed 2 to"):
            overlap_lines(torch.ones(count, 1), (0.5,))
