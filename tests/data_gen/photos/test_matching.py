"""Rows without images and images without rows: what is passed over, and what the advice is."""

from pathlib import Path

import pytest

from data_gen.photos.attributes import Row
from data_gen.photos.matching import check_folder
from ground.endings import Mistake

NAMES = ("a/1.png", "a/2.png", "b/3.png")


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def rows(*names: str) -> list[Row]:
    return [Row(name, (), line) for line, name in enumerate(names, start=2)]


def test_what_is_hidden_needs_no_row_but_may_have_one(tmp_path):
    hidden = (".thumbnails/1.png", "a/.cache/2.png", "__MACOSX/a/._1.png", "a/@eaDir/1.png")
    make(tmp_path, *NAMES, *hidden, ".4.png")
    check_folder(tmp_path, Path("t.csv"), rows(*NAMES))
    check_folder(tmp_path, Path("t.csv"), rows(*NAMES, hidden[0]))
    with pytest.raises(Mistake, match="images without a row in t.csv: 1, the first 'b/3.png'"):
        check_folder(tmp_path, Path("t.csv"), rows(*NAMES[:2]))


@pytest.mark.parametrize(
    "change, advice",
    [
        (lambda n: n.replace("png", "jpg"), "in the ending alone: write the endings"),
        (lambda n: n.removesuffix(".png"), "in the ending alone: write the endings"),
        (str.upper, "in capital letters alone: write them"),
        (lambda n: n.replace("/", "\\"), "in backslashes alone: write / in the table"),
        (lambda n: f"img/{n}", "in the folders before the name alone: set world.folder to"),
        (lambda n: n.split("/")[1], "in the folders before the name alone: set world.folder to"),
        (
            lambda n: f"img/{n.upper()}".replace("/", "\\"),
            "in backslashes and capital letters and the folders ",
        ),
        (
            lambda n: f"img/{n[:-3]}jpg",
            "in the ending and the folders before the name alone: write",
        ),
    ],
)
def test_names_that_nearly_match_are_told_how(tmp_path, change, advice):
    make(tmp_path, *NAMES)
    named = [change(name) for name in NAMES]
    with pytest.raises(Mistake) as error:
        check_folder(tmp_path, Path("t.csv"), rows(*named))
    said = str(error.value)
    assert said.startswith(f"t.csv: 3 of 3 rows have no image in {tmp_path}, the first is ")
    assert advice in said and "3 of them, such as " in said and repr(named[0]) in said
    assert repr(NAMES[0]) in said and "remove" not in said and "\n" not in said


def test_accents_composed_otherwise_are_told(tmp_path):
    make(tmp_path, "e\u0301.png")
    with pytest.raises(
        Mistake, match="differ from .* in how accents are composed .* alone: rename"
    ):
        check_folder(tmp_path, Path("t.csv"), rows("\u00e9.png"))


def test_numbers_are_taken_for_an_index(tmp_path):
    make(tmp_path, "x.png", "y.png")
    with pytest.raises(Mistake, match="world.file_column which column has the file names"):
        check_folder(tmp_path, Path("t.csv"), rows("0", "1"))


def test_names_that_are_like_no_file_may_be_removed(tmp_path):
    make(tmp_path, "x.png", "y.png")
    with pytest.raises(Mistake, match="2 of 3 rows .* 'u.png'; remove these rows, add the images"):
        check_folder(tmp_path, Path("t.csv"), rows("x.png", "u.png", "v.png"))
