"""Handwritten digits and photographs that scikit-learn ships, as worlds with known attributes."""

import csv
import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from data_gen.captions import CaptionConfig
from data_gen.dataset import shuffled
from data_gen.photos.attributes import read_table
from data_gen.photos.images import leak_check, load, photo_set, read_photo, training_set
from data_gen.photos.world import SPLITS, PhotoConcept, PhotosConfig, PhotoWorld
from ground.endings import Mistake
from ground.reading import read_as

Table = dict[str, tuple[str, ...]]  # file name → its cells
COLUMNS = ("Odd", "Digit", "High", "Thick")
CONCEPTS = {
    "size": PhotoConcept("High", {"low": "-1", "high": "1"}),
    "ink": PhotoConcept("Thick", {"thin": "-1", "thick": "1"}),
    "parity": PhotoConcept("Odd", {"even": "-1", "odd": "1"}),
}
HELD_OUT = "high thick odd"
COUNT = 300


@dataclass(frozen=True)
class Digits:
    """The folder of PNG files, its table, the pixels they were written from, and a config."""

    folder: Path
    table: Table
    pixels: dict[str, np.ndarray]
    config: PhotosConfig

    def world(self, captions: CaptionConfig | None = None, **changes) -> PhotoWorld:
        return PhotoWorld(replace(self.config, **changes), captions)

    def shows(self, name: str) -> tuple[str, ...]:
        """The combination an image shows, straight from the digit and its pixels."""
        odd, _, high, thick = (cell == "1" for cell in self.table[name])
        return ("high" if high else "low", "thick" if thick else "thin", "odd" if odd else "even")


def sign(truth: bool) -> str:
    return "1" if truth else "-1"


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """The first 300, 8 × 8 pixels of 17 levels. The files' order is not the table's."""
    folder = tmp_path_factory.mktemp("digits")
    shipped, table, pixels = load_digits(), {}, {}
    images = (shipped.images[:COUNT] * 15).astype(np.uint8)
    threshold = np.median(images.mean((1, 2)))
    for i, (image, digit) in enumerate(zip(images, shipped.target[:COUNT].tolist(), strict=True)):
        name = f"{i * 7 % COUNT:04d}.png"
        cells = (digit % 2 == 1, digit > 4, bool(image.mean() > threshold))
        table[name] = (sign(cells[0]), str(digit), sign(cells[1]), sign(cells[2]))
        pixels[name] = image
        Image.fromarray(image).save(folder / name)
    path = write_list_attr(folder.with_name("digits_list_attr.txt"), table)
    return Digits(
        folder,
        table,
        pixels,
        PhotosConfig(
            str(folder),
            str(path),
            CONCEPTS,
            image_size_px=8,
            validation=0.15,
            held_out=(HELD_OUT,),
        ),
    )


def write_list_attr(path: Path, table: Table) -> Path:
    rows = [" ".join((name, *cells)) for name, cells in table.items()]
    path.write_text("\n".join([str(len(table)), " ".join(COLUMNS), *rows]) + "\n")
    return path


def write_csv(path: Path, table: Table) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([("image_id", *COLUMNS), *((n, *cells) for n, cells in table.items())])
    return path


def write_csv_of_spaces(path: Path, table: Table) -> Path:
    """The file name last, quotes and blanks around cells, and the byte order mark of Excel."""
    rows = [",".join((*(f'" {c} "' for c in cells), f"./{n}")) for n, cells in table.items()]
    path.write_text("\n".join([", ".join((*COLUMNS, "file_name")), *rows]), encoding="utf-8-sig")
    return path


