"""Hashes outlive the command that made them, and no change of a file."""

import json
import os

import pytest

import ground.kept_hashes as module
from ground.files import hash_file
from ground.kept_hashes import KeptHashes


@pytest.fixture
def read(monkeypatch) -> list:
    """Files that were read."""
    files: list = []

    def reading(path):
        files.append(path)
        return hash_file.__wrapped__(path)

    monkeypatch.setattr(module, "hash_file", reading)
    monkeypatch.setattr(module, "SETTLED_NS", -1)  # as if all were written long ago
    return files


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "folder" / "weights"
    path.parent.mkdir()
    path.write_bytes(b"one")
    return path


def look(file) -> str:
    hashes = KeptHashes(file.parent)
    digest = hashes.of(file)
    hashes.save()
    return digest


def test_a_file_is_read_by_one_command_only(read, file):
    assert look(file) == look(file) == hash_file(file)
    assert read == [file] and [path.name for path in file.parent.iterdir()] == ["weights"]


def test_every_change_is_seen_whatever_its_size_and_time_say(read, file):
    first, facts = look(file), os.stat(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert os.stat(file).st_mtime_ns == facts.st_mtime_ns
    assert look(file) == hash_file.__wrapped__(file) != first


def test_what_has_just_changed_is_not_kept(read, file, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_NS", 60 * 10**9)
    look(file), look(file)
    assert read == [file, file] and not (file.parent.parent / ".folder.hashes.json").exists()


@pytest.mark.parametrize("content", ["", "[1]", '{"weights": 3}', '{"weights": [[1, 2], 3]}'])
def test_a_damaged_file_of_hashes_is_made_anew(read, file, content):
    kept = file.parent.parent / ".folder.hashes.json"
    kept.write_text(content)
    assert look(file) == hash_file(file)
    assert list(json.loads(kept.read_text())) == ["weights"]


def test_files_that_are_gone_are_forgotten(read, file):
    look(file)
    other = file.with_name("other")
    other.write_bytes(b"two")
    file.unlink()
    look(other)
    kept = json.loads((file.parent.parent / ".folder.hashes.json").read_text())
    assert list(kept) == ["other"]


def test_in_a_folder_of_another_user_nothing_is_kept(read, file, monkeypatch):
    def refuse(path, value):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "write_json", refuse)
    assert look(file) == hash_file(file)
