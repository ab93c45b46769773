"""Preview and export of any kind of world, for scripts/render.py."""

from collections.abc import Callable
from pathlib import Path

import yaml
from tqdm import tqdm

from data_gen.output.describe import data_card
from data_gen.output.export import export
from data_gen.output.preview import save_sheet
from studies.drawing.sheets import labelled_sheet
from studies.experiment.config import to_dict
from studies.experiment.world_file import WorldFile
from studies.worlds.images import WorldImages

PREVIEWED, PREVIEW_ROWS = 8, 40  # images in a row, rows


def export_world(
    images: WorldImages,
    file: WorldFile,
    out: Path,
    kind: str,
    test_images: int,
    say: Callable[[str], None],
) -> None:
    """Write a world's images, captions and ground truth to a directory, unless they are there."""
    source = images.source(test_images)
    total, config = sum(source.splits.values()), to_dict(file)

    def card() -> str:
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        return data_card(file.name, file.question, text, images.describe(), source.splits, kind)

    with tqdm(total=total, desc="export", unit="image", disable=None) as bar:
        new = export(source, out, kind, [config, images.contents()], card, bar.update, say)
    splits = ", ".join(f"{name} {count}" for name, count in source.splits.items())
    say(f"{out}: {'wrote' if new else 'found'} {total} images ({splits}) as {kind}")


def preview(images: WorldImages, file: WorldFile, path: Path) -> None:
    """Draw a contact sheet: a row per combination, or per split of labels; of too many rows,
    some."""
    rows, of = images.rows(PREVIEWED, PREVIEW_ROWS)
    save_sheet(path, labelled_sheet(f"{file.name}: {file.question}{of}", rows))
