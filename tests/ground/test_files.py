"""Whole or not at all."""

from pathlib import Path

import pytest

from ground.files import (
    damage,
    hash_json,
    is_complete,
    read_json,
    read_rows,
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


def test_damage_names_the_first_thing_wrong(tmp_path: Path):
    path = tmp_path / "step"
    assert damage(path) == "manifest.json is missing"
    write_directory(path, fill)
    assert damage(path) is None
    (path / "part" / "more").write_text("")
    assert damage(path) == "part/more is not in the manifest"
    (path / "part" / "weights").write_bytes(b"124")
    assert damage(path) == "part/more is not in the manifest"  # in the order of names
    (path / "part" / "more").unlink()
    assert damage(path) == "part/weights has changed"
    (path / "part" / "weights").unlink()
    assert damage(path) == "part/weights is missing"
    for text in ("{", "[]", "{}", '{"sha256": 1}', '{"sha256": {"a": '):
        (path / "manifest.json").write_text(text)
        assert damage(path) == "manifest.json is not readable"
    (path / "manifest.json").write_bytes(b'{"sha256": {}}\xff')
    assert damage(path) == "manifest.json is not readable"
    (path / "manifest.json").unlink()
    assert damage(path) == "manifest.json is missing" and not is_complete(path)


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a"')
    assert read_rows(path) == [{"a": 1}, {"a": 2}]  # torn by a crash
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, line 2: not readable as JSON \(.+\)"):
        read_rows(path)
    path.write_bytes(b'{"a": 1}\n{"a": "\xff"}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, line 2: not readable as JSON \(.+\)"):
        read_rows(path)
    path.write_text('{"a": 1}\r3\n')
    with pytest.raises(ValueError, match="rows.jsonl, line 1: not readable"):
        read_rows(path)
    path.write_text("3\n")
    with pytest.raises(ValueError, match="rows.jsonl, line 1: not a row, got int"):
        read_rows(path)
    with pytest.raises(ValueError, match="none.jsonl: no such file"):
        read_rows(tmp_path / "none.jsonl")


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
