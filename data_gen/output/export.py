"""A world's images on disk: image folder, npz or Parquet. Imports no torch.

An export is made in `<out>.partial`, chunk by chunk, each chunk whole or not at all; the directory
gets its name when all is there. The same command goes on where it was stopped. Memory does not
grow with the number of images.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.endings import Mistake
from data_gen.files import hash_json, read_json, write_json, write_text
from data_gen.output.formats import FORMATS, Format
from data_gen.output.sources import Source

CHUNK_BYTES = 1 << 24  # of pixels in a chunk
EXPORT = "export.json"  # what an export is of: written first, kept


@dataclass(frozen=True)
class Chunk:
    """Images start … stop − 1 of a split; number k of its chunks."""

    split: str
    k: int
    start: int
    stop: int


def chunks_of(splits: dict[str, int], bytes_per_image: int) -> list[Chunk]:
    size = max(1, CHUNK_BYTES // bytes_per_image)
    return [
        Chunk(split, k, start, min(start + size, count))
        for split, count in splits.items()
        for k, start in enumerate(range(0, count, size))
    ]


def export(
    source: Source,
    out: Path,
    kind: str,
    identity: dict[str, Any],
    card: Callable[[], str],
    progress: Callable[[int], object] = lambda images: None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Write all images of a source to the directory `out`; False if they were there already.

    identity: plain data; another one under the same name is refused. card: text of README.md.
    Raises Mistake if `out` is something else, or if the disk has too little room.
    """
    facts = {"format": kind, "splits": source.splits, "identity": hash_json(identity)}
    if out.exists():
        _check_same(out, facts)
        return False
    partial = out.with_name(out.name + ".partial")
    if partial.exists():
        _check_same(partial, facts)
        say(f"going on with {partial}")
    partial.mkdir(parents=True, exist_ok=True)
    write_json(partial / EXPORT, facts)
    _fill(source, partial, FORMATS[kind](partial, source), progress, say)
    write_text(partial / "README.md", card())
    os.replace(partial, out)
    return True


def _fill(
    source: Source,
    partial: Path,
    form: Format,
    progress: Callable[[int], object],
    say: Callable[[str], None],
) -> None:
    first = next(iter(source.splits))
    chunks = chunks_of(source.splits, source.records(first, 0, 1).images.nbytes)
    for i, chunk in enumerate(chunks):
        if not form.has(chunk.split, chunk.k):
            form.write(chunk.split, chunk.k, source.records(chunk.split, chunk.start, chunk.stop))
        progress(chunk.stop - chunk.start)
        if i == 0:
            _forecast(partial, chunk, sum(source.splits.values()), form.copies, say)
    for split, count in source.splits.items():
        form.finish(split, [chunk.k for chunk in chunks if chunk.split == split], count)


def _forecast(
    partial: Path, first: Chunk, total: int, copies: int, say: Callable[[str], None]
) -> None:
    """From the first chunk's size: refuse, before the long work, what will not fit."""
    used = sum(size for size in _disk_sizes(partial))
    needed = used * total // (first.stop - first.start) * copies
    free = shutil.disk_usage(partial).free + used
    say(f"disk: about {needed / 2**20:.1f} MiB needed, {free / 2**20:.0f} MiB free")
    if needed > free:
        shutil.rmtree(partial)
        raise Mistake(
            f"--out: {partial.parent} has {free / 2**20:.0f} MiB free, about "
            f"{needed / 2**20:.0f} MiB are needed; lower world.num_images or choose another disk"
        )


def _disk_sizes(directory: Path) -> Iterator[int]:
    """Bytes that each file takes on the disk, in whole blocks."""
    for file in directory.rglob("*"):
        if file.is_file():
            yield file.stat().st_blocks * 512


def _check_same(directory: Path, facts: dict[str, Any]) -> None:
    if not (directory / EXPORT).is_file():
        raise Mistake(f"--out: {directory} exists and is no export; choose another name")
    found = read_json(directory / EXPORT)
    if found != facts:
        what = [key for key in facts if found.get(key) != facts[key]]
        raise Mistake(
            f"--out: {directory} holds an export with another {' and '.join(what)}; "
            f"choose another name"
        )
