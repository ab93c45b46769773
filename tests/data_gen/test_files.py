"""Whole or not at all."""

from pathlib import Path

import pytest

from data_gen.files import (
    hash_json,
    is_complete,
    read_json,
    whole_file,
    write_directory,
    write_json,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "new" / "a.json"
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == 1


def fill(directory: Path) -> None:
    (directory / "part").mkdir()
    (directory / "part" / "weights").write_bytes(b"123")


def test_a_directory_is_complete_only_with_every_byte(tmp_path: Path):
    path = tmp_path / "step"
    assert not is_complete(path)
    write_directory(path, fill, step=3)
    assert is_complete(path)
    assert read_json(path / "manifest.json")["step"] == 3
    (path / "part" / "weights").write_bytes(b"124")
    assert not is_complete(path)


def test_a_directory_that_fails_half_way_is_not_there(tmp_path: Path):
    def fail(directory: Path) -> None:
        fill(directory)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_directory(tmp_path / "step", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_directory_is_moved_aside_not_deleted(tmp_path: Path):
    path = tmp_path / "step"
    write_directory(path, fill)
    (path / "part" / "weights").write_bytes(b"broken")
    write_directory(path, fill)
    assert is_complete(path)
    assert (tmp_path / "step.broken-0" / "part" / "weights").read_bytes() == b"broken"


def test_unreadable_json_is_named(tmp_path: Path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match="a.json: not readable as JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match="b.json: no such file"):
        read_json(tmp_path / "b.json")


def test_hashes_do_not_depend_on_the_order_of_keys():
    assert hash_json({"a": 1, "b": [2]}) == hash_json({"b": [2], "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 2})
