"""Contact sheets with labels in any script."""

from collections.abc import Sequence

from PIL import Image

from analysis.figures.fonts import font_file
from data_gen.output.preview import Row, contact_sheet, own_font_lacks


def labelled_sheet(title: str, rows: Sequence[Row]) -> Image.Image:
    """Return a `contact_sheet`, of which a font of the system writes what Pillow's own cannot.

    Warns, with `analysis.figures.fonts.MissingGlyphs`, of what no font can write.
    """
    text = title + "".join(row.label for row in rows)
    return contact_sheet(title, rows, font_file(text) if own_font_lacks(text) else None)