def write_jsonl(path: Path, table: Table) -> Path:
    rows = [
        {"file_name": name, **dict(zip(COLUMNS, map(int, cells), strict=True))}
        for name, cells in table.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def facts(world: PhotoWorld) -> list:
    """All that follows from a table: who is in which split, shows what and is called what."""
    sets = [photo_set(world, split) for split in SPLITS]
    return [(s.names, s.combination.tolist(), s.captions, s.caption.tolist()) for s in sets]


def said(world: PhotoWorld, split: str = "validation") -> dict[str, str]:
    """File → caption."""
    data = photo_set(world, split)
    texts = (data.captions[i] for i in data.caption.tolist())
    return dict(zip(data.names, texts, strict=True))


# Splits


def test_splits_share_out_all_images_by_what_they_show(digits):
    world = digits.world()
    sets = {split: photo_set(world, split) for split in SPLITS}
    assert sorted(name for s in sets.values() for name in s.names) == sorted(digits.table)
    for split, data in sets.items():
        shown = [world.space.combinations[i] for i in data.combination.tolist()]
        assert shown == [digits.shows(name) for name in data.names]
        assert {world.split.of(c) == "held_out" for c in shown} == {split == "held_out"}
        assert list(data.names) == sorted(data.names)


def test_validation_is_the_same_share_of_every_training_combination(digits):
    total = Counter(map(digits.shows, digits.table))
    for percent in (0, 15, 58, 90):  # 50 · .58 is 28.999…
        world = digits.world(validation=percent / 100)
        seen = Counter(map(digits.shows, photo_set(world, "validation").names))
        assert all(seen[c] == total[c] * percent // 100 for c in world.split.train)


def test_at_most_limits_training_alone_and_later_limits_override(digits):
    free, limited = digits.world(), digits.world(at_most={"all": 15, "low thin odd": 7})
    seen = Counter(map(digits.shows, photo_set(limited, "train").names))
    assert seen == {c: 7 if c == ("low", "thin", "odd") else 15 for c in limited.split.train}
    for split in ("validation", "held_out"):
        assert photo_set(free, split).names == photo_set(limited, split).names


def test_fewer_at_most_keep_a_part_of_more(digits):
    sets = [set(photo_set(digits.world(at_most={"all": n}), "train").names) for n in (3, 10, 300)]
    assert sets[0] < sets[1] < sets[2]
    assert sets[2] == set(photo_set(digits.world(), "train").names)


def test_num_images_leaves_every_combination_its_share(digits):
    total = Counter(map(digits.shows, digits.table))
    world = digits.world(num_images=90)
    names = [name for split in SPLITS for name in photo_set(world, split).names]
    kept = Counter(map(digits.shows, names))
    assert len(names) == len(set(names)) == 90
    assert all(abs(kept[c] - total[c] * 90 / COUNT) < 1 for c in total)


def test_the_seed_decides_which_images_are_validation(digits):
    worlds = [digits.world(seed=seed) for seed in (0, 0, 1)]
    names = [photo_set(world, "validation").names for world in worlds]
    assert names[0] == names[1] != names[2]
    assert len(names[0]) == len(names[2])


def test_an_image_added_at_the_end_displaces_one_other_at_most(digits, tmp_path):
    table = dict(sorted(digits.table.items()))
    *_, last = table
    folder = tmp_path / "images"
    folder.mkdir()
    for name in table:
        if name != last:
            (folder / name).hardlink_to(digits.folder / name)
    fewer = {name: cells for name, cells in table.items() if name != last}
    path = write_list_attr(tmp_path / "fewer.txt", fewer)
    options = {"validation": 0.0, "at_most": {"all": 20}}
    before = photo_set(digits.world(folder=str(folder), table=str(path), **options), "train")
    after = photo_set(digits.world(**options), "train")
    assert len(set(after.names) - set(before.names)) <= 1


def test_an_image_without_a_word_is_skipped_and_moves_no_other(digits):
    """Two of ten digits have words: their order is that of the whole table's places."""
    concepts = {"digit": PhotoConcept("Digit", {"zero": "0", "one": "1"})}
    other = {"digit": PhotoConcept("Digit", {"zero": "0", "one": "1", "two": "2"})}
    captions = CaptionConfig(synonyms={"zero": ("null",)})
    two, three = (
        said(digits.world(captions, concepts=c, others="skip", held_out=(), validation=0.5))
        for c in (concepts, other)
    )
    assert {digits.table[name][1] for name in two} == {"0", "1"}
    assert two == {name: text for name, text in three.items() if text != "a two"}


# Tables


def test_all_layouts_give_the_identical_world(digits, tmp_path):
    writers = {
        "a.csv": write_csv,
        "b.csv": write_csv_of_spaces,
        "metadata.jsonl": write_jsonl,
        "c.TXT": write_list_attr,
    }
    expected = facts(digits.world())
    for name, write in writers.items():
        path = write(tmp_path / name, digits.table)
        assert facts(digits.world(table=str(path))) == expected


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_the_rows_changes_nothing(digits, tmp_path_factory, order):
    rows = list(digits.table.items())
    random.Random(order).shuffle(rows)
    path = write_list_attr(tmp_path_factory.mktemp("order") / "t.txt", dict(rows))
    captions = CaptionConfig(drop_word={"ink": 0.3})
    world = digits.world(captions, table=str(path))
    assert facts(world) == facts(digits.world(captions))


def test_json_cells_are_spelled_as_in_the_file(tmp_path):
    path = tmp_path / "t.jsonl"
    cells = '"a": true, "b": null, "c": 1, "d": 1.50, "e": " x y ", "f": false'
    path.write_text(f'{{"file_name": "i.png", {cells}}}\n\n')
    (row,) = read_table(path, tuple("fedcba"))
    assert row.cells == ("false", "x y", "1.50", "1", "", "true")
    assert (row.name, row.line) == ("i.png", 1)


def test_images_may_lie_in_folders_and_hidden_or_other_files_do_not_matter(digits, tmp_path):
    (tmp_path / "images" / "a" / "b").mkdir(parents=True)
    names = ["a/b/1.png", "a/2.png", "3.png", "a/b/4.png"]
    for shade, name in enumerate([*names, "._3.png"]):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "notes.md").write_text("none")
    table = {n: (sign(i > 1), "", sign(i % 2 > 0), "") for i, n in enumerate(names)}
    world = digits.world(
        folder=str(tmp_path / "images"),
        table=str(write_csv(tmp_path / "t.csv", table)),
        concepts={name: CONCEPTS[name] for name in ("parity", "size")},
        held_out=("odd high",),
    )
    assert photo_set(world, "train").names == ("3.png", "a/2.png", "a/b/1.png")
    assert len(load(world, photo_set(world, "held_out").names)) == 1


def test_a_config_is_read_from_plain_data_and_wants_cells_in_quotes():
    data = {
        "folder": "f",
        "table": "t.csv",
        "concepts": {"hair": {"column": "Blond", "words": {"blond": "1", "dark": "-1"}}},
        "at_most": {"blond": 3},
    }
    config = read_as(PhotosConfig, data, "world")
    assert config.concepts["hair"].words == {"blond": "1", "dark": "-1"}
    for unquoted in (1, True):
        data["concepts"] = {"hair": {"column": "Blond", "words": {"blond": unquoted}}}
        with pytest.raises(
            Mistake, match=rf"world.concepts.hair.words.blond: got {unquoted}, .*text"
        ):
            read_as(PhotosConfig, data, "world")


# Captions and leaks


def test_captions_say_what_images_show(digits):
    captions = CaptionConfig(
        template="the digit is {parity} {size} {ink}",
        synonyms={"thick": ("bold",)},
        drop_word={"size": 0.3},
        drop_article=0.5,
    )
    world = digits.world(captions)
    data = photo_set(world, "train")
    assert {len(world.captioner.parse(caption)) for caption in data.captions} == {2, 3}
    assert any("bold" in c for c in data.captions) and any("thick" in c for c in data.captions)
    for name, caption in zip(data.names, data.caption.tolist(), strict=True):
        found = world.captioner.parse(data.captions[caption])
        assert set(found.values()) <= set(digits.shows(name))


def test_a_caption_depends_on_the_image_alone_not_on_which_others_are_used(digits):
    captions = CaptionConfig(drop_word={name: 0.5 for name in CONCEPTS}, drop_article=0.5)
    changes = {"num_images": 90, "at_most": {"all": 10}}
    few, every = (said(digits.world(captions, **c), "train") for c in (changes, {}))
    assert len(few) > 50 and few.items() <= every.items()


def test_default_captions_name_every_concept_in_plain_order(digits):
    assert "a low thin even" in photo_set(digits.world(), "train").captions
    assert photo_set(digits.world(), "held_out").captions == ("a high thick odd",)


def test_wrong_words_do_not_leak_what_is_held_out(digits):
    world = digits.world(CaptionConfig(wrong_word={"size": 1.0}))
    data = photo_set(world, "train")
    report = leak_check(world, data)
    named = [tuple(world.captioner.parse(caption).values()) for caption in data.captions]
    assert ("low", "thin", "even") in named and tuple(HELD_OUT.split()) not in named
    assert report.images == len(data) and report.captions == len(data.captions)
    assert report.marginals["high"] == sum("high" in digits.shows(name) for name in data.names)


def test_held_out_images_are_found_by_the_leak_check(digits):
    world = digits.world()
    with pytest.raises(Mistake, match="leak: training image 0 shows held-out 'high thick odd'"):
        leak_check(world, photo_set(world, "held_out"))


def test_a_held_out_caption_is_found_by_the_leak_check(digits):
    world = digits.world()
    data = replace(photo_set(world, "train"), captions=("a high thick odd",))
    with pytest.raises(Mistake, match="leak: training caption 'a high thick odd' names only held"):
        leak_check(world, data)


def with_copies(digits: Digits, folder: Path, copies: dict[str, str], suffix: str) -> PhotoWorld:
    """Copies of some images in another lossless format, each under the row of a third.

    copies: file → the file under whose row its copy goes.
    """
    (folder / "images").mkdir()
    for name in digits.table:
        (folder / "images" / name).hardlink_to(digits.folder / name)
    table = dict(digits.table)
    for name, row in copies.items():
        table[f"{name}.{suffix}"] = digits.table[row]
        with Image.open(digits.folder / name) as image:
            image.save(folder / "images" / f"{name}.{suffix}", lossless=True)
    path = write_list_attr(folder / "t.txt", table)
    return digits.world(folder=str(folder / "images"), table=str(path))


def image_of(digits: Digits, combination: str) -> str:
    return next(n for n in sorted(digits.table) if digits.shows(n) == tuple(combination.split()))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif"])
def test_a_copy_of_a_held_out_image_under_a_training_row_is_refused(digits, tmp_path, suffix):
    held_out, row = image_of(digits, HELD_OUT), image_of(digits, "low thin even")
    world = with_copies(digits, tmp_path, {held_out: row}, suffix)
    message = (
        rf"t.txt: 1 of 301 images are copies of one under another combination, .* the first "
        rf"'{held_out}.{suffix}' \(low thin even\) of '{held_out}' \(high thick odd\)"
    )
    for ask in (lambda: photo_set(world, "train"), lambda: training_set(world)):
        with pytest.raises(Mistake, match=message):
            ask()


def test_copies_stay_on_one_side_and_displace_none_but_their_combinations(digits, tmp_path):
    """Every image of one combination twice; the others are split as without."""
    mine = [n for n in digits.table if digits.shows(n) == ("low", "thin", "even")]
    doubled = with_copies(digits, tmp_path, {name: name for name in mine}, "bmp")
    plain = digits.world()
    for split in SPLITS:
        before, after = set(photo_set(plain, split).names), set(photo_set(doubled, split).names)
        here = {name for name in after if name.removesuffix(".bmp") in mine}
        assert {name.removesuffix(".bmp") for name in here} == {n for n in here if n in mine}
        assert len(here) == 2 * len(before & set(mine))
        if split == "held_out":
            assert after == before


def test_the_leak_check_looks_at_the_pixels_that_training_gets(digits):
    world = digits.world()
    data = training_set(world)
    line = leak_check(world, data).lines()[2]
    kept_out = [*photo_set(world, "validation").names, *photo_set(world, "held_out").names]
    assert line.startswith(
        f"leak check: 0 of {len(data)} training images are a copy of one of the {len(kept_out)}"
    )
    for name in (kept_out[0], kept_out[-1]):
        planted = data.images.clone()
        planted[7] = load(world, [name])[0]
        with pytest.raises(Mistake, match=f"leak: training image 7 is a copy of '{name}', which"):
            leak_check(world, replace(data, images=planted))


def test_shuffled_captions_are_those_of_other_training_images(digits):
    plain, control = (digits.world(CaptionConfig(shuffled=s)) for s in (False, True))
    assert torch.equal(
        photo_set(control, "train").caption, shuffled(plain, training_set(plain)).caption
    )
    for split in ("validation", "held_out"):
        assert torch.equal(photo_set(control, split).caption, photo_set(plain, split).caption)
    assert not torch.equal(photo_set(control, "train").caption, photo_set(plain, "train").caption)


# Images


def test_training_images_are_the_files_pixels(digits):
    world = digits.world()
    data, names = training_set(world), photo_set(world, "train").names
    assert data.images.shape == (len(names), 3, 8, 8) and data.images.dtype == torch.uint8
    expected = torch.from_numpy(np.stack([digits.pixels[name] for name in names]))
    assert torch.equal(data.images, expected[:, None].expand(-1, 3, -1, -1))
    assert not data.numbers
    assert leak_check(world, data) == leak_check(world, photo_set(world, "train"))


def test_images_are_loaded_by_name_in_any_pieces(digits):
    world = digits.world(image_size_px=12)
    names = photo_set(world, "validation").names
    whole = load(world, names)
    assert whole.shape == (len(names), 3, 12, 12)
    assert torch.equal(whole, torch.cat([load(world, names[i : i + 30]) for i in (0, 30, 60)]))
    assert load(world, ()).shape == (0, 3, 12, 12)


def lanczos(size: int, out: int) -> np.ndarray:
    """(out, size) weights of sinc(t) sinc(t/3), |t| < 3, t in steps of an output pixel."""
    scale = size / out
    distance = (np.arange(size) + 0.5 - (np.arange(out)[:, None] + 0.5) * scale) / max(scale, 1)
    weight = np.sinc(distance) * np.sinc(distance / 3) * (abs(distance) < 3)
    return weight / weight.sum(1, keepdims=True)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
@pytest.mark.parametrize("size", [64, 100])
def test_a_photograph_is_its_central_square_filtered_by_lanczos(tmp_path, name, size):
    photo = load_sample_image(name)  # uint8 (427, 640, 3)
    Image.fromarray(photo).save(tmp_path / "p.png")
    got = read_photo(tmp_path / "p.png", size).permute(1, 2, 0).numpy().astype(float)
    square, filter = photo[:, 106 : 106 + 427].astype(float), lanczos(427, size)
    across = (filter @ square).round().clip(0, 255)
    expected = (filter @ across.swapaxes(0, 1)).swapaxes(0, 1).round().clip(0, 255)
    assert abs(got - expected).max() <= 1


def test_a_jpeg_is_read_as_the_photograph_it_is(tmp_path):
    photo = load_sample_image("flower.jpg")
    Image.fromarray(photo).save(tmp_path / "p.png")
    Image.fromarray(photo).save(tmp_path / "p.jpg", quality=95)
    png, jpg = (read_photo(tmp_path / name, 32).float() for name in ("p.png", "p.jpg"))
    assert (png - jpg).abs().mean() < 1


UPRIGHT = {  # EXIF orientation → how the stored rows and columns lie, from the standard
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image),  # row 0 is the right side, column 0 the top
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),  # row 0 is the left side, column 0 the bottom
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_turned_upright_before_they_are_cropped(tmp_path, orientation):
    photo = load_sample_image("china.jpg")[:96, :130]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](photo)))
    stored.save(tmp_path / "p.png", exif=exif)
    expected = torch.from_numpy(photo[:, 17 : 17 + 96].copy()).permute(2, 0, 1)
    assert torch.equal(read_photo(tmp_path / "p.png", 96), expected)


