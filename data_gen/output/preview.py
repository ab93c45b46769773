"""A contact sheet: rows of images with their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from data_gen.bumps.world import EXAMPLES, SPLITS, BumpWorld
from data_gen.bumps.world import records as bump_records
from data_gen.concepts import Combination
from data_gen.dataset import images_of
from data_gen.output.formats import to_picture
from data_gen.photos.images import load, photo_set
from data_gen.photos.world import PhotoWorld
from data_gen.scene_sets import Filtered, OfCombinations, SceneSet, held_out_numbers
from data_gen.world import World
from ground import streams
from ground.files import whole_file

CELL_PX, GAP_PX, FONT_PX, MARGIN_PX = 72, 4, 15, 12
INK, HELD_OUT_INK = "#222222", "#b5471b"


@dataclass(frozen=True)
class Row:
    """Some images of one kind. images: uint8 (n, channels, h, w)."""

    label: str
    images: np.ndarray
    held_out: bool = False


def contact_sheet(title: str, rows: Sequence[Row], font_file: str | None = None) -> Image.Image:
    """Title, then one line per row: its label, its images enlarged with sharp pixels.

    font_file: of all text. None: Pillow's own font, which has little but ASCII (`own_font_lacks`).
    """
    font = ImageFont.truetype(font_file, FONT_PX) if font_file else ImageFont.load_default(FONT_PX)
    labels = [row.label + (" (held out)" if row.held_out else "") for row in rows]
    left = MARGIN_PX * 2 + int(max(font.getlength(label) for label in labels))
    columns = max(len(row.images) for row in rows)
    width = left + columns * (CELL_PX + GAP_PX) + MARGIN_PX
    title = _wrap(title, font, width - 2 * MARGIN_PX)
    top = MARGIN_PX * 2 + (FONT_PX + 5) * (title.count("\n") + 1)
    sheet = Image.new("RGB", (width, top + len(rows) * (CELL_PX + GAP_PX) + MARGIN_PX), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN_PX, MARGIN_PX), title, INK, font)
    for i, (label, row) in enumerate(zip(labels, rows, strict=True)):
        y = top + i * (CELL_PX + GAP_PX)
        ink = HELD_OUT_INK if row.held_out else INK
        pen.text((MARGIN_PX, y + (CELL_PX - FONT_PX) // 2), label, ink, font)
        for j, image in enumerate(row.images):
            framed = _enlarged(image)
            middle = (CELL_PX - framed.height) // 2
            sheet.paste(framed, (left + j * (CELL_PX + GAP_PX), y + middle))
    return sheet


def own_font_lacks(text: str) -> bool:
    """Whether Pillow's own font draws some character of a text as what stands for any other."""
    font = ImageFont.load_default(FONT_PX)
    box = bytes(font.getmask("\uffff"))  # no character
    return any(bytes(font.getmask(c)) == box for c in {*text} if not c.isspace())


def _enlarged(image: np.ndarray) -> Image.Image:
    """A whole number of times, in a grey line, so that white images end somewhere."""
    picture, room = to_picture(image), CELL_PX - 2
    times = room // max(picture.size)
    if times:
        size = (picture.width * times, picture.height * times)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    else:
        picture = picture.resize((room, room), Image.Resampling.BOX)
    framed = Image.new("RGB", (picture.width + 2, picture.height + 2), "#bbbbbb")
    framed.paste(picture, (1, 1))
    return framed


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def save_sheet(path: Path, sheet: Image.Image) -> None:
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def combination_rows(world: World, shown: Sequence[Combination], count: int) -> list[Row]:
    """A row of `count` scenes per combination; of a training combination none that is held out."""
    return [
        Row(
            world.captioner.write(combination),
            images_of(
                world, _scenes(world, combination), torch.arange(count), purpose="preview"
            ).images.numpy(),
            combination in world.split.held_out,
        )
        for combination in shown
    ]


def _scenes(world: World, combination: Combination) -> SceneSet:
    one = OfCombinations(world, torch.tensor([world.space.index(combination)]), (1.0,))
    if combination in world.split.held_out:
        return one
    return Filtered(one, held_out_numbers(world))


def photo_rows(world: PhotoWorld, shown: Sequence[Combination], count: int) -> list[Row]:
    """The first images of every combination that has any."""
    rows = []
    sets = {split: photo_set(world, split) for split in ("train", "held_out")}
    for combination in shown:
        held_out = combination in world.split.held_out
        photos = sets["held_out" if held_out else "train"]
        mine = photos.combination == world.space.index(combination)
        names = [photos.names[place] for place in torch.nonzero(mine)[:count, 0].tolist()]
        if names:
            images = load(world, names).numpy()
            rows.append(Row(world.captioner.write(combination), images, held_out))
    return rows


def bump_rows(world: BumpWorld, count: int) -> list[Row]:
    """Labels of every split and kind of example, in a random order."""
    rows = []
    for s, split in enumerate(SPLITS):
        for e, example in enumerate(EXAMPLES):
            index = torch.nonzero((world.split == s) & (world.example == e))[:, 0]
            if len(index):
                order = streams.permutation(world.config.seed, "preview", 0, len(index))
                shown = 1 if example == "blank" else count
                images, _ = bump_records(world, index[order[:shown]])
                label = f"{split.replace('_', ' ')}, {example.replace('_', ' ')} ({len(index)})"
                rows.append(Row(label, images.numpy(), split not in ("train", "not_kept")))
    return rows
