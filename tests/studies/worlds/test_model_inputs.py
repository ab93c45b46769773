"""What a world tells a model: prompts and images' own conditions, against plain loops."""

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from data_gen.captions import CaptionConfig
from data_gen.concepts import Concept
from data_gen.dataset import training_set
from data_gen.scenes import class_tables
from data_gen.vectors import class_vector, coordinates, one_hot, vector
from data_gen.world import World, WorldConfig
from diffusion.model_config import ModelConfig, TextEncoderConfig, check_model
from diffusion.prompts import Prompts
from diffusion.text_encoders import SPARE_TOKENS
from ground import streams
from ground.endings import Mistake
from studies.worlds.model_inputs import NUMBERS, condition_rows, make_conditioning

CONCEPTS = {
    "color": Concept(("red", "blue", "teal"), signal=0.4, spans={"teal": (0.1, 0.5, 0.5)}),
    "size": Concept(("big", "small"), signal=0.4),
    "x": Concept(("left", "right"), signal=0.6, jitter=0.1),
}
WORDING = CaptionConfig(
    template="a {size} {color} circle on the {x}",
    more_templates=("on the {x} one {color} {size} circle",),
    synonyms={"red": ("crimson", "scarlet"), "big": ("huge",)},
    drop_word={"color": 0.3, "x": 0.3},
    wrong_word={"color": 0.2, "size": 0.2},
    drop_article=0.2,
)


def make_world(captions: CaptionConfig = WORDING, **more: Concept) -> World:
    config = WorldConfig(concepts=CONCEPTS | more, held_out=('"blue small"',), num_images=400)
    return World(config, captions)


def shaped() -> World:
    shape = Concept(("circle", "square", "star"))
    return make_world(CaptionConfig(synonyms={"star": ("asterisk",)}), shape=shape)


def conditioning(world: World, kind: str, **model):
    return make_conditioning(world, ModelConfig("tiny", conditioning=kind, **model))


def numbers(world: World, data, kind: str) -> torch.Tensor:
    if kind == "vector":
        return vector(world, data)
    return (
        coordinates(world, data)
        if kind == "coordinates"
        else one_hot(world.space, data.combination)
    )


def at_class_means(world: World, kind: str) -> torch.Tensor:
    if kind == "vector":
        return class_vector(world)
    if kind == "coordinates":
        tables = class_tables(world)
        return torch.cat([tables[name][0] for name in world.space.names], dim=1)
    return one_hot(world.space, torch.arange(len(world.space)))


PLACES = {  # of color, size and x in a row, written out by hand
    "vector": ([4, 5, 6], [7], [2]),
    "coordinates": ([0, 1, 2], [3], [4]),
    "one_hot": ([0, 1, 2], [3, 4], [5, 6]),
    "embeddings": ([0, 1, 2], [3, 4], [5, 6]),
}
UNSAID = {"coordinates": ([-1.0] * 3, [-1.0], [-3.0])}  # a span below the span


def unsaid(kind: str, place: int) -> torch.Tensor:
    zeros = [0.0] * len(PLACES[kind][place])
    return torch.tensor(UNSAID[kind][place] if kind in UNSAID else zeros)


@pytest.mark.parametrize("kind", NUMBERS)
def test_prompts_of_every_combination_are_its_class_means(kind):
    """Held-out ones too, in all templates and synonyms, with and without articles."""
    world = make_world()
    prompts, means = conditioning(world, kind).prompts, at_class_means(world, kind)
    assert isinstance(prompts, Prompts)
    for combination, expected in zip(world.space.combinations, means, strict=True):
        for template in (0, 1):
            for articles in (True, False):
                words = [world.captioner.words[value][-1] for value in combination]
                said = [world.captioner.write(w, template, articles) for w in (combination, words)]
                assert torch.equal(prompts.inputs(said), expected.expand(2, -1))


@pytest.mark.parametrize("kind", ["vector", "one_hot", "embeddings"])
def test_shapes_are_one_hot(kind):
    world = shaped()
    rows = conditioning(world, kind).prompts.inputs(["an asterisk", "a circle"])
    first = 0 if kind == "vector" else 7  # behind the other concepts, in their order
    assert rows[:, first : first + 3].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert rows.sum(dim=1).tolist() == [1, 1]


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_partial_prompt_leaves_the_others_at_their_default(kind):
    world = make_world()
    prompts = conditioning(world, kind).prompts
    blue, full, null = prompts.inputs(["a blue circle", "a small blue circle on the left", ""])
    color, size, x = PLACES[kind]
    assert torch.equal(blue[color], full[color])
    assert torch.equal(blue[size], unsaid(kind, 1)) and torch.equal(blue[x], unsaid(kind, 2))
    assert null.isnan().all() and not blue.isnan().any()


def by_loop(world: World, kind: str):
    """condition_rows, image by image, from the captions before they were shuffled."""
    straight = World(world.config, replace(world.captions, shuffled=False))
    data, means = training_set(straight), at_class_means(world, kind)
    own, rows = numbers(straight, data, kind), []
    for i in range(len(data)):
        named = world.captioner.parse(data.captions[int(data.caption[i])])
        shown = world.space.combinations[int(data.combination[i])]
        row = own[i].clone()
        for place, concept in enumerate(world.space.names):
            entries = PLACES[kind][place]
            if concept not in named:
                row[entries] = unsaid(kind, place)
            elif named[concept] != shown[place]:
                other = list(shown)
                other[place] = named[concept]
                row[entries] = means[world.space.index(tuple(other))][entries]
        rows.append(row)
    rows = torch.stack(rows)
    if world.captions.shuffled:
        rows = rows[streams.permutation(world.seed, "captions.shuffled", 0, len(data))]
    return own, rows


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_say_what_captions_say(kind, shuffled):
    world = make_world(replace(WORDING, shuffled=shuffled))
    inputs, row = condition_rows(world, training_set(world), conditioning(world, kind))
    own, expected = by_loop(world, kind)
    assert row.dtype == torch.int64 and torch.equal(inputs[row], expected)
    assert not torch.equal(own, expected)  # some words were left out, some were wrong


