"""What is read of a file is kept as long as the file stays the same."""

import os
from pathlib import Path

import pytest

from ground.files import damage, hash_file, read_json, write_directory, write_json
from ground.unchanged import read_once


@pytest.fixture
def reading() -> tuple:
    read: list[Path] = []

    @read_once
    def text(path: Path) -> str:
        read.append(path)
        return path.read_text()

    return text, read


def test_a_file_is_read_once_under_whatever_name(reading, tmp_path):
    text, read = reading
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("one")
    assert [text(file), text(file)] == ["one", "one"]
    os.link(file, other)
    assert text(other) == "one" and read == [file]
    file.rename(tmp_path / "c")
    assert text(tmp_path / "c") == "one" and read == [file]
    other.write_text("longer")
    assert text(other) == "longer" and read == [file, other]


def test_another_content_of_the_same_size_is_read(reading, tmp_path):
    text, _ = reading
    file = tmp_path / "a"
    for i, content in enumerate(("one", "two")):
        file.write_text(content)
        os.utime(file, ns=(i, i))
        assert text(file) == content


def test_what_could_not_be_read_is_read_again(reading, tmp_path):
    text, _ = reading
    with pytest.raises(FileNotFoundError):
        text(tmp_path / "a")
    (tmp_path / "a").write_text("there")
    assert text(tmp_path / "a") == "there"


def test_a_value_belongs_to_who_has_read_it(tmp_path):
    write_json(tmp_path / "a.json", {"steps": [1]})
    read_json(tmp_path / "a.json")["steps"].append(2)
    assert read_json(tmp_path / "a.json") == {"steps": [1]}


def test_damage_after_a_first_look_is_seen(tmp_path):
    folder = tmp_path / "whole"
    write_directory(folder, lambda path: (path / "weights").write_bytes(bytes(100)))
    assert damage(folder) is None
    before = hash_file(folder / "weights")
    (folder / "weights").write_bytes(bytes(99) + b"\1")
    os.utime(folder / "weights", ns=(0, 0))  # whatever the clock's resolution
    assert damage(folder) == "weights has changed" and hash_file(folder / "weights") != before
