"""Files of every format and depth, with the oddest EXIF: the right pixels or the name in a line."""

import io
import itertools
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_gen.photos.decoding import read_rgb
from ground.endings import Mistake

ORIENTATION = (0x0112, 3, 1, b"\6\0\0\0")  # row 0 is the right side, column 0 the top
FLAG = np.zeros((16, 24, 3), np.uint8)  # a corner of its own color each, of whole 8 × 8 blocks
FLAG[:8, :8], FLAG[:8, 8:], FLAG[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def exif_block(*entries: tuple[int, int, int, bytes], little: bool = True) -> bytes:
    """(tag, kind, count, four bytes of value or offset) → an EXIF block."""
    order, magic = ("<", b"II*\0") if little else (">", b"MM\0*")
    packed = [struct.pack(f"{order}HHL", *entry[:3]) + entry[3] for entry in entries]
    head = magic + struct.pack(f"{order}LH", 8, len(entries))
    return b"Exif\0\0" + head + b"".join(packed) + bytes(4)


def jpeg(exif: bytes) -> bytes:
    """The flag, as stored by a camera: no JFIF header with a resolution, but an EXIF block."""
    stream = io.BytesIO()
    Image.fromarray(FLAG).save(stream, "JPEG", quality=95, subsampling=0)
    data = stream.getvalue()
    rest = data[4 + int.from_bytes(data[4:6], "big") :]  # after the JFIF segment
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + rest


def pixels(path: Path) -> np.ndarray:
    image = read_rgb(path)
    assert image.mode == "RGB"
    return np.asarray(image)


ODD_TAGS = (0x0103, 0x010E, 0x011A, 0x011B, 0x0128, 0x0132, 0x02BC, 0x8298, 0x8769, 0x8825, 0x927C)
ODD_VALUES = (b"\0\0\0\0", b"2\0\0\0", b"\xff\xff\xff\xff", b"\x08\0\0\0")


@pytest.mark.parametrize("tag", ODD_TAGS)
def test_the_orientation_counts_whatever_else_exif_says(tmp_path, tag):
    """Every kind of value, 0 … 13, of no, one, two and too many numbers; without a warning."""
    turned = np.rot90(FLAG, -1)
    for kind, count, value in itertools.product(range(14), (0, 1, 2, 999, 2**32 - 1), ODD_VALUES):
        entries = sorted([ORIENTATION, (tag, kind, count, value)])
        (tmp_path / "p.jpg").write_bytes(jpeg(exif_block(*entries)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            got = pixels(tmp_path / "p.jpg")
        assert got.shape == turned.shape
        assert abs(got.astype(int) - turned).max() < 16  # JPEG's own error


@pytest.mark.parametrize("kind, value", [(1, "B"), (3, "H"), (4, "L")])
@pytest.mark.parametrize("little", [True, False])
def test_an_orientation_is_a_whole_number_of_any_width_and_byte_order(
    tmp_path, kind, value, little
):
    packed = struct.pack(("<" if little else ">") + value, 6).ljust(4, b"\0")
    exif = exif_block((0x0112, kind, 1, packed), little=little)
    (tmp_path / "p.jpg").write_bytes(jpeg(exif))
    assert pixels(tmp_path / "p.jpg").shape == (24, 16, 3)


WHOLE = exif_block(ORIENTATION)
BROKEN = {
    "empty": b"",
    "no byte order": b"Exif\0\0" + bytes(8) + WHOLE[14:],
    "no directory": WHOLE[:10],
    "directory beyond its end": WHOLE[:10] + b"\xff\xff\xff\xff" + WHOLE[14:],
    "cut in its entry": WHOLE[:20],
    "orientation of two numbers": exif_block((0x0112, 3, 2, b"\6\0\6\0")),
    "orientation as text": exif_block((0x0112, 2, 2, b"6\0\0\0")),
    "orientation that is none": exif_block((0x0112, 3, 1, b"\x09\0\0\0")),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_broken_exif_is_no_orientation(tmp_path, case, suffix):
    path = tmp_path / f"p.{suffix}"
    if suffix == "jpg":
        path.write_bytes(jpeg(BROKEN[case]))
    else:
        Image.fromarray(FLAG).save(path, exif=BROKEN[case], lossless=True)
    assert pixels(path).shape == FLAG.shape


@pytest.mark.parametrize("suffix", ["png", "webp", "avif", "tif"])
def test_every_format_that_holds_exif_is_turned(tmp_path, suffix):
    exif, path = Image.Exif(), tmp_path / f"p.{suffix}"
    exif[0x0112] = 6
    Image.fromarray(FLAG).save(path, exif=exif, lossless=True, quality=100)
    assert pixels(path).shape == (24, 16, 3)
    if suffix != "avif":
        assert np.array_equal(pixels(path), np.rot90(FLAG, -1))


def text_chunk(png: bytes, key: bytes, text: bytes) -> bytes:
    """A PNG file with one more text, behind its header."""
    body = b"tEXt" + key + b"\0" + text
    chunk = struct.pack(">L", len(body) - 4) + body + struct.pack(">L", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


@pytest.mark.parametrize(
    "key, text",
    [
        (b"Raw profile type exif", b"\nexif\n%8d\n%s\n" % (len(WHOLE), WHOLE.hex().encode())),
        (b"XML:com.adobe.xmp", b'<rdf tiff:Orientation="6"/>'),
        (b"XML:com.adobe.xmp", b"<tiff:Orientation>6</tiff:Orientation>"),
        (b"Raw profile type exif", b"\nexif\n 3\nno digits"),
    ],
)
def test_orientations_in_texts_count_too(tmp_path, key, text):
    stream = io.BytesIO()
    Image.fromarray(FLAG).save(stream, "PNG")
    (tmp_path / "p.png").write_bytes(text_chunk(stream.getvalue(), key, text))
    shape = FLAG.shape if b"no digits" in text else (24, 16, 3)
    assert pixels(tmp_path / "p.png").shape == shape


# Depth


def png(depth: int, color: int, rows: bytes) -> bytes:
    """A PNG file of 4 × 4 pixels, written by hand: Pillow writes no 16-bit colors."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">L", zlib.crc32(kind + body))
        return struct.pack(">L", len(body)) + kind + body + check

    header = struct.pack(">LLBBBBB", 4, 4, depth, color, 0, 0, 0)
    lines = b"".join(
        b"\0" + rows[i : i + len(rows) // 4] for i in range(0, len(rows), len(rows) // 4)
    )
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff(bits: int, channels: int) -> bytes:
    """An uncompressed TIFF file of 4 × 4 pixels."""
    size = 16 * channels * bits // 8
    entries = [
        *((256, 3, 1, 4), (257, 3, 1, 4), (258, 3, channels, bits if channels == 1 else 200)),
        *((259, 3, 1, 1), (262, 3, 1, 1 if channels == 1 else 2), (273, 4, 1, 256)),
        *((277, 3, 1, channels), (278, 3, 1, 4), (279, 4, 1, size)),
    ]
    packed = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<LH", 8, len(entries)) + packed + bytes(4)
    depths = struct.pack(f"<{channels}H", *[bits] * channels)
    return head.ljust(200, b"\0") + depths.ljust(56, b"\0") + bytes([200]) * size


def deep_jpeg_2000() -> bytes:
    """Three channels of 16 bits, as the header says."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG2000")
    data = bytearray(stream.getvalue())
    depth = data.index(b"\xff\x4f\xff\x51") + 42
    data[depth : depth + 9 : 3] = bytes([15] * 3)
    return bytes(data)


DEEP = {
    "grey.png": png(16, 0, b"\x9c\x40" * 16),
    "rgb.png": png(16, 2, b"\x9c\x40" * 48),
    "grey_alpha.png": png(16, 4, b"\x9c\x40" * 32),
    "rgba.png": png(16, 6, b"\x9c\x40" * 64),
    "grey.tif": tiff(16, 1),
    "rgb.tif": tiff(16, 3),
    "rgba.tif": tiff(16, 4),
    "rgb.jp2": deep_jpeg_2000(),
}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_per_channel_are_refused_rather_than_cut(tmp_path, name):
    (tmp_path / name).write_bytes(DEEP[name])
    with pytest.raises(Mistake, match=f"{name}: has more than 8 bits per channel .*, allowed 8; c"):
        read_rgb(tmp_path / name)


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_whole_numbers_and_floats_are_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "p.tif")
    with pytest.raises(Mistake, match=r"p.tif: has more than 8 bits per channel \(mode [IF]"):
        read_rgb(tmp_path / "p.tif")


def test_files_made_by_hand_are_read_where_they_have_8_bits(tmp_path):
    """The same writers as for the deep ones: it is the depth that is refused there."""
    shades = {"grey.png": png(8, 0, b"\xc8" * 16), "rgb.png": png(8, 2, b"\xc8" * 48)}
    for name, data in {**shades, "grey.tif": tiff(8, 1), "rgb.tif": tiff(8, 3)}.items():
        (tmp_path / name).write_bytes(data)
        assert (pixels(tmp_path / name) == 200).all()


@pytest.mark.parametrize("depth, most", [(1, 1), (2, 3), (4, 15)])
def test_fewer_bits_fill_the_whole_range(tmp_path, depth, most):
    """Four pixels of 0, most, 0, most a row."""
    value = sum(most << depth * (3 - i) for i in (1, 3)) << (8 - 4 * depth) % 8
    row = value.to_bytes(max(1, depth // 2), "big")
    (tmp_path / "p.png").write_bytes(png(depth, 0, row * 4))
    assert pixels(tmp_path / "p.png")[:, :, 0].tolist() == [[0, 255, 0, 255]] * 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "PA", "La", "RGBa"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jp2", "jpg", "gif", "bmp"])
def test_every_mode_is_read_or_named(tmp_path, mode, suffix):
    """All white where the format takes the mode; never another shade."""
    path = tmp_path / f"p.{suffix}"
    try:
        Image.new("L", (8, 8), 255).convert("RGBA").convert(mode).save(path)
    except (OSError, ValueError):
        pytest.skip(f"Pillow writes no {mode} as {suffix}")
    try:
        assert (pixels(path) == 255).all()
    except Mistake as error:
        assert str(path) in str(error) and "\n" not in str(error)


def test_what_is_no_image_is_refused_by_name(tmp_path):
    for content in (
        b"",
        b"no image",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe1\0\x02",
        png(8, 0, bytes(16))[:40],
    ):
        (tmp_path / "p.jpg").write_bytes(content)
        with pytest.raises(Mistake, match="p.jpg: not readable as a whole image") as error:
            read_rgb(tmp_path / "p.jpg")
        assert "object at" not in str(error.value)
