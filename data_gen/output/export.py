"""A world's images on disk: image folder, npz or Parquet.

An export is made in `<out>.partial`, chunk by chunk, each chunk whole or not at all; the directory
gets its name when all is there. The same command goes on where it was stopped. Memory does not
grow with the number of images.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.output.formats import CHUNKS, FORMATS, Format
from data_gen.output.sources import Source
from ground.endings import Mistake
from ground.files import hash_json, read_json, write_json, write_text
from ground.locks import take

CHUNK_BYTES = 1 << 24  # of pixels in a chunk
SAMPLE = 256  # images that the disk forecast is made from
EXPORT = "export.json"  # what an export is of: written first, kept


@dataclass(frozen=True)
class Chunk:
    """Images start … stop − 1 of a split; number k of its chunks."""

    split: str
    k: int
    start: int
    stop: int


def _chunks_of(source: Source) -> list[Chunk]:
    first = next(iter(source.splits))
    size = max(1, CHUNK_BYTES // source.records(first, 0, 1).images.nbytes)
    return [
        Chunk(split, k, start, min(start + size, count))
        for split, count in source.splits.items()
        for k, start in enumerate(range(0, count, size))
    ]


def export(
    source: Source,
    out: Path,
    kind: str,
    identity: Any,
    card: Callable[[], str],
    progress: Callable[[int], object] = lambda images: None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Write all images of a source to the directory `out`; False if they were there already.

    identity: plain data; another one under the same name is refused. card: gives the text of
    README.md; called before any image is written, so that a leak it finds stops the export.
    Raises Mistake if `out` is something else, if another process writes it, or if the disk has
    too little room. What is whole then stays for the next try; if nothing is, nothing stays.
    """
    facts = {"format": kind, "splits": source.splits, "identity": hash_json(identity)}
    out = Path(os.path.abspath(out))
    if out.exists() or out.is_symlink():
        _check_same(out, facts, "choose another name")
        shutil.rmtree(out / CHUNKS, ignore_errors=True)  # of a process killed at the very end
        return False
    partial = out.with_name(out.name + ".partial")
    try:
        with _alone(partial), _kept_if_whole(partial, FORMATS[kind](partial, source)) as form:
            if out.exists():
                raise Mistake(f"--out: another process has just written {out}")
            if (partial / EXPORT).exists():
                _check_same(partial, facts, "delete it, or choose another name")
                say(f"going on with {partial}")
            write_json(partial / EXPORT, facts)
            write_text(partial / "README.md", card())
            _fill(source, partial, form, kind, progress, say)
            os.replace(partial, out)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Mistake(f"--out: {partial}: {error.strerror or error}") from None
    shutil.rmtree(out / CHUNKS, ignore_errors=True)
    return True


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """The only process at work in a directory; removes what a killed one left half-written."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        take(descriptor, directory)
        if not directory.exists() or directory.stat().st_ino != os.fstat(descriptor).st_ino:
            raise BlockingIOError  # it was renamed or removed before the lock was ours
        for path in sorted(directory.rglob(".*.tmp*"), reverse=True):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
    except BlockingIOError:
        raise Mistake(f"--out: another process is writing {directory}") from None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _kept_if_whole(partial: Path, form: Format) -> Iterator[Format]:
    """On failure, remove a directory that was new and holds no whole chunk."""
    fresh = not any(partial.iterdir())
    try:
        yield form
    except BaseException:
        if fresh and not form.has_any():
            shutil.rmtree(partial)
        raise


def _fill(
    source: Source,
    partial: Path,
    form: Format,
    kind: str,
    progress: Callable[[int], object],
    say: Callable[[str], None],
) -> None:
    """Write the missing chunks, then join all of them."""
    chunks = _chunks_of(source)
    missing = [chunk for chunk in chunks if not form.has(chunk.split, chunk.k)]
    images, total = (sum(c.stop - c.start for c in some) for some in (missing, chunks))
    _forecast(source, partial, kind, images + (form.copies - 1) * total, say)
    progress(total - images)
    for chunk in missing:
        form.write(chunk.split, chunk.k, source.records(chunk.split, chunk.start, chunk.stop))
        progress(chunk.stop - chunk.start)
    for split, count in source.splits.items():
        form.finish(split, [chunk.k for chunk in chunks if chunk.split == split], count)


def _forecast(
    source: Source, partial: Path, kind: str, images: int, say: Callable[[str], None]
) -> None:
    """From the size of a few: refuse, before the long work, images that will not fit."""
    split, count = next(iter(source.splits.items()))
    sample = min(SAMPLE, count)
    with tempfile.TemporaryDirectory(dir=partial, prefix=".forecast.tmp") as folder:
        form: Format = FORMATS[kind](Path(folder), source)
        form.write(split, 0, source.records(split, 0, sample))
        used = sum(f.stat().st_blocks * 512 for f in Path(folder).rglob("*") if f.is_file())
    needed = used * images // sample
    free = shutil.disk_usage(partial).free
    say(f"disk: about {needed / 2**20:.1f} MiB needed, {free / 2**20:.0f} MiB free")
    if needed > free:
        raise Mistake(
            f"--out: {partial.parent} has {free / 2**20:.1f} MiB free, about "
            f"{needed / 2**20:.1f} MiB are needed; lower world.num_images or choose another disk"
        )


def _check_same(directory: Path, facts: dict[str, Any], otherwise: str) -> None:
    if not (directory / EXPORT).is_file():
        raise Mistake(f"--out: {directory} exists and is no export; choose another name")
    found = read_json(directory / EXPORT)
    if found != facts:
        what = [key for key in facts if found.get(key) != facts[key]]
        raise Mistake(
            f"--out: {directory} holds an export with another {' and '.join(what)}; {otherwise}"
        )
