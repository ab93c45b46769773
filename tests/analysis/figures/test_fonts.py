"""Fonts for what the figures' own has not, with a stand-in for a font of the system."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from analysis.figures import fonts
from analysis.figures.fonts import MissingGlyphs, choose_fonts, font_file, use_fonts_for, width_of
from analysis.figures.run import sample_grid_figure
from analysis.figures.style import new_figure, write_figure

EM = 1000
NAME, CHARACTERS = "Stand-In Sans", "中文"


def save_font(path: Path) -> None:
    """A font whose every glyph is a black square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, EM), (EM, EM), (EM, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [".notdef", *(f"g{i}" for i in range(len(CHARACTERS)))]
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, CHARACTERS), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (EM, 0)))
    builder.setupHorizontalHeader(ascent=EM, descent=0)
    builder.setupNameTable({"familyName": NAME, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def system(tmp_path, monkeypatch) -> Iterator[list[str]]:
    """Paths of the fonts that the system has."""
    paths: list[str] = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: paths)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist])
    fonts._system_fonts.cache_clear()
    fonts._named.clear()
    yield paths
    fonts._system_fonts.cache_clear()


def picture(label: str) -> bytes:
    images = np.zeros((1, 1, 2, 2, 3), np.uint8)
    buffer = io.BytesIO()
    write_figure(sample_grid_figure(images, [label], ["x"]), buffer, "png")
    return buffer.getvalue()


def test_a_font_of_the_system_draws_what_the_own_lacks(system, tmp_path):
    save_font(tmp_path / "stand_in.ttf")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    system += [str(tmp_path / name) for name in ("broken.ttf", "stand_in.ttf")]
    figure = new_figure(1)
    text, plain = figure.text(0, 0.5, f"a {CHARACTERS}"), figure.text(0, 0, "é")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use_fonts_for(figure)
        figure.savefig(io.BytesIO(), format="pdf")
        drawn = picture(CHARACTERS)
    assert text.get_fontfamily()[1:] == [NAME] and len(plain.get_fontfamily()) == 1
    assert drawn == picture(CHARACTERS[::-1])  # squares, both
    assert font_file(CHARACTERS) == str(tmp_path / "stand_in.ttf")
    assert font_file("aé").endswith("DejaVuSans.ttf")


def test_what_no_font_has_is_named_once(system):
    with pytest.warns(MissingGlyphs, match="found no font on this machine for 中 文, .* install"):
        picture(f"small {CHARACTERS}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture(CHARACTERS[0])


def test_a_figure_whose_font_has_everything_stays_as_it_is(system):
    figure = sample_grid_figure(np.zeros((1, 1, 2, 2, 3), np.uint8), ["écru °"], ["x"])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200)
    assert buffer.getvalue() == picture("écru °")


def test_few_fonts_are_chosen_those_with_most_first():
    have = {
        name: frozenset(map(ord, letters))
        for name, letters in {"A": "ab", "B": "abc", "C": "cd", "D": "d"}.items()
    }
    assert choose_fonts("abcd", have) == (["B", "C"], set())
    assert choose_fonts("dx", have) == (["C"], {"x"})
    assert choose_fonts("abcd", have, most=1) == (["B"], {"d"})
    assert choose_fonts("x", {}) == ([], {"x"})


def test_widths_count_what_is_drawn():
    assert [width_of(text) for text in ("ab 1", "中文", "e\u0301")] == [4, 4, 1]
