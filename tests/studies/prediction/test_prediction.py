"""Predictions before training: against gradient descent on a small world, and in known cases."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from data_gen.captions import CaptionConfig
from data_gen.concepts import Concept
from data_gen.photos.images import photo_set
from data_gen.vectors import class_vector, vector
from data_gen.world import WorldConfig
from diffusion.model_config import ModelConfig
from ground.endings import Mistake
from studies.prediction import moments as moments_module
from studies.prediction.moments import WorldMoments, world_moments
from studies.prediction.prediction import THEORIES, ConceptPrediction, first, predict, ranks
from studies.prediction.printed import prediction_data, prediction_lines
from studies.worlds.photos.kind import Photos
from studies.worlds.registry import world_of
from theory.linear_denoiser import LinearDenoiser

CONCEPTS = {
    "color": Concept(("red", "blue"), signal=0.4),
    "size": Concept(("big", "small"), signal=0.4),
}
WORLD = WorldConfig(concepts=CONCEPTS, held_out=("blue small",), image_size_px=8, num_images=300)
VECTOR = ModelConfig("tiny", conditioning="vector")


def moments_of(world: WorldConfig, model: ModelConfig = VECTOR, **captions) -> WorldMoments:
    kind = world_of(world, CaptionConfig(**captions))
    return world_moments(kind, kind.images(kind.with_files()), model)


def found(concept: str, time: float, **more: float) -> ConceptPrediction:
    numbers = dict(limit=1.0, a_k=1.0, variance=1.0, between_classes=1.0, within_classes=1.0)
    return ConceptPrediction(concept, 0.5, time, **{**numbers, **more})


@pytest.mark.parametrize("alpha_bar", [0.2, 0.8])
def test_obedience_is_that_of_gradient_descent_on_the_images(alpha_bar):
    """From the images themselves: x_t enters the loss by its moments alone, x_0 and ε apart."""
    kind = world_of(WORLD, CaptionConfig())
    data, _ = kind.images(kind.with_files()).checked_set
    x_0 = data.images.flatten(1).double() / 127.5 - 1
    told = torch.cat((vector(kind.terms, data), torch.ones(len(data), 1)), 1).double()
    seen, pixels = torch.cat((alpha_bar**0.5 * x_0, told), 1), x_0.shape[1]
    W, lr = torch.zeros(pixels, seen.shape[1]).double(), 1e-4
    world = moments_of(WORLD)
    steps, asked = (40, 400, 2000), world.asked["size"]
    denoiser = LinearDenoiser(world.moments, alpha_bar)
    curve = denoiser.obedience(asked.displacement, asked.change)
    for step in range(1, max(steps) + 1):
        slope = 2 * (W @ seen.mT - x_0.mT) @ seen / len(x_0)
        slope[:, :pixels] += 2 * (1 - alpha_bar) * W[:, :pixels]
        W -= lr * slope
        if step in steps:
            answer = W[:, pixels:-1] @ asked.change[0]
            obeyed = answer @ asked.displacement[0] / asked.displacement[0].square().sum()
            exact = curve.at(torch.tensor([2 * lr * step]).double())
            assert exact.item() == pytest.approx(obeyed.item(), rel=0.01)


def test_what_is_asked_is_what_the_renderer_and_the_prompts_say():
    kind = world_of(WORLD, CaptionConfig())
    images, world = kind.images(kind.with_files()), moments_of(WORLD)
    assert world.combinations == ["blue small"] and [*world.asked] == ["color", "size"]
    red, blue = (images.mean_image((color, "small")).flatten() for color in ("red", "blue"))
    assert torch.equal(world.asked["color"].displacement[0], blue - red)
    told = class_vector(kind.terms).double()  # red big, red small, blue big, blue small
    assert torch.equal(world.asked["color"].change[0], told[3] - told[1])
    data, _ = images.checked_set
    share = (data.combination == 2).double().mean().item()  # of blue, which is shown big alone
    assert world.asked["color"].shown.item() == pytest.approx(share)
    assert world.class_shares.sum().item() == pytest.approx(1)


def test_standardized_numbers_move_the_condition_and_no_image():
    raw, other = moments_of(WORLD), moments_of(WORLD, replace(VECTOR, numbers="standardized"))
    for name in CONCEPTS:
        assert torch.equal(raw.asked[name].displacement, other.asked[name].displacement)
    changed = other.asked["size"].change[0].abs()
    assert changed.max().item() == pytest.approx(2, rel=1e-5)
    assert raw.asked["size"].change[0].abs().max().item() == pytest.approx(0.4, rel=1e-5)
    first_of = [predict(world, (0.5,)) for world in (raw, other)]
    assert [one.limit for one in first_of[0]] == pytest.approx([one.limit for one in first_of[1]])
    assert all(b.time < a.time for a, b in zip(*first_of, strict=True))


def test_captions_are_told_as_the_values_that_they_name():
    """With the color never said, nothing can be obeyed."""
    captions = ModelConfig("tiny", conditioning="captions")
    assert len(moments_of(WORLD, captions).moments.second) == 3 * 64 + 4 + 1
    silent = moments_of(WORLD, captions, drop_word={"color": 1.0})
    color, size = predict(silent, (0.5,))
    assert color.limit == pytest.approx(0, abs=1e-9) and np.isnan(color.time)
    assert size.time > 0 and size.limit > 0.1
    assert ranks("the linear denoiser", [color, size]).tolist() == [2, 1]
    assert "never" in "\n".join(prediction_lines(silent, [color, size]))


def test_a_world_of_one_concept_has_one_row():
    world = moments_of(replace(WORLD, concepts={"color": CONCEPTS["color"]}, held_out=()))
    assert world.combinations == ["red", "blue"]
    (color,) = predict(world, (0.3,))
    assert all(first(theory, [color]) == "color" for theory in THEORIES)
    assert color.limit == pytest.approx(1, abs=0.05)
    assert color.variance == pytest.approx(color.between_classes + color.within_classes)


def test_concepts_of_one_value_are_left_out_and_others_kept():
    shape = {"shape": Concept(("circle",)), **CONCEPTS}
    world = moments_of(replace(WORLD, concepts=shape, held_out=("circle blue small",)))
    assert [*world.asked] == ["color", "size"]


def test_equal_concepts_share_the_first_place():
    level = [found("a", 2.0), found("b", 1.0), found("c", 1.0 + 1e-9), found("d", float("nan"))]
    assert ranks("the linear denoiser", level).tolist() == [3, 1, 1, 4]
    assert first("the linear denoiser", level) == "b and c"
    assert first("a_k", level) == "a and b and c and d"


def test_the_table_names_what_each_theory_expects_first():
    level = [found("color", 2.0, a_k=9.0), found("size", 1.0, a_k=3.0, variance=2.0)]
    lines = prediction_lines(moments_of(WORLD), level)
    assert "told the vector, raw, 11 numbers" in lines[0] and "192 pixels" in lines[0]
    assert lines[-3].split()[:4] == ["color", "2", "2", "1.00"]
    expected = (
        "learned first: size by the linear denoiser, variance; color by a_k; color and size by "
        "variance between classes, variance within classes"
    )
    assert lines[-1] == expected


def test_data_have_no_number_that_json_lacks():
    data = prediction_data(moments_of(WORLD), [found("color", float("nan"))], None)
    assert data["predictions"][0]["time"] is None
    assert data["predictions"][0]["concept"] == "color" and "learned" not in data


def test_photographs_are_predicted_from_all_their_images(photos):
    kind = Photos(photos, CaptionConfig())
    images = kind.images(kind.with_files())
    mean = images.mean_image(("square", "blue", "small"))
    held_out = photo_set(images.world, "held_out")
    rows = [images.world.names.index(name) for name in held_out.names]
    expected = images.batch(torch.tensor(rows))[0].double().mean(0) / 127.5 - 1
    torch.testing.assert_close(mean, expected)
    world = world_moments(kind, images, ModelConfig())
    shape, color, size = predict(world, (0.5,))
    assert [shape.concept, color.concept, size.concept] == ["shape", "color", "size"]
    assert color.time > 0


def refusal(settings, model: ModelConfig) -> str:
    with pytest.raises(Mistake) as caught:
        moments_of(settings, model)
    return str(caught.value)


def test_what_cannot_be_predicted_is_refused(root, monkeypatch):
    from studies.experiment.world_file import read_world_file

    bumps = read_world_file(root / "configs" / "worlds" / "bumps_bands.yaml").world
    assert refusal(bumps, ModelConfig()).startswith("--predict: allowed worlds of shapes and")
    coordinates = replace(VECTOR, conditioning="coordinates")
    message = refusal(WORLD, coordinates)
    assert message.startswith("model.conditioning: got 'coordinates', allowed with --predict vec")
    alone = {"color": Concept(("red",), signal=0.4)}
    message = refusal(replace(WORLD, concepts=alone, held_out=()), VECTOR)
    assert message == "--predict: world.concepts has no concept with two values or more"
    message = refusal(replace(WORLD, image_size_px=64), VECTOR)
    assert message.startswith("world.image_size_px: got 64, allowed with --predict up to 36")
    monkeypatch.setattr(moments_module, "MOST_NUMBERS", 100)
    assert "got 8, allowed with --predict up to 5" in refusal(WORLD, VECTOR)


def test_vectors_are_refused_for_photographs(photos):
    kind = Photos(photos, CaptionConfig())
    with pytest.raises(Mistake, match="model.conditioning: got 'vector', allowed with --predict"):
        world_moments(kind, kind.images(kind.with_files()), VECTOR)


def test_values_that_look_the_same_are_never_learned():
    """Signal and jitter 0: no displacement, so no axis; the table says so."""
    still = {"color": Concept(("red", "blue"), signal=0.0, jitter=0.0), "size": CONCEPTS["size"]}
    world = moments_of(replace(WORLD, concepts=still, held_out=()))
    level: Sequence[ConceptPrediction] = predict(world, (0.5,))
    assert np.isnan(level[0].time) and np.isnan(level[0].a_k)
    assert first("a_k", level) == first("the linear denoiser", level) == "size"
