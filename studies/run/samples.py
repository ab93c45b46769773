"""Generated images in files: one npz per plan, flat, with a label per image; tiles until then."""

import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ground.endings import Mistake
from ground.files import whole_file
from ground.unchanged import read_once
from studies.run.provenance import SNAPSHOT
from studies.worlds.prompt_sets import Question, rows_of

LABELS = ("combination", "prompt", "sample")  # of an image
SAMPLES_ADVICE = "move the file and its scores away, scripts/evaluate.py makes both again"
UNREADABLE = (  # what damage to an npz may raise, wherever in the file it lies
    *(OSError, EOFError, ValueError, KeyError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def save_samples(
    path: Path, images: np.ndarray, asked: Sequence[Question], snapshot: str | None
) -> None:
    """Save images, uint8 (prompts, n, h, w, c), flat with a label per image.

    snapshot: hash of the snapshot that they were drawn from; None if they need none, or nobody
        knows any more.
    """
    rows = [row for question in asked for row in rows_of(question, images.shape[1])]
    labels = {key: np.array([row[key] for row in rows]) for key in LABELS}
    _save(path, snapshot, images=images.reshape(-1, *images.shape[2:]), **labels)


def save_tile(path: Path, images: np.ndarray, snapshot: str | None) -> None:
    """Save some of the images of a plan, uint8 (n, h, w, c). snapshot: see `save_samples`."""
    _save(path, snapshot, images=images)


def _save(path: Path, snapshot: str | None, **arrays: np.ndarray) -> None:
    """Save arrays; the same arrays make the same bytes."""
    buffer, origin = io.BytesIO(), {SNAPSHOT: np.array(snapshot)} if snapshot else {}
    np.savez_compressed(buffer, **arrays, **origin)  # type: ignore[arg-type]
    with whole_file(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_samples(path: Path) -> np.ndarray:
    """Read images, uint8 (prompts, n, h, w, c). Mistake names a file that cannot be read."""
    return read_samples_file(path)[0]


def read_samples_file(path: Path) -> tuple[np.ndarray, str | None]:
    """Read images, uint8 (prompts, n, h, w, c), and the hash of the snapshot that they were drawn
    from, if they hold it. Mistake names a file that cannot be read."""
    with _readable(path, SAMPLES_ADVICE):
        with np.load(path, allow_pickle=False) as stored:
            images, count = stored["images"], int(stored["sample"].max()) + 1
            snapshot = str(stored[SNAPSHOT]) if SNAPSHOT in stored else None
        return images.reshape(-1, count, *images.shape[1:]), snapshot


def load_tile(path: Path) -> np.ndarray:
    """Read the images of a tile, uint8 (n, h, w, c). Mistake names a file that cannot be read."""
    with _readable(path, "move the file away, scripts/evaluate.py makes it again"):
        with np.load(path, allow_pickle=False) as stored:
            return stored["images"]


@read_once
def recorded_snapshot(path: Path) -> str | None:
    """Return the hash of the snapshot that samples or a tile were drawn from, if they hold it.
    Mistake names a file that cannot be read."""
    with _readable(path, SAMPLES_ADVICE):
        with np.load(path, allow_pickle=False) as stored:
            return str(stored[SNAPSHOT]) if SNAPSHOT in stored else None


@contextmanager
def _readable(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise Mistake(f"{path}: cannot read these samples ({reason}); {advice}") from None
