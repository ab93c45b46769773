"""Characters that the figures' own font has not, such as CJK: the system's fonts that have them."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

MOST = 8  # fonts beside their own that texts of a figure have
BLANK = ("last resort", "lastresort", "blank", "tofu")  # fonts that have a box for everything
_named: set[str] = set()  # characters that were warned of


class MissingGlyphs(UserWarning):
    """No font of this machine has some characters: one line that names them."""


def use_fonts_for(figure: Figure) -> None:
    """Let every text of a figure fall back on fonts of the system for what its own font lacks.

    Warns once, with `MissingGlyphs`, of characters that no font has; they are drawn as boxes. A
    figure whose own font has everything stays as it is.
    """
    texts = [text for text in _texts(figure) if _lacking(text)]
    lacking = {character for text in texts for character in _lacking(text)}
    if not lacking:
        return
    files, missing = choose_fonts(lacking, _system_fonts())
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *map(_family, files)])
    _warn(missing)


def font_file(text: str) -> str:
    """The one font with most of a text's characters: the figures' own, or one of the system.

    Warns as `use_fonts_for` does.
    """
    from matplotlib.font_manager import FontProperties, findfont

    own, characters = findfont(FontProperties()), {c for c in text if not c.isspace()}
    files, missing = choose_fonts(characters, {own: _points(own), **_system_fonts()}, most=1)
    _warn(missing)
    return files[0] if files else own


def choose_fonts(
    characters: Iterable[str], fonts: Mapping[str, frozenset[int]], most: int = MOST
) -> tuple[list[str], set[str]]:
    """Choose at most so many fonts, one by one that with most of what is still missing, the first
    of equals; and tell what none of them has. fonts: name → code points, the preferred first."""
    missing, chosen = {*characters}, list[str]()
    while missing and fonts and len(chosen) < most:
        counts = {name: sum(ord(c) in points for c in missing) for name, points in fonts.items()}
        best = max(counts, key=lambda name: counts[name])
        if not counts[best]:
            break
        chosen.append(best)
        missing = {character for character in missing if ord(character) not in fonts[best]}
    return chosen, missing


def width_of(text: str) -> int:
    """How many letters wide a text is: characters of CJK count as two, marks as none."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _texts(figure: Figure) -> list[Text]:
    """All texts, those of ticks as they will be drawn."""
    from matplotlib.text import Text

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels(which="both")  # writes them
    return [text for text in figure.findobj(Text) if isinstance(text, Text)]


def _lacking(text: Text) -> set[str]:
    """Characters that its first font has not."""
    from matplotlib.font_manager import findfont

    points = _points(findfont(text.get_fontproperties()))
    return {c for c in text.get_text() if not c.isspace() and ord(c) not in points}


@cache
def _points(path: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(path).get_charmap())


@cache
def _system_fonts() -> Mapping[str, frozenset[int]]:
    """Files of upright fonts of normal weight that can be scaled → code points, those without
    serifs first; looked for anew, since matplotlib's list of fonts is of its first day."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    fonts, listed = dict[str, frozenset[int]](), {entry.fname for entry in fontManager.ttflist}
    for path in sorted(findSystemFonts()):
        name = _family(path)
        if name and not any(word in name.lower() for word in BLANK):
            if path not in listed:
                fontManager.addfont(path)
            fonts[path] = _points(path)
    return {path: fonts[path] for path in sorted(fonts, key=_preference)}


def _preference(path: str) -> tuple[bool, str]:
    name = _family(path)
    return "Sans" not in name, name


@cache
def _family(path: str) -> str:
    """Of a font that figures can use; else ''."""
    from matplotlib.font_manager import get_font
    from matplotlib.ft2font import StyleFlags

    try:
        font = get_font(path)
    except (OSError, RuntimeError):  # not a font that FreeType reads
        return ""
    plain = font.scalable and not font.style_flags & (StyleFlags.BOLD | StyleFlags.ITALIC)
    return font.family_name if plain else ""


def _warn(missing: set[str]) -> None:
    new = sorted(missing - _named)
    if new:
        _named.update(new)
        more = f" and {len(new) - 20} others" if len(new) > 20 else ""
        warnings.warn(
            f"pictures: found no font on this machine for {' '.join(new[:20])}{more}, drawn as "
            f"boxes; install one, such as Debian's fonts-noto-cjk or fonts-noto-core",
            MissingGlyphs,
            stacklevel=4,
        )
