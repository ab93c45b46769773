"""A stand-in for photographs: renders in files, with a table of what they show. And the example."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from data_gen.dataset import labelled_set
from data_gen.photos.world import PhotoConcept, PhotosConfig
from data_gen.world import World
from studies.examples import lay_out
from studies.run.directory import RunDir
from tests.harness.tiles import small_tiles

FEWEST, MORE = 9, 4  # images of the first combination, and more of each after it


def save_photos(world: World, folder: Path) -> Path:
    """Writes PNG files of 20 px and their table, CSV, beside the folder; returns the table."""
    kinds = len(world.space)
    data = labelled_set(world, 0, "photos", 0, kinds * (FEWEST + MORE * kinds))
    table = folder.with_suffix(".csv")
    folder.mkdir()
    with table.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "Shape", "Colour", "Big", "Other"])
        for i, (image, shown) in enumerate(
            zip(data.images, data.combination.tolist(), strict=True)
        ):
            if i // kinds < FEWEST + MORE * shown:  # uneven, as real tables are
                shape, color, size = world.space.combinations[shown]
                name = f"{i * 7919 % 1000:03d}.png"  # not in the order of the combinations
                picture = Image.fromarray(image.permute(1, 2, 0).numpy())
                picture.resize((20, 20), Image.Resampling.BICUBIC).save(folder / name)
                rows.writerow([name, shape, color, int(size == "large"), i])
    return table


@pytest.fixture(scope="session")
def photos(tiny_world, tmp_path_factory) -> PhotosConfig:
    """2 × 2 × 2 combinations of 9, 13, … 37 images, the last of them held out."""
    folder = tmp_path_factory.mktemp("photos") / "images"
    table = save_photos(tiny_world, folder)
    concepts = {
        "shape": PhotoConcept("Shape", {"circle": "circle", "square": "square"}),
        "color": PhotoConcept("Colour", {"red": "red", "blue": "blue"}),
        "size": PhotoConcept("Big", {"large": "1", "small": "0"}),
    }
    return PhotosConfig(
        str(folder), str(table), concepts, image_size_px=16, held_out=("square blue small",)
    )


@pytest.fixture(scope="module")
def tiles_of_eight() -> Iterator[None]:
    with small_tiles():
        yield


@pytest.fixture(scope="session")
def finished(root, tmp_path_factory) -> RunDir:
    """The example, laid out. Tests do not change it."""
    return lay_out(root / "examples" / "color_and_size", tmp_path_factory.mktemp("finished"))
