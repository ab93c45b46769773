"""What photographs give an experiment: every image for one purpose, under its own labels."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifiers.probe_config import ProbeConfig
from data_gen.captions import CaptionConfig
from data_gen.photos.images import load, photo_set
from data_gen.photos.world import PhotosConfig, PhotoWorld
from diffusion.model_config import ModelConfig
from ground.endings import Mistake
from studies.experiment.config import Config
from studies.experiment.identity import differences, identity
from studies.scoring.probing import probe_identity
from studies.worlds.photos import images as photo_images
from studies.worlds.photos.images import LEAST, SHARE, Parts, PhotoImages, deal_parts, in_turn
from tests.harness.opened import opened

PROBE = ProbeConfig(batch_size=16, certificate_images=64)


def rows(parts: Parts) -> dict[str, list[int]]:
    return {name: torch.cat(list(part)).tolist() for name, part in vars(parts).items()}


def names(world: PhotoWorld, part) -> set[str]:
    return {world.names[i] for i in torch.cat(list(part)).tolist()}


@pytest.fixture(scope="module")
def world(photos) -> PhotoWorld:
    return PhotoWorld(photos)


@pytest.fixture(scope="module")
def labels(photos) -> dict[str, tuple[int, ...]]:
    """File → place of each value it shows, straight from the table."""
    values = (("circle", "square"), ("red", "blue"), ("1", "0"))
    with Path(photos.table).open() as stream:
        table = list(csv.reader(stream))[1:]
    return {
        name: tuple(words.index(cell) for words, cell in zip(values, cells, strict=False))
        for name, *cells in table
    }


@pytest.mark.parametrize("changes", [{}, {"seed": 3}, {"num_images": 80}, {"num_images": 70}])
def test_parts_share_out_all_images_in_use_by_combination(photos, changes):
    world = PhotoWorld(replace(photos, **changes))
    parts = deal_parts(world)
    used = sum(rows(parts).values(), [])
    assert len(set(used)) == len(used) == world.kept.sum()
    for i, kept in enumerate(world.kept.tolist()):
        taught, limit, certificate = (part[i] for part in vars(parts).values())
        assert len(limit) == len(certificate) == max(1, kept // SHARE)
        assert len(taught) == kept - 2 * len(limit) >= 1
        assert {*world.combination[torch.cat((taught, limit, certificate))]} == {i}


def test_what_is_held_out_moves_no_image_of_the_probe_but_the_seed_does(photos):
    first = rows(deal_parts(PhotoWorld(photos)))
    for changes in ({"held_out": ()}, {"validation": 0.3}, {"at_most": {"all": 3}}):
        assert rows(deal_parts(PhotoWorld(replace(photos, **changes)))) == first
    assert rows(deal_parts(PhotoWorld(replace(photos, seed=1)))) != first


def test_copies_teach_limit_or_certify_together(photos, tmp_path):
    """Every image of one combination thrice: of 13 pictures two certify and two set the limit."""
    doubled = copied(photos, tmp_path)
    lines = Path(doubled.table).read_text().splitlines()
    copies = {}
    for line in [line for line in lines if ",circle,red,0," in line]:
        name, cells = line.split(",", 1)
        for new in (f"x{name}", f"y{name}"):
            shutil.copy(Path(doubled.folder) / name, Path(doubled.folder) / new)
            lines.append(f"{new},{cells}")
            copies[new] = name
    Path(doubled.table).write_text("\n".join(lines) + "\n")
    world = PhotoWorld(replace(doubled, validation=0.2))
    parts = deal_parts(world)
    shown = world.space.index(("circle", "red", "small"))
    held = [names(world, [part[shown]]) for part in vars(parts).values()]
    assert [len(part) for part in held] == [3 * 9, 3 * 2, 3 * 2]
    pictures = [{copies.get(name, name) for name in part} for part in held]
    assert [len(part) for part in pictures] == [9, 2, 2]
    validation = {
        n for n in photo_set(world, "validation").names if copies.get(n, n) in set.union(*pictures)
    }
    assert {copies.get(name, name) for name in validation} == pictures[2]
    assert len(validation) == 3 * 2 and not validation & set(photo_set(world, "train").names)


def test_images_that_training_leaves_out_certify_first(photos):
    world = PhotoWorld(replace(photos, validation=0.2))
    certificate = names(world, deal_parts(world).certificate)
    assert certificate.isdisjoint(photo_set(world, "train").names)
    assert certificate > set(photo_set(world, "validation").names)


@pytest.mark.parametrize("count, message", [(2, "in 2 images"), (0, "in 0 images")])
def test_a_combination_with_too_few_images_has_no_probe_but_trains(
    photos, tmp_path, count, message
):
    lines = Path(photos.table).read_text().splitlines()
    shown = [line for line in lines if ",square,blue,1," in line]
    table, folder = tmp_path / "t.csv", tmp_path / "images"
    kept = [line for line in lines if line not in shown[count:]]
    table.write_text("\n".join(kept) + "\n")
    folder.mkdir()
    for line in kept[1:]:
        name = line.split(",")[0]
        (folder / name).hardlink_to(Path(photos.folder) / name)
    world = PhotoWorld(replace(photos, table=str(table), folder=str(folder)))
    source = PhotoImages(world)
    with pytest.raises(Mistake, match=f"t.csv: shows 'square blue large' {message} in use, .*al"):
        source.probe_images(PROBE)
    with pytest.raises(Mistake, match=f"{message} in use, copies counted once, allowed {LEAST}"):
        source.originals(0, 4)
    assert len(source.training_set()) == source.num_training_images


def test_probe_images_are_under_their_own_labels_and_certify_what_was_not_taught(
    photos, world, labels
):
    by_pixels = {
        image.numpy().tobytes(): name
        for name, image in zip(world.names, load(world, world.names), strict=True)
    }
    assert len(by_pixels) == len(world.names)
    images, parts, seen = PhotoImages(world).probe_images(PROBE), deal_parts(world), {}
    batches = [images.draw(step) for step in range(100)]
    taught = tuple(torch.cat(part) for part in zip(*batches, strict=True))
    others = {"fitted": images.fitted, "limit": images.limit, "certificate": images.certificate}
    for part, (pixels, targets) in {"taught": taught, **others}.items():
        found = [by_pixels[image.numpy().tobytes()] for image in pixels]
        assert [labels[name] for name in found] == [*map(tuple, targets.tolist())]
        seen[part] = set(found)
    assert seen["taught"] == names(world, parts.taught) > seen["fitted"]
    assert seen["limit"] == names(world, parts.limit)
    assert seen["certificate"] == names(world, parts.certificate)


def test_a_probe_is_taught_every_combination_as_often_and_step_by_step_alike(world):
    images = PhotoImages(world).probe_images(PROBE)
    assert len(images.fitted[1].unique(dim=0)) == len(world.space)
    for step in (0, 5):
        targets = images.draw(step)[1]
        assert targets.unique(dim=0, return_counts=True)[1].tolist() == [2] * 8
    again = PhotoImages(world).probe_images(replace(PROBE, batch_size=32)).draw(0)
    both = [torch.cat(part) for part in zip(images.draw(0), images.draw(1), strict=True)]
    assert torch.equal(again[0], both[0]) and torch.equal(again[1], both[1])


def test_a_smaller_certificate_takes_combinations_in_turn(world):
    source = PhotoImages(world)
    for part in (source.parts.certificate, source.parts.limit):
        _, targets = source.batch(in_turn(part, 9))
        assert targets.unique(dim=0, return_counts=True)[1].tolist() == [1, 2] + [1] * 6


def test_the_ceiling_is_of_the_certificates_images_as_many_as_there_are(world):
    source = PhotoImages(world)
    few, many = source.originals(0, 2), source.originals(9, 99)
    assert [len(own) for own in many] == [max(1, n // SHARE) for n in world.kept.tolist()]
    assert [len(own) for own in few] == [min(2, len(own)) for own in many]
    assert all(np.array_equal(a, b[: len(a)]) for a, b in zip(few, many, strict=True))
    pixels, _ = source.probe_images(PROBE).certificate
    certified = {image.permute(1, 2, 0).numpy().tobytes() for image in pixels}
    assert {image.tobytes() for own in many for image in own} == certified


# What makes another experiment


def copied(photos: PhotosConfig, folder: Path) -> PhotosConfig:
    shutil.copytree(photos.folder, folder / "images")
    shutil.copy(photos.table, folder / "t.csv")
    return replace(photos, folder=str(folder / "images"), table=str(folder / "t.csv"))


def first_image(photos: PhotosConfig) -> Path:
    return min(Path(photos.folder).iterdir())


def change_a_pixel(photos: PhotosConfig) -> None:
    with Image.open(first_image(photos)) as image:
        image.putpixel((0, 0), (1, 2, 3))
        image.save(first_image(photos))


def change_a_cell(photos: PhotosConfig) -> None:
    table = Path(photos.table)
    table.write_text(table.read_text().replace(",red,", ",blue,", 1))


def remove_an_image(photos: PhotosConfig) -> None:
    name, table = first_image(photos).name, Path(photos.table)
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if not line.startswith(name)) + "\n")
    first_image(photos).unlink()


@pytest.mark.parametrize("change", [change_a_pixel, change_a_cell, remove_an_image])
def test_changed_files_are_another_experiment_and_refused_by_one_that_knows_them(
    photos, tmp_path, change
):
    config = Config("a", copied(photos, tmp_path))
    pinned = opened(config).with_contents().config
    assert pinned.world.contents.startswith(f"{len(PhotoWorld(photos).names)} images, ")
    assert opened(pinned).with_contents().config is pinned
    change(config.world)
    (line,) = differences(identity(pinned), identity(opened(config).with_contents().config))
    assert line.startswith("world.contents: 184 images, ")
    with pytest.raises(Mistake, match="world.contents: .*t.csv and .*images hold 18. images, .*"):
        pinned.terms.with_files()


def test_copies_and_columns_that_are_not_read_are_the_same_experiment(photos, tmp_path):
    config = Config("a", copied(photos, tmp_path))
    table = Path(config.world.table)
    lines = [line.rsplit(",", 1)[0] + ",9" for line in table.read_text().splitlines()]
    table.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    os.utime(first_image(config.world), (0, 0))
    first, second = (
        opened(Config("a", photos)).with_contents().config,
        opened(config).with_contents().config,
    )
    assert identity(first) == identity(second) and first.world != second.world


def test_a_probe_is_shared_by_worlds_that_hold_out_and_lie_elsewhere(photos, tmp_path):
    def probe_of(**changes):
        config = opened(Config("a", replace(photos, **changes))).with_contents().config
        return probe_identity(config.terms, PROBE)

    first = probe_of()
    assert first["world"]["kind"] == "photos" and first["world"]["contents"]
    place = copied(photos, tmp_path)
    for same in ({"held_out": ()}, {"validation": 0.3}, {"folder": place.folder}):
        assert probe_of(**same) == first
    change_a_pixel(place)
    for other in ({"seed": 1}, {"num_images": 90}, {"folder": place.folder}):
        assert probe_of(**other) != first


# What training gets


def task(photos: PhotosConfig, conditioning: str, captions: CaptionConfig | None = None):
    model = ModelConfig("tiny", conditioning=conditioning)
    return opened(Config("a", photos, model=model, captions=captions or CaptionConfig())).task


@pytest.mark.parametrize("kind", ["vector", "coordinates"])
def test_what_needs_numbers_is_refused(photos, kind):
    message = f"model.conditioning: got '{kind}', allowed one_hot, .* no numbers"
    with pytest.raises(Mistake, match=message):
        Config("a", photos, model=ModelConfig("tiny", conditioning=kind))


@pytest.mark.parametrize("shuffled", [False, True])
def test_training_sees_the_tables_images_in_order_each_told_what_it_shows(
    photos, world, labels, shuffled
):
    data, lines = task(photos, "one_hot", CaptionConfig(shuffled=shuffled)).load()
    train = photo_set(world, "train").names
    assert "leak check: 0 of" in lines[0] and torch.equal(data.images, load(world, train))
    told = data.inputs[data.row].view(-1, 3, 2)
    assert (told.sum(-1) == 1).all() and data.row.max() < len(data.inputs) - 1  # the null's
    own = told.argmax(-1) == torch.tensor([labels[name] for name in train])
    assert own.all() != shuffled
    for value in range(2):  # shuffled or not, every value is told as often as it is shown
        shown = sum(labels[name][1] == value for name in train)
        assert (told.argmax(-1)[:, 1] == value).sum() == shown


@pytest.mark.parametrize("kind", ["captions", "embeddings"])
def test_conditionings_of_words_are_told_by_prompts_too(photos, kind):
    told = task(photos, kind)
    data, _ = told.load()
    assert told.shown == "7 training and 1 held-out combinations, 147 images"
    prompts = ["a large red circle", "a small blue square"]
    seen, held_out = told.conditioning.prompts.inputs(prompts)
    first = data.combination.tolist().index(0)
    assert torch.equal(data.inputs[data.row[first]], seen)
    assert not (data.inputs == held_out).all(1).any()


def test_training_does_not_start_on_a_leak(photos, monkeypatch):
    def leaking(world: PhotoWorld):
        data = real(world)
        return replace(data, combination=torch.full_like(data.combination, len(world.space) - 1))

    real = photo_images.training_set
    monkeypatch.setattr(photo_images, "training_set", leaking)
    with pytest.raises(Mistake, match="leak: training image 0 shows held-out 'square blue small'"):
        task(photos, "captions").load()
