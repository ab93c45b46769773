"""Drawn captions: rates, what is never said, and that each depends on its image alone."""

from dataclasses import replace

import pytest
import torch

from data_gen.captions import CaptionConfig, Captioner, default_template
from data_gen.concepts import ConceptSpace
from data_gen.dataset import leak_check, training_set
from data_gen.leaks import LeakCheck
from data_gen.wording import write_captions
from data_gen.world import World, WorldConfig
from ground.endings import Mistake

RICH = CaptionConfig(
    template="a {size} {color} {shape}",
    more_templates=("the {shape} is {color} and {size}",),
    synonyms={"circle": ("disc", "disk"), "large": ("big",)},
    drop_article=0.25,
    drop_word={"color": 0.2, "color of square red": 0.6},
    wrong_word={"size": 0.1},
)
MANY = 20_000


def described(config: WorldConfig, captions: CaptionConfig) -> list[tuple[str, dict, tuple]]:
    """(caption, what it names, what is shown) of many images."""
    world = World(replace(config, image_size_px=8, num_images=MANY), captions)
    data = training_set(world)
    named = [world.captioner.parse(caption) for caption in data.captions]
    return [
        (data.captions[i], named[i], world.space.combinations[c])
        for i, c in zip(data.caption.tolist(), data.combination.tolist(), strict=True)
    ]


@pytest.fixture(scope="module")
def rich(tiny_config):
    return described(tiny_config, RICH)


def share(rows: list, condition) -> float:
    return sum(map(condition, rows)) / len(rows)


def test_templates_synonyms_and_articles_come_at_their_rates(rich):
    assert share(rich, lambda row: "is" in row[0].split()) == pytest.approx(0.5, abs=0.02)
    circles = [row for row in rich if row[2][0] == "circle"]
    for word in ("circle", "disc", "disk"):
        assert share(circles, lambda row, w=word: w in row[0].split()) == pytest.approx(
            1 / 3, abs=0.02
        )
    bare = share(rich, lambda row: not {"a", "the"} & set(row[0].split()))
    assert bare == pytest.approx(0.25, abs=0.02)


def test_words_are_left_out_at_the_rate_of_their_combination(rich):
    red_squares = [row for row in rich if row[2][:2] == ("square", "red")]
    others = [row for row in rich if row[2][:2] != ("square", "red")]
    assert share(red_squares, lambda row: "color" not in row[1]) == pytest.approx(0.6, abs=0.03)
    assert share(others, lambda row: "color" not in row[1]) == pytest.approx(0.2, abs=0.02)
    assert all("shape" in row[1] and "size" in row[1] for row in rich)


def test_wrong_words_come_at_their_rate_but_never_spell_what_is_held_out(rich):
    """square blue small is held out, so of a large blue square no caption may say all of it."""
    wrong = [row for row in rich if row[1]["size"] != row[2][2]]
    # of the seven combinations, the large blue square may only be wrong where its color is left out
    assert len(wrong) / len(rich) == pytest.approx(6 / 7 * 0.1 + 1 / 7 * 0.2 * 0.1, abs=0.008)
    held_out = {"shape": "square", "color": "blue", "size": "small"}
    assert all(row[1] != held_out for row in rich)
    partly = [row for row in wrong if row[2] == ("square", "blue", "large")]
    assert partly and all("color" not in row[1] for row in partly)
    right = [row for row in rich if row[1]["size"] == row[2][2]]
    assert all(set(row[1].values()) <= set(row[2]) for row in right)


def test_a_caption_depends_on_its_image_alone(tiny_config):
    world = World(tiny_config, RICH)
    combination = torch.tensor(world.split.train and [0, 1, 2, 3, 4, 5] * 20)
    index = torch.arange(120)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    whole, caption = write_captions(world, combination, index, "scene")
    again, shuffled = write_captions(world, combination[order], index[order], "scene")
    assert [whole[i] for i in caption[order].tolist()] == [again[i] for i in shuffled.tolist()]


def test_leak_reports_count_partial_captions(tiny_config):
    world = World(tiny_config, CaptionConfig(drop_word={"size": 0.5}))
    report = leak_check(world, training_set(world))
    assert report.captions == 7 + 4 and report.partial == 4
    assert report.covering == 1  # a blue square
    assert "4 leave a concept open, of which 1 fit one as well" in report.lines()[1]


HIDDEN = ('"blue small"',)  # with every shape: without its shape, too, this names nothing else
SLIPS = CaptionConfig(
    synonyms={"blue": ("azure",)}, drop_word={"shape": 0.5}, wrong_word={"color": 0.3, "size": 0.3}
)


