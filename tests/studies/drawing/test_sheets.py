"""Labels of contact sheets: in Pillow's own font while it has them, else in another."""

import warnings

import numpy as np
import pytest

from analysis.figures.fonts import font_file
from data_gen.output.preview import Row, contact_sheet, own_font_lacks
from studies.drawing import sheets
from studies.drawing.sheets import labelled_sheet

IMAGES = np.zeros((1, 3, 8, 8), np.uint8)


@pytest.mark.parametrize("label, lacks", [("a small circle", False), ("écru", True), ("中", True)])
def test_what_the_own_font_lacks_is_known(label, lacks):
    assert own_font_lacks(label) == lacks


def test_ascii_labels_keep_their_font_and_accents_get_one():
    plain, accents = [Row("circle", IMAGES)], [Row("écrü", IMAGES)]
    assert labelled_sheet("t", plain) == contact_sheet("t", plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = labelled_sheet("t", accents)
    assert drawn != contact_sheet("t", accents)
    assert drawn != labelled_sheet("t", [Row("ècrü", IMAGES)])  # no boxes


def test_a_font_of_the_system_is_asked_for_all_of_the_text(monkeypatch):
    asked: list[str] = []
    own = font_file("a")
    monkeypatch.setattr(sheets, "font_file", lambda text: asked.append(text) or own)
    labelled_sheet("t", [Row("red", IMAGES), Row("中", IMAGES)])
    assert asked == ["tred中"]