@pytest.mark.parametrize("kind", NUMBERS)
def test_true_and_full_captions_leave_the_numbers_as_they_are(kind):
    world = make_world(CaptionConfig())
    data = training_set(world)
    inputs, row = condition_rows(world, data, conditioning(world, kind))
    assert torch.equal(inputs[row], numbers(world, data, kind))


def test_text_is_the_captions():
    world = make_world(replace(WORDING, shuffled=True))
    data = training_set(world)
    text = conditioning(world, "captions")
    inputs, row = condition_rows(world, data, text)
    for i in (0, 7, 399):
        caption = data.captions[int(data.caption[i])]
        assert torch.equal(inputs[row[i]], text.prompts.inputs([caption])[0])


@pytest.mark.parametrize("kind", [*NUMBERS, "captions", "captions_contextual"])
def test_a_new_conditioner_reads_the_rows_and_the_null(kind):
    world = make_world()
    told = conditioning(world, kind)
    torch.manual_seed(0)
    conditioner = told.build(64)
    condition = conditioner(told.prompts.inputs(["a small circle", "a teal circle", "blue", ""]))
    assert condition.h.shape == (4, conditioner.width) and condition.h.isfinite().all()
    assert (condition.tokens is None) == (conditioner.token_width is None) == (kind in NUMBERS)
    assert len({tuple(row) for row in condition.h.tolist()}) == 4


def save_spelling_clip(path) -> None:
    """A small CLIP with random weights that reads letter by letter."""
    ids = {letter: i for i, letter in enumerate(("<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz"))}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    names = dict(bos_token="<s>", eos_token="</s>", pad_token="</s>")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(path)
    config = CLIPTextConfig(
        vocab_size=28, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(path)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_pretrained_encoder_reads_every_caption_of_the_world(frozen, tmp_path):
    save_spelling_clip(tmp_path)
    world, encoder = make_world(), TextEncoderConfig(str(tmp_path), frozen)
    told = make_conditioning(
        world, ModelConfig("tiny", conditioning="pretrained", text_encoder=encoder)
    )
    longest = sum(map(len, "on the right one scarlet small circle".split())) + 2
    inputs, row = condition_rows(world, training_set(world), told)
    assert inputs.shape[1] == longest + SPARE_TOKENS and len(row) == 400
    conditioner, other = told.build(64), told.build(64)
    condition = conditioner(inputs[:5])
    assert condition.h.shape == (5, 16) and condition.h.requires_grad == (not frozen)
    assert (conditioner.text_encoder is other.text_encoder) == frozen  # new weights to train


def layers_see(conditioner, rows: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    with conditioner.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0])):
        conditioner(rows)
    return seen[0]


@pytest.mark.parametrize("signal", [0.2, 0.7])
@pytest.mark.parametrize("distance", [0.2, 2.0])
def test_standardized_class_means_lie_as_far_apart_as_asked(signal, distance):
    world = make_world(color=Concept(("red", "blue"), signal=signal))
    raw = conditioning(world, "vector").build(8)
    told = conditioning(world, "vector", numbers="standardized", numbers_scale=distance / 2)
    rows = told.prompts.inputs(["a small red circle", "a small blue circle", "a big red circle"])
    assert torch.equal(layers_see(raw, rows), rows)
    red, blue, big = layers_see(told.build(8), rows)
    differ = (rows[0] != rows[1]).nonzero()[:, 0]
    assert len(differ) == 2  # the red and the blue channel
    assert ((red - blue).abs()[differ] - distance).abs().max() < 1e-5
    assert abs((red - big).norm() - distance) < 1e-5


def test_standardized_numbers_are_stored_with_the_conditioner(tmp_path):
    told = conditioning(make_world(), "vector", numbers="standardized").build(8)
    told.save_pretrained(tmp_path)
    rows = torch.rand(3, len(told.config.default))
    assert torch.equal(type(told).from_pretrained(tmp_path)(rows).h, told(rows).h)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (dict(conditioning="captions", numbers="standardized"), "model.numbers: standardized"),
        (dict(conditioning="vector", numbers_scale=2.0), "model.numbers_scale: is read with"),
        (
            dict(conditioning="vector", numbers="standardized", numbers_scale=0.0),
            "model.numbers_scale: got 0.0",
        ),
    ],
)
def test_standardization_of_nothing_is_refused(model, key):
    with pytest.raises(Mistake, match=key):
        check_model(ModelConfig("tiny", **model), 16)


def test_images_keep_numbers_inside_their_spans():
    """Jitter takes nothing to where a coordinate would count as not said."""
    world = make_world(CaptionConfig())
    told = conditioning(world, "coordinates")
    rows, _ = condition_rows(world, training_set(world), told)
    low, high = torch.tensor(told.build(64).config.spans).unbind(dim=1)
    assert ((rows >= low) & (rows <= high)).all()


def test_numbers_that_cannot_tell_a_concept_are_refused():
    told = "model.conditioning: coordinates has no number for the concept shape; allowed one_hot"
    with pytest.raises(Mistake, match=told):
        conditioning(shaped(), "coordinates")
    styled = make_world(CaptionConfig(), style=Concept(("filled", "outlined")))
    with pytest.raises(Mistake, match="vector has no number for the concept style"):
        conditioning(styled, "vector")
