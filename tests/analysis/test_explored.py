"""Data of the explorable part of a report: numbers as the tables have them, sprites in their
places, and what does not fit is said."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.report.explored import Explored, View, explored, pack
from analysis.report.sprites import MOST_COMBINATIONS, MOST_IMAGES, MOST_PIXELS, thin
from analysis.tables.readouts import readout_curves
from analysis.tables.trajectory import accuracy_curves

NAMES = ["c0", "c1", "c2"]
STEPS, IMAGES = 4, 5


def unpack(packed: dict) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(packed["data"]), "<i2").astype(float)
    return np.where(numbers == -32768, np.nan, numbers * packed["unit"])


@pytest.fixture
def probe(make_scores) -> pd.DataFrame:
    right = np.random.default_rng(0).random((STEPS, len(NAMES), IMAGES, 3)) < 0.6
    scores = make_scores(right, splits=("train", "train", "held_out"))
    unsure = (scores["combination"] == "c1") & (scores["sample"] == 1) & (scores["step"] == 0)
    return scores.assign(
        predicted=scores["predicted"].mask(unsure),
        probabilities=[[0.9, 0.1]] * len(scores),
        target_value=np.nan,
        predicted_value=np.nan,
    )


def images(step: int, side: int = 4) -> np.ndarray:
    """Images that say which they are: step, combination and sample."""
    made = np.zeros((len(NAMES), IMAGES, side, side, 3), np.uint8)
    made[..., 0] = 20 * step
    made[..., 1] = 20 * np.arange(len(NAMES)).reshape(-1, 1, 1, 1)
    made[..., 2] = 20 * np.arange(IMAGES).reshape(1, -1, 1, 1)
    return made


def read(found: Explored) -> dict:
    return json.loads(found.json)


def readouts(data: dict) -> dict:
    return {one["name"]: one for one in data["views"][0]["readouts"]}


def test_numbers_are_those_of_the_tables(probe):
    data = read(explored([View("raw", probe, images)], NAMES))
    assert data["concepts"] == ["shape", "color", "size"] and data["steps"] == [0, 1, 2, 3]
    shape = (2 + len(NAMES), 4, STEPS)
    found = {
        name: {part: unpack(one[part]).reshape(shape) for part in ("value", "low", "high")}
        for name, one in readouts(data).items()
    }
    curves = accuracy_curves(probe)
    rows, measures = ["train", "held_out"], [*data["concepts"], "joint"]
    for row in curves.to_dict("records"):
        at = rows.index(row["split"]), measures.index(row["measure"]), row["step"]
        for part, column in (("value", "accuracy"), ("low", "low"), ("high", "high")):
            assert found["accuracy"][part][at] == pytest.approx(row[column], abs=2e-5)
    own = readout_curves(probe, by="combination")
    for row in own[own["readout"] == "softmax"].to_dict("records"):
        at = 2 + NAMES.index(row["combination"]), measures.index(row["concept"]), row["step"]
        assert found["softmax"]["value"][at] == pytest.approx(row["value"], abs=2e-5)
    assert np.isnan(found["softmax"]["value"][:, 3]).all()  # it has no joint


def test_every_image_has_its_reading(probe):
    data = read(explored([View("raw", probe, images)], NAMES))
    (reading,) = data["views"][0]["readings"]
    shape = (STEPS, len(NAMES), IMAGES, 3)
    seen, p = (unpack(reading[name]).reshape(shape) for name in ("read", "p"))
    assert np.isnan(seen[0, 1, 1]).all() and np.isnan(seen).sum() == 3
    for row in probe.dropna(subset=["predicted"]).to_dict("records"):
        at = row["step"], NAMES.index(row["combination"]), row["sample"]
        concept = data["concepts"].index(row["concept"])
        assert data["words"][int(seen[at][concept])] == row["predicted"]
        assert p[at][concept] == pytest.approx(row["p_target"], abs=2e-5)
    assert {*unpack(data["asked"])} == {data["words"].index("asked")}
    assert reading["number"] is None and data["views"][0]["copies"] is None


def test_sprites_are_the_images_in_their_places(probe):
    found = explored([View("raw", probe, images)], NAMES)
    sheet = np.asarray(Image.open(io.BytesIO(found.sheets[0])))
    tiles = sheet.reshape(STEPS, 4, len(NAMES), IMAGES, 4, 3).transpose(0, 2, 3, 1, 4, 5)
    assert np.abs(tiles.astype(int) - np.stack([*map(images, range(STEPS))])).max() <= 4


def test_the_denoiser_is_read_where_it_was_measured(probe, denoiser_rows):
    planted = np.linspace(-0.2, 1, STEPS * 3).reshape(STEPS, 3)
    pairs = (("c0", "train"), ("c2", "held_out"))
    rows = denoiser_rows(planted, combinations=pairs, scenes=4)
    found = readouts(read(explored([View("raw", probe, images, denoiser=rows)], NAMES)))
    values = unpack(found["obedience 0.1"]["value"]).reshape(2 + len(NAMES), 4, STEPS)
    for row in (0, 1, 2, 4):  # both splits, and the combinations that were measured
        for k, concept in enumerate(("color", "size", "shape")):
            m = ("shape", "color", "size").index(concept)
            np.testing.assert_allclose(values[row, m], planted[:, k], atol=1e-4)
    assert np.isnan(values[3]).all() and found["obedience 0.1"]["unsure"] is None
    without = readouts(read(explored([View("raw", probe, images)], NAMES)))
    assert {*found} - {*without} == {"obedience 0.1"}


def test_texts_cannot_end_the_script_that_holds_them(probe):
    nasty = "</script><script>alert(1)</script>"
    text = explored([View(nasty, probe.assign(prompt=nasty), images)], NAMES).json
    assert "<" not in text
    assert json.loads(text)["prompts"] == [[nasty]] * 3
    assert json.loads(text)["views"][0]["name"] == nasty


def test_prompts_that_differ_between_images_are_all_there(probe):
    told = probe.assign(prompt=probe["prompt"] + probe["sample"].astype(str))
    data = read(explored([View("raw", told, images)], NAMES))
    assert data["prompts"][2] == [f"a c2{k}" for k in range(IMAGES)]


def test_numbers_are_packed_exactly_or_to_a_part_in_thirty_thousand():
    whole = np.array([0.0, 3, np.nan, 700])
    np.testing.assert_array_equal(unpack(pack(whole)), whole)
    parts = np.array([-0.25, np.nan, 1.37])
    np.testing.assert_allclose(unpack(pack(parts)), parts, atol=1.37 / 32767)
    assert pack(np.array([np.nan])) is None


def test_a_small_run_is_shown_whole():
    found = thin(NAMES, dict.fromkeys(NAMES, "train"), [0, 1, 2], 5, 16, 1)
    assert (found.combinations, found.steps, found.images) == (NAMES, [0, 1, 2], 5)
    assert found.factor == 1 and found.notes == []


@pytest.mark.parametrize("steps, count, views, side", [(25, 24, 2, 16), (500, 24, 1, 64)])
def test_sprites_never_take_more_room_than_there_is(steps, count, views, side):
    names = [f"c{i}" for i in range(count)]
    found = thin(names, dict.fromkeys(names, "train"), [*range(steps)], 64, side, views)
    sprite = (side // found.factor) ** 2
    assert views * count * len(found.steps) * found.images * sprite <= MOST_PIXELS
    assert found.images <= MOST_IMAGES and found.steps[0] == 0 and found.steps[-1] == steps - 1
    assert any(f"{found.images} of 64 images" in note for note in found.notes)
    assert (len(found.steps) < steps) == any("snapshots are shown" in note for note in found.notes)


def test_of_many_combinations_those_held_out_come_first():
    names = [f"c{i}" for i in range(100)]
    splits = {name: "held_out" if i >= 90 else "train" for i, name in enumerate(names)}
    found = thin(names, splits, [0, 1], 1, 16, 1)
    assert len(found.combinations) == MOST_COMBINATIONS
    assert {*names[90:]} < {*found.combinations} and found.combinations[0] == "c0"
    assert "48 of 100 combinations" in found.notes[0]


def test_larger_images_are_means_of_squares(probe):
    checks = np.indices((64, 64)).sum(0) % 2 * 200

    def boards(step: int) -> np.ndarray:
        made = np.broadcast_to(checks[..., None], (len(NAMES), IMAGES, 64, 64, 3))
        return made.astype(np.uint8)

    found = explored([View("raw", probe, boards)], NAMES)
    sheet = np.asarray(Image.open(io.BytesIO(found.sheets[0])))
    assert read(found)["px"] == 32 and sheet.shape[0] == 32 * STEPS and {*sheet.flat} == {100}


def test_where_few_images_were_kept_these_are_shown_and_numbers_are_of_all(probe):
    few = View("raw", probe, lambda step: images(step)[:, :2])
    found, whole = (read(explored([one], NAMES)) for one in (few, View("raw", probe, images)))
    assert found["images"] == 2 and found["views"][0]["readouts"] == whole["views"][0]["readouts"]
    assert found["notes"][0].startswith(f"2 of {IMAGES} images of each combination are shown")
    assert whole["notes"] == []


def test_runs_share_the_room_of_their_page():
    alone, one_of_ten = (
        thin(NAMES, dict.fromkeys(NAMES, "train"), [*range(20)], 64, 32, views) for views in (1, 10)
    )
    assert alone.images > one_of_ten.images >= 1
