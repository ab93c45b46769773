"""Image files → upright RGB pixels, 8 bits per channel. What cannot be that is refused by name.

Of EXIF the orientation alone is read, and by no general parser: whatever else stands there, and
however oddly, says nothing about the pixels.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from ground.endings import Mistake, first_line

# What Pillow's decoders raise for broken files, found by breaking thousands in every format
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, RuntimeError, TypeError, AttributeError, AssertionError),
    *(LookupError, ArithmeticError, EOFError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
ORIENTATION = 0x0112  # tag of EXIF and TIFF
UPRIGHT = {  # how to turn what is stored
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WHOLE_NUMBERS = {1: "B", 3: "H", 4: "L"}  # kinds of a tag's value
EXIF, JPEG, JPEG_2000 = b"Exif\0\0", b"\xff\xd8", b"\xff\x4f\xff\x51"


def read_rgb(path: Path) -> Image.Image:
    """The whole image, turned upright, in mode RGB; what is transparent becomes white.

    Raises Mistake, naming the file, for what is no whole image or has more than 8 bits per
    channel, of which the lower ones would be lost.
    """
    try:
        data, exif = _without_exif(path.read_bytes())
        with Image.open(io.BytesIO(data)) as image:
            _check_depth(path, image, data)
            image.load()
            return _rgb(_turned(image, exif))
    except Mistake:
        raise
    except UnidentifiedImageError:
        raise Mistake(f"{path}: not readable as a whole image (of no format known)") from None
    except UNREADABLE as error:
        raise Mistake(f"{path}: not readable as a whole image ({first_line(error)})") from None


def _check_depth(path: Path, image: Image.Image, data: bytes) -> None:
    if image.mode.startswith(("I", "F")) or _depth(image, data) > 8:
        raise Mistake(
            f"{path}: has more than 8 bits per channel (mode {image.mode}), allowed 8; convert it"
        )


def _depth(image: Image.Image, data: bytes) -> int:
    """Bits per channel in the file: Pillow opens 16-bit colors as 8-bit ones, rounding down."""
    if image.format == "PNG":
        return data[24]  # of the header
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITSPERSAMPLE, (1,)))
    if image.format == "JPEG2000":
        start = data.index(JPEG_2000) + 40
        (channels,) = struct.unpack_from(">H", data, start)
        return max(1 + (data[start + 2 + 3 * i] & 0x7F) for i in range(channels))
    return 8


def _turned(image: Image.Image, exif: bytes) -> Image.Image:
    """Upright. Pillow has turned a TIFF file as it was loaded."""
    if isinstance(image, TiffImageFile):
        return image
    method = UPRIGHT.get(_orientation(image, exif))
    return image if method is None else image.transpose(method)


def _orientation(image: Image.Image, exif: bytes) -> int:
    """Of EXIF, else of XMP, else 1 (upright). image: loaded; a PNG's may follow its pixels."""
    exif = exif or image.info.get("exif") or _hexadecimal(image.info)
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    text = xmp if isinstance(xmp, str) else xmp.decode("latin-1")
    found = re.search(r'tiff:Orientation(?:="|>)([0-9])', text)
    told = [value for tag, value in _entries(exif) if tag == ORIENTATION]
    return told[-1] if told else int(found[1]) if found else 1


def _hexadecimal(info: dict) -> bytes:
    """EXIF as ImageMagick writes it into a PNG: a blank line, its kind, its length, its digits."""
    lines = str(info.get("Raw profile type exif", "")).split("\n")[3:]
    digits = "".join(lines)
    return bytes.fromhex(digits) if re.fullmatch(r"([0-9a-fA-F]{2})*", digits) else b""


def _entries(exif: bytes) -> Iterator[tuple[int, int]]:
    """(tag, value) of the single whole numbers in the first directory of an EXIF block, as far as
    it can be read."""
    while exif.startswith(EXIF):
        exif = exif[len(EXIF) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    try:
        start = struct.unpack_from(f"{order}L", exif, 4)[0] if order else len(exif)
        for i in range(struct.unpack_from(f"{order}H", exif, start)[0]):
            place = start + 2 + 12 * i
            tag, kind, count = struct.unpack_from(f"{order}HHL", exif, place)
            if kind in WHOLE_NUMBERS and count == 1:
                yield tag, struct.unpack_from(f"{order}{WHOLE_NUMBERS[kind]}", exif, place + 8)[0]
    except struct.error:
        return


def _without_exif(data: bytes) -> tuple[bytes, bytes]:
    """A JPEG file without its EXIF blocks, which Pillow would parse to learn a resolution; and
    these, joined. Other files as they are."""
    kept, exif, place = [data[:2]], b"", 2
    while data[:2] == JPEG and data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xDA or marker == 0xFF or 0xD0 <= marker <= 0xD9:
            break  # pixels begin, or something that has no length
        segment, place = data[place : place + 2 + length], place + 2 + length
        if marker == 0xE1 and segment[4:].startswith(EXIF):
            exif += segment[10:]
        else:
            kept.append(segment)
    return b"".join((*kept, data[place:])), exif


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