def test_no_caption_names_only_what_is_held_out_whatever_it_leaves_out(tiny_config):
    world = World(replace(tiny_config, held_out=HIDDEN), SLIPS)
    index = torch.arange(MANY)
    combination = torch.tensor([world.space.index(c) for c in world.split.train])[index % 6]
    captions, _ = write_captions(world, combination, index, "scene")
    named = [{*world.captioner.parse(caption).values()} for caption in captions]
    assert {"blue", "large"} in named and {"red", "small"} in named
    assert not any({"blue", "small"} <= values for values in named)


def test_nothing_but_what_would_leak_is_drawn_again(tiny_config):
    """Beside a world that holds nothing out, and of images that show what is held out."""
    worlds = [World(replace(tiny_config, held_out=sets), SLIPS) for sets in (HIDDEN, ())]
    index = torch.arange(MANY)
    written = [write_captions(world, index % 8, index, "scene") for world in worlds]
    for i, shown in enumerate((index % 8).tolist()):
        mended, plain = (captions[caption[i]] for captions, caption in written)
        values = {*worlds[0].captioner.parse(plain).values()}
        wrong = {"blue", "small"} - {*worlds[0].space.combinations[shown]}
        assert (mended != plain) == bool(wrong and {"blue", "small"} <= values)


@pytest.mark.parametrize("caption", ["a small blue square", "a small azure", "azure small"])
def test_captions_that_name_only_what_is_held_out_are_leaks(tiny_config, caption):
    world = World(replace(tiny_config, held_out=HIDDEN), SLIPS)
    check = LeakCheck(world.space, world.split, world.captioner, {})
    check.add([], ["a small red", "a blue square", "a large"], {})
    with pytest.raises(Mistake, match=f"caption '{caption}' names only held-out combinations"):
        check.add([], [caption], {})
    assert check.report().lines()[1] == (
        "leak check: 0 of 3 different captions name only held-out combinations; "
        "3 leave a concept open, of which 1 fit one as well"
    )


def test_at_least_one_word_stays(tiny_config):
    rates = {"shape": 0.9, "color": 0.9, "size": 0.9}
    rows = described(tiny_config, CaptionConfig(drop_word=rates))
    assert all(row[1] for row in rows)
    alone = share(rows, lambda row: len(row[1]) == 1)
    assert alone == pytest.approx(3 * 0.1 * 0.81 + 0.729, abs=0.02)


def test_default_templates_are_english():
    assert default_template(("shape", "color", "size")) == "a {size} {color} {shape}"
    space = ConceptSpace({"style": ("outlined", "filled"), "shape": ("circle",)})
    captioner = Captioner(space, CaptionConfig())
    assert captioner.write(("outlined", "circle")) == "an outlined circle"
    assert captioner.write((None, "circle")) == "a circle"
    assert captioner.parse("an outlined circle")["style"] == "outlined"


@pytest.mark.parametrize(
    "captions, message",
    [
        (CaptionConfig(synonyms={"cirkle": ("disc",)}), "synonyms.cirkle: unknown value .did you"),
        (CaptionConfig(synonyms={"circle": ("red",)}), "'red' means something else already"),
        (CaptionConfig(synonyms={"circle": ("a disc",)}), "or is not one word"),
        (CaptionConfig(more_templates=("{shape}",)), "must hold each of {shape}, {color}, {size}"),
        (CaptionConfig(drop_article=2.0), "captions.drop_article: got 2.0, allowed 0 to 1"),
        (
            CaptionConfig(drop_word={"colour": 0.1}),
            "unknown concept 'colour' .did you mean 'color'",
        ),
        (CaptionConfig(drop_word={"color": 1.1}), "drop_word.'color'.: got 1.1, allowed 0 to 1"),
        (CaptionConfig(drop_word={"color of bleu": 0.1}), "unknown value 'bleu'|'bleu' gives no"),
        (
            CaptionConfig(drop_word={"color": 1.0, "shape": 1.0, "size": 1.0}),
            "leaves no word of 'circle red large'",
        ),
    ],
)
def test_captions_that_cannot_be_are_refused(tiny_config, captions, message):
    with pytest.raises(Mistake, match=message):
        World(tiny_config, captions)


def test_a_concept_of_one_value_has_no_wrong_word(tiny_config):
    concepts = {**tiny_config.concepts, "shape": replace(tiny_config.concepts["shape"])}
    concepts["shape"] = replace(concepts["shape"], values=("circle",))
    with pytest.raises(Mistake, match="shape has no other value than 'circle'"):
        World(
            replace(tiny_config, concepts=concepts, held_out=()),
            CaptionConfig(wrong_word={"shape": 0.1}),
        )