@pytest.mark.parametrize("size", [(65, 64), (64, 65), (64, 91)])
def test_an_image_of_the_right_size_keeps_its_pixels(tmp_path, size):
    photo = load_sample_image("flower.jpg")[: size[0], : size[1]]
    Image.fromarray(photo).save(tmp_path / "p.png")
    top, left = ((side - 64) // 2 for side in size)
    expected = torch.from_numpy(photo[top : top + 64, left : left + 64].copy()).permute(2, 0, 1)
    assert torch.equal(read_photo(tmp_path / "p.png", 64), expected)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_kind_of_8_bit_pixels_becomes_rgb(tmp_path, mode):
    shade = Image.new("L", (9, 9), 255)
    shade.convert(mode).save(tmp_path / "p.tif")
    assert (read_photo(tmp_path / "p.tif", 8) == 255).all()


def test_what_is_transparent_becomes_white(tmp_path):
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 4, 8))
    image.save(tmp_path / "p.png")
    got = read_photo(tmp_path / "p.png", 8)
    assert got[:, 0, 0].tolist() == [200, 0, 0] and (got[:, :, 4:] == 255).all()


# Mistakes


def test_a_broken_image_is_named_and_nothing_is_loaded(digits, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in digits.table:
        (folder / name).hardlink_to(digits.folder / name)
    world = digits.world(folder=str(folder))
    name = photo_set(world, "train").names[150]
    whole = (folder / name).read_bytes()
    for content in (whole[: len(whole) // 2], b"no image", b""):
        (folder / name).unlink()
        (folder / name).write_bytes(content)
        with pytest.raises(Mistake, match=f"images/{name}: not readable as a whole image"):
            training_set(world)
    (folder / name).unlink()
    with pytest.raises(Mistake, match=f"images/{name}: not readable as a whole image.*No such"):
        training_set(world)


def test_a_truncated_photograph_is_refused(tmp_path):
    Image.fromarray(load_sample_image("china.jpg")).save(tmp_path / "p.jpg")
    whole = (tmp_path / "p.jpg").read_bytes()
    (tmp_path / "p.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(Mistake, match=r"p.jpg: not readable as a whole image \(.*truncated"):
        read_photo(tmp_path / "p.jpg", 64)


def test_16_bit_images_are_refused_rather_than_washed_out(tmp_path):
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(tmp_path / "p.png")
    with pytest.raises(
        Mistake, match="p.png: has more than 8 bits per channel .mode I;16., allowed 8"
    ):
        read_photo(tmp_path / "p.png", 8)


HEAD = "file_name,Odd\n"
TABLES = {  # what is written → what is said
    "no layout": ("t.xlsx", "", "world.table: .*t.xlsx: unknown layout '.xlsx'; allowed .csv"),
    "empty": ("t.csv", "", "t.csv: has no column 'Odd'; it has none"),
    "no rows": ("t.csv", HEAD, "t.csv: has no rows"),
    "no column": ("t.csv", "file_name,odd,x\n", r"no column 'Odd' \(did you mean 'odd'\?\); it"),
    "two columns": ("t.csv", "file_name,Odd,Odd\n", "has two columns 'Odd'; allowed one"),
    "few cells": ("t.csv", HEAD + "a.png\n", "t.csv, line 2: has 1 cells, allowed 2"),
    "many cells": ("t.csv", HEAD + "\na.png,1,1\n", "t.csv, line 3: has 3 cells, allowed 2"),
    "quotes": ("t.csv", HEAD + 'a.png,"1\n', "t.csv, line 2: broken CSV"),
    "doubles": ("t.csv", HEAD + "a.png,1\n./a.png,1\n", "two rows for 'a.png', lines 2 and 3"),
    "outside": ("t.csv", HEAD + "../a.png,1\n", "line 2: '../a.png' is no file in the folder"),
    "absolute": ("t.csv", HEAD + "/a.png,1\n", "line 2: '/a.png' is no file in the folder"),
    "no name": ("t.csv", HEAD + ",1\n", "line 2: '' is no file in the folder"),
    "no count": ("t.txt", "Odd High\na.png 1 1\n", "t.txt: not in the layout of CelebA's list_at"),
    "nothing": ("t.txt", "", "t.txt: not in the layout of CelebA's list_attr"),
    "count": ("t.txt", "3\nOdd\na.png 1\nb.png 1\n", "line 1: says 3 images, but 2 rows follow"),
    "few signs": ("t.txt", "1\nOdd High\na.png 1\n", "t.txt, line 3: has 2 cells, allowed 3"),
    "no sign": ("t.txt", "0\nHigh\n", "t.txt: has no column 'Odd'; it has file_name, High"),
    "no JSON": ("t.jsonl", "{\n", r"t.jsonl, line 1: not readable as JSON \(.+\)"),
    "no object": ("t.jsonl", "[1]\n", r"line 1: got '\[1\]', allowed an object with 'file_name'"),
    "no file": ("t.jsonl", '{"file": 1}\n', "line 1: has no column 'file_name'.*; it has file"),
    "no key": ("t.jsonl", '{"file_name": "a"}\n', "line 1: has no column 'Odd'; it has file_name"),
    "list": ("t.jsonl", '{"file_name": "a", "Odd": []}\n', r"Odd is \[\]; allowed a text, a num"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_broken_table_is_refused_with_file_and_line(tmp_path, case):
    name, text, message = TABLES[case]
    (tmp_path / name).write_text(text)
    with pytest.raises(Mistake, match=message) as error:
        read_table(tmp_path / name, ("Odd",))
    assert "\n" not in str(error.value) and str(tmp_path / name) in str(error.value)


def test_a_table_that_is_no_text_file_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "u.csv").mkdir()
    for name, message in (("t", "not UTF-8"), ("u", "is a folder"), ("v", "no such file")):
        with pytest.raises(Mistake, match=rf"world.table: .*{name}.csv: {message}"):
            read_table(tmp_path / f"{name}.csv", ("Odd",))


def word(**words: str) -> dict:
    return {"concepts": {**CONCEPTS, "parity": PhotoConcept("Odd", words)}}


CHANGES = [
    ({"folder": "none"}, "world.folder: none: no such folder of images"),
    ({"table": "none.csv"}, "world.table: none.csv: no such file"),
    ({"concepts": {}}, "world.concepts: is empty"),
    (word(odd="1"), "world.concepts.parity.words: got odd, allowed two or more words"),
    (word(odd="1", low="-1"), "world.concepts.parity: the value 'low' is one of size too"),
    (word(odd="1", uneven=" 1"), "parity.words: 'odd' and 'uneven' both mean the cell '1'"),
    (word(odd="1", **{"not odd": "-1"}), "the value 'not odd' is not one word"),
    (word(odd="1", even="0"), r"line \d+: Odd is '-1', which .*\(they mean '1', '0'\); add a word"),
    (
        word(odd="1", even="-1", both="0") | {"held_out": ()},
        "world.concepts.parity: no training image shows 'both'",
    ),
    ({"concepts": {"a b": CONCEPTS["ink"]}}, "world.concepts.a b: the name is not one word"),
    (
        {"concepts": {"ink": PhotoConcept("Thik", {"thin": "-1", "thick": "1"})}, "held_out": ()},
        r"has no column 'Thik' \(did you mean 'Thick'\?\); it has file_name, Odd, Digit, High, Th",
    ),
    ({"held_out": ("high even odd",)}, "world.held_out: 'high even odd' gives parity twice"),
    ({"held_out": ('"odd"',)}, "world.held_out: hides the parity 'odd' completely"),
    ({"at_most": {"all": -1}}, r"world.at_most\['all'\]: got -1, allowed 0 or more"),
    ({"at_most": {HELD_OUT: 3}}, r"world.at_most\['high thick odd'\]: names no training combinat"),
    ({"at_most": {'"odd"': 0}}, "world.concepts.parity: no training image shows 'odd'"),
    ({"at_most": {"all": 0}}, "leaves no image to train on: 300 of its images have a word"),
    (word(odd="x", even="y") | {"others": "skip"}, "leaves no image to train on: 0 of its images"),
    ({"num_images": 0}, "world.num_images: got 0, allowed 1 to 300, or none"),
    ({"num_images": 301}, "world.num_images: got 301, allowed 1 to 300"),
    ({"image_size_px": 4}, "world.image_size_px: got 4, allowed 8 to 512"),
    ({"validation": 0.95}, "world.validation: got 0.95, allowed 0 to 0.9"),
    ({"seed": -1}, "world.seed: got -1, allowed 0 to"),
]


@pytest.mark.parametrize("changes, message", CHANGES, ids=[m for _, m in CHANGES])
def test_an_impossible_config_is_refused_with_its_key(digits, changes, message):
    with pytest.raises(Mistake, match=message) as error:
        digits.world(**changes)
    assert "\n" not in str(error.value)


def test_another_split_is_refused(digits):
    with pytest.raises(Mistake, match=r"split: got 'valid' \(did you mean 'validation'\?\), allo"):
        photo_set(digits.world(), "valid")


def test_rows_without_image_and_images_without_row_are_counted(digits, tmp_path):
    more = {**digits.table, "y.png": digits.table["0000.png"], "x.png": digits.table["0000.png"]}
    path = write_csv(tmp_path / "more.csv", more)
    with pytest.raises(Mistake, match="more.csv: 2 of 302 rows have no image in .*, .* 'x.png'"):
        digits.world(table=str(path))
    fewer = {n: cells for n, cells in digits.table.items() if n not in ("0003.png", "0002.png")}
    path = write_csv(tmp_path / "fewer.csv", fewer)
    with pytest.raises(Mistake, match="images without a row in .*fewer.csv: 2, the .* '0002.png'"):
        digits.world(table=str(path))
